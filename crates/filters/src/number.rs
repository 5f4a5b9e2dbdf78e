//! Numbers as patterns and messages spell them.

use std::cmp::Ordering;

/// A number: whole ones exactly, so that ids of many digits are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    /// Digits with or without a sign, a fraction and an exponent; `None` for every other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let whole = digits(unsigned);
        let mut rest = &unsigned[whole..];
        if whole == 0 {
            return None;
        }
        if rest.is_empty() && whole <= 38 {
            return text.parse().ok().map(Self::Whole);
        }
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = digits(fraction);
            rest = &fraction[length..];
            if length == 0 {
                return None;
            }
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            rest = &exponent[digits(exponent)..];
            if exponent.is_empty() || rest.len() == exponent.len() {
                return None;
            }
        }
        if rest.is_empty() { text.parse().ok().map(Self::Float) } else { None }
    }

    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(this), Self::Whole(other)) => Some(this.cmp(&other)),
            (this, other) => this.float().partial_cmp(&other.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_guide_calls_numbers() {
        for number in ["0", "5", "+5", "-5", "007", "1.5", "-1.50", "1e3", "1E3", "1e+3", "1.5e-3", &"9".repeat(60)] {
            assert!(Number::parse(number).is_some(), "{number}");
        }
        for text in
            ["", "+", "-", ".5", "5.", "1.e3", "e3", "1e", "1e+", "1e5x", "1.2.3.4", "0x10", "inf", "NaN", "１", " 1"]
        {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let compare = |one: &str, other: &str| Number::parse(one).unwrap().compare(Number::parse(other).unwrap());
        assert_eq!(compare("1000", "1e3"), Some(Ordering::Equal));
        assert_eq!(compare("-1", "0.5"), Some(Ordering::Less));
        assert_eq!(compare("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        assert_eq!(compare("1e400", "1"), Some(Ordering::Greater));
    }
}
