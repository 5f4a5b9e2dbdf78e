//! Each operator, where it holds and where it does not. A field `f` of the event is tested; `-` is an event without it.

use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};

fn matches(pattern: &str, event: &str) -> bool {
    let pattern = EventPattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let alone = pattern.matches(&Event::Whole(event.as_bytes()));
    let set: PatternSet<u8> = [(1, pattern)].into_iter().collect();
    let found = set.matches(&Event::Whole(event.as_bytes()), &mut Scratch::default()).count();
    assert_eq!(found, usize::from(alone), "alone and in a set: {event}");
    alone
}

fn check(tests: &str, yes: &[&str], no: &[&str]) {
    let pattern = format!(r#"{{"f": [{tests}]}}"#);
    let event = |value: &str| if value == "-" { r#"{"g":1}"#.to_owned() } else { format!(r#"{{"g":1,"f":{value}}}"#) };
    for value in yes {
        assert!(matches(&pattern, &event(value)), "{tests} should take {value}");
    }
    for value in no {
        assert!(!matches(&pattern, &event(value)), "{tests} should not take {value}");
    }
}

#[test]
fn values_are_equal() {
    check(
        r#""x""#,
        &[r#""x""#, r#"["y","x"]"#, r#"[["y",["x"]]]"#, r#""\u0078""#],
        &[r#""X""#, r#""""#, "null", "[]", "-"],
    );
    check(r#""""#, &[r#""""#], &["null", r#"" ""#, "-"]);
    check(r#""true""#, &[r#""true""#], &["true"]);
    check("true", &["true", "[false,true]"], &["false", r#""true""#, "1", "-"]);
    check("false", &["false"], &["true", "null", "-"]);
    check("null", &["null", "[null]"], &[r#""null""#, r#""""#, "[]", "{}", "-"]);
    check(r#""x", 5, null"#, &[r#""x""#, "5", "null"], &[r#""5""#, "6", "-"]);
    check(r#""a\"b""#, &[r#""a\"b""#, r#""a\u0022b""#], &[r#""ab""#]);
    check(r#"{"exactly":"x"}"#, &[r#""x""#], &[r#""xx""#]);
}

#[test]
fn numbers_are_equal_by_value() {
    check("300", &["300", "300.0", "3e2", "3.0E+2"], &["300.1", "300.0000001", r#""300""#, "-300", "-"]);
    check("-0.5", &["-0.5", "-5e-1"], &["0.5"]);
    check("0", &["0", "-0", "0.0", "0e9"], &["0.0000001", "null", "false"]);
    // What cannot be compared is equal as it is spelled.
    check("123456789012", &["123456789012"], &["123456789012.0", "123456789013"]);
    check("0.12345678", &["0.12345678"], &["0.123456780", "0.123456"]);
}

#[test]
fn addresses_are_equal_however_they_are_spelled() {
    check(r#""::1""#, &[r#""::1""#, r#""0:0:0:0:0:0:0:1""#], &[r#""::2""#]);
    check(r#""10.0.0.1""#, &[r#""10.0.0.1""#], &[r#""10.0.0.10""#]);
}

#[test]
fn beginnings_and_ends() {
    check(r#"{"prefix":"us-"}"#, &[r#""us-east-1""#, r#""us-""#], &[r#""US-east-1""#, r#""us""#, "5", "null", "-"]);
    check(r#"{"prefix":""}"#, &[r#""""#, r#""x""#], &["5", "true", "-"]);
    check(r#"{"prefix":{"equals-ignore-case":"EventB"}}"#, &[r#""eventBridge""#, r#""EVENTB""#], &[r#""event""#, "1"]);
    check(r#"{"suffix":".png"}"#, &[r#""a.png""#, r#"".png""#], &[r#""a.PNG""#, r#""png""#, "1", "-"]);
    check(r#"{"suffix":""}"#, &[r#""x""#], &["1"]);
    check(r#"{"suffix":{"equals-ignore-case":".Png"}}"#, &[r#""a.PNG""#], &[r#""a.pn""#]);
}

#[test]
fn case_may_not_matter() {
    check(r#"{"equals-ignore-case":"ÄlicE"}"#, &[r#""älice""#, r#""ÄLICE""#], &[r#""alice""#, r#""älicex""#, "-"]);
    check(r#"{"equals-ignore-case":""}"#, &[r#""""#], &[r#""x""#, "null"]);
}

#[test]
fn wildcards() {
    check(
        r#"{"wildcard":"dir/*.png"}"#,
        &[r#""dir/a.png""#, r#""dir/.png""#, r#""dir/a/b.png""#],
        &[r#""dir/a.jpg""#, r#""x/dir/a.png""#, "5", "-"],
    );
    check(r#"{"wildcard":"*"}"#, &[r#""""#, r#""x""#], &["1", "null"]);
    check(r#"{"wildcard":"a\\*b\\\\*"}"#, &[r#""a*b\\x""#], &[r#""axb\\x""#]);
    check(r#"{"wildcard":""}"#, &[r#""""#], &[r#""x""#]);
}

#[test]
fn anything_but() {
    let others = ["null", "true", "[]", "-"];
    check(
        r#"{"anything-but":"x"}"#,
        &[r#""y""#, r#""""#, "5", "null", "true", r#"["x","y"]"#],
        &[r#""x""#, r#"["x"]"#, "[]", "{}", "-"],
    );
    check(r#"{"anything-but":["x","y"]}"#, &[r#""z""#, "1"], &[r#""x""#, r#""y""#, others[3]]);
    check(r#"{"anything-but":5}"#, &["6", r#""5""#, "null", "9e99"], &["5", "5.0", "50e-1", "-"]);
    check(r#"{"anything-but":[0,5]}"#, &["1"], &["0", "-0.0", "5"]);
    check(r#"{"anything-but":{"prefix":"init"}}"#, &[r#""ini""#, "1", "null"], &[r#""init""#, r#""initial""#, "-"]);
    check(r#"{"anything-but":{"prefix":["a","b"]}}"#, &[r#""c""#], &[r#""ax""#, r#""bx""#]);
    check(r#"{"anything-but":{"suffix":".png"}}"#, &[r#""a.jpg""#], &[r#""a.png""#, "-"]);
    check(r#"{"anything-but":{"suffix":["1","2"]}}"#, &[r#""3""#], &[r#""x1""#, r#""x2""#]);
    check(r#"{"anything-but":{"equals-ignore-case":"Stop"}}"#, &[r#""stopp""#, "null"], &[r#""STOP""#, "-"]);
    check(r#"{"anything-but":{"equals-ignore-case":["A","b"]}}"#, &[r#""c""#], &[r#""a""#, r#""B""#]);
    check(r#"{"anything-but":{"wildcard":"*/bin/*"}}"#, &[r#""/lib/x""#, "7"], &[r#""/bin/x""#, "-"]);
    check(r#"{"anything-but":{"wildcard":["*a*","b*"]}}"#, &[r#""cb""#], &[r#""xax""#, r#""bx""#]);
    // Of two in one array either will do, so that everything is let through.
    check(r#"{"anything-but":"x"},{"anything-but":"y"}"#, &[r#""x""#, r#""y""#], &["-"]);
}

#[test]
fn numeric() {
    check(r#"{"numeric":["=",5]}"#, &["5", "5.0", "5e0"], &["5.000001", "5.0000001", r#""5""#, "null", "-"]);
    check(
        r#"{"numeric":[">",0,"<=",5]}"#,
        &["5", "0.000001", "0.0000001", "[0,3]"],
        &["0", "5.000001", "5.0000001", "-1"],
    );
    check(r#"{"numeric":[">=",0,"<",5]}"#, &["0", "-0.0", "4.9999999"], &["5", "-0.0000001"]);
    check(r#"{"numeric":["<",10]}"#, &["-5e9", "9"], &["10", "-5.1e9"]);
    check(r#"{"numeric":["<=",10]}"#, &["10"], &["10.0000001"]);
    check(r#"{"numeric":[">",10]}"#, &["5e9"], &["10", "6e9"]);
    check(r#"{"numeric":[">=",10]}"#, &["10"], &["9"]);
    check(r#"{"numeric":["=",-5.0e9]}"#, &["-5000000000"], &["5000000000"]);
}

#[test]
fn blocks_of_addresses() {
    check(r#"{"cidr":"10.0.0.0/24"}"#, &[r#""10.0.0.255""#], &[r#""10.0.1.0""#, r#""ec2.amazonaws.com""#, "10", "-"]);
    check(r#"{"cidr":"2001:db8::/32"}"#, &[r#""2001:0DB8:1::5""#], &[r#""2001:db9::""#, r#""10.0.0.1""#]);
}

#[test]
fn fields_exist_where_they_have_values() {
    check(r#"{"exists":true}"#, &["null", r#""""#, "[1]", "[[false]]"], &["[]", "{}", r#"{"x":1}"#, "-"]);
    check(r#"{"exists":false}"#, &["[]", "{}", r#"{"x":1}"#, "-"], &["null", "[1]"]);
    check(r#"{"exists":false},"x""#, &["-", r#""x""#], &[r#""y""#]);
    assert!(matches(r#"{"a":{"b":[{"exists":false}]}}"#, r#"{"a":5}"#));
    assert!(matches(r#"{"a":[{"exists":false}],"b":[1]}"#, r#"{"b":1}"#));
    assert!(!matches(r#"{"a":{"b":[{"exists":false}]}}"#, r#"{"a":{"b":0}}"#));
}

#[test]
fn all_fields_have_to_hold_and_any_of_or() {
    let pattern = r#"{"source":["s"],"$or":[{"a":["1"]},{"b":["2"],"c":["3"],"$or":[{"d":["4"]},{"e":{"f":["5"]}}]}]}"#;
    for event in [
        r#"{"source":"s","a":"1"}"#,
        r#"{"source":"s","b":"2","c":"3","d":"4"}"#,
        r#"{"source":"s","b":"2","c":"3","e":{"f":"5"}}"#,
    ] {
        assert!(matches(pattern, event), "{event}");
    }
    for event in [
        r#"{"source":"t","a":"1"}"#,
        r#"{"a":"1"}"#,
        r#"{"source":"s","b":"2","c":"3"}"#,
        r#"{"source":"s","b":"2","d":"4"}"#,
        r#"{"source":"s","$or":"1"}"#,
    ] {
        assert!(!matches(pattern, event), "{event}");
    }
    let parallel = r#"{"$or":[{"a":[1]},{"b":[1]}],"d":{"$or":[{"a":[2]},{"b":[2]}]}}"#;
    assert!(matches(parallel, r#"{"b":1,"d":{"a":2}}"#));
    assert!(!matches(parallel, r#"{"b":1,"d":{"a":1}}"#));
}

#[test]
fn a_later_condition_on_a_field_replaces_an_earlier_one() {
    assert!(matches(r#"{"f":["x"],"f":["y"]}"#, r#"{"f":"y"}"#));
    assert!(!matches(r#"{"f":["x"],"f":["y"]}"#, r#"{"f":"x"}"#));
    let within = r#"{"f":["x"],"$or":[{"f":["y"]},{"g":[1]}]}"#;
    assert!(matches(within, r#"{"f":"y"}"#) && matches(within, r#"{"f":"x","g":1}"#));
    assert!(!matches(within, r#"{"f":"x"}"#));
}

#[test]
fn dots_join_names() {
    for (pattern, event) in [
        (r#"{"d":{"state":{"status":["r"]}}}"#, r#"{"d":{"state.status":"r"}}"#),
        (r#"{"d":{"state.status":["r"]}}"#, r#"{"d":{"state":{"status":"r"}}}"#),
        (r#"{"d.state.status":["r"]}"#, r#"{"d":{"state":{"status":"r"}}}"#),
        (r#"{"":{"a":[1]}}"#, r#"{".a":1}"#),
    ] {
        assert!(matches(pattern, event), "{pattern} {event}");
    }
    assert!(!matches(r#"{"d":{"state":{"status":["r"]}}}"#, r#"{"d":{"state.status":{"status":"r"}}}"#));
    assert!(!matches(r#"{"":{"a":[1]}}"#, r#"{"a":1}"#));
}

#[test]
fn names_matter_to_the_letter_and_may_occur_twice() {
    assert!(!matches(r#"{"Key":[1]}"#, r#"{"key":1}"#));
    assert!(matches(r#"{"k":[1]}"#, r#"{"k":1,"k":2}"#) && matches(r#"{"k":[2]}"#, r#"{"k":1,"k":2}"#));
    assert!(matches(r#"{"k\"":[1]}"#, r#"{"k\u0022":1}"#));
}

#[test]
fn what_is_no_event_matches_nothing() {
    for event in [&b""[..], b"[]", b"x", b"{\"a\":1", b"{\"a\":1}}", b"\xff{}", b"{\"b\":\"\xff\"}"] {
        assert!(!EventPattern::parse(r#"{"a":[{"exists":false}]}"#).unwrap().matches(&Event::Whole(event)));
    }
    let deep = format!(r#"{{"b":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(!matches(r#"{"a":[{"exists":false}]}"#, &deep));
}
