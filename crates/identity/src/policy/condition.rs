//! The `Condition` element. (IAM User Guide, "IAM JSON policy elements: Condition operators" and "Conditions with
//! multiple context keys or values".)

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use opentrail_model::Timestamp;

use super::pattern::{ArnPattern, Fit, Pattern, Syntax, Variables};
use crate::context::Facts;

/// One operator applied to one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    quantity: Quantity,
    absent: Absent,
    sense: Sense,
    /// In lower case.
    key: String,
    /// At least one; the key's value is held against each.
    tests: Vec<Test>,
}

/// How many of a key's values must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// The key has one value. Were there several, a positive test needs one that passes, a negated one all.
    Single,
    ForAnyValue,
    ForAllValues,
}

/// What to say when the request lacks the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    /// What the operator says by itself.
    Usual,
    /// `…IfExists`: the condition holds.
    Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    /// A value passes that meets one of the tests.
    Positive,
    /// A value passes that meets none of the tests.
    Negated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A policy's value, parsed for its operator.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Text(Pattern),
    TextIgnoringCase(Pattern),
    Number(Order, f64),
    Date(Order, Timestamp),
    Bool(bool),
    Binary(Vec<u8>),
    Address(IpNet),
    Arn(ArnPattern),
    /// `true`: the key must be absent.
    Null(bool),
}

impl Condition {
    /// Parses one entry of the element.
    ///
    /// # Errors
    /// What is wrong with the operator or a value.
    pub(crate) fn parse(operator: &str, key: &str, values: &[String], variables: Variables) -> Result<Self, String> {
        let (quantity, name) = match operator.split_once(':') {
            None => (Quantity::Single, operator),
            Some(("ForAnyValue", name)) => (Quantity::ForAnyValue, name),
            Some(("ForAllValues", name)) => (Quantity::ForAllValues, name),
            Some((other, _)) => return Err(format!("{other:?} is not ForAnyValue or ForAllValues")),
        };
        let (absent, name) = match name.strip_suffix("IfExists") {
            Some(name) => (Absent::Holds, name),
            None => (Absent::Usual, name),
        };
        if name == "Null" && (quantity, absent) != (Quantity::Single, Absent::Usual) {
            return Err("Null takes neither ForAnyValue, ForAllValues nor IfExists".to_owned());
        }
        let (sense, parse) = operator_of(name).ok_or_else(|| format!("{operator:?} is not a condition operator"))?;
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(format!("{key:?} is not a condition key such as aws:SourceArn"));
        }
        if values.is_empty() {
            return Err(format!("{key} needs a value"));
        }
        let tests = values.iter().map(|value| parse(value, variables)).collect::<Result<_, _>>();
        let tests = tests.map_err(|problem| format!("{key}: {problem}"))?;
        Ok(Self { quantity, absent, sense, key: key.to_ascii_lowercase(), tests })
    }

    /// Whether the request meets the condition.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        let values = facts.values(&self.key);
        if let [Test::Null(_), ..] = self.tests[..] {
            let absent = values.is_none_or(<[String]>::is_empty);
            return self.tests.contains(&Test::Null(absent));
        }
        let Some(values) = values else {
            return self.absent == Absent::Holds
                || match self.quantity {
                    Quantity::Single => self.sense == Sense::Negated,
                    Quantity::ForAnyValue => false,
                    Quantity::ForAllValues => true,
                };
        };
        let mut values = values.iter();
        match (self.quantity, self.sense) {
            (Quantity::ForAnyValue, _) | (Quantity::Single, Sense::Positive) => {
                values.any(|value| self.passes(value, facts))
            }
            (Quantity::ForAllValues, _) | (Quantity::Single, Sense::Negated) => {
                values.all(|value| self.passes(value, facts))
            }
        }
    }

    fn passes(&self, value: &str, facts: &Facts<'_>) -> bool {
        let meets = self.tests.iter().any(|test| test.meets(value, facts));
        match self.sense {
            Sense::Positive => meets,
            Sense::Negated => !meets,
        }
    }
}

