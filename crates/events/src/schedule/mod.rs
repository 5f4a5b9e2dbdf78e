//! When a scheduled rule is due: `rate(5 minutes)`, `cron(0 12 * * ? *)`. (EventBridge User Guide, "Creating a rule that
//! runs on a schedule".)

mod cron;
mod field;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentrail_model::Timestamp;

use self::cron::Cron;

/// The longest text. (API Reference, PutRule, `ScheduleExpression`.)
const MAX_LENGTH: usize = 256;
/// The longest rate: a hundred years, so that times stay within a calendar. A choice of ours.
const LONGEST_DAYS: u64 = 36_525;

/// When a scheduled rule is due, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Again and again after this time.
    Rate(Duration),
    /// At the beginning of the minutes that match.
    Cron(Box<Cron>),
}

/// The text is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSchedule;

impl fmt::Display for InvalidSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // EventBridge's own words.
        f.write_str("Parameter ScheduleExpression is not valid.")
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidSchedule);
        }
        let inner = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inner("rate") {
            return parse_rate(rate).map(Self::Rate).ok_or(InvalidSchedule);
        }
        let cron = inner("cron").and_then(Cron::parse).ok_or(InvalidSchedule)?;
        Ok(Self::Cron(Box::new(cron)))
    }
}

impl Schedule {
    /// The first time that it is due after `last`: the time at which it was due before, or began.
    ///
    /// `None`: never again.
    pub(crate) fn after(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(rate) => Some(last + *rate),
            Self::Cron(cron) => cron.after(last),
        }
    }

    /// The last time that it is due after `last` and not after `now`. Of what was due while nobody looked, this is sent.
    pub(crate) fn latest(&self, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let first = self.after(last).filter(|due| *due <= now)?;
        match self {
            Self::Rate(rate) => {
                let over = now.since(first).as_millis() % rate.as_millis().max(1);
                Some(now - Duration::from_millis(over as u64))
            }
            Self::Cron(cron) => Some(cron.not_after(now).map_or(first, |latest| latest.max(first))),
        }
    }
}

