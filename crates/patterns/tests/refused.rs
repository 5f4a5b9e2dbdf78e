//! What is no event pattern, and what is said about it. The messages are those that EventBridge is known to give.

use opentrail_patterns::EventPattern;

fn reason(pattern: &str) -> String {
    let error = EventPattern::parse(pattern).err().unwrap_or_else(|| panic!("{pattern} is taken")).to_string();
    error.strip_prefix("Event pattern is not valid. Reason: ").expect("AWS's manner").to_owned()
}

fn check(patterns: &[(&str, &str)]) {
    for (pattern, expected) in patterns {
        let reason = reason(pattern);
        assert_eq!(reason.split("\n at [Source").next(), Some(*expected), "{pattern}");
    }
}

fn check_tests(tests: &[(&str, &str)]) {
    for (test, expected) in tests {
        check(&[(&format!(r#"{{"detail": {{"f": [{test}]}}}}"#), expected)]);
    }
}

#[test]
fn the_place_is_named_as_by_event_bridge() {
    for (pattern, line, column) in [
        (r#"{"int": 42}"#, 1, 11),
        (r#"{"string": "my-value"}"#, 1, 13),
        (r#"{"resources": []}"#, 1, 17),
        (r#"{"detail": {"equal": [{"NUMERIC": ["=", 5]}]}}"#, 1, 36),
        (r#"{"my_key": [{"EXISTS": true}]}"#, 1, 28),
        (r#"{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}"#, 1, 49),
        (r#"{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}"#, 1, 50),
        (r#"{"detail": {"c-count": [{"numeric": 10}]}}"#, 1, 39),
        (r#"{"detail": {"FileName": [{"anything-but": {"prefix": ""}}]}}"#, 1, 56),
        (r#"{"detail": {"FilePath": [{"anything-but": {"wildcard": 123}}]}}"#, 1, 59),
        (r#"{"detail": {"sourceIPAddress": [{"cidr": ["bad-type"]}]}}"#, 1, 43),
        (r#"{"source": ["aws.health"], "detail": {}}"#, 1, 40),
        (r#"{"time": [{"prefix": ["2022-07-13"]}]}"#, 1, 23),
        (r#"{"time": [{"prefix": 123}]}"#, 1, 25),
        (r#"["not", "a", "dict", "but valid json"]"#, 1, 2),
        ("{\n  \"é\": {\n    \"a\": \"é\"\n  }\n}", 3, 11),
    ] {
        let text = EventPattern::parse(pattern).unwrap_err().to_string();
        let place = format!("\n at [Source: (String)\"{pattern}\"; line: {line}, column: {column}]");
        assert!(text.ends_with(&place), "{text}");
    }
    let long = format!(r#"{{"{}": 1}}"#, "x".repeat(600));
    let text = EventPattern::parse(&long).unwrap_err().to_string();
    assert!(text.contains("xxx\"[truncated 107 chars]; line: 1, column: 607]"), "{text}");
}

#[test]
fn structure() {
    check(&[
        ("{}", "Empty objects are not allowed"),
        (r#"{"source": ["aws.health"], "detail": {}}"#, "Empty objects are not allowed"),
        (r#"{"a": []}"#, "Empty arrays are not allowed"),
        (r#"{"a": {"slug": "x"}}"#, "\"slug\" must be an object or an array"),
        (r#"{"a": null}"#, "\"a\" must be an object or an array"),
        (r#"{"a": [["x"]]}"#, "Match value must be String, number, true, false, or null"),
        ("[]", "Filter is not an object"),
        ("\"x\"", "Filter is not an object"),
        (" null", "Filter is not an object"),
        ("17", "Filter is not an object"),
    ]);
}

#[test]
fn what_is_no_json() {
    for pattern in
        ["", " ", "x", "{", "{'a': 1}", r#"{"a": ["#, r#"{"a": ["x"]"#, r#"{"a": ["x"]} x"#, r#"{"a": ["x",]}"#]
    {
        assert!(reason(pattern).starts_with("Unexpected "), "{pattern}: {}", reason(pattern));
    }
    let deep = r#"{"a":"#.repeat(800);
    assert!(reason(&deep).starts_with("more than 128 objects and arrays lie in one another"));
}

#[test]
fn length() {
    let of = |length: usize| format!(r#"{{"a":["{}"]}}"#, "é".repeat(length - 10));
    assert!(EventPattern::parse(&of(4096)).is_ok());
    assert_eq!(reason(&of(4097)), "the pattern has 4097 characters and may have 4096");
}

#[test]
fn operators() {
    check_tests(&[
        ("{}", "Match expression name not found"),
        (r#"{"foo": "x"}"#, "Unrecognized match type foo"),
        (r#"{"prefix": "x", "foo": []}"#, "Only one key allowed in match expression"),
        (r#"{"exactly": 33}"#, "exact match pattern must be a string"),
        (r#"{"prefix": 123}"#, "prefix match pattern must be a string"),
        (r#"{"prefix": {}}"#, "Prefix expression name not found"),
        (r#"{"prefix": {"suffix": "x"}}"#, "Unsupported prefix pattern: suffix"),
        (r#"{"prefix": {"equals-ignore-case": 5}}"#, "equals-ignore-case match pattern must be a string"),
        (r#"{"prefix": {"equals-ignore-case": "a", "x": "b"}}"#, "Only one key allowed in match expression"),
        (r#"{"suffix": [".png"]}"#, "suffix match pattern must be a string"),
        (r#"{"suffix": {"prefix": "x"}}"#, "Unsupported suffix pattern: prefix"),
        (r#"{"equals-ignore-case": ["a"]}"#, "equals-ignore-case match pattern must be a string"),
        (r#"{"equals-ignore-case": {"prefix": "a"}}"#, "equals-ignore-case match pattern must be a string"),
        (r#"{"wildcard": 123}"#, "wildcard match pattern must be a string"),
        (r#"{"wildcard": ["a*"]}"#, "wildcard match pattern must be a string"),
        (r#"{"wildcard": "arn:aws:events:us-east-1:**:event-bus/*"}"#, "Consecutive wildcard characters at pos 26"),
        (r#"{"wildcard": "a\\b"}"#, "Invalid escape character at pos 2"),
        (
            r#"{"wildcard": "*:*:*:*:*:event-bus/*"}"#,
            "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
        ),
        (r#"{"exists": "true"}"#, "exists match pattern must be either true or false."),
        (r#"{"exists": true, "x": 1}"#, "Only one key allowed in match expression"),
    ]);
}

#[test]
fn anything_but() {
    let value = "Value of anything-but must be an array or single string/number value.";
    let member = "Inside anything but list, start|null|boolean is not supported.";
    let mixed = "Inside anything but list, either all values are number or string, mixed type is not supported";
    let case = "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
    check_tests(&[
        (r#"{"anything-but": null}"#, value),
        (r#"{"anything-but": true}"#, value),
        (r#"{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}"#, value),
        (r#"{"anything-but": ["x", null]}"#, member),
        (r#"{"anything-but": [{"prefix": "x"}]}"#, member),
        (r#"{"anything-but": ["x", 1]}"#, mixed),
        (r#"{"anything-but": []}"#, mixed),
        (r#"{"anything-but": {}}"#, "Anything-But expression name not found"),
        (r#"{"anything-but": {"foo": 3}}"#, "Unsupported anything-but pattern: foo"),
        (r#"{"anything-but": {"prefix": "x", "a": 1}}"#, "Only one key allowed in match expression"),
        (r#"{"anything-but": {"prefix": "x"}, "a": 1}"#, "Only one key allowed in match expression"),
        (r#"{"anything-but": {"prefix": ""}}"#, "Null prefix/suffix not allowed"),
        (r#"{"anything-but": {"suffix": ["x", ""]}}"#, "Null prefix/suffix not allowed"),
        (r#"{"anything-but": {"prefix": 27}}"#, "prefix/suffix match pattern must be a string"),
        (r#"{"anything-but": {"suffix": [null, ".txt"]}}"#, "prefix/suffix match pattern must be a string"),
        (r#"{"anything-but": {"prefix": []}}"#, "Empty arrays are not allowed"),
        (r#"{"anything-but": {"equals-ignore-case": 123}}"#, case),
        (r#"{"anything-but": {"equals-ignore-case": [123, 456]}}"#, case),
        (r#"{"anything-but": {"wildcard": 123}}"#, "wildcard match pattern must be a string"),
        (r#"{"anything-but": {"wildcard": [123, "*/dir/*"]}}"#, "wildcard match pattern must be a string"),
        (r#"{"anything-but": {"wildcard": "a**"}}"#, "Consecutive wildcard characters at pos 2"),
        (
            r#"{"anything-but": 6e9}"#,
            "Value must be between -5.0E9 and 5.0E9, inclusive, with at most six digits after the point: 6e9",
        ),
    ]);
}

#[test]
fn numeric() {
    check_tests(&[
        (r#"{"numeric": 10}"#, "Value of numeric must be an array."),
        (r#"{"numeric": []}"#, "Invalid member in numeric match: ]"),
        (r#"{"numeric": [5]}"#, "Invalid member in numeric match: 5"),
        (r#"{"numeric": ["<>", 1]}"#, "Unrecognized numeric range operator: <>"),
        (r#"{"numeric": ["="]}"#, "Value of = must be numeric"),
        (r#"{"numeric": ["=", "5"]}"#, "Value of = must be numeric"),
        (r#"{"numeric": [">=", true]}"#, "Value of >= must be numeric"),
        (r#"{"numeric": [">", 0, "<"]}"#, "Value of < must be numeric"),
        (r#"{"numeric": [">", 0, ">", 0]}"#, "Bad numeric range operator: >"),
        (r#"{"numeric": [">", 0, 5]}"#, "Bad value in numeric range: 5"),
        (r#"{"numeric": ["<", 1, ">", 0]}"#, "Too many elements in numeric expression"),
        (r#"{"numeric": ["=", 1, "<", 2]}"#, "Too many elements in numeric expression"),
        (r#"{"numeric": [">", 1, "<", 30, false]}"#, "Too many terms in numeric range expression"),
        (r#"{"numeric": [">", 1, "<", 1]}"#, "Bottom must be less than top"),
        (r#"{"numeric": [">=", 30, "<=", 1]}"#, "Bottom must be less than top"),
    ]);
    for number in ["5000000000.000001", "-6e9", "1e309", "0.0000001", "1E-320"] {
        let reason = reason(&format!(r#"{{"f": [{{"numeric": ["<", {number}]}}]}}"#));
        assert!(reason.starts_with("Value must be between -5.0E9 and 5.0E9"), "{reason}");
    }
}

#[test]
fn cidr() {
    check_tests(&[
        (r#"{"cidr": ["bad-type"]}"#, "prefix match pattern must be a string"),
        (r#"{"cidr": "bad-filter"}"#, "Malformed CIDR, one '/' required"),
        (r#"{"cidr": "bad-/64filter"}"#, "Malformed CIDR, mask bits must be an integer"),
        (r#"{"cidr": "10.0.0.0/-1"}"#, "Malformed CIDR, mask bits must not be negative"),
        (r#"{"cidr": "xx.11.xx/8"}"#, "Nonstandard IP address: xx.11.xx"),
        (r#"{"cidr": "xxxx:db8:1234:1a00::/64"}"#, "Nonstandard IP address: xxxx:db8:1234:1a00::"),
        (r#"{"cidr": "10.0.0.0/32"}"#, "IPv4 mask bits must be < 32"),
        (r#"{"cidr": "::/128"}"#, "IPv6 mask bits must be < 128"),
    ]);
    assert!(!reason(r#"{"f": [{"cidr": "x"}]}"#).contains("Source"), "AWS names no place here");
}

#[test]
fn or() {
    check(&[
        (r#"{"$or": {"a": [1]}}"#, "It must be an Array followed with $or."),
        (r#"{"$or": "x"}"#, "It must be an Array followed with $or."),
        (r#"{"$or": [{"a": [1]}, "x"]}"#, "Only JSON object is allowed in array of $or relationship."),
        (r#"{"$or": [{"a": [1]}]}"#, "There must have at least 2 Objects in $or relationship."),
        (r#"{"$or": []}"#, "There must have at least 2 Objects in $or relationship."),
        (r#"{"$or": [{"a": [1]}, {}]}"#, "Empty objects are not allowed"),
        (
            r#"{"$or": [{"numeric": [123]}, {"b": [1]}]}"#,
            "numeric is Ruler reserved fieldName which cannot be used inside $or.",
        ),
    ]);
    assert!(EventPattern::parse(r#"{"numeric": [1]}"#).is_ok(), "reserved within $or alone");
}

#[test]
fn combinations() {
    let or = |number: usize| {
        let alternatives: Vec<String> = (0..10).map(|value| format!(r#"{{"f{number}":[{value}]}}"#)).collect();
        format!(r#""n{number}":{{"$or":[{}]}}"#, alternatives.join(","))
    };
    assert!(EventPattern::parse(&format!("{{{},{},{}}}", or(1), or(2), or(3))).is_ok());
    let many = format!("{{{},{},{},\"$or\":[{{\"a\":[1]}},{{\"b\":[1]}}]}}", or(1), or(2), or(3));
    assert!(reason(&many).starts_with("the conditions within $or come to more than 1000 combinations"));
    let exponential: Vec<String> = (0..40).map(|n| format!(r#""x{n}":{{"$or":[{{"a":[1]}},{{"b":[1]}}]}}"#)).collect();
    assert!(reason(&format!("{{{}}}", exponential.join(","))).contains("combinations"));
}
