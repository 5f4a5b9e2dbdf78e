//! Object Lock: what keeps versions from being deleted, and until when.
//!
//! A lock is part of a version's description, so it is as durable as the version and cannot be lost beside it. It binds
//! everybody, the account's root included: there is no way round it but a governance bypass that a policy allows.
//!
//! # Time
//! A retention ends when the store's clock has passed its end. Ends that are computed (bucket defaults) start at the
//! latest time that the store has ever set a lock at, if the clock is behind it: a clock that was set back would
//! otherwise make locks that are over as soon as it is right again. That time is kept in `lock-time.json`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Months, Utc};
use opentrail_model::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::durable::{Scratch, is_absence};
use crate::error::At;

/// The longest default retention. (S3 User Guide, "Configuring S3 Object Lock": 36,500 days, which are 100 years.)
const MOST_DAYS: u32 = 36_500;
/// See [`MOST_DAYS`].
const MOST_YEARS: u32 = 100;

/// How strictly a version is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// Those whom a policy allows to bypass it may delete the version, shorten the retention or take it away.
    #[serde(rename = "GOVERNANCE")]
    Governance,
    /// Nobody may; the retention can only be made longer.
    #[serde(rename = "COMPLIANCE")]
    Compliance,
}

impl Mode {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// Until when a version is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    pub(crate) mode: Mode,
    /// Exclusive: at this time the version is free.
    pub(crate) until: Timestamp,
}

/// What keeps a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    /// Whether a legal hold is on; `None` when there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) legal_hold: Option<bool>,
}

/// Whether the caller asked to bypass governance retention, and may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bypass {
    No,
    Allowed,
}

impl Lock {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what would remove a version that this lock keeps at `now`.
    pub(crate) fn check_removal(&self, now: Timestamp, bypass: Bypass) -> Result<(), StoreError> {
        if self.legal_hold == Some(true) {
            return Err(StoreError::Locked { by: "a legal hold" });
        }
        match self.retention.filter(|retention| retention.until > now).map(|retention| retention.mode) {
            Some(Mode::Compliance) => Err(StoreError::Locked { by: "compliance retention" }),
            Some(Mode::Governance) if bypass == Bypass::No => Err(StoreError::Locked { by: "governance retention" }),
            _ => Ok(()),
        }
    }

    /// Refuses a change of the retention that weakens what it promises at `now`.
    ///
    /// A governance retention may be made longer by anybody; all else needs a bypass, also making it a compliance
    /// retention (a choice: nobody but who governs it binds everybody). A compliance retention may be made longer.
    pub(crate) fn check_retention(
        &self,
        new: Option<Retention>,
        now: Timestamp,
        bypass: Bypass,
    ) -> Result<(), StoreError> {
        let Some(old) = self.retention.filter(|old| old.until > now) else { return Ok(()) };
        let keeps = new.is_some_and(|new| new.mode == old.mode && new.until >= old.until);
        match old.mode {
            _ if keeps => Ok(()),
            Mode::Governance if bypass == Bypass::Allowed => Ok(()),
            Mode::Governance => Err(StoreError::Locked { by: "governance retention" }),
            Mode::Compliance => Err(StoreError::Locked { by: "compliance retention" }),
        }
    }
}

/// A bucket's default retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefaultRetention {
    pub(crate) mode: Mode,
    #[serde(flatten)]
    pub(crate) period: Period,
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Period {
    /// Of 24 hours.
    Days(u32),
    /// Of the calendar.
    Years(u32),
}

impl Period {
    /// Refuses periods out of bounds.
    pub(crate) fn check(self) -> Result<(), StoreError> {
        let (count, most) = match self {
            Self::Days(days) => (days, MOST_DAYS),
            Self::Years(years) => (years, MOST_YEARS),
        };
        match count {
            0 => Err(invalid("Default retention period must be a positive integer value.")),
            count if count > most => Err(invalid("Default retention period too large, the maximum is 100 years.")),
            _ => Ok(()),
        }
    }
}

impl DefaultRetention {
    /// The retention of a version that is put at `now`.
    pub(crate) fn from(self, now: Timestamp) -> Retention {
        let until = match self.period {
            Period::Days(days) => now + Duration::from_secs(u64::from(days) * 24 * 60 * 60),
            Period::Years(years) => {
                let start = DateTime::<Utc>::from_timestamp_millis(now.as_millis()).unwrap_or_default();
                let end = start.checked_add_months(Months::new(years * 12)).unwrap_or(DateTime::<Utc>::MAX_UTC);
                Timestamp::from_millis(end.timestamp_millis())
            }
        };
        Retention { mode: self.mode, until }
    }
}

/// How a bucket locks what is put into it. Once a bucket has it, it keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectLock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<DefaultRetention>,
}

/// The latest time at which a lock was set.
#[derive(Debug)]
pub(crate) struct LockTime {
    path: PathBuf,
    state: Mutex<Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    latest: Timestamp,
    kept: Timestamp,
}

#[derive(Deserialize, Serialize)]
struct Document {
    latest: Timestamp,
}

/// The kept time may be so far behind: a restart with a clock set back shortens a computed retention by no more.
const KEPT_EVERY: Duration = Duration::from_secs(60);

