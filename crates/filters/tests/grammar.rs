//! Every construct of the language: what it matches, and what it does not.

use opentrail_filters::{FilterPattern, FilterSet, Scratch, Selector};

/// A pattern, messages that it matches, and messages that it does not.
type Case<'c> = (&'c str, &'c [&'c str], &'c [&'c str]);

fn check(cases: &[Case<'_>]) {
    for (text, matching, others) in cases {
        let pattern = FilterPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((pattern.as_str(), &*pattern.to_string()), (*text, *text));
        let (set, mut scratch) = (FilterSet::new([pattern.clone()]), Scratch::default());
        for (messages, expected) in [(matching, true), (others, false)] {
            for message in *messages {
                assert_eq!(pattern.matches(message), expected, "{text}  on  {message}");
                assert_eq!(
                    !set.matching(message, &mut scratch).is_empty(),
                    expected,
                    "{text}  on  {message}, in a set"
                );
                assert_eq!(pattern.extract(message).is_some(), expected, "{text}  on  {message}");
            }
        }
    }
}

#[test]
fn blank_patterns_match_everything() {
    check(&[
        ("", &["", "x", "{}"], &[]),
        ("   ", &["", "x"], &[]),
        ("\" \"", &["", "x"], &[]),
        ("\"\"", &["", "x"], &[]),
        ("\"\" x", &["x"], &["y"]),
    ]);
}

#[test]
fn words() {
    check(&[
        ("ERROR", &["ERROR", "an ERRORCODE", "[ERROR]"], &["error", "ERR OR", ""]),
        ("ERROR Exception", &["Exception ERROR", "ERRORException"], &["ERROR", "Exception"]),
        ("\"a b\" c", &["c a b"], &["b a c", "a  b c"]),
        (r#""say \"hi\"" "C:\\dir\file""#, &[r#"say "hi" C:\dir\file"#], &["say hi"]),
        ("ERROR -Exit", &["ERROR"], &["ERROR Exit", "Exit", ""]),
        ("-ERROR", &["", "x"], &["ERROR"]),
        ("\"ERROR\" - \"Exit\"", &["ERROR"], &["ERROR Exit"]),
        ("?a ?b", &["a", "b", "ba"], &["c", ""]),
        ("?\"a b\" ?%^c%", &["x a b", "cx"], &["ab", "xc"]),
        ("?a ?b c", &["c"], &["a", "b"]),
        ("?a -c", &["", "x"], &["c", "ac"]),
        ("naïve_1", &["naïve_1"], &["naive_1"]),
        ("\"a\"\"b\"", &["a b"], &["a"]),
        ("%a.c%", &["xabcx"], &["ac"]),
        ("x %a+$%", &["x aa"], &["aa", "x ab"]),
        ("-%^x%", &["ax", ""], &["xa"]),
        ("\"{\"", &["{"], &["x"]),
    ]);
}

#[test]
fn regular_expressions() {
    check(&[
        ("%colou?r%", &["color", "colour"], &["colouur"]),
        ("%^a|b$%", &["ax", "xb"], &["xa", "bx"]),
        ("%a{2}b{1,}c{0,1}d%", &["aabd", "aabbcd"], &["abd", "aabccd"]),
        (r"%\d\D\s\S\w\W%", &["1a x_-"], &["aa x_-", "1a xé"]),
        (r"%\x41\x25%", &["A%"], &["a%"]),
        (r"%a\.b\\c\{\}\[\]\|\*\+\?\^\$%", &[r"a.b\c{}[]|*+?^$"], &["axb"]),
        ("%[a-c]x[^0-9]%", &["bxy"], &["dxy", "bx1"]),
        (r"%[\d_][-a][a-][.*+?{}|$^[]%", &["5a-^", "_-a[", "1--$"], &["xa-^", "1a-x", "1b-."]),
        (r"%[\]\\]%", &["]", r"\"], &["["]),
        ("%a:_#=@/;,- b%", &["a:_#=@/;,- b"], &["a"]),
    ]);
    check(&[(r#"{ $.a = %^\w+$% }"#, &[r#"{"a":"b1"}"#, r#"{"a":12}"#], &[r#"{"a":"b 1"}"#, r#"{"a":"é"}"#])]);
}

#[test]
fn selectors() {
    check(&[
        (
            "{ $.a = x }",
            &[r#"{"a":"x"}"#, "\t{\"b\":1,\"a\":\"x\"}\n"],
            &[r#"{"A":"x"}"#, r#"{"b":{"a":"x"}}"#, r#"[{"a":"x"}]"#],
        ),
        ("{ $.a-b_1.c = x }", &[r#"{"a-b_1":{"c":"x"}}"#], &[r#"{"a-b_1.c":"x"}"#]),
        ("{ $.['a.b'].['c d'] = x }", &[r#"{"a.b":{"c d":"x"}}"#], &[r#"{"a":{"b":{"c d":"x"}}}"#]),
        ("{ $.['it's *'] = x }", &[r#"{"it's *":"x"}"#], &[r#"{"it's y":"x"}"#]),
        ("{ $.a[1] = x }", &[r#"{"a":["y","x"]}"#], &[r#"{"a":["x"]}"#, r#"{"a":{"1":"x"}}"#, r#"{"a":"x"}"#]),
        ("{ $.a[0][1].b = x }", &[r#"{"a":[[0,{"b":"x"}]]}"#], &[r#"{"a":[{"b":"x"}]}"#]),
        ("{ $.a[*] = x }", &[r#"{"a":["y","x"]}"#], &[r#"{"a":[]}"#, r#"{"a":["y",["x"]]}"#, r#"{"a":{"b":"x"}}"#]),
        ("{ $.a[*].b = x }", &[r#"{"a":[{"b":1},{"b":"x"}]}"#], &[r#"{"a":[{"c":"x"}]}"#, r#"{"a":{"b":"x"}}"#]),
        ("{ $.* = x }", &[r#"{"a":1,"b":"x"}"#], &[r#"{"a":{"b":"x"}}"#, r#"{"a":["x"]}"#, "{}"]),
        ("{ $.a.*.b = x }", &[r#"{"a":{"c":{"b":"x"}}}"#], &[r#"{"a":{"b":"x"}}"#, r#"{"a":[{"b":"x"}]}"#]),
        ("{ $.* = x || $.a[*] = x || $.b.* = x }", &[r#"{"b":{"c":"x"}}"#], &[r#"{"b":["x"]}"#]),
    ]);
}

#[test]
fn texts() {
    check(&[
        (
            "{$.a=x}",
            &[r#"{"a":"x"}"#],
            &[r#"{"a":"xx"}"#, r#"{"a":"X"}"#, r#"{"a":null}"#, r#"{"a":["x"]}"#, "{}", "x", ""],
        ),
        (r#"{ $.a = "x y" }"#, &[r#"{"a":"x y"}"#, r#"{"a":"x\u0020y"}"#], &[r#"{"a":"x"}"#]),
        (r#"{ $.a = "" }"#, &[r#"{"a":""}"#], &[r#"{"a":" "}"#]),
        (r#"{ $.a = "\"é\\" }"#, &[r#"{"a":"\"é\\"}"#, r#"{"a":"\u0022\u00e9\u005c"}"#], &[r#"{"a":"é"}"#]),
        ("{ $.a = kms.amazonaws.com }", &[r#"{"a":"kms.amazonaws.com"}"#], &[r#"{"a":"kms-amazonaws.com"}"#]),
        ("{ $.a = arn:aws:s3:::b/k }", &[r#"{"a":"arn:aws:s3:::b/k"}"#], &[]),
        ("{ $.a = 10.* }", &[r#"{"a":"10.1.2.3"}"#, r#"{"a":10.5}"#], &[r#"{"a":"110.1"}"#]),
        (r#"{ $.a = "*Unauthorized*" }"#, &[r#"{"a":"Client.UnauthorizedOperation"}"#], &[r#"{"a":"unauthorized"}"#]),
        ("{ $.a = a*b*c }", &[r#"{"a":"abc"}"#, r#"{"a":"a1b2bc"}"#], &[r#"{"a":"ac"}"#, r#"{"a":"abcd"}"#]),
        (
            "{ $.a = * }",
            &[r#"{"a":""}"#, r#"{"a":0}"#, r#"{"a":false}"#],
            &[r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[]}"#, "{}"],
        ),
        ("{ $.a = true }", &[r#"{"a":true}"#, r#"{"a":"true"}"#], &[r#"{"a":"True"}"#, r#"{"a":1}"#]),
        ("{ $.a = \"12\" }", &[r#"{"a":12}"#, r#"{"a":"12"}"#], &[r#"{"a":12.0}"#]),
    ]);
}

/// A field that is missing satisfies neither `=` nor `!=`, nor does `null`, an object or an array.
#[test]
fn what_differs_has_to_be_there() {
    let nothing: &[&str] = &["{}", r#"{"b":"y"}"#, r#"{"a":null}"#, r#"{"a":{"b":"y"}}"#, r#"{"a":["y"]}"#, "y"];
    check(&[
        ("{ $.a != x }", &[r#"{"a":"y"}"#, r#"{"a":""}"#, r#"{"a":1}"#, r#"{"a":true}"#], nothing),
        ("{ $.a != x }", &[], &[r#"{"a":"x"}"#]),
        ("{ $.a != x* }", &[r#"{"a":"yx"}"#], &[r#"{"a":"xy"}"#]),
        ("{ $.a != x* }", &[], nothing),
        ("{ $.a != %x% }", &[r#"{"a":"y"}"#], &[r#"{"a":"yxy"}"#, "{}"]),
        ("{ $.a != 5 }", &[r#"{"a":6}"#, r#"{"a":"y"}"#], &[r#"{"a":5}"#, r#"{"a":"5.0"}"#, "{}"]),
        ("{ $.a != x || $.a NOT EXISTS }", &["{}", r#"{"a":"y"}"#], &[r#"{"a":"x"}"#, r#"{"a":null}"#]),
    ]);
}

/// One of the values of a wildcard is enough, also for `!=`.
#[test]
fn of_a_wildcard_one_value_is_enough() {
    check(&[
        (
            "{ $.a[*] != x }",
            &[r#"{"a":["x","y"]}"#],
            &[r#"{"a":["x","x"]}"#, r#"{"a":[]}"#, r#"{"a":["x",null,{}]}"#, "{}"],
        ),
        ("{ $.a[*] > 5 }", &[r#"{"a":[1,6]}"#], &[r#"{"a":[1,5]}"#]),
        ("{ $.a[*] IS NULL }", &[r#"{"a":[1,null]}"#], &[r#"{"a":[1]}"#]),
        ("{ $.a[*].b NOT EXISTS }", &[r#"{"a":[{"c":1}]}"#, "{}"], &[r#"{"a":[{"c":1},{"b":1}]}"#]),
        ("{ $.a[*] = x && $.a[*] != x }", &[r#"{"a":["x","y"]}"#], &[r#"{"a":["x"]}"#]),
    ]);
}

#[test]
fn numbers() {
    check(&[
        (
            "{ $.a = 400 }",
            &[r#"{"a":400}"#, r#"{"a":4e2}"#, r#"{"a":400.0}"#, r#"{"a":"400"}"#],
            &[r#"{"a":401}"#, r#"{"a":"x"}"#],
        ),
        ("{ $.a = -1.50 }", &[r#"{"a":-1.5}"#], &[r#"{"a":1.5}"#]),
        ("{ $.a = 1e-3 }", &[r#"{"a":0.001}"#], &[r#"{"a":0.01}"#]),
        (
            "{ $.a > +1000 }",
            &[r#"{"a":1001}"#, r#"{"a":1e10}"#, r#"{"a":"2000"}"#],
            &[r#"{"a":1000}"#, r#"{"a":"x"}"#, r#"{"a":true}"#, "{}"],
        ),
        ("{ $.a >= 1000 }", &[r#"{"a":1000}"#], &[r#"{"a":999.9}"#]),
        ("{ $.a<1e3 }", &[r#"{"a":-5}"#], &[r#"{"a":1000}"#, r#"{"a":null}"#]),
        ("{ $.a <= 55.5 }", &[r#"{"a":55.5}"#], &[r#"{"a":55.51}"#]),
        ("{ $.a = 4* }", &[r#"{"a":404}"#, r#"{"a":"4x"}"#], &[r#"{"a":504}"#]),
        ("{ $.a != 4* }", &[r#"{"a":504}"#], &[r#"{"a":404}"#]),
        ("{ $.a = 123456789012345678 }", &[r#"{"a":123456789012345678}"#], &[r#"{"a":123456789012345679}"#]),
    ]);
}

#[test]
fn states() {
    check(&[
        ("{ $.a IS NULL }", &[r#"{"a":null}"#], &["{}", r#"{"a":"null"}"#, r#"{"a":0}"#]),
        ("{ $.a IS TRUE }", &[r#"{"a":true}"#], &[r#"{"a":false}"#, r#"{"a":"true"}"#, "{}"]),
        ("{$.a IS FALSE}", &[r#"{"a":false}"#], &[r#"{"a":true}"#, r#"{"a":null}"#, "{}"]),
        (
            "{ $.a NOT  EXISTS }",
            &["{}", r#"{"b":{"a":1}}"#],
            &[r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":1}"#, "", "x", "[]"],
        ),
        ("{ $.a.b NOT EXISTS }", &["{}", r#"{"a":{}}"#, r#"{"a":1}"#], &[r#"{"a":{"b":[]}}"#]),
        ("{ $.IS IS NULL && $.NOT NOT EXISTS }", &[r#"{"IS":null}"#], &[r#"{"IS":null,"NOT":1}"#]),
    ]);
}

#[test]
fn and_binds_tighter_than_or() {
    let (a, b, c) = (r#"{"a":1}"#, r#"{"b":1}"#, r#"{"c":1}"#);
    check(&[
        ("{ $.a = 1 && $.b = 1 }", &[r#"{"a":1,"b":1}"#], &[a, b]),
        ("{ $.a = 1 || $.b = 1 }", &[a, b], &[c]),
        ("{ $.a = 1 || $.b = 1 && $.c = 1 }", &[a, r#"{"b":1,"c":1}"#], &[b, c]),
        ("{ $.b = 1 && $.c = 1 || $.a = 1 }", &[a, r#"{"b":1,"c":1}"#], &[b, c]),
        ("{ ($.a = 1 || $.b = 1) && $.c = 1 }", &[r#"{"a":1,"c":1}"#, r#"{"b":1,"c":1}"#], &[a, b, c]),
        ("{(($.a=1))||(($.b=1)&&($.c=1))}", &[a, r#"{"b":1,"c":1}"#], &[b, c]),
        ("{ (($.a = 1 || $.b = 1) && ($.c = 1 || $.d = 1)) || $.e = 1 }", &[r#"{"b":1,"d":1}"#, r#"{"e":1}"#], &[a, c]),
        ("\n{\n  $.a = 1\n  && $.b = 1\n}\n", &[r#"{"a":1,"b":1}"#], &[a]),
    ]);
}

#[test]
fn columns() {
    let line = r#"127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
    check(&[
        ("[ip, env, user, time, request, status, bytes]", &[line], &["127.0.0.1 Prod", ""]),
        ("[ip = 127.0.*, ..., status = 404, bytes]", &[line], &["127.0.0.1 404"]),
        ("[..., status > 399 && status < 500, bytes >= 1e3]", &[line], &["x 500 2000", "x 404 999", "404"]),
        ("[..., status = 4* || status = 5*, ]", &[line, "500 x"], &["301 x", "500"]),
        ("[ip, env=Prod, ...]", &[line, "x Prod"], &["x Dev", "Prod"]),
        ("[w1=ERROR, w2]", &["ERROR x", "ERROR x y z"], &["ERROR", "INFO x"]),
        ("[w1!=ERROR && w1!=WARN || w1=\"x y\", w2]", &["INFO x", "[x y] z"], &["ERROR x", "WARN x"]),
        ("[a != x, b]", &["y z"], &["x z"]),
        ("[request = \"GET *html HTTP/1.0\", ...]", &["\"GET /i.html HTTP/1.0\" 1"], &["GET /i.html HTTP/1.0"]),
        ("[ip=%127\\.0\\.0\\.[1-9]%, ...]", &[line], &["127.0.0.0"]),
        ("[..., w = x, y, ...]", &["x 1", "1 x x 2", "1 x 2 3"], &["x", "1 2", "1 x"]),
        ("[a=1, ..., b=2, c=3, ..., d=4]", &["1 2 3 4", "1 2 2 3 x 4"], &["1 2 3", "1 2 x 3 4", "2 3 4"]),
        ("[...]", &["", "x", line], &[]),
        ("[,]", &["a b"], &["a"]),
        ("[a]", &["x", "x y"], &["", "  "]),
    ]);
}

#[test]
fn what_is_extracted() {
    /// A pattern, a message, and what is extracted.
    type Extracted<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)]);
    let cases: [Extracted<'_>; 8] = [
        (
            "[..., request=*.html*, status_code=4*,]",
            r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#,
            &[
                ("$1", "127.0.0.1"),
                ("$2", "-"),
                ("$3", "frank"),
                ("$4", "10/Oct/2000:13:25:15 -0700"),
                ("$7", "1534"),
                ("$request", "GET /index.html HTTP/1.0"),
                ("$status_code", "404"),
            ],
        ),
        ("[a, ..., z]", "1 2 3", &[("$2", "2"), ("$a", "1"), ("$z", "3")]),
        ("[a, b]", "1 2 3", &[("$a", "1"), ("$b", "2")]),
        (
            "{ $.a = * && $.b.['c'] IS TRUE || $.d = 1 }",
            r#"{"a":1.50,"b":{"c":true}}"#,
            &[("$.a", "1.50"), ("$.b.['c']", "true")],
        ),
        ("{ $.a IS NULL && $.b = * }", r#"{"a":null,"b":"x\ny"}"#, &[("$.b", "x\ny")]),
        ("{ $.a[*] = x || $.['a'][*] = y }", r#"{"a":[{},"z","x"]}"#, &[("$.a[*]", "z")]),
        ("x", "x", &[]),
        ("", "x", &[]),
    ];
    for (pattern, message, expected) in cases {
        let extracted = FilterPattern::parse(pattern).expect(pattern).extract(message).expect(pattern);
        let extracted: Vec<(&str, &str)> = extracted.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(extracted, expected, "{pattern}");
    }
}

#[test]
fn selectors_take_values() {
    let message = r#"{"a":{"b":[1.50,"x\u00e9",null,true]},"c.d":"y"}"#;
    for (selector, value) in [
        ("$.a.b[0]", Some("1.50")),
        ("$.a.b[1]", Some("xé")),
        ("$.a.b[2]", None),
        ("$.a.b[3]", Some("true")),
        ("$.a.b[*]", Some("1.50")),
        ("$.['c.d']", Some("y")),
        ("$.a", None),
        ("$.x", None),
    ] {
        let parsed = Selector::parse(selector).expect(selector);
        assert_eq!(parsed.value_of(message).as_deref(), value, "{selector}");
        assert_eq!(parsed.value_of("no JSON"), None);
        assert_eq!(parsed.to_string(), selector);
    }
    for (text, at) in
        [("", 1), ("a", 1), ("$", 2), ("$a", 2), ("$.", 3), ("$.a ", 4), ("$.a=1", 4), (" $.a", 1), ("$[0]", 2)]
    {
        assert_eq!(Selector::parse(text).expect_err(text).at, at, "{text}");
    }
}

#[test]
fn a_set_numbers_its_patterns_in_their_order() {
    let texts = [
        "{ $.a = x }",
        "x",
        "{ $.a = x || $.b = 1 }",
        "[w = x]",
        "",
        "{ $.b NOT EXISTS }",
        "{ $.a = y }",
        "{ $.a = x }",
    ];
    let set = FilterSet::new(texts.map(|text| FilterPattern::parse(text).expect(text)));
    let mut scratch = Scratch::default();
    assert_eq!(set.patterns().len(), 8);
    assert_eq!(set.matching(r#"{"a":"x"}"#, &mut scratch), [0, 1, 2, 4, 5, 7]);
    assert_eq!(set.matching(r#"{"b":1}"#, &mut scratch), [2, 4]);
    assert_eq!(set.matching("x", &mut scratch), [1, 3, 4]);
    assert_eq!(FilterSet::new([]).matching("x", &mut scratch), &[] as &[usize]);
}
