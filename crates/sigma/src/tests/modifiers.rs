//! Fields, values and modifiers. (Sigma Rules Specification 2, "Detection"; Sigma Modifiers Appendix.)

use serde_json::{Value, json};

use super::finds;

/// A detection of one field, what it finds, and what it does not.
fn check(field: &str, found: &[Value], not: &[Value]) {
    let detection = format!("s:\n  {field}\ncondition: s");
    for value in found {
        assert!(finds(&detection, &json!({ "f": value, "eventName": "E" })), "{field} finds {value}");
    }
    for value in not {
        assert!(!finds(&detection, &json!({ "f": value, "eventName": "E" })), "{field} does not find {value}");
    }
}

#[test]
fn texts_are_compared_whole_and_without_case() {
    check("f: Alice", &[json!("alice"), json!("ALICE")], &[json!("alice2"), json!(""), json!(null), json!({})]);
    check("f: ÄÖ", &[json!("äö")], &[json!("ao")]);
}

#[test]
fn wildcards_stand_for_any_text_and_for_one_character() {
    check("f: 'a*c'", &[json!("abc"), json!("AC"), json!("a\nc")], &[json!("xac"), json!("acx")]);
    check("f: 'a?c'", &[json!("abc"), json!("a*c")], &[json!("ac"), json!("abbc")]);
    check("f: '*x'", &[json!("x"), json!("yx")], &[json!("xy")]);
}

#[test]
fn line_breaks_hide_nothing_from_wildcards() {
    let policy = json!("{\n  \"Action\": \"s3:*\",\n  \"Principal\": \"*\"\n}");
    check("f: '*\"Principal\"*'", std::slice::from_ref(&policy), &[json!("x")]);
    check("f: '*Action*Principal*'", std::slice::from_ref(&policy), &[json!("Principal Action")]);
    check("f|contains: 'Action*Principal'", std::slice::from_ref(&policy), &[json!("Principal Action")]);
    check("f: '{?  \"Action*}'", &[policy], &[json!("{\"Action}")]);
}

#[test]
fn modifiers_go_with_wildcards() {
    check("f|startswith: 'a*c'", &[json!("abcd"), json!("ac")], &[json!("xabc")]);
    check("f|endswith: 'a*c'", &[json!("xabc")], &[json!("abcd")]);
    check("f|startswith: ['a*c', 'q']", &[json!("abcd"), json!("qx")], &[json!("xabc"), json!("xq")]);
    check("f|contains|all: ['a*c', q]", &[json!("qabc")], &[json!("abc"), json!("q")]);
    check("f|contains|cased: 'a?c'", &[json!("xabcx")], &[json!("xABCx")]);
    check("f|neq: 'a*'", &[json!("b")], &[json!("ab")]);
    check("f|neq: ['a*', b, 'x?z']", &[json!("c")], &[json!("ab"), json!("b"), json!("xyz")]);
    check("f: '*'", &[json!("x"), json!("")], &[json!(null)]);
    check(
        "f: ['*a', 'b*', c, 7, '*.*']",
        &[json!("xa"), json!("bx"), json!("c"), json!(7), json!("1.2")],
        &[json!("ax")],
    );
    check("f: 'a.*b'", &[json!("a.xb")], &[json!("axb")]);
}

#[test]
fn null_in_a_list_is_a_field_that_is_missing() {
    check("f: [null, x, 'y*']", &[json!(null), json!("x"), json!("yz")], &[json!("z")]);
    assert!(finds("s: {f: [x, null]}\ncondition: s", &json!({ "eventName": "E" })));
}

