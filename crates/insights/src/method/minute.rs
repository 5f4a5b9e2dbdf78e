//! The unit of time of the method.

use std::fmt;
use std::time::Duration;

use opentrail_model::Timestamp;

/// Minutes of an hour.
pub const HOUR: u32 = 60;
/// Minutes of a day.
pub const DAY: u32 = 24 * HOUR;
/// Minutes of a week.
pub const WEEK: u32 = 7 * DAY;

/// A minute in UTC, counted from the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute that `time` lies in; what is before the epoch lies in the first.
    pub fn of(time: Timestamp) -> Self {
        Self(u32::try_from(time.as_secs().div_euclid(60)).unwrap_or(0))
    }

    /// Its first moment.
    pub fn begins(self) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(u64::from(self.0) * 60)
    }

    /// The hour that it lies in, counted from the epoch.
    pub fn hour(self) -> u32 {
        self.0 / HOUR
    }

    /// The day that it lies in, counted from the epoch.
    pub fn day(self) -> u32 {
        self.0 / DAY
    }

    /// The minute after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The minute `minutes` earlier.
    #[must_use]
    pub fn back(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes))
    }

    /// Minutes from `earlier` until this one; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.begins().fmt(f)
    }
}
