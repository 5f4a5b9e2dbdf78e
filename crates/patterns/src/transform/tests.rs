use super::*;

const EVENT: &str = r#"{ "version": "0", "id": "7bf7", "detail-type": "EC2 Instance State-change Notification",
  "source": "aws.ec2", "account": "123456789012", "time": "2015-11-11T21:29:54Z", "region": "us-east-1",
  "resources": [ "arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111" ],
  "detail": { "instance-id": "i-0123456789", "state": "RUNNING", "n": 1.50, "big": 12345678901234567890, "yes": true,
    "no": null, "quote": "a \"b\" \\", "payload": { "acc_id": "0a", "sf id": "b z", "k": "v" }, "one": ["HIGH"],
    "two": ["ACTIVE", "INACTIVE"], "list": [ {"id": 1, "tags": ["x"]}, {"id": 2, "tags": []}, 3 ], "empty": {} } }"#;

const RULE: RuleNames<'static> = RuleNames {
    arn: "arn:aws:events:us-east-2:123456789012:rule/example",
    name: "example",
    ingestion_time: "2015-11-11T21:29:55Z",
};

const PATHS: [(&str, &str); 13] = [
    ("instance", "$.detail.instance-id"),
    ("state", "$.detail.state"),
    ("timestamp", "$.time"),
    ("n", "$.detail.n"),
    ("yes", "$.detail.yes"),
    ("no", "$.detail.no"),
    ("quote", "$.detail.quote"),
    ("payload", "$.detail.payload"),
    ("one", "$.detail.one"),
    ("two", "$.detail.two"),
    ("missing", "$.detail.missing"),
    ("empty", "$.detail.empty"),
    ("detail", "$.detail"),
];

fn template(template: &str) -> Result<Input, InvalidInput> {
    Input::of_target(None, None, Some(InputTransformer { paths: &PATHS, template }))
}

fn apply(input: &Input) -> Result<String, NothingToSend> {
    input.apply(EVENT, &RULE).map(|bytes| String::from_utf8(bytes).unwrap())
}

fn transformed(text: &str) -> String {
    apply(&template(text).unwrap_or_else(|error| panic!("{text}: {error}"))).unwrap()
}

fn at(path: &str) -> Result<String, NothingToSend> {
    apply(&Input::of_target(None, Some(path), None).unwrap_or_else(|error| panic!("{path}: {error}")))
}

#[test]
fn all_of_the_event_or_a_constant_is_sent() {
    assert_eq!(apply(&Input::of_target(None, None, None).unwrap()).unwrap(), EVENT);
    for constant in [r#"{"a": 1}"#, "\"x\"", "1", " [] "] {
        assert_eq!(apply(&Input::of_target(Some(constant), None, None).unwrap()).unwrap(), constant);
    }
}

