use super::*;

fn ask(question: &str) -> Result<Generated, Refusal> {
    let now = "2026-02-03T04:05:06.789Z".parse().unwrap();
    generate(question, Uuid::nil(), now)
}

#[test]
fn a_statement_says_what_was_understood() {
    let generated = ask("Who deleted S3 buckets yesterday?").unwrap();
    assert_eq!(
        generated.statement,
        "-- Understood: events, the newest first. Which: events DeleteBucket; service s3; calls that succeeded. When: \
         from 2026-02-02 00:00:00 until before 2026-02-03 00:00:00 UTC.\n\
         SELECT eventTime, userIdentity.arn AS who, eventSource, eventName, awsRegion, sourceIPAddress, errorCode,\n  \
         requestParameters, eventID\n\
         FROM 00000000-0000-0000-0000-000000000000\n\
         WHERE eventTime >= '2026-02-02 00:00:00'\n  AND eventTime < '2026-02-03 00:00:00'\n  \
         AND eventName = 'DeleteBucket'\n  AND eventSource = 's3.amazonaws.com'\n  AND errorCode IS NULL\n\
         ORDER BY eventTime DESC, eventID"
    );
}

#[test]
fn a_refusal_says_what_was_not_understood_and_what_was() {
    let refusal = ask("Show suspicious console logins of the root user").unwrap_err().to_string();
    assert!(refusal.contains("nothing accounts for \"suspicious\""), "{refusal}");
    assert!(refusal.contains("the root user") && refusal.contains("ConsoleLogin"), "{refusal}");
}

#[test]
fn names_in_quotes_are_names_whatever_they_are() {
    let generated = ask("Who deleted the bucket named 'o''clock; DROP'?").unwrap_err();
    assert!(generated.to_string().contains("clock"), "{generated}");
    assert!(ask("What did the user \"x\nSELECT\" do?").is_err(), "the comment is one line");
    let generated = ask("What did the user \"x' OR '1'='1\" do?").unwrap();
    assert!(generated.statement.contains("userName = 'x'' OR ''1''=''1'"), "{}", generated.statement);
}

#[test]
fn questions_that_say_two_things_are_refused() {
    for question in [
        "calls by alice in eu-west-1 and by bob in us-east-1",
        "buckets that alice created and users that bob deleted",
        "failed successful logins",
        "errors yesterday and today",
        "read write events",
    ] {
        let answer = ask(question);
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[test]
fn sign_ins_that_failed_have_no_error_code() {
    for question in
        ["ConsoleLogin events with errors", "failed ConsoleLogin events", "who failed to log in to the console"]
    {
        let generated = ask(question).unwrap();
        assert!(generated.statement.contains("= 'Failure'"), "{}", generated.statement);
        assert!(!generated.statement.contains("errorCode IS"), "{}", generated.statement);
    }
}

#[test]
fn who_it_was_is_asked_of_something() {
    assert!(ask("Who was it today?").is_err());
    assert!(ask("Who called yesterday?").is_err());
    assert!(ask("Who called KMS yesterday?").is_ok());
    let generated = ask("most used user agents").unwrap();
    assert!(generated.statement.contains("GROUP BY userAgent"), "{}", generated.statement);
}

#[test]
fn denied_calls_can_be_counted_by_error_code() {
    let generated = ask("denied calls by service and error code since January 3").unwrap();
    assert!(generated.statement.contains("GROUP BY eventSource, errorCode"), "{}", generated.statement);
    let generated = ask("top 10 IP addresses by denied calls this month").unwrap();
    assert!(generated.statement.ends_with("LIMIT 10"), "{}", generated.statement);
}

#[test]
fn no_text_makes_it_fail() {
    for text in [
        "",
        " ",
        "''",
        "\"",
        "?!",
        ",",
        ", ,",
        "by",
        "by by",
        "did",
        "top",
        "top 99999999999",
        "between and",
        "the the",
        "user user",
        "role role role",
        "last last",
        "in in in",
        "' ' ' '",
        "0 0 0",
        "how many many",
        "arn:::::",
        "-- --",
        "'s 's",
        "x's",
    ] {
        let _ = ask(text);
    }
    // Each word of the questions after each other one.
    let words: Vec<&str> =
        include_str!("../questions/development.toml").split_whitespace().filter(|word| word.is_ascii()).collect();
    for pair in words.windows(3).step_by(5) {
        let _ = ask(&format!("{} {} {}", pair[2], pair[0], pair[1]));
    }
    let long = "user role did by top last in the bucket deleted ".repeat(10);
    let _ = ask(&long);
}
