use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::cli::output;

/// An event at a glance: when, who, what, upon what, from where, how it ended. What does not fit its column moves the rest.
pub(super) struct Line<'a> {
    pub(super) record: &'a Value,
    /// Whether it matters whose event it is.
    pub(super) names_accounts: bool,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let time = plain(&record["eventTime"]).replace('T', " ").replace('Z', "");
        let who = match self.names_accounts {
            true => format!("{}/{}", plain(&record["recipientAccountId"]), who(&record["userIdentity"])),
            false => who(&record["userIdentity"]).into_owned(),
        };
        let what = what(record);
        let what = if record["readOnly"] == false { output::bold(pad(&what, 38)) } else { pad(&what, 38) };
        let (from, region) = (plain(&record["sourceIPAddress"]), plain(&record["awsRegion"]));
        write!(
            f,
            "{time:<19}  {}  {what}  {}  {}  {}",
            pad(&who, 26),
            pad(&from, 15),
            pad(&region, 12),
            result(record)
        )?;
        match resource(record) {
            Some(resource) => write!(f, "  {resource}"),
            None => Ok(()),
        }
    }
}

/// Who called, as people call them.
fn who(identity: &Value) -> Cow<'_, str> {
    let text = |path: &str| identity.pointer(path).filter(|value| value.is_string()).map(plain);
    let session = || text("/arn").and_then(|arn| arn.rsplit('/').next().map(str::to_owned));
    match identity["type"].as_str() {
        Some("Root") => "root".into(),
        Some("AssumedRole") => {
            let role = text("/sessionContext/sessionIssuer/userName");
            match (role, session()) {
                (Some(role), Some(session)) if role != session => format!("{role}/{session}").into(),
                (Some(role), _) => role,
                (None, Some(session)) => session.into(),
                (None, None) => "-".into(),
            }
        }
        Some("AWSService") => text("/invokedBy").unwrap_or("AWS".into()),
        _ => ["/userName", "/arn", "/principalId", "/invokedBy", "/accountId"]
            .into_iter()
            .find_map(text)
            .unwrap_or("-".into()),
    }
}

/// `s3:PutBucketPolicy`, as policies spell actions.
fn what(record: &Value) -> String {
    let (source, name) = (plain(&record["eventSource"]), plain(&record["eventName"]));
    format!("{}:{name}", source.strip_suffix(".amazonaws.com").unwrap_or(&source))
}

/// Upon what, without the ARN's beginning, which says what is known already.
fn resource(record: &Value) -> Option<String> {
    let arns = record["resources"].as_array()?.iter();
    let arn = arns.filter_map(|resource| resource.get("ARN")).find(|arn| arn.is_string()).map(plain)?;
    Some(arn.splitn(6, ':').nth(5).unwrap_or(&arn).to_owned())
}

/// The error's code, or that there was none. Sign-ins say so elsewhere.
fn result(record: &Value) -> String {
    let failed = record.pointer("/responseElements/ConsoleLogin").is_some_and(|login| login == "Failure");
    match &record["errorCode"] {
        Value::Null if failed => output::red("Failure"),
        Value::Null => output::green("ok"),
        code => output::red(plain(code)),
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// The text of a value, with nothing in it that would speak to the terminal: records say what callers want them to.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.chars().any(is_command) => {
            text.chars().map(|char| if is_command(char) { '\u{fffd}' } else { char }).collect::<String>().into()
        }
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

/// Control characters, and those that turn the direction of writing.
fn is_command(char: char) -> bool {
    char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(record: &Value, names_accounts: bool) -> String {
        let coloured = Line { record, names_accounts }.to_string();
        anstream::adapter::strip_str(&coloured).to_string()
    }

    #[test]
    fn an_event_is_a_line() {
        let record = json!({
            "eventTime": "2026-03-10T12:00:05Z", "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy",
            "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.7", "readOnly": false, "recipientAccountId": "111122223333",
            "userIdentity": { "type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice" },
            "resources": [{ "ARN": "arn:aws:s3:::logs" }],
        });
        let expected = "2026-03-10 12:00:05  alice                       s3:PutBucketPolicy                      192.0.2.7        eu-west-1     ok  logs";
        assert_eq!(line(&record, false), expected);
        assert_eq!(line(&record, true), expected.replace("alice             ", "111122223333/alice"));
    }

    #[test]
    fn callers_have_the_names_that_people_know() {
        let arn = "arn:aws:sts::111122223333:assumed-role/Admin/bob";
        let issuer = json!({ "sessionIssuer": { "userName": "Admin" } });
        for (identity, expected) in [
            (json!({ "type": "Root", "arn": "arn:aws:iam::111122223333:root" }), "root"),
            (json!({ "type": "AssumedRole", "arn": arn, "sessionContext": issuer }), "Admin/bob"),
            (json!({ "type": "AssumedRole", "arn": arn }), "bob"),
            (json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" }), "ec2.amazonaws.com"),
            (json!({ "type": "AWSAccount", "accountId": "444455556666" }), "444455556666"),
            (json!({ "type": 7 }), "-"),
            (Value::Null, "-"),
        ] {
            assert_eq!(who(&identity), expected, "{identity}");
        }
    }

    #[test]
    fn what_fails_says_how_and_nothing_speaks_to_the_terminal() {
        let record = json!({ "eventName": "Get\u{1b}[2J\nObject\u{202e}", "errorCode": "AccessDenied" });
        let shown = line(&record, false);
        assert!(shown.contains("Get\u{fffd}[2J\u{fffd}Object\u{fffd}") && shown.ends_with("AccessDenied"), "{shown:?}");
        let login = json!({ "eventName": "ConsoleLogin", "responseElements": { "ConsoleLogin": "Failure" } });
        assert!(line(&login, false).ends_with("Failure"));
        assert!(line(&json!([1, 2]), true).contains('-'), "any JSON is a line");
    }
}
