//! When a dashboard is refreshed by itself. (API Reference, RefreshSchedule.)

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DashboardKind;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frequency {
    /// Every so many hours: 1, 6, 12 or 24.
    Hours(u32),
    /// Every day.
    Daily,
}

/// A time of the day, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

/// A schedule, which may be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// How often.
    pub frequency: Frequency,
    /// When; of hourly schedules only the minutes count.
    pub time_of_day: TimeOfDay,
    /// `Status`.
    pub enabled: bool,
    /// Since when it is so: refreshes that would have been due before are not made up for.
    pub since: Timestamp,
}

/// A schedule as a request describes it: what it leaves out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleRequest {
    /// `Frequency`: `Unit` and `Value`.
    pub frequency: Option<(Option<String>, Option<i32>)>,
    /// `Status`.
    pub status: Option<String>,
    /// `TimeOfDay`.
    pub time_of_day: Option<String>,
}

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is not one of those that there are.
    #[error(
        "A refresh schedule is every 1, 6, 12 or 24 HOURS or every 1 DAYS; that of AWSCloudTrail-Highlights is every 6 HOURS."
    )]
    Frequency,
    /// It says when, and not how often.
    #[error("A refresh schedule that is enabled needs a Frequency.")]
    NoFrequency,
    /// Highlights are made to be refreshed.
    #[error("AWSCloudTrail-Highlights is created with an enabled refresh schedule of every 6 HOURS, or with none.")]
    Highlights,
    /// It is no time of the day.
    #[error("TimeOfDay {text:?} is no time of the day: HH:MM, from 00:00 to 23:59.")]
    TimeOfDay {
        /// What was given.
        text: String,
    },
}

impl Frequency {
    fn period(self) -> Duration {
        match self {
            Self::Hours(hours) => HOUR * hours,
            Self::Daily => HOUR * 24,
        }
    }

    fn read(unit: Option<&str>, value: Option<i32>, kind: DashboardKind) -> Result<Self, ScheduleError> {
        let frequency = match (unit, value) {
            (Some("HOURS"), Some(hours @ (1 | 6 | 12 | 24))) => Self::Hours(hours.unsigned_abs()),
            (Some("DAYS"), Some(1)) => Self::Daily,
            _ => return Err(ScheduleError::Frequency),
        };
        match kind {
            DashboardKind::Highlights if frequency != Self::Hours(6) => Err(ScheduleError::Frequency),
            _ => Ok(frequency),
        }
    }

