//! How widely a key's counts lie around what is expected.

use super::codec::{Bytes, Malformed};

/// The windows that end with a minute and are looked at, in minutes: a burst shows in the short ones, an enumeration that goes
/// slowly in the long ones.
pub const WINDOWS: [u32; 5] = [1, 2, 5, 15, 60];

/// The dispersion that is assumed before anything is known, and where next to nothing is expected: calls come in clumps of about three.
pub(crate) const ASSUMED: f64 = 3.0;
/// How many expected calls the assumption is worth: of what is known, and in a window.
const ASSUMED_WEIGHT: f64 = 5.0;
/// The largest clumps that are believed; what comes in larger ones are jobs, which are a matter of habit ([`super::peaks`]).
pub(crate) const CLUMPED: f64 = 8.0;
/// The largest wandering of a level that is believed where it cannot be told from clumps: a third of it up or down.
const UNTOLD: f64 = 0.1;
/// And where it can: a half.
const WANDERING: f64 = 0.25;
/// What is expected is rather too high than too low; the mean is this share of it at least.
const LEAST_SHARE: f64 = 0.5;
/// The share of what is known that is left after a minute: half of it after five days.
const KEPT: f64 = 0.999_904;
/// A deviation counts at most as this many standard deviations: one burst must not make the next look normal by itself.
const WINSORIZED: f64 = 4.0;
/// And what a clump of ten calls makes, where few are expected.
const CLUMP: f64 = 100.0;
/// And what one call makes, where next to nothing is known: the first burst of a key's life must not explain itself.
const FIRST_CLUMP: f64 = 2.0;

/// How a key's counts vary around what is expected, in each of [`WINDOWS`].
///
/// The variance is `clumped * mean + wandering * mean²`: the first part is that of calls that come in clumps (quasi-Poisson), the
/// second that of a level that moves up and down. Where few are expected the first tells, where many are the second. Both are
/// estimated by weighted least squares from squared deviations. (Peter McCullagh, John Nelder, "Generalized Linear Models", 1989,
/// chapter 9, for variance functions and quasi-likelihood.)
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spreads {
    /// Minutes that were learned from, their calls, what was expected in them, and the sum of its squares.
    minutes: f32,
    calls: f32,
    expected: f32,
    squares: f32,
    deviations: [Deviations; WINDOWS.len()],
}

/// Squared deviations from the mean, and the same over the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Deviations {
    squared: f32,
    relative: f32,
}

/// What one minute, or several, leave of what was known, and what they weigh.
#[derive(Clone, Copy, Debug)]
struct Weight {
    kept: f64,
    own: f64,
}

impl Spreads {
    /// The share of what is expected that the mean is.
    pub(crate) fn share(&self) -> f64 {
        let share = (f64::from(self.calls) + ASSUMED_WEIGHT) / (f64::from(self.expected) + ASSUMED_WEIGHT);
        share.clamp(LEAST_SHARE, 1.0)
    }

    /// The variance over the mean in the `at`th of [`WINDOWS`] where the mean is `mean`; at least 1, which is Poisson's. Clumps
    /// are believed up to `most`.
    pub(crate) fn dispersion(&self, at: usize, mean: f64, most: f64) -> f64 {
        let scale = f64::from(WINDOWS[at]) * self.share();
        let (minutes, means) = (f64::from(self.minutes), scale * f64::from(self.expected));
        let squares = scale * scale * f64::from(self.squares);
        let Deviations { squared, relative } = self.deviations[at];
        let (squared, relative) = (f64::from(squared), f64::from(relative));
        let moved = minutes * squares - means * means;
        // Where the mean hardly moves the two parts cannot be told apart, and need not.
        let is_told = moved > 0.01 * means * means;
        let wandering = if is_told { ((squared * minutes - relative * means) / moved).max(0.0) } else { 0.0 };
        let clumped = ((squared - wandering * squares).max(0.0) + ASSUMED_WEIGHT * ASSUMED) / (means + ASSUMED_WEIGHT);
        // The smaller the mean, the less is left but the assumption: what surprises then must not hang on the last jobs.
        let least = (ASSUMED / (1.0 + mean / ASSUMED_WEIGHT)).max(1.0);
        let most = most.min(ASSUMED + mean) + UNTOLD * mean;
        clumped.clamp(least, most) + wandering.min(WANDERING) * mean
    }

    /// Whether what is known is worth no more than what was assumed before.
    pub(crate) fn is_assumed(&self) -> bool {
        f64::from(self.expected) < ASSUMED_WEIGHT
    }

    /// Learns from a minute with so many calls in each window that ends with it, where `expected` calls were expected per minute.
    /// Windows longer than `longest` minutes are left out.
    pub(crate) fn learn(&mut self, sums: &[u64; WINDOWS.len()], expected: f64, longest: u32) {
        let clump = if self.is_assumed() { FIRST_CLUMP } else { CLUMP };
        let mean = expected * self.share();
        let mut deviations = [None; WINDOWS.len()];
        for (at, window) in WINDOWS.into_iter().enumerate().filter(|(_, window)| *window <= longest) {
            let mean = mean * f64::from(window);
            let most = WINSORIZED * WINSORIZED * mean * self.dispersion(at, mean, CLUMPED) + clump;
            deviations[at] = Some((sums[at] as f64 - mean).powi(2).min(most));
        }
        let calls = (sums[0] as f64).min(mean + deviations[0].unwrap_or_default().sqrt());
        self.add(calls, expected, &deviations, Weight { kept: KEPT, own: 1.0 });
    }

