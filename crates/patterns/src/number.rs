//! Numbers as event patterns compare them: from -5.0e9 to 5.0e9, told apart to the sixth digit after the point. (User
//! Guide, "Comparison operators for use in event patterns", numeric matching.)

/// The greatest number, and with a minus the least, in millionths.
const LIMIT: i64 = 5_000_000_000_000_000;

/// How many digits stand before the point at most.
const WHOLE_DIGITS: i64 = 10;

/// A number that can be compared.
///
/// It is kept as twice its millionths, one more away from zero if it lies between two of them: an event's number may
/// have more digits than a pattern's, and is then equal to none, though less and greater than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(i64);

impl Number {
    pub(crate) const MIN: Self = Self(-2 * LIMIT);
    pub(crate) const MAX: Self = Self(2 * LIMIT);

    /// Reads a number that is spelled as JSON spells numbers. `None` if it is out of bounds.
    ///
    /// Takes time linear in the text, whatever its exponent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (unsigned, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = whole.bytes().chain(fraction.bytes()).peekable();
        let mut zeros = 0i64;
        while digits.next_if_eq(&b'0').is_some() {
            zeros += 1;
        }
        if digits.peek().is_none() {
            return Some(Self(0));
        }
        // How many of the digits that are left stand before the point.
        let point = (whole.len() as i64 - zeros).saturating_add(self::exponent(exponent));
        if point > WHOLE_DIGITS {
            return None;
        }
        let mut millionths = 0i64;
        for _ in 0..(point + 6).max(0) {
            millionths = millionths * 10 + i64::from(digits.next().unwrap_or(b'0') - b'0');
        }
        let between = digits.any(|digit| digit != b'0');
        let magnitude = 2 * millionths + i64::from(between);
        (magnitude <= 2 * LIMIT).then_some(Self(if negative { -magnitude } else { magnitude }))
    }

    /// Whether it has no more than six digits after the point.
    pub(crate) fn is_exact(self) -> bool {
        self.0 % 2 == 0
    }

    /// The next one, which no exact number is greater than.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The one before.
    pub(crate) fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    pub(crate) fn key(self) -> i64 {
        self.0
    }
}

/// As large as it may be in the numbers that are within bounds, and no larger.
fn exponent(text: &str) -> i64 {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let magnitude =
        digits.bytes().fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let magnitude = magnitude.min(i64::MAX / 4);
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<i64> {
        Number::parse(text).map(Number::key)
    }

    #[test]
    fn numbers_are_read_by_value() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0e999999999999999999999999", 0),
            ("1", 2_000_000),
            ("1.0", 2_000_000),
            ("10e-1", 2_000_000),
            ("0.1E1", 2_000_000),
            ("300", 600_000_000),
            ("3.0e2", 600_000_000),
            ("-3e+2", -600_000_000),
            ("0.000001", 2),
            ("1e-6", 2),
            ("0.0000010", 2),
            ("0.0000014", 3),
            ("-0.0000014", -3),
            ("1e-999999999999999999999999", 1),
            ("5000000000", 10_000_000_000_000_000),
            ("-5.0e9", -10_000_000_000_000_000),
            ("0.000000000000000000005e30", 10_000_000_000_000_000),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_none() {
        for text in ["5000000001", "5000000000.0000001", "-5e10", "1e308", "1e999999999999999999999999", "123456789012"]
        {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(100_000)), None);
        assert_eq!(number(&format!("{}1", "0.".to_owned() + &"0".repeat(100_000))), Some(1));
    }

    #[test]
    fn what_lies_between_is_ordered() {
        let parse = |text| Number::parse(text).unwrap();
        assert!(parse("1") < parse("1.0000001") && parse("1.0000001") < parse("1.000001"));
        assert!(parse("-1.000001") < parse("-1.0000001") && parse("-1.0000001") < parse("-1"));
        assert_eq!(parse("1").next(), parse("1.0000001"));
        assert!(parse("1").is_exact() && !parse("1.0000001").is_exact());
    }
}