/// `5 minutes`: one of a thing is singular, more are plural.
fn parse_rate(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_once(' ')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let (singular, seconds) = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => ("minute", 60),
        "hour" => ("hour", 3600),
        "day" => ("day", 86_400),
        _ => return None,
    };
    let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST_DAYS * 86_400)?;
    ((unit == singular) == (number == 1)).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(schedule: &str, after: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let next = |last: &Timestamp| schedule.after(*last);
        std::iter::successors(Some(at(after)), next).skip(1).take(count).map(Timestamp::to_iso).collect()
    }

    #[test]
    fn rates_are_singular_or_plural() {
        for good in
            ["rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "rate(12 hours)", "rate(1 day)", "rate(7 days)"]
        {
            assert!(good.parse::<Schedule>().is_ok(), "{good}");
        }
        let bad = [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(-5 minutes)",
            "rate(+5 minutes)",
            "rate(1.5 hours)",
            "rate(5 seconds)",
            "rate(5  minutes)",
            "rate( 5 minutes)",
            "rate(5 Minutes)",
            "rate(5minutes)",
            "rate(minutes)",
            "rate()",
            "rate 5 minutes",
            "rate(99999999999999999999 days)",
            "rate(36526 days)",
            "Rate(5 minutes)",
            "5 minutes",
            "",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<Schedule>(), Err(InvalidSchedule), "{bad}");
        }
    }

    #[test]
    fn a_rate_goes_on_from_its_last_time() {
        assert_eq!(
            times("rate(90 minutes)", "2026-01-02T03:04:05Z", 2),
            ["2026-01-02T04:34:05Z", "2026-01-02T06:04:05Z"]
        );
        let schedule: Schedule = "rate(5 minutes)".parse().unwrap();
        let last = at("2026-01-02T03:00:07Z");
        assert_eq!(schedule.latest(last, at("2026-01-02T03:05:06Z")), None);
        assert_eq!(schedule.latest(last, at("2026-01-02T03:05:07Z")), Some(at("2026-01-02T03:05:07Z")));
        assert_eq!(schedule.latest(last, at("2026-01-04T03:09:00Z")), Some(at("2026-01-04T03:05:07Z")));
    }

    /// The examples of the User Guide, "Cron expressions".
    #[test]
    fn the_guides_examples_are_due_when_it_says() {
        let after = "2026-01-01T00:00:00Z";
        let examples: [(&str, [&str; 2]); 8] = [
            ("cron(0 10 * * ? *)", ["2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z"]),
            ("cron(15 12 * * ? *)", ["2026-01-01T12:15:00Z", "2026-01-02T12:15:00Z"]),
            ("cron(0 18 ? * MON-FRI *)", ["2026-01-01T18:00:00Z", "2026-01-02T18:00:00Z"]),
            ("cron(0 8 1 * ? *)", ["2026-01-01T08:00:00Z", "2026-02-01T08:00:00Z"]),
            ("cron(0/15 * * * ? *)", ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]),
            ("cron(0/10 * ? * MON-FRI *)", ["2026-01-01T00:10:00Z", "2026-01-01T00:20:00Z"]),
            ("cron(0/5 8-17 ? * MON-FRI *)", ["2026-01-01T08:00:00Z", "2026-01-01T08:05:00Z"]),
            ("cron(0 9 ? * 2#1 *)", ["2026-01-05T09:00:00Z", "2026-02-02T09:00:00Z"]),
        ];
        for (schedule, expected) in examples {
            assert_eq!(times(schedule, after, 2), expected, "{schedule}");
        }
        assert_eq!(times("cron(0/30 20-2 ? * MON-FRI *)", "2026-01-02T23:30:00Z", 1), ["2026-01-05T00:00:00Z"]);
    }

    #[test]
    fn days_are_counted_from_the_end_by_weeks_and_by_workdays() {
        let after = "2026-01-01T00:00:00Z";
        let cases: [(&str, &[&str]); 12] = [
            ("cron(0 0 L * ? *)", &["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"]),
            ("cron(0 0 L 2 ? 2028)", &["2028-02-29T00:00:00Z"]),
            ("cron(0 0 LW * ? *)", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-31T00:00:00Z"]),
            // The 15th of February 2026 is a Sunday, the 15th of August a Saturday.
            ("cron(0 0 15W 2,8 ? 2026)", &["2026-02-16T00:00:00Z", "2026-08-14T00:00:00Z"]),
            // The nearest workday is sought within the month.
            ("cron(0 0 1W 2,8 ? 2026)", &["2026-02-02T00:00:00Z", "2026-08-03T00:00:00Z"]),
            ("cron(0 0 31W 1,5 ? 2026)", &["2026-01-30T00:00:00Z", "2026-05-29T00:00:00Z"]),
            // A month without that day has none.
            ("cron(0 0 31W 2,3 ? 2026)", &["2026-03-31T00:00:00Z"]),
            ("cron(0 0 ? * 6L 2026)", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]),
            ("cron(0 0 ? * FRIL 2026)", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]),
            ("cron(0 0 ? * L *)", &["2026-01-03T00:00:00Z", "2026-01-10T00:00:00Z"]),
            ("cron(0 0 ? * TUE#5 *)", &["2026-03-31T00:00:00Z", "2026-06-30T00:00:00Z"]),
            ("cron(0 0 30 2 ? *)", &[]),
        ];
        for (schedule, expected) in cases {
            assert_eq!(times(schedule, after, expected.len().max(1)), expected, "{schedule}");
        }
    }

    #[test]
    fn fields_take_lists_ranges_steps_and_names() {
        let after = "2026-01-01T00:00:00Z";
        let cases: [(&str, &[&str]); 7] = [
            ("cron(5,35 14 * * ? *)", &["2026-01-01T14:05:00Z", "2026-01-01T14:35:00Z"]),
            ("cron(50-59/5 * * * ? *)", &["2026-01-01T00:50:00Z", "2026-01-01T00:55:00Z", "2026-01-01T01:50:00Z"]),
            (
                "cron(0 0 1 jan,Jul-SEP/2 ? *)",
                &["2026-07-01T00:00:00Z", "2026-09-01T00:00:00Z", "2027-01-01T00:00:00Z"],
            ),
            ("cron(0 0 1 1 ? 2027-2030/3)", &["2027-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]),
            ("cron(*/20 23 31 12 ? 2199)", &["2199-12-31T23:00:00Z", "2199-12-31T23:20:00Z", "2199-12-31T23:40:00Z"]),
            ("cron(0 0 ? * SAT-SUN *)", &["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]),
            ("cron(0 0 29 2 ? *)", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ];
        for (schedule, expected) in cases {
            assert_eq!(times(schedule, after, expected.len()), expected, "{schedule}");
        }
        assert_eq!(times("cron(0 0 1 1 ? 2027)", after, 2), ["2027-01-01T00:00:00Z"], "it ends");
        assert_eq!(times("cron(0 0 1 1 ? 2020)", after, 1), [] as [&str; 0]);
    }

    #[test]
    fn what_is_no_cron_expression_is_refused() {
        let bad = [
            "cron(0 10 * * *)",
            "cron(0 10 * * ? * *)",
            "cron(0 10  * * ? *)",
            "cron(0 10 * * * *)",
            "cron(0 10 ? * ? *)",
            "cron(0 10 1 * 2 *)",
            "cron(60 10 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 10 0 * ? *)",
            "cron(0 10 32 * ? *)",
            "cron(0 10 * 13 ? *)",
            "cron(0 10 ? * 0 *)",
            "cron(0 10 ? * 8 *)",
            "cron(0 10 * * ? 1969)",
            "cron(0 10 * * ? 2200)",
            "cron(0/0 10 * * ? *)",
            "cron(5-1 10 * * ? *)",
            "cron(0 10 * MAI ? *)",
            "cron(0 10 ? * 3#6 *)",
            "cron(0 10 ? * 3#0 *)",
            "cron(0 10 ? * 3#1,5#2 *)",
            "cron(0 10 1W,15 * ? *)",
            "cron(0 10 L-3 * ? *)",
            "cron(0 10 W * ? *)",
            "cron(? 10 * * ? *)",
            "cron(L 10 * * ? *)",
            "cron(0, 10 * * ? *)",
            "cron(+1 10 * * ? *)",
            "cron()",
            "cron(0 10 * * ? *",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<Schedule>(), Err(InvalidSchedule), "{bad}");
        }
    }

    #[test]
    fn of_what_was_missed_the_latest_counts() {
        let schedule: Schedule = "cron(0 10 ? * 2#1 *)".parse().unwrap();
        let last = at("2026-01-05T10:00:00Z");
        assert_eq!(schedule.latest(last, at("2026-02-02T09:59:59Z")), None);
        assert_eq!(schedule.latest(last, at("2026-02-02T10:00:00Z")), Some(at("2026-02-02T10:00:00Z")));
        assert_eq!(schedule.latest(last, at("2027-01-01T00:00:00Z")), Some(at("2026-12-07T10:00:00Z")));
        let ended: Schedule = "cron(0 10 1 1 ? 2026)".parse().unwrap();
        assert_eq!(
            ended.latest(at("2025-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z")),
            Some(at("2026-01-01T10:00:00Z"))
        );
    }

    proptest::proptest! {
        /// The next time, found minute by minute, is the next time.
        #[test]
        fn nothing_is_skipped(minute in 0u32..60, hour in 0u32..24, step in 1u32..30, day in 1u32..29, start in 1_700_000_000i64..1_900_000_000) {
            let text = format!("cron({minute}/{step} {hour} {day}W * ? *)");
            let schedule: Schedule = text.parse().unwrap();
            let Schedule::Cron(cron) = &schedule else { unreachable!() };
            let start = Timestamp::from_secs(start);
            let next = schedule.after(start).unwrap();
            let first = start.floor(Duration::from_secs(60)) + Duration::from_secs(60);
            let slow = std::iter::successors(Some(first), |minute| Some(*minute + Duration::from_secs(60)));
            proptest::prop_assert_eq!(slow.take_while(|minute| *minute <= next).find(|minute| cron.matches(*minute)), Some(next));
            proptest::prop_assert_eq!(cron.not_after(next), Some(next));
            proptest::prop_assert!(cron.not_after(next - Duration::from_secs(1)).is_none_or(|before| before <= start));
        }
    }
}