impl Test {
    /// A value that is not of the operator's type meets nothing.
    fn meets(&self, value: &str, facts: &Facts<'_>) -> bool {
        match self {
            Self::Text(pattern) => pattern.fit(value, facts) == Fit::Yes,
            Self::TextIgnoringCase(pattern) => pattern.fit_ignoring_case(value, facts) == Fit::Yes,
            Self::Number(order, bound) => number(value).is_some_and(|n| order.admits(n.partial_cmp(bound))),
            Self::Date(order, bound) => date(value).is_some_and(|date| order.admits(Some(date.cmp(bound)))),
            Self::Bool(wanted) => truth(value) == Some(*wanted),
            Self::Binary(wanted) => STANDARD.decode(value).is_ok_and(|bytes| bytes == *wanted),
            Self::Address(net) => address(value).is_some_and(|address| net.contains(&address)),
            Self::Arn(pattern) => pattern.fit(value, facts) == Fit::Yes,
            Self::Null(_) => false,
        }
    }
}

impl Order {
    fn admits(self, ordering: Option<std::cmp::Ordering>) -> bool {
        ordering.is_some_and(|ordering| match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        })
    }
}

type ParseTest = fn(&str, Variables) -> Result<Test, String>;

fn operator_of(name: &str) -> Option<(Sense, ParseTest)> {
    use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    use Sense::{Negated, Positive};
    let operator: (Sense, ParseTest) = match name {
        "StringEquals" => (Positive, parse_equal),
        "StringNotEquals" => (Negated, parse_equal),
        "StringEqualsIgnoreCase" => (Positive, parse_equal_ignoring_case),
        "StringNotEqualsIgnoreCase" => (Negated, parse_equal_ignoring_case),
        "StringLike" => (Positive, parse_like),
        "StringNotLike" => (Negated, parse_like),
        "NumericEquals" => (Positive, |value, _| parse_number(value, Equal)),
        "NumericNotEquals" => (Negated, |value, _| parse_number(value, Equal)),
        "NumericLessThan" => (Positive, |value, _| parse_number(value, Less)),
        "NumericLessThanEquals" => (Positive, |value, _| parse_number(value, LessOrEqual)),
        "NumericGreaterThan" => (Positive, |value, _| parse_number(value, Greater)),
        "NumericGreaterThanEquals" => (Positive, |value, _| parse_number(value, GreaterOrEqual)),
        "DateEquals" => (Positive, |value, _| parse_date(value, Equal)),
        "DateNotEquals" => (Negated, |value, _| parse_date(value, Equal)),
        "DateLessThan" => (Positive, |value, _| parse_date(value, Less)),
        "DateLessThanEquals" => (Positive, |value, _| parse_date(value, LessOrEqual)),
        "DateGreaterThan" => (Positive, |value, _| parse_date(value, Greater)),
        "DateGreaterThanEquals" => (Positive, |value, _| parse_date(value, GreaterOrEqual)),
        "Bool" => (Positive, |value, _| parse_truth(value).map(Test::Bool)),
        "BinaryEquals" => (Positive, parse_binary),
        "IpAddress" => (Positive, parse_address),
        "NotIpAddress" => (Negated, parse_address),
        "ArnEquals" | "ArnLike" => (Positive, parse_arn),
        "ArnNotEquals" | "ArnNotLike" => (Negated, parse_arn),
        "Null" => (Positive, |value, _| parse_truth(value).map(Test::Null)),
        _ => return None,
    };
    Some(operator)
}

fn parse_equal(value: &str, variables: Variables) -> Result<Test, String> {
    Pattern::parse(value, Syntax::Literal, variables).map(Test::Text)
}

fn parse_equal_ignoring_case(value: &str, variables: Variables) -> Result<Test, String> {
    Pattern::parse(value, Syntax::Literal, variables).map(Test::TextIgnoringCase)
}

fn parse_like(value: &str, variables: Variables) -> Result<Test, String> {
    Pattern::parse(value, Syntax::Wildcards, variables).map(Test::Text)
}

fn parse_arn(value: &str, variables: Variables) -> Result<Test, String> {
    ArnPattern::parse(value, variables).map(Test::Arn)
}

fn parse_number(value: &str, order: Order) -> Result<Test, String> {
    number(value).map(|n| Test::Number(order, n)).ok_or_else(|| format!("{value:?} is not a number"))
}