#[test]
fn a_backslash_takes_the_meaning_from_a_wildcard_and_stands_for_itself_elsewhere() {
    check(r"f: 'a\*c'", &[json!("a*c")], &[json!("abc")]);
    check(r"f: 'a\?c'", &[json!("a?c")], &[json!("abc")]);
    check(r"f: 'a\\*'", &[json!(r"a\x")], &[json!("ax"), json!(r"b\")]);
    check(r"f: 'a\d'", &[json!(r"a\d")], &[json!("ad"), json!("a1")]);
}

#[test]
fn dots_in_a_field_lead_to_members_and_through_lists() {
    let event = json!({
        "requestParameters": { "ipPermissions": { "items": [{ "toPort": 22 }, { "toPort": 443, "ranges": ["0.0.0.0/0"] }] } },
        "a.b": "flat",
    });
    assert!(finds("s: {requestParameters.ipPermissions.items.toPort: 443}\ncondition: s", &event));
    assert!(finds("s: {requestParameters.ipPermissions.items.ranges: 0.0.0.0/0}\ncondition: s", &event));
    assert!(!finds("s: {requestParameters.ipPermissions.items.toPort: 80}\ncondition: s", &event));
    assert!(finds("s: {a.b: flat}\ncondition: s", &event));
    assert!(!finds("s: {requestParameters.IPPERMISSIONS.items.toPort: 443}\ncondition: s", &event));
}

#[test]
fn a_list_of_values_is_any_of_them() {
    check("f: [a, b]", &[json!("A"), json!("b"), json!(["x", "b"])], &[json!("c"), json!([])]);
}

#[test]
fn numbers_and_booleans_are_the_same_as_texts_of_them() {
    check("f: 443", &[json!(443), json!("443"), json!(443.0)], &[json!(444), json!("x"), json!(null)]);
    check("f: '443'", &[json!(443), json!("443")], &[json!(4430)]);
    check("f: true", &[json!(true), json!("true"), json!("True")], &[json!(false), json!("false"), json!(null)]);
    check("f: 'false'", &[json!(false), json!("False")], &[json!(true)]);
}

#[test]
fn null_is_a_field_that_is_missing_or_null() {
    check("f: null", &[json!(null)], &[json!(""), json!("x"), json!(0)]);
    assert!(finds("s: {f: null}\ncondition: s", &json!({ "eventName": "E" })));
    assert!(finds("s: {a.b: null}\ncondition: s", &json!({ "a": {} })));
}

#[test]
fn an_empty_text_is_one() {
    check("f: ''", &[json!("")], &[json!("x"), json!(null)]);
}

#[test]
fn contains_startswith_endswith() {
    check("f|contains: dm", &[json!("ADMIN")], &[json!("d m"), json!(null)]);
    check("f|startswith: ad", &[json!("Admin")], &[json!("xad")]);
    check("f|endswith: in", &[json!("admIN")], &[json!("inx")]);
    check("f|contains: 'a*c'", &[json!("xabcx")], &[json!("xbx")]);
    check("f|contains: [x, y]", &[json!("ay")], &[json!("a")]);
    check("f|contains: 22", &[json!(1223)], &[json!(1213)]);
}

#[test]
fn all_wants_every_value() {
    check("f|contains|all: [a, b]", &[json!("xbax")], &[json!("a"), json!("b")]);
    let event = |text: &str| json!({ "x": { "y": text } });
    assert!(finds("s:\n  '|all': ['*a*', '*b*']\ncondition: s", &event("ba")));
    assert!(!finds("s:\n  '|all': ['*a*', '*b*']\ncondition: s", &event("a")));
}

#[test]
fn cased_minds_the_case() {
    check("f|cased: Alice", &[json!("Alice")], &[json!("alice")]);
    check("f|contains|cased: Al", &[json!("xAlx")], &[json!("xalx")]);
    check("f|cased: 'A*'", &[json!("Ax")], &[json!("ax")]);
}

#[test]
fn re_is_a_regular_expression_that_minds_the_case_unless_told() {
    check("f|re: '^a.c$'", &[json!("abc")], &[json!("ABC"), json!("xabc")]);
    check("f|re: 'b'", &[json!("abc")], &[json!("aBc")]);
    check("f|re|i: 'b'", &[json!("aBc")], &[json!("ac")]);
    check("f|re|m: '^b$'", &[json!("a\nb")], &[json!("ab")]);
    check("f|re|s: 'a.b'", &[json!("a\nb")], &[json!("ab")]);
    check("f|re: ['^a', 'z$']", &[json!("ab"), json!("yz"), json!(["q", "ab"])], &[json!("b")]);
    check("f|re: '^\\d+$'", &[json!(12)], &[json!("x")]);
}

#[test]
fn cidr_is_a_network() {
    check("f|cidr: 192.0.2.0/24", &[json!("192.0.2.77")], &[json!("192.0.3.1"), json!("AWS Internal"), json!(null)]);
    check("f|cidr: '2001:db8::/32'", &[json!("2001:db8::1")], &[json!("2001:db9::1"), json!("192.0.2.1")]);
    check("f|cidr: [10.0.0.0/8, 172.16.0.0/12]", &[json!("172.16.3.4")], &[json!("8.8.8.8")]);
}

#[test]
fn exists_asks_whether_the_field_is_there() {
    check("f|exists: true", &[json!("x"), json!("")], &[]);
    check("f|exists: false", &[], &[json!("x")]);
    assert!(finds("s: {f|exists: false}\ncondition: s", &json!({ "eventName": "E" })));
    assert!(!finds("s: {f|exists: true}\ncondition: s", &json!({ "eventName": "E" })));
}

#[test]
fn numbers_are_compared() {
    check("f|gt: 10", &[json!(11), json!("11")], &[json!(10), json!("x"), json!(null)]);
    check("f|gte: 10", &[json!(10)], &[json!(9)]);
    check("f|lt: 10", &[json!(9.5)], &[json!(10)]);
    check("f|lte: 10", &[json!(10)], &[json!(11)]);
    check("f|neq: x", &[json!("y")], &[json!("x"), json!("X")]);
}

#[test]
fn fieldref_compares_with_another_field() {
    let event = |a: Value, b: Value| json!({ "userIdentity": { "arn": a }, "requestParameters": { "arn": b } });
    let detection = "s: {userIdentity.arn|fieldref: requestParameters.arn}\ncondition: s";
    assert!(finds(detection, &event(json!("x"), json!("x"))));
    assert!(!finds(detection, &event(json!("x"), json!("y"))));
    assert!(!finds(detection, &json!({ "userIdentity": { "arn": "x" } })));
    let detection = "s: {userIdentity.arn|fieldref|endswith: requestParameters.arn}\ncondition: s";
    assert!(finds(detection, &event(json!("user/x"), json!("/x"))));
    assert!(!finds(detection, &event(json!("user/x"), json!("/y"))));
}

#[test]
fn encodings() {
    check("f|base64: foo", &[json!("Zm9v")], &[json!("foo")]);
    check("f|base64offset|contains: foobar", &[json!("xZm9vYmFyx"), json!("eGZvb2Jhcg==")], &[json!("foobar")]);
    check("f|wide|base64offset|contains: ping", &[json!("cABpAG4AZwA=")], &[json!("ping")]);
    check("f|windash|contains: ' -x'", &[json!("a -x"), json!("a /x")], &[json!("a x")]);
}

#[test]
fn parts_of_a_time() {
    check("f|hour: 3", &[json!("2026-01-02T03:04:05Z")], &[json!("2026-01-02T04:04:05Z"), json!("x")]);
    check("f|minute: 4", &[json!("2026-01-02T03:04:05Z")], &[json!("2026-01-02T03:05:05Z")]);
    check("f|day: 2", &[json!("2026-01-02T03:04:05Z")], &[json!("2026-01-03T03:04:05Z")]);
    check("f|month: 1", &[json!("2026-01-02T03:04:05Z")], &[json!("2026-02-02T03:04:05Z")]);
    check("f|year: 2026", &[json!("2026-01-02T03:04:05Z")], &[json!("2025-01-02T03:04:05Z")]);
}

#[test]
fn words_are_looked_for_in_every_text() {
    let event = json!({ "eventName": "E", "a": { "b": ["secret-thing"] } });
    assert!(finds("s: ['*secret*']\ncondition: s", &event));
    assert!(finds("s: [other, '*SECRET*']\ncondition: s", &event));
    assert!(!finds("s: ['*nothing*']\ncondition: s", &event));
    assert!(finds("s: [CRET-th]\ncondition: s", &event));
    assert!(finds("s: ['s*t-thing']\ncondition: s", &event));
    assert!(finds("s:\n  '|all': [ret, thing]\ncondition: s", &event));
    assert!(!finds("s:\n  '|all': [ret, thong]\ncondition: s", &event));
    assert!(finds("s: secret\ncondition: s", &event));
}