impl LockTime {
    /// Reads the time that was kept in `path`.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let latest = match std::fs::read(&path) {
            Ok(bytes) => {
                let document: Result<Document, _> = serde_json::from_slice(&bytes);
                document.map_err(|source| StoreError::Damaged { path: path.clone(), source })?.latest
            }
            Err(error) if is_absence(&error) => Timestamp::from_millis(0),
            Err(error) => return Err(error).at(&path),
        };
        Ok(Self { path, state: Mutex::new(Times { latest, kept: latest }) })
    }

    /// The time to reckon a new lock from when the clock shows `now`: never before an earlier one's.
    ///
    /// Blocks while the disk syncs, about once a minute.
    pub(crate) fn reckon(&self, now: Timestamp, scratch: &Scratch) -> Result<Timestamp, StoreError> {
        let mut state = self.state.lock();
        let behind = state.latest.since(now);
        if behind > KEPT_EVERY {
            tracing::warn!(
                seconds = behind.as_secs(),
                path = %self.path.display(),
                "the clock is behind the time of an earlier lock; new locks are reckoned from that"
            );
        }
        let latest = state.latest.max(now);
        if latest.since(state.kept) >= KEPT_EVERY {
            let bytes = serde_json::to_vec(&Document { latest }).expect("a time is a number");
            // A crash here has kept a time at which a lock was about to be set, which is as good.
            scratch.replace(&self.path, &bytes).at(&self.path)?;
            state.kept = latest;
        }
        state.latest = latest;
        Ok(latest)
    }
}

pub(crate) fn invalid(reason: &str) -> StoreError {
    StoreError::Invalid { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn kept(mode: Mode, seconds: u64) -> Lock {
        Lock { retention: Some(Retention { mode, until: NOW + Duration::from_secs(seconds) }), legal_hold: None }
    }

    #[test]
    fn retention_ends_with_its_last_moment_and_legal_holds_do_not_end() {
        let lock = kept(Mode::Compliance, 10);
        for bypass in [Bypass::No, Bypass::Allowed] {
            assert!(lock.check_removal(NOW, bypass).is_err());
            assert!(lock.check_removal(NOW + Duration::from_millis(9_999), bypass).is_err());
            assert!(lock.check_removal(NOW + Duration::from_secs(10), bypass).is_ok());
            let held = Lock { legal_hold: Some(true), ..lock.clone() };
            assert!(held.check_removal(NOW + Duration::from_secs(1 << 40), bypass).is_err());
        }
        assert!(kept(Mode::Governance, 10).check_removal(NOW, Bypass::No).is_err());
        assert!(kept(Mode::Governance, 10).check_removal(NOW, Bypass::Allowed).is_ok());
    }

    #[test]
    fn retention_is_weakened_by_nobody_or_by_a_bypass_alone() {
        use Mode::{Compliance, Governance};
        for (old, new, plain, bypassed) in [
            (Governance, Some((Governance, 20)), true, true),
            (Governance, Some((Governance, 5)), false, true),
            (Governance, Some((Compliance, 20)), false, true),
            (Governance, None, false, true),
            (Compliance, Some((Compliance, 10)), true, true),
            (Compliance, Some((Compliance, 20)), true, true),
            (Compliance, Some((Compliance, 9)), false, false),
            (Compliance, Some((Governance, 20)), false, false),
            (Compliance, None, false, false),
        ] {
            let retention = new.and_then(|(mode, seconds)| kept(mode, seconds).retention);
            let allowed = |bypass| kept(old, 10).check_retention(retention, NOW, bypass).is_ok();
            assert_eq!((allowed(Bypass::No), allowed(Bypass::Allowed)), (plain, bypassed), "{old:?} to {new:?}");
            let over = NOW + Duration::from_secs(10);
            assert!(kept(old, 10).check_retention(retention, over, Bypass::No).is_ok());
        }
    }

    #[test]
    fn years_are_the_calendars() {
        let leap_day = Timestamp::from_millis(1_709_208_000_000);
        let default = DefaultRetention { mode: Mode::Compliance, period: Period::Years(1) };
        assert_eq!(default.from(leap_day).until.as_millis(), 1_740_744_000_000, "2025-02-28");
        let default = DefaultRetention { mode: Mode::Compliance, period: Period::Days(2) };
        assert_eq!(default.from(NOW).until, NOW + Duration::from_secs(2 * 86_400));
    }

    #[test]
    fn a_clock_set_back_makes_no_shorter_locks_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock-time.json");
        let scratch = Scratch::open(directory.path().join("tmp")).unwrap();
        let time = LockTime::open(path.clone()).unwrap();
        assert_eq!(time.reckon(NOW, &scratch).unwrap(), NOW);
        let later = NOW + Duration::from_secs(59);
        assert_eq!(time.reckon(later, &scratch).unwrap(), later);
        assert_eq!(time.reckon(Timestamp::from_millis(0), &scratch).unwrap(), later);
        let again = LockTime::open(path).unwrap();
        assert_eq!(again.reckon(Timestamp::from_millis(0), &scratch).unwrap(), NOW);
    }
}