    /// `Unit` and `Value`.
    pub fn parts(self) -> (&'static str, i32) {
        match self {
            Self::Hours(hours) => ("HOURS", i32::try_from(hours).unwrap_or(i32::MAX)),
            Self::Daily => ("DAYS", 1),
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let number = |part: &str| part.parse().ok().filter(|_| part.len() == 2 && !part.starts_with('+'));
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match parts {
            Some((hour, minute)) if hour < 24 && minute < 60 => Ok(Self { hour, minute }),
            _ => Err(ScheduleError::TimeOfDay { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl ScheduleRequest {
    /// The schedule that follows from `before` at `now`; none when it turns off one that is not there.
    pub fn applied(
        &self,
        before: Option<Schedule>,
        kind: DashboardKind,
        now: Timestamp,
    ) -> Result<Option<Schedule>, ScheduleError> {
        let given = self.frequency.as_ref();
        let given = given.map(|(unit, value)| Frequency::read(unit.as_deref(), *value, kind)).transpose()?;
        let time_of_day = self.time_of_day.as_deref().map(str::parse).transpose()?;
        let enabled = self.status.as_deref() != Some("DISABLED");
        let Some(frequency) = given.or(before.map(|before| before.frequency)) else {
            return if enabled { Err(ScheduleError::NoFrequency) } else { Ok(None) };
        };
        let time_of_day = time_of_day.or(before.map(|before| before.time_of_day)).unwrap_or_default();
        let schedule = Schedule { frequency, time_of_day, enabled, since: now };
        let same = before.filter(|before| Schedule { since: now, ..*before } == schedule);
        Ok(Some(same.unwrap_or(schedule)))
    }
}

impl Schedule {
    /// What Highlights have when nobody says otherwise.
    pub fn of_highlights(now: Timestamp) -> Self {
        Self { frequency: Frequency::Hours(6), time_of_day: TimeOfDay::default(), enabled: true, since: now }
    }

    /// `Status`.
    pub fn status(&self) -> &'static str {
        if self.enabled { "ENABLED" } else { "DISABLED" }
    }

    /// How long after midnight the first refresh of a day is. Those of every 6, 12 or 24 hours begin with the first hour
    /// of the day, a choice.
    fn offset(&self) -> Duration {
        let minutes = Duration::from_secs(60 * u64::from(self.time_of_day.minute));
        match self.frequency {
            Frequency::Hours(_) => minutes,
            Frequency::Daily => HOUR * u32::from(self.time_of_day.hour) + minutes,
        }
    }

    /// The last moment until `now` for a refresh.
    fn last(&self, now: Timestamp) -> Timestamp {
        (now - self.offset()).floor(self.frequency.period()) + self.offset()
    }

    /// The first moment after `now` for a refresh.
    pub(crate) fn next(&self, now: Timestamp) -> Timestamp {
        self.last(now) + self.frequency.period()
    }

    /// The moment whose refresh is due at `now`, when the last one was that of `done`. Of several that were missed it is
    /// the last: they are made up for by one.
    pub(crate) fn due(&self, now: Timestamp, done: Option<Timestamp>) -> Option<Timestamp> {
        let last = self.last(now);
        (self.enabled && last > self.since && done.is_none_or(|done| last > done)).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-{text}:00Z").parse().unwrap()
    }

    fn schedule(frequency: Frequency, time_of_day: &str) -> Schedule {
        Schedule { frequency, time_of_day: time_of_day.parse().unwrap(), enabled: true, since: at("02T00:31") }
    }

    #[test]
    fn moments_follow_frequency_and_time_of_day() {
        for (frequency, time_of_day, now, next) in [
            (Frequency::Hours(1), "00:00", "02T03:00", "02T04:00"),
            (Frequency::Hours(1), "17:30", "02T03:29", "02T03:30"),
            (Frequency::Hours(6), "17:30", "02T06:30", "02T12:30"),
            (Frequency::Hours(6), "00:30", "02T00:10", "02T00:30"),
            (Frequency::Hours(24), "05:30", "02T03:00", "03T00:30"),
            (Frequency::Daily, "05:30", "02T03:00", "02T05:30"),
            (Frequency::Daily, "05:30", "02T05:30", "03T05:30"),
        ] {
            assert_eq!(schedule(frequency, time_of_day).next(at(now)), at(next), "{frequency:?} {time_of_day} {now}");
        }
    }

    #[test]
    fn what_was_missed_is_due_once_and_nothing_from_before_the_schedule() {
        let hourly = schedule(Frequency::Hours(1), "00:30");
        assert_eq!(hourly.due(at("02T00:59"), None), None);
        assert_eq!(hourly.due(at("02T01:30"), None), Some(at("02T01:30")));
        assert_eq!(hourly.due(at("02T07:45"), Some(at("02T01:30"))), Some(at("02T07:30")));
        assert_eq!(hourly.due(at("02T07:45"), Some(at("02T07:30"))), None);
        assert_eq!(Schedule { enabled: false, ..hourly }.due(at("02T07:45"), None), None);
    }

    fn request(frequency: Option<(&str, i32)>, status: Option<&str>, time_of_day: Option<&str>) -> ScheduleRequest {
        ScheduleRequest {
            frequency: frequency.map(|(unit, value)| (Some(unit.to_owned()), Some(value))),
            status: status.map(str::to_owned),
            time_of_day: time_of_day.map(str::to_owned),
        }
    }

    #[test]
    fn a_request_changes_what_it_names() {
        let (now, custom) = (at("02T05:00"), DashboardKind::Custom);
        let before = schedule(Frequency::Daily, "05:30");
        let off = request(None, Some("DISABLED"), None);
        let told = off.applied(Some(before), custom, now).unwrap().unwrap();
        assert_eq!(told, Schedule { enabled: false, since: now, ..before });
        assert_eq!(off.applied(None, custom, now), Ok(None));
        let same = request(Some(("DAYS", 1)), Some("ENABLED"), None);
        assert_eq!(same.applied(Some(before), custom, now), Ok(Some(before)));
        let new = request(Some(("HOURS", 12)), None, Some("01:02")).applied(None, custom, now).unwrap().unwrap();
        assert_eq!((new.frequency.parts(), new.time_of_day.to_string()), (("HOURS", 12), "01:02".to_owned()));
        assert_eq!(new.status(), "ENABLED");
        let none = request(None, Some("ENABLED"), None).applied(None, custom, now);
        assert_eq!(none, Err(ScheduleError::NoFrequency));
        for wrong in [("HOURS", 2), ("DAYS", 2), ("WEEKS", 1)] {
            let refused = request(Some(wrong), None, None).applied(None, custom, now);
            assert_eq!(refused, Err(ScheduleError::Frequency), "{wrong:?}");
        }
        let highlights = request(Some(("HOURS", 1)), None, None).applied(None, DashboardKind::Highlights, now);
        assert_eq!(highlights, Err(ScheduleError::Frequency));
        for wrong in ["24:00", "00:60", "1:00", "+1:00", "", "0000"] {
            assert!(matches!(wrong.parse::<TimeOfDay>(), Err(ScheduleError::TimeOfDay { .. })), "{wrong}");
        }
    }
}
