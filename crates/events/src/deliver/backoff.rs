//! When a failed delivery is tried again.

use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::Random;

use super::failure::Retry;
use crate::rule::RetryPolicy;

const FIRST: Duration = Duration::from_secs(1);
/// So that 185 tries fill a day.
const LONGEST: Duration = Duration::from_secs(480);
/// The longest wait that a target may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// What follows a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is tried again then.
    At(Timestamp),
    /// It is given up: why, unless no retry could help.
    GivenUp(Option<&'static str>),
}

/// A delivery that has failed for the `attempts`th time (the first is 0).
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) created: Timestamp,
    pub(super) attempts: u32,
    pub(super) retry: Retry,
}

/// Decides by the target's policy: the waits double from a second to eight minutes, each shortened by chance by up to a
/// half. (EventBridge User Guide, "Event retry policy": "exponential back off and jitter"; the figures are a choice of
/// ours.)
pub(super) fn next(failed: Failed, policy: RetryPolicy, now: Timestamp, random: &dyn Random) -> Next {
    let asked = match failed.retry {
        Retry::Never => return Next::GivenUp(None),
        Retry::Later => Duration::ZERO,
        Retry::After(asked) => asked.min(LONGEST_ASKED),
    };
    if failed.attempts >= policy.most_attempts() {
        return Next::GivenUp(Some("MaximumRetryAttempts"));
    }
    let due = now + jittered(failed.attempts, random).max(asked);
    // What would be due after its end is given up now.
    if due.since(failed.created) > policy.most_age() {
        return Next::GivenUp(Some("MaximumEventAgeInSeconds"));
    }
    Next::At(due)
}

fn jittered(attempts: u32, random: &dyn Random) -> Duration {
    let full = FIRST.saturating_mul(2u32.saturating_pow(attempts)).min(LONGEST);
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let share = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    full.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use opentrail_runtime::SeededRandom;

    use super::*;

    const CREATED: Timestamp = Timestamp::from_secs(1_767_323_045);

    fn failed(attempts: u32, retry: Retry) -> Failed {
        Failed { created: CREATED, attempts, retry }
    }

    #[test]
    fn a_day_and_185_retries_end_at_about_the_same_time() {
        let random = SeededRandom::new(1);
        let (mut now, mut tries) = (CREATED, 0);
        let why = loop {
            match next(failed(tries, Retry::Later), RetryPolicy::DEFAULT, now, &random) {
                Next::At(due) => {
                    assert!(due > now && due.since(now) <= LONGEST);
                    now = due;
                    tries += 1;
                }
                Next::GivenUp(why) => break why,
            }
        };
        assert_eq!((why, tries), (Some("MaximumRetryAttempts"), 185));
        assert!(now.since(CREATED) > Duration::from_secs(15 * 3600), "{:?}", now.since(CREATED));
    }

    #[test]
    fn the_policy_and_the_target_bound_it() {
        let random = SeededRandom::new(1);
        let policy = RetryPolicy { attempts: Some(2), age_seconds: Some(60) };
        let decide = |attempts, retry, now| next(failed(attempts, retry), policy, now, &random);
        assert_eq!(decide(0, Retry::Never, CREATED), Next::GivenUp(None));
        assert_eq!(decide(2, Retry::Later, CREATED), Next::GivenUp(Some("MaximumRetryAttempts")));
        let late = CREATED + Duration::from_secs(60);
        assert_eq!(decide(0, Retry::Later, late), Next::GivenUp(Some("MaximumEventAgeInSeconds")));
        let asked = Duration::from_secs(30);
        assert_eq!(decide(0, Retry::After(asked), CREATED), Next::At(CREATED + asked));
        // A clock that was set back makes nothing older.
        assert!(matches!(decide(0, Retry::Later, CREATED - Duration::from_secs(9_000)), Next::At(_)));
    }
}
