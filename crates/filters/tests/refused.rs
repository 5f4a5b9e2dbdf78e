//! What is refused, and how; and what is hostile.

use opentrail_filters::{FilterPattern, FilterSet, PatternError, Problem as P, Scratch};

#[test]
fn what_is_no_pattern_is_refused() {
    let other = |field: &str| P::OtherField { field: field.to_owned() };
    let refused: Vec<(&str, usize, P)> = vec![
        // Words.
        ("a-b", 2, P::Term { found: '-' }),
        ("a?", 2, P::Term { found: '?' }),
        ("café: x", 5, P::Term { found: ':' }),
        ("x (y)", 3, P::Term { found: '(' }),
        ("ERR*", 4, P::Term { found: '*' }),
        ("$.a = x", 1, P::Term { found: '$' }),
        ("x }", 3, P::Term { found: '}' }),
        ("x -", 3, P::NoTerm { prefix: '-' }),
        ("? x", 1, P::NoTerm { prefix: '?' }),
        ("-\" \"", 1, P::NoTerm { prefix: '-' }),
        ("--x", 2, P::Term { found: '-' }),
        ("x \"y", 3, P::Unclosed { open: '"', close: '"' }),
        (r#""y\""#, 1, P::Unclosed { open: '"', close: '"' }),
        // Regular expressions.
        ("%a", 1, P::Unclosed { open: '%', close: '%' }),
        ("x %%", 3, P::RegexEmpty),
        ("%(a|b)%", 2, P::RegexGroup),
        (r"%a\)%", 4, P::RegexGroup),
        ("%a!%", 3, P::RegexCharacter { found: '!' }),
        ("%é%", 2, P::RegexCharacter { found: 'é' }),
        ("%[é]%", 3, P::RegexCharacter { found: 'é' }),
        (r"%\b%", 3, P::RegexEscape { found: 'b' }),
        (r"%[a\q]%", 5, P::RegexEscape { found: 'q' }),
        ("%[a%", 2, P::Unclosed { open: '[', close: ']' }),
        ("%a% %b% %c%", 9, P::Regexes),
        ("{ $.a = %x% && $.b = %y% || $.c = %z% }", 35, P::Regexes),
        ("[a = %x% || a = %y%, b = %z%]", 26, P::Regexes),
        // JSON: selectors.
        ("{ a = x }", 3, P::NoSelector),
        ("{ $ = x }", 4, P::NoSelector),
        ("{ $a = x }", 4, P::NoSelector),
        ("{ $[0] = x }", 4, P::NoSelector),
        ("{ $.\"a-b\" = x }", 5, P::PropertyName),
        ("{ $.a..b = x }", 7, P::PropertyName),
        ("{ $.a@b = x }", 6, P::PropertyName),
        ("{ $.é = x }", 5, P::PropertyName),
        ("{ $.aé = x }", 6, P::PropertyName),
        ("{ $.a['b'] = x }", 7, P::Index),
        ("{ $.a[-1] = x }", 7, P::Index),
        ("{ $.a[99999999999] = x }", 7, P::Index),
        ("{ $.a[1 = x }", 7, P::Index),
        ("{ $.['a = x }", 5, P::Unclosed { open: '[', close: ']' }),
        ("{ $.a[*].b[*] = x }", 11, P::Wildcards),
        ("{ $.*.* = x }", 6, P::Wildcards),
        ("{ $.* = x && $.a[*] = x || ($.b.* = x) && $.c.* = x }", 43, P::WildcardSelectors),
        // JSON: conditions.
        ("{}", 2, P::NoCondition),
        ("{ ( ) }", 5, P::NoCondition),
        ("{ $.a = 1 && }", 14, P::NoCondition),
        ("{ || $.a = 1 }", 3, P::NoCondition),
        ("{ $.a = 1 || && $.b = 1 }", 14, P::NoCondition),
        ("{ $.a }", 7, P::NoOperator),
        ("{ $.a ~ x }", 7, P::NoOperator),
        ("{ $.a EXISTS }", 7, P::NoOperator),
        ("{ $.a is null }", 7, P::NoOperator),
        ("{ $.a IS NOT NULL }", 10, P::Is),
        ("{ $.a IS }", 10, P::Is),
        ("{ $.a IS NULLS }", 10, P::Is),
        ("{ $.a NOT NULL }", 11, P::Not),
        ("{ $.a = }", 9, P::NoValue),
        ("{ $.a == x }", 8, P::NoValue),
        ("{ $.a = && $.b = 1 }", 9, P::NoValue),
        ("{ $.a <> x }", 8, P::NoValue),
        ("{ $.a =! x }", 8, P::BareValue { found: '!' }),
        ("{ $.a = 'x' }", 9, P::BareValue { found: '\'' }),
        ("{ $.a = x@y }", 10, P::BareValue { found: '@' }),
        ("{ $.a = é }", 9, P::BareValue { found: 'é' }),
        ("{ $.a < x }", 9, P::NotANumber { operator: "<" }),
        ("{ $.a >= \"5\" }", 10, P::NotANumber { operator: ">=" }),
        ("{ $.a <= 4* }", 10, P::NotANumber { operator: "<=" }),
        ("{ $.a > %5% }", 9, P::NotANumber { operator: ">" }),
        ("{ $.a = \"x }", 9, P::Unclosed { open: '"', close: '"' }),
        ("{ !($.a = 1) }", 3, P::Negation),
        ("{ $.a = 1 AND $.b = 2 }", 11, P::Surplus { found: 'A' }),
        ("{ $.a = x y }", 11, P::Surplus { found: 'y' }),
        ("{ $.a = 1 & $.b = 2 }", 11, P::Surplus { found: '&' }),
        ("{ $.a = \"x\"y }", 12, P::Surplus { found: 'y' }),
        ("{ ($.a = 1 && ($.b = 1) }", 3, P::Unclosed { open: '(', close: ')' }),
        ("{ ($.a = 1", 3, P::Unclosed { open: '(', close: ')' }),
        ("{ $.a = 1) }", 10, P::Surplus { found: ')' }),
        (" { $.a = 1", 2, P::Unclosed { open: '{', close: '}' }),
        ("{ $.a = 1 } x", 13, P::Surplus { found: 'x' }),
        // Columns.
        ("[]", 2, P::NoFields),
        ("[a, b", 1, P::Unclosed { open: '[', close: ']' }),
        ("[a b]", 4, P::NoOperator),
        ("[a.b]", 3, P::NoOperator),
        ("[= x]", 2, P::FieldName),
        ("[\"x\"]", 2, P::FieldName),
        ("[…, a]", 2, P::FieldName),
        ("[a = x || ]", 11, P::NoCondition),
        ("[a = x && b > 1, c]", 11, other("a")),
        ("[a = x && (a = y)]", 11, P::FieldName),
        ("[a, b =, c]", 8, P::NoValue),
        ("[a, b = x y]", 11, P::Surplus { found: 'y' }),
        ("[a = !x]", 6, P::BareValue { found: '!' }),
        ("[a IS NULL]", 4, P::NoOperator),
        ("[... a]", 6, P::Surplus { found: 'a' }),
        ("[a] b", 5, P::Surplus { found: 'b' }),
    ];
    for (pattern, at, problem) in refused {
        let error = FilterPattern::parse(pattern).expect_err(pattern);
        assert_eq!(error, PatternError { at, problem }, "{pattern}: {error}");
    }
    for malformed in [
        "%]%",
        "%}%",
        "%{%",
        "%*a%",
        "%a{,2}%",
        "%a{2,1}%",
        "%a{1,2,3}%",
        "%a{x}%",
        "%[]%",
        "%[b-a]%",
        r"%\x4%",
        r"%\xff%",
        r"%[a-\d]%",
    ] {
        let problem = FilterPattern::parse(malformed).expect_err(malformed).problem;
        assert!(matches!(problem, P::Regex { .. }), "{malformed}: {problem}");
    }
}

#[test]
fn an_error_says_what_where_and_what_instead() {
    for (pattern, text) in [
        ("{ $.a = 'x' }", "a value with '\\'' is written in double quotes (at character 9)"),
        (
            "{ $.a IS NOT NULL }",
            "IS is followed by NULL, TRUE or FALSE; that a field is there at all is written $.field = * (at character 10)",
        ),
        (
            &"x".repeat(1025),
            "the pattern has 1025 characters and may have 1024; split it into several filters (at character 1025)",
        ),
    ] {
        assert_eq!(FilterPattern::parse(pattern).expect_err(pattern).to_string(), text);
    }
}

/// Characters are counted, not bytes.
#[test]
fn patterns_have_up_to_1024_characters() {
    assert!(FilterPattern::parse(&"é".repeat(1024)).is_ok());
    assert_eq!(FilterPattern::parse(&"é".repeat(1025)).expect_err("too long").problem, P::TooLong { length: 1025 });
}

#[test]
fn hostile_patterns_are_read_or_refused_at_once() {
    for opened in ["{", "(", "[", "%", "%[", "{(", "{$.a[", "{$.a=", "-", "?", "{!"] {
        let pattern: String = opened.chars().take(1).chain(opened.chars().cycle().skip(1)).take(1024).collect();
        assert!(FilterPattern::parse(&pattern).is_err(), "{opened}");
    }
    assert!(FilterPattern::parse(&"(".repeat(1024)).is_err());
    assert!(FilterPattern::parse(&"\"".repeat(1023)).is_err());
    assert!(FilterPattern::parse(&format!("{{{}", "(".repeat(1023))).is_err());
    let grouped = format!("{{{}$.a=1{}}}", "(".repeat(508), ")".repeat(508));
    assert!(FilterPattern::parse(&grouped).expect("groups of one").matches(r#"{"a":1}"#));
    let mut deep = String::from("$.a=1");
    while deep.len() < 1000 {
        deep = if deep.len() % 2 == 0 { format!("($.a=1&&{deep})") } else { format!("($.b=1||{deep}) ") };
    }
    assert!(FilterPattern::parse(&format!("{{{deep}}}")).expect("deep").matches(r#"{"a":1}"#));
    for large in ["a{1000}{1000}", ".{1000}{9}", "[^a]{500}{500}{500}"] {
        let problem = FilterPattern::parse(&format!("%{large}%")).expect_err(large).problem;
        assert!(matches!(problem, P::Regex { reason } if reason.contains("too large")), "{large}: {problem}");
    }
    let slow = FilterPattern::parse("%(a*)*b%".replace(['(', ')'], "").as_str()).expect("stars");
    assert!(!slow.matches(&"a".repeat(100_000)));
}

#[test]
fn hostile_messages_are_judged_at_once() {
    let patterns =
        ["{ $.a[*] = x }", "{ $.* = x && $.a NOT EXISTS }", "[..., a = x, b = y, ...]", "?x ?y", "{ $.a.b = %x+$% }"];
    let patterns = patterns.map(|pattern| FilterPattern::parse(pattern).expect(pattern));
    let (set, mut scratch) = (FilterSet::new(patterns), Scratch::default());
    let elements = format!("{{\"a\":[{}0]}}", "\"z\",".repeat(60_000));
    let names = format!("{{{}\"b\":0}}", "\"a\":{\"b\":1},".repeat(20_000));
    let deep = "{\"a\":".repeat(50_000);
    let brackets = "[ \" ".repeat(60_000);
    for message in [elements, names, deep, brackets, "\\".repeat(250_000), "{\"a\":\"\\".to_owned()] {
        assert_eq!(set.matching(&message, &mut scratch), &[] as &[usize]);
    }
}
