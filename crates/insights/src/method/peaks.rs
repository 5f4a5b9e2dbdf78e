//! How surprising a key's days were.

use super::codec::{Bytes, Malformed};
use super::level::Level;

/// Days that are remembered.
const DAYS: usize = 28;

/// The most surprising minute of each of the last 28 days: block maxima, as extreme value theory takes them.
///
/// A key that makes bursts of its own, by schedule or by hand, is no more surprising than it was before. The second largest counts:
/// one day that was unusual must not hide the next such, and what comes for the third time is a habit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Peaks {
    days: [Level; DAYS],
    /// The latest day, counted from the epoch.
    day: u32,
}

impl Peaks {
    pub(crate) fn at(day: u32) -> Self {
        Self { day, ..Self::default() }
    }

    /// Goes on to `day`; the days between have no surprise.
    pub(crate) fn advance(&mut self, day: u32) {
        let skipped = day.saturating_sub(self.day).min(DAYS as u32);
        for back in 0..skipped {
            self.days[(day - back) as usize % DAYS] = Level::default();
        }
        self.day = self.day.max(day);
    }

    /// Notes a surprise of the latest day.
    pub(crate) fn note(&mut self, surprise: f64) {
        let today = &mut self.days[self.day as usize % DAYS];
        *today = (*today).max(Level::of(surprise));
    }

    /// The second largest.
    pub(crate) fn second(&self) -> f64 {
        let (mut first, mut second) = (Level::default(), Level::default());
        for &day in &self.days {
            if day > first {
                (first, second) = (day, first);
            } else {
                second = second.max(day);
            }
        }
        second.value()
    }

    /// The largest.
    pub(crate) fn first(&self) -> f64 {
        self.days.iter().max().map_or(0.0, |level| level.value())
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.day.to_le_bytes());
        out.extend(self.days.iter().map(|level| level.0));
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let day = bytes.u32()?;
        let mut days = [Level::default(); DAYS];
        for (level, byte) in days.iter_mut().zip(bytes.take(DAYS)?) {
            *level = Level(*byte);
        }
        Ok(Self { days, day })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_largest_day_of_the_last_28_counts() {
        let mut peaks = Peaks::at(100);
        peaks.note(50.0);
        peaks.note(40.0);
        assert_eq!(peaks.second(), 0.0);
        peaks.advance(102);
        peaks.note(30.0);
        assert!((peaks.second() - 30.0).abs() < 2.0);
        assert!((peaks.first() - 50.0).abs() < 3.0);
        peaks.advance(128);
        assert_eq!(peaks.second(), 0.0, "day 100 is gone");
        peaks.advance(1000);
        assert_eq!(peaks.first(), 0.0);
    }
}