fn parse_date(value: &str, order: Order) -> Result<Test, String> {
    let problem = || format!("{value:?} is neither a date such as 2026-01-02T03:04:05Z nor seconds since 1970");
    date(value).map(|date| Test::Date(order, date)).ok_or_else(problem)
}

fn parse_truth(value: &str) -> Result<bool, String> {
    truth(value).ok_or_else(|| format!("{value:?} is neither true nor false"))
}

fn parse_binary(value: &str, _: Variables) -> Result<Test, String> {
    STANDARD.decode(value).map(Test::Binary).map_err(|_| format!("{value:?} is not base64"))
}

fn parse_address(value: &str, _: Variables) -> Result<Test, String> {
    let net = value.parse().ok().or_else(|| address(value).map(IpNet::from));
    net.map(Test::Address).ok_or_else(|| format!("{value:?} is neither an IP address nor a range such as 192.0.2.0/24"))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The W3C profile of ISO 8601 (a day, with or without minutes and seconds, at an offset), or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(secs) = text.parse::<i64>() {
        return secs.checked_mul(1000).map(Timestamp::from_millis);
    }
    [text.to_owned(), format!("{text}T00:00:00Z"), with_seconds(text)].iter().find_map(|text| text.parse().ok())
}

/// `2026-01-02T03:04Z` with its seconds; anything else as it is.
fn with_seconds(text: &str) -> String {
    match text.split_at_checked("2026-01-02T03:04".len()) {
        Some((minutes, offset)) => format!("{minutes}:00{offset}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;

    fn holds(operator: &str, key: &str, values: &[&str], request: &Context) -> bool {
        let values: Vec<_> = values.iter().map(|v| (*v).to_owned()).collect();
        let none = Context::new();
        Condition::parse(operator, key, &values, Variables::Known).unwrap().holds(&Facts::new(&none, request))
    }

    #[test]
    fn each_operator_compares_as_documented() {
        // operator, values in the policy, value in the request, whether it holds
        let table: &[(&str, &[&str], &str, bool)] = &[
            ("StringEquals", &["a", "b"], "b", true),
            ("StringEquals", &["a*"], "ab", false),
            ("StringEquals", &["A"], "a", false),
            ("StringNotEquals", &["a", "b"], "b", false),
            ("StringNotEquals", &["a", "b"], "c", true),
            ("StringEqualsIgnoreCase", &["AbC"], "aBc", true),
            ("StringNotEqualsIgnoreCase", &["AbC"], "aBc", false),
            ("StringLike", &["tr?il*"], "trails", true),
            ("StringNotLike", &["tr?il*"], "trails", false),
            ("NumericEquals", &["10"], "10.0", true),
            ("NumericNotEquals", &["10"], "10", false),
            ("NumericLessThan", &["10"], "9", true),
            ("NumericLessThan", &["10"], "10", false),
            ("NumericLessThanEquals", &["10"], "10", true),
            ("NumericGreaterThan", &["10"], "10", false),
            ("NumericGreaterThanEquals", &["10"], "10", true),
            ("NumericLessThan", &["10"], "many", false),
            ("DateEquals", &["2026-01-02T03:04:05Z"], "1767323045", true),
            ("DateNotEquals", &["2026-01-02"], "2026-01-02T00:00:00Z", false),
            ("DateLessThan", &["2026-01-02T03:04Z"], "2026-01-02T03:03:59Z", true),
            ("DateLessThanEquals", &["2026-01-02T03:04Z"], "2026-01-02T03:04:00Z", true),
            ("DateGreaterThan", &["2026-01-02T03:04+01:00"], "2026-01-02T02:04:01Z", true),
            ("DateGreaterThanEquals", &["2026-01-02"], "2026-01-01T23:59:59Z", false),
            ("Bool", &["true"], "True", true),
            ("Bool", &["false"], "true", false),
            ("Bool", &["true"], "yes", false),
            ("BinaryEquals", &["QUI="], "QUI=", true),
            ("BinaryEquals", &["QUI="], "QUJD", false),
            ("IpAddress", &["192.0.2.0/24", "2001:db8::/32"], "192.0.2.77", true),
            ("IpAddress", &["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1", true),
            ("IpAddress", &["192.0.2.1"], "::ffff:192.0.2.1", true),
            ("NotIpAddress", &["192.0.2.0/24"], "192.0.3.1", true),
            ("ArnEquals", &["arn:aws:cloudtrail:*:1:trail/*"], "arn:aws:cloudtrail:eu-west-1:1:trail/x", true),
            ("ArnLike", &["arn:aws:cloudtrail:*:1:trail/*"], "arn:aws:cloudtrail:eu-west-1:2:trail/x", false),
            ("ArnNotEquals", &["arn:aws:iam::1:role/a"], "arn:aws:iam::1:role/a", false),
            ("ArnNotLike", &["arn:aws:iam::1:role/*"], "arn:aws:iam::1:user/a", true),
        ];
        for (operator, values, value, expected) in table {
            let request = Context::new().with("k", *value);
            assert_eq!(holds(operator, "K", values, &request), *expected, "{operator} {values:?} {value}");
        }
    }

    #[test]
    fn an_absent_key_fails_positive_operators_only() {
        let none = Context::new();
        assert!(!holds("StringEquals", "k", &["a"], &none));
        assert!(!holds("Bool", "k", &["false"], &none));
        assert!(!holds("NumericLessThan", "k", &["1"], &none));
        assert!(holds("StringNotEquals", "k", &["a"], &none));
        assert!(holds("NotIpAddress", "k", &["192.0.2.1"], &none));
        assert!(holds("StringEqualsIfExists", "k", &["a"], &none));
        assert!(holds("BoolIfExists", "k", &["false"], &none));
        assert!(!holds("StringEqualsIfExists", "k", &["a"], &Context::new().with("k", "b")));
    }

    #[test]
    fn null_asks_for_the_key_itself() {
        let (none, some) = (Context::new(), Context::new().with("k", "x"));
        assert!(holds("Null", "k", &["true"], &none) && !holds("Null", "k", &["true"], &some));
        assert!(holds("Null", "k", &["false"], &some) && !holds("Null", "k", &["false"], &none));
    }

    #[test]
    fn quantified_operators_look_at_every_value() {
        let mut request = Context::new();
        request.insert_all("aws:TagKeys", ["env", "cost"]);
        let mut empty = Context::new();
        empty.insert_all("aws:TagKeys", Vec::<String>::new());
        let absent = Context::new();
        // operator, values; with [env, cost], with none of the values, without the key
        let table: &[(&str, &[&str], [bool; 3])] = &[
            ("ForAllValues:StringEquals", &["env", "cost"], [true, true, true]),
            ("ForAllValues:StringEquals", &["env"], [false, true, true]),
            ("ForAnyValue:StringEquals", &["env"], [true, false, false]),
            ("ForAnyValue:StringEquals", &["team"], [false, false, false]),
            ("ForAnyValue:StringNotEquals", &["env"], [true, false, false]),
            ("ForAnyValue:StringNotEquals", &["env", "cost"], [false, false, false]),
            ("ForAllValues:StringNotLike", &["te*"], [true, true, true]),
            ("ForAnyValue:StringEqualsIfExists", &["env"], [true, false, true]),
        ];
        for (operator, values, expected) in table {
            let found = [&request, &empty, &absent].map(|r| holds(operator, "aws:TagKeys", values, r));
            assert_eq!(found, *expected, "{operator} {values:?}");
        }
    }

    #[test]
    fn values_may_hold_variables() {
        let request = Context::new().with("s3:prefix", "home/ann").with("x", "ann");
        assert!(holds("StringLike", "s3:prefix", &["home/${x}*"], &request));
        assert!(!holds("StringEquals", "s3:prefix", &["home/${y}"], &request));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        for (operator, value) in [
            ("NumericEquals", "ten"),
            ("NumericEquals", "NaN"),
            ("DateEquals", "soon"),
            ("Bool", "yes"),
            ("IpAddress", "192.0.2.0/33"),
            ("BinaryEquals", "%"),
            ("ArnLike", "trail/x"),
            ("StringLike", "${"),
            ("NullIfExists", "true"),
            ("ForSomeValue:StringLike", "a"),
            ("Stringequals", "a"),
        ] {
            assert!(Condition::parse(operator, "k", &[value.to_owned()], Variables::Known).is_err(), "{operator}");
        }
        assert!(Condition::parse("StringEquals", "k", &[], Variables::Known).is_err());
    }
}