    /// Learns from `minutes` minutes without a call in any window, where `expected` calls were expected per minute.
    pub(crate) fn learn_silence(&mut self, minutes: u32, expected: f64) {
        let mean = expected * self.share();
        let deviations = WINDOWS.map(|window| Some((mean * f64::from(window)).powi(2)));
        let kept = KEPT.powi(minutes.min(1_000_000) as i32);
        // The sum of the geometric series of what each of the minutes leaves.
        self.add(0.0, expected, &deviations, Weight { kept, own: (1.0 - kept) / (1.0 - KEPT) });
    }

    fn add(&mut self, calls: f64, expected: f64, deviations: &[Option<f64>; WINDOWS.len()], weight: Weight) {
        let into = |sum: &mut f32, value: f64| *sum = (f64::from(*sum) * weight.kept + value * weight.own) as f32;
        let (mean, before) = (expected * self.share(), f64::from(self.minutes).max(1.0));
        for ((sums, window), deviation) in self.deviations.iter_mut().zip(WINDOWS).zip(deviations) {
            // A window that is left out is as those before.
            let (squared, relative) = match deviation {
                Some(squared) => (*squared, squared / (mean * f64::from(window)).max(1e-6)),
                None => (f64::from(sums.squared) / before, f64::from(sums.relative) / before),
            };
            into(&mut sums.squared, squared);
            into(&mut sums.relative, relative);
        }
        into(&mut self.minutes, 1.0);
        into(&mut self.calls, calls);
        into(&mut self.expected, expected);
        into(&mut self.squares, expected * expected);
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let of_windows = self.deviations.iter().flat_map(|sums| [sums.squared, sums.relative]);
        for sum in [self.minutes, self.calls, self.expected, self.squares].into_iter().chain(of_windows) {
            out.extend(sum.to_le_bytes());
        }
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (minutes, calls, expected, squares) = (bytes.f32()?, bytes.f32()?, bytes.f32()?, bytes.f32()?);
        let mut deviations = [Deviations::default(); WINDOWS.len()];
        for sums in &mut deviations {
            *sums = Deviations { squared: bytes.f32()?, relative: bytes.f32()? };
        }
        Ok(Self { minutes, calls, expected, squares, deviations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same count in every window.
    fn sums(count: u64) -> [u64; WINDOWS.len()] {
        [count; WINDOWS.len()]
    }

    #[test]
    fn the_dispersion_of_clumps_is_found() {
        let mut spreads = Spreads::default();
        assert_eq!(spreads.dispersion(0, 1.0, CLUMPED), ASSUMED);
        // Six calls every third minute: the mean is two, the variance eight.
        for minute in 0..20_000 {
            spreads.learn(&sums(if minute % 3 == 0 { 6 } else { 0 }), 2.0, 1);
        }
        assert!((spreads.dispersion(0, 2.0, CLUMPED) - 4.0).abs() < 0.1, "{}", spreads.dispersion(0, 2.0, CLUMPED));
    }

    #[test]
    fn clumps_and_a_wandering_level_are_told_apart() {
        let mut spreads = Spreads::default();
        // Quiet hours of two calls a minute in clumps, busy ones of two hundred that are a fifth up or down.
        for minute in 0..40_000 {
            let is_up = minute % 2 == 0;
            match minute / 60 % 2 {
                0 => spreads.learn(&sums(if is_up { 4 } else { 0 }), 2.0, 1),
                _ => spreads.learn(&sums(if is_up { 240 } else { 160 }), 200.0, 1),
            }
        }
        let (quiet, busy) = (spreads.dispersion(0, 2.0, CLUMPED), spreads.dispersion(0, 200.0, CLUMPED));
        assert!((quiet - 2.0).abs() < 0.3 && (busy - 8.0).abs() < 1.5, "{quiet} {busy}");
    }

    #[test]
    fn what_is_expected_too_high_widens_nothing() {
        let mut spreads = Spreads::default();
        (0..20_000).for_each(|minute| spreads.learn(&sums(if minute % 2 == 0 { 12 } else { 8 }), 14.0, 1));
        assert!((spreads.share() - 10.0 / 14.0).abs() < 0.01, "{}", spreads.share());
        assert_eq!(spreads.dispersion(0, 10.0, CLUMPED), 1.0);
    }

    #[test]
    fn one_burst_does_not_widen_much() {
        let mut spreads = Spreads::default();
        (0..5000).for_each(|minute| spreads.learn(&sums(minute % 3), 1.0, 1));
        let before = spreads.dispersion(0, 1.0, CLUMPED);
        spreads.learn(&sums(10_000), 1.0, 1);
        assert!(spreads.dispersion(0, 1.0, CLUMPED) < before * 1.1);
    }

    #[test]
    fn silence_in_one_step_is_silence_minute_by_minute() {
        let mut a = Spreads::default();
        (0..20_000).for_each(|minute| a.learn(&sums(minute % 3), 1.0, 60));
        let mut b = a;
        (0..100).for_each(|_| a.learn(&sums(0), 1.0, 60));
        b.learn_silence(100, 1.0);
        for at in 0..WINDOWS.len() {
            let (a, b) = (a.dispersion(at, 1.0, CLUMPED), b.dispersion(at, 1.0, CLUMPED));
            assert!((a - b).abs() < 0.05, "{a} {b}");
        }
    }
}
