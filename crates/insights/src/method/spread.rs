//! How widely a key's counts lie above what is expected.

use super::codec::{Bytes, Malformed};

/// The windows that end with a minute and are looked at, in minutes: a burst shows in the short ones, an enumeration that goes
/// slowly in the long ones.
pub const WINDOWS: [u32; 5] = [1, 2, 5, 15, 60];

/// The dispersion that is assumed before anything is known: calls come in clumps of about three.
const PRIOR: f64 = 3.0;
/// How many expected calls the assumption is worth.
const PRIOR_WEIGHT: f64 = 5.0;
/// The share of what is known that is left after a minute: half of it after five days.
const KEPT: f64 = 0.999_904;
/// A deviation counts at most as this many standard deviations: one burst must not make the next look normal by itself.
const WINSORIZED: f64 = 4.0;
/// And what a clump of eight calls makes, where few are expected.
const CLUMP: f64 = 100.0;
/// And what one call makes, where next to nothing is known: the first burst of a key's life must not explain itself.
const FIRST_CLUMP: f64 = 2.0;

/// What squared deviations above the mean are multiplied with to make a variance: 2 would be right for a symmetric distribution, 1 for
/// one that is all tail.
const ABOVE: f64 = 1.5;

/// The dispersion (variance divided by mean) of the counts in windows of one length: quasi-Poisson, estimated by moments from
/// squared deviations and expected counts. Only what lies above the mean counts: what is expected is rather too high than too low,
/// and only the upper tail is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    deviations: f32,
    expected: f32,
}

impl Spread {
    /// At least 1, which is Poisson's.
    pub(crate) fn dispersion(self) -> f64 {
        let (deviations, expected) = (f64::from(self.deviations), f64::from(self.expected));
        ((deviations + PRIOR_WEIGHT * PRIOR) / (expected + PRIOR_WEIGHT)).max(1.0)
    }

    /// Whether what is known is worth no more than what was assumed before.
    pub(crate) fn is_assumed(self) -> bool {
        f64::from(self.expected) < PRIOR_WEIGHT
    }

    /// Learns from a window with `count` where `mean` was expected.
    pub(crate) fn learn(&mut self, count: f64, mean: f64) {
        let clump = if self.is_assumed() { FIRST_CLUMP } else { CLUMP };
        let most = WINSORIZED * WINSORIZED * mean * self.dispersion() + clump;
        let deviation = (ABOVE * (count - mean).max(0.0).powi(2)).min(most);
        self.deviations = (f64::from(self.deviations) * KEPT + deviation) as f32;
        self.expected = (f64::from(self.expected) * KEPT + mean) as f32;
    }

    /// Learns from `minutes` minutes without a call, where `mean` was expected.
    pub(crate) fn learn_silence(&mut self, minutes: u32, mean: f64) {
        let kept = KEPT.powi(minutes.min(1_000_000) as i32);
        // The sum of the geometric series of what each of the minutes leaves.
        let weight = (1.0 - kept) / (1.0 - KEPT);
        self.deviations = (f64::from(self.deviations) * kept) as f32;
        self.expected = (f64::from(self.expected) * kept + mean * weight) as f32;
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend(self.deviations.to_le_bytes());
        out.extend(self.expected.to_le_bytes());
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(Self { deviations: bytes.f32()?, expected: bytes.f32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dispersion_of_clumps_is_found() {
        let mut spread = Spread::default();
        assert_eq!(spread.dispersion(), PRIOR);
        // Ten calls every tenth minute: the mean is one, the variance nine, 8.1 of it above the mean.
        for minute in 0..20_000 {
            spread.learn(if minute % 10 == 0 { 10.0 } else { 0.0 }, 1.0);
        }
        assert!((spread.dispersion() - 8.1 * ABOVE).abs() < 0.5, "{}", spread.dispersion());
    }

    #[test]
    fn one_burst_does_not_widen_much() {
        let mut spread = Spread::default();
        (0..5000).for_each(|minute| spread.learn(f64::from(minute % 3), 1.0));
        let before = spread.dispersion();
        spread.learn(10_000.0, 1.0);
        assert!(spread.dispersion() < before * 1.1);
    }

    #[test]
    fn silence_in_one_step_is_silence_minute_by_minute() {
        let (mut a, mut b) = (Spread::default(), Spread::default());
        (0..500).for_each(|_| a.learn(0.0, 0.3));
        b.learn_silence(500, 0.3);
        assert!((a.dispersion() - b.dispersion()).abs() < 1e-3);
    }
}
