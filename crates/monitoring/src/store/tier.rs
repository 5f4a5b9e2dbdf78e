use std::time::Duration;

use opentrail_model::Timestamp;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How finely points are kept, by their age. (User Guide, "Metrics retention".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// To the second, for 3 hours.
    Second,
    /// To the minute, for 15 days.
    Minute,
    /// To five minutes, for 63 days.
    FiveMinutes,
    /// To the hour, for 455 days.
    Hour,
}

impl Tier {
    pub(crate) const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::FiveMinutes, Self::Hour];

    /// The seconds that a point covers.
    pub(crate) fn secs(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        }
    }

    /// How long its points are kept.
    pub(crate) fn kept(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 3 * HOUR,
            Self::Minute => 15 * DAY,
            Self::FiveMinutes => 63 * DAY,
            Self::Hour => 455 * DAY,
        })
    }

    /// What its points become when they are too old; nothing after the last.
    pub(crate) fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| *tier > self)
    }

    /// The finest tier from `self` on that keeps what was measured at `time`; none when that is too long ago.
    pub(crate) fn keeping(self, time: Timestamp, now: Timestamp) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| *tier >= self && now.since(time) <= tier.kept())
    }
}

/// From when on there are data for periods of that many seconds: what is kept more coarsely answers no finer question.
/// (API Reference, "GetMetricData", `Period`.)
pub(crate) fn visible_from(period: i64, now: Timestamp) -> Timestamp {
    let coarsest = Tier::ALL.into_iter().rfind(|tier| period % tier.secs() == 0).unwrap_or(Tier::Second);
    now - coarsest.kept()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_sees_as_far_back_as_its_tier_is_kept() {
        let now = Timestamp::from_secs(2_000_000_000);
        for (period, days) in [(60, 15), (120, 15), (300, 63), (900, 63), (3600, 455), (86_400, 455)] {
            assert_eq!(now.since(visible_from(period, now)), Duration::from_secs(days * DAY), "{period}");
        }
        assert_eq!(now.since(visible_from(10, now)), Duration::from_secs(3 * HOUR));
    }
}
