//! One unusual stretch of a key, from its first unusual minute to its last.

use super::codec::{Bytes, Malformed};
use super::minute::{DAY, Minute};

/// A minute belongs to the episode when it lies this far from what is expected towards the average at the detection.
const ELEVATED: f64 = 0.2;
/// An episode is over after this many minutes that are not elevated, or the length of the window that found it.
const QUIET: u32 = 5;
/// What lasts longer than this is how things are now.
const LONGEST: u32 = DAY;

/// An unusual stretch that is going on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Its first minute.
    pub start: Minute,
    /// The minute with whose end it was detected.
    pub detected: Minute,
    /// The window that showed it, in minutes.
    pub window: u32,
    /// What was expected per minute.
    pub expected: f64,
    /// Calls per minute from the start through the detection.
    pub average: f64,
    /// The negative logarithm of the chance.
    pub surprise: f64,
    /// The last minute that was elevated.
    pub last: Minute,
    /// Calls from the start through [`Self::last`].
    pub calls: u64,
    /// Calls after [`Self::last`].
    pub(crate) calls_since: u64,
}

/// Where an episode stands after a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It goes on.
    Open,
    /// It is over: [`Episode::last`] was its last minute.
    Over,
}

impl Episode {
    /// Above this a minute is elevated.
    pub(crate) fn threshold(expected: f64, average: f64) -> f64 {
        expected + ELEVATED * (average - expected).max(0.0)
    }

    /// Folds in the minute after those before.
    pub(crate) fn close(&mut self, minute: Minute, count: u32, expected: f64) -> Phase {
        self.calls_since += u64::from(count);
        if f64::from(count) > Self::threshold(expected.min(self.average), self.average) {
            self.last = minute;
            self.calls += std::mem::take(&mut self.calls_since);
        }
        let is_quiet = minute.since(self.last) >= self.window.max(QUIET);
        if is_quiet || minute.since(self.start) >= LONGEST { Phase::Over } else { Phase::Open }
    }

    /// Minutes from the first through the last that is elevated.
    pub fn minutes(&self) -> u32 {
        self.last.since(self.start) + 1
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for minute in [self.start, self.detected, self.last] {
            out.extend(minute.0.to_le_bytes());
        }
        out.extend(self.window.to_le_bytes());
        for bits in
            [self.expected.to_bits(), self.average.to_bits(), self.surprise.to_bits(), self.calls, self.calls_since]
        {
            out.extend(bits.to_le_bytes());
        }
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (start, detected, last) = (Minute(bytes.u32()?), Minute(bytes.u32()?), Minute(bytes.u32()?));
        let window = bytes.u32()?;
        let mut number = || bytes.u64().map(f64::from_bits);
        let (expected, average, surprise) = (number()?, number()?, number()?);
        let (calls, calls_since) = (bytes.u64()?, bytes.u64()?);
        Ok(Self { start, detected, window, expected, average, surprise, last, calls, calls_since })
    }
}