#[test]
fn parts_are_sent_as_they_are_spelled() {
    for (path, expected) in [
        ("$.detail.state", "\"RUNNING\""),
        ("$.detail.n", "1.50"),
        ("$.detail.big", "12345678901234567890"),
        ("$.detail.no", "null"),
        ("$.detail.quote", r#""a \"b\" \\""#),
        ("$.detail.payload", r#"{"acc_id":"0a","sf id":"b z","k":"v"}"#),
        ("$.detail.payload['sf id']", "\"b z\""),
        ("$['detail'][\"state\"]", "\"RUNNING\""),
        ("$.detail.two[1]", "\"INACTIVE\""),
        ("$.detail.list[0].id", "1"),
        ("$.detail.list[2]", "3"),
        ("$.detail.list[*].id", "[1,2]"),
        ("$.detail.list[1].tags", "[]"),
        ("$.detail.payload.*", r#"["0a","b z","v"]"#),
        ("$.detail.empty", "{}"),
        ("$.detail-type", "\"EC2 Instance State-change Notification\""),
    ] {
        assert_eq!(at(path).as_deref(), Ok(expected), "{path}");
    }
    assert_eq!(at("$").unwrap(), json::minified(EVENT));
    for path in
        ["$.detail.missing", "$.detail.two[2]", "$.detail.state.x", "$.detail.list.id", "$.detail.empty.*", "$.0"]
    {
        assert_eq!(at(path), Err(NothingToSend::NothingThere), "{path}");
    }
}

#[test]
fn of_a_name_that_occurs_twice_the_last_counts() {
    let path = Input::of_target(None, Some("$.a"), None).unwrap();
    assert_eq!(path.apply(r#"{"a":1,"\u0061":[2]}"#, &RULE).unwrap(), b"[2]");
    assert_eq!(path.apply(r#"{"a":1"#, &RULE), Err(NothingToSend::NoEvent));
    assert_eq!(path.apply("[]", &RULE), Err(NothingToSend::NoEvent));
}

#[test]
fn templates_of_json() {
    for (text, expected) in [
        (r#"{"instance": <instance>, "state": "<state>"}"#, r#"{"instance":"i-0123456789","state":"RUNNING"}"#),
        (r#"{"s": "instance \"<instance>\" is in <state>"}"#, r#"{"s":"instance \"i-0123456789\" is in RUNNING"}"#),
        (
            r#"{ "state": [ 9, <state>, true ], "Transformed" : "Yes" }"#,
            r#"{"state":[9,"RUNNING",true],"Transformed":"Yes"}"#,
        ),
        (r#"{"n":<n>,"yes":<yes>,"no":<no>}"#, r#"{"n":1.50,"yes":true,"no":null}"#),
        (r#"{"n":"<n> <yes>"}"#, r#"{"n":"1.50 true"}"#),
        (r#"{"bod": <payload>, "l": <one>}"#, r#"{"bod":{"acc_id":"0a","sf id":"b z","k":"v"},"l":["HIGH"]}"#),
        (r#"{"a":<missing>,"b":"x<missing>y"}"#, r#"{"a":"","b":"xy"}"#),
        (r#"{"q":<quote>,"p":"<<quote>>"}"#, r#"{"q":"a \"b\" \\","p":"<a \"b\" \\>"}"#),
        (
            r#"{"arn":<aws.events.rule-arn>,"name":"<aws.events.rule-name>","t":<aws.events.event.ingestion-time>}"#,
            r#"{"arn":"arn:aws:events:us-east-2:123456789012:rule/example","name":"example","t":"2015-11-11T21:29:55Z"}"#,
        ),
        (
            r#"{"e":<aws.events.event>}"#,
            r#"{"e":{"id":"7bf7","account":"123456789012","detailType":"EC2 Instance State-change Notification","time":"2015-11-11T21:29:54Z","source":"aws.ec2","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"version":"0"}}"#,
        ),
        ("<state>", "\"RUNNING\""),
        ("<payload>", r#"{"acc_id":"0a","sf id":"b z","k":"v"}"#),
        ("[<n>, <n>]", "[1.50,1.50]"),
        (r#"{"a":"1 < 2 <> 3"}"#, r#"{"a":"1 < 2 <> 3"}"#),
    ] {
        assert_eq!(transformed(text), expected, "{text}");
    }
    assert_eq!(transformed("<aws.events.event.json>"), json::minified(EVENT));
}

#[test]
fn objects_between_quotes_leave_nothing_to_send() {
    for text in [r#"{"p":"<payload>"}"#, r#"{"p":"<one>"}"#, r#"{"p":"x <aws.events.event.json>"}"#] {
        assert_eq!(apply(&template(text).unwrap()), Err(NothingToSend::NoJson), "{text}");
    }
}

#[test]
fn templates_of_strings_keep_their_quotes() {
    for (text, expected) in [
        (r#""instance <instance> is in <state>""#, r#""instance i-0123456789 is in RUNNING""#),
        (r#""instance \"<instance>\" is in <state>""#, r#""instance \"i-0123456789\" is in RUNNING""#),
        (r#""{[/Check <state>""#, r#""{[/Check RUNNING""#),
        (r#""<one> single, <two> multiple""#, r#""[HIGH] single, [ACTIVE,INACTIVE] multiple""#),
        (r#""Payload of <payload>""#, r#""Payload of {acc_id:0a,sf id:b z,k:v}""#),
        ("\"<missing> account\"\n\"<yes> <n>\"\n", "\" account\"\n\"true 1.50\"\n"),
        (r#""<quote>""#, r#""a \"b\" \\""#),
        (r#""<aws.events.rule-name> triggered""#, r#""example triggered""#),
    ] {
        assert_eq!(transformed(text), expected, "{text}");
    }
}

#[test]
fn what_a_target_cannot_have_is_refused_when_it_is_put() {
    let message = |input: Result<Input, InvalidInput>| input.unwrap_err().message("t1");
    let transformer = InputTransformer { paths: &PATHS, template: "\"x\"" };
    assert_eq!(
        message(Input::of_target(None, Some("$.detail"), Some(transformer))),
        "Only one of Input, InputPath, or InputTransformer must be provided for target t1."
    );
    assert_eq!(message(Input::of_target(Some("{"), None, None)), "JSON syntax error in input for target t1");
    assert_eq!(
        message(template("\"Event of <state>, <notdefinedkey>\"")),
        "InputTemplate for target t1 contains invalid placeholder notdefinedkey."
    );
    for path in [
        "",
        "detail",
        "$detail",
        "$.",
        "$..a",
        "$.a[",
        "$.a[x]",
        "$.a[-1]",
        "$.a[?(@.b)]",
        "$.a b",
        "$['a'",
        "$.a[99999999999]",
    ] {
        let text = message(Input::of_target(None, Some(path), None));
        assert!(text.starts_with("Invalid InputPath: "), "{path}: {text}");
    }
    for text in [
        "x",
        "<instance> is in <state>",
        r#"{"a":}"#,
        r#"{"a":<n>"#,
        r#"{<n>:1}"#,
        "\"a",
        "\"a\nb\"",
        "\"a\" <n>",
        "{}{}",
        "<n>,<n>",
        r#"1,"b":2"#,
    ] {
        let refused = template(text);
        assert!(matches!(refused, Err(InvalidInput::Template)), "{text}: {refused:?}");
    }
    assert!(matches!(template(r#"{"<n>":1}"#), Err(InvalidInput::Key)));
    assert!(matches!(template(""), Err(InvalidInput::TemplateLength)));
    assert!(matches!(template(&"x".repeat(8193)), Err(InvalidInput::TemplateLength)));
    let names = |name| Input::of_target(None, None, Some(InputTransformer { paths: &[(name, "$.a")], template: "1" }));
    for name in ["", "a b", "a.b", "AWS.x", "AWSx"] {
        assert!(matches!(names(name), Err(InvalidInput::MapName { .. })), "{name}");
    }
    let many = vec![("a", "$.a"); 101];
    let many = Input::of_target(None, None, Some(InputTransformer { paths: &many, template: "1" }));
    assert!(matches!(many, Err(InvalidInput::MapLength)));
}

#[test]
fn values_beside_others_do_not_become_one() {
    // `1<n>` passes as a number while it is checked, and is one that nobody meant once values are put.
    assert!(matches!(template(r#"{"a":1<n>}"#), Err(InvalidInput::Template)));
    assert!(matches!(template(r#"{"a":<n><n>}"#), Err(InvalidInput::Template)));
}
