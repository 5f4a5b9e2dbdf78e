//! A number in one byte.

/// Numbers up to this one are exact.
const EXACT: u8 = 16;
/// Above them each number of the scale is this many times the one before.
const STEP: f64 = 1.08;

/// A number that is not negative, in one byte: a whole number up to 16, or one of 239 up to 1.5 thousand million, each 8% above the
/// one before. What is stored of a larger number is at most 4% off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(pub(crate) u8);

impl Level {
    /// The nearest on the scale.
    pub(crate) fn of(value: f64) -> Self {
        let exact = f64::from(EXACT);
        if value <= exact {
            return Self(value.round() as u8);
        }
        Self((exact + (value / exact).ln() / STEP.ln()).round().clamp(exact, 255.0) as u8)
    }

    /// The number.
    pub(crate) fn value(self) -> f64 {
        TABLE[usize::from(self.0)]
    }
}

const TABLE: [f64; 256] = table();

const fn table() -> [f64; 256] {
    let mut table = [0.0; 256];
    let mut step = 1;
    while step < 256 {
        table[step] = if step <= EXACT as usize { step as f64 } else { table[step - 1] * STEP };
        step += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_exact_and_large_ones_at_most_four_percent_off() {
        for exact in 0..=16 {
            assert_eq!(Level::of(exact.into()).value(), f64::from(exact));
        }
        let mut value = 16.0;
        while value < 1.5e9 {
            let stored = Level::of(value).value();
            assert!((stored / value - 1.0).abs() < 0.041, "{value} became {stored}");
            value *= 1.013;
        }
        assert!(Level::of(f64::MAX).value() > 1.5e9);
    }
}
