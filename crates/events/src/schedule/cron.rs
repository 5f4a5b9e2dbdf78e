//! Cron expressions: `minutes hours day-of-month month day-of-week year`, in UTC.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};
use opentrail_model::Timestamp;

use super::field::{Kind, Numbers, digits};

const MINUTES: Kind = Kind { least: 0, most: 59, names: &[], goes_round: false };
/// `20-2` is from eight in the evening until two in the morning. (User Guide, "Cron expressions", the last example.)
const HOURS: Kind = Kind { least: 0, most: 23, names: &[], goes_round: true };
const DAYS: Kind = Kind { least: 1, most: 31, names: &[], goes_round: false };
const MONTHS: Kind = Kind {
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    goes_round: false,
};
/// Sunday is 1.
const WEEKDAYS: Kind =
    Kind { least: 1, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], goes_round: true };
const FIRST_YEAR: i32 = 1970;
const LAST_YEAR: i32 = 2199;
const YEARS: Kind = Kind { least: FIRST_YEAR as u32, most: LAST_YEAR as u32, names: &[], goes_round: false };

/// Minutes that match all fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Numbers,
    hours: Numbers,
    months: Numbers,
    years: Numbers,
    days: Days,
}

/// Which days of a month match. One of the expression's two fields for days says so, the other is `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Numbers),
    /// `L`.
    Last,
    /// `LW`: the last that is a workday.
    LastWorkday,
    /// `3W`: the workday in the same month that is nearest to the third.
    NearWorkday(u32),
    OfWeek(Numbers),
    /// `6L`: the last Friday.
    LastOfWeekday(u32),
    /// `3#2`: the second Tuesday.
    NthOfWeekday(u32, u32),
}

impl Cron {
    /// Reads what is in the parentheses.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [minutes, hours, of_month, month, of_week, year] = fields[..] else { return None };
        let days = match (of_month, of_week) {
            ("?", "?") => return None,
            (of_month, "?") => Days::of_month(of_month)?,
            ("?", of_week) => Days::of_week(of_week)?,
            _ => return None,
        };
        Some(Self {
            minutes: MINUTES.parse(minutes)?,
            hours: HOURS.parse(hours)?,
            months: MONTHS.parse(month)?,
            years: YEARS.parse(year)?,
            days,
        })
    }

    /// The first minute after `last` that matches.
    pub(super) fn after(&self, last: Timestamp) -> Option<Timestamp> {
        let last = date_time(last)?;
        let today = last.date_naive();
        let now = last.hour() * 60 + last.minute();
        let later = |minute: &u32| self.has_minute(*minute);
        if self.has_day(today)
            && let Some(minute) = (now + 1..24 * 60).find(later)
        {
            return Some(timestamp(today, minute));
        }
        let first_minute = (0..24 * 60).find(later)?;
        let day = self.day(today.succ_opt()?, Direction::Later)?;
        Some(timestamp(day, first_minute))
    }

    /// The last minute that matches and does not begin after `now`.
    pub(super) fn not_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = date_time(now)?;
        let today = now.date_naive();
        let earlier = |minute: &u32| self.has_minute(*minute);
        if self.has_day(today)
            && let Some(minute) = (0..=now.hour() * 60 + now.minute()).rev().find(earlier)
        {
            return Some(timestamp(today, minute));
        }
        let last_minute = (0..24 * 60).rev().find(earlier)?;
        let day = self.day(today.pred_opt()?, Direction::Earlier)?;
        Some(timestamp(day, last_minute))
    }

    /// The first day that matches from `start` on. Years and months that do not match are passed over as a whole.
    fn day(&self, start: NaiveDate, direction: Direction) -> Option<NaiveDate> {
        let mut day = start;
        loop {
            if !(FIRST_YEAR..=LAST_YEAR).contains(&day.year()) {
                return None;
            }
            if self.years.has(day.year() as u32) && self.months.has(day.month()) {
                if self.days.has(day) {
                    return Some(day);
                }
                day = direction.day(day)?;
            } else {
                day = direction.month(day)?;
            }
        }
    }

    fn has_minute(&self, minute: u32) -> bool {
        self.hours.has(minute / 60) && self.minutes.has(minute % 60)
    }

    fn has_day(&self, day: NaiveDate) -> bool {
        self.years.has(day.year() as u32) && self.months.has(day.month()) && self.days.has(day)
    }

    #[cfg(test)]
    pub(super) fn matches(&self, minute: Timestamp) -> bool {
        let at = date_time(minute).unwrap();
        self.has_day(at.date_naive()) && self.has_minute(at.hour() * 60 + at.minute())
    }
}

impl Days {
    fn of_month(text: &str) -> Option<Self> {
        Some(match text {
            "L" => Self::Last,
            "LW" => Self::LastWorkday,
            _ => match text.strip_suffix('W') {
                Some(day) => Self::NearWorkday(DAYS.number(day)?),
                None => Self::OfMonth(DAYS.parse(text)?),
            },
        })
    }

    fn of_week(text: &str) -> Option<Self> {
        if text == "L" {
            // The last day of the week.
            return Some(Self::OfWeek(WEEKDAYS.parse("SAT")?));
        }
        if let Some((day, nth)) = text.split_once('#') {
            let nth = digits(nth).filter(|nth| (1..=5).contains(nth))?;
            return Some(Self::NthOfWeekday(WEEKDAYS.number(day)?, nth));
        }
        match text.strip_suffix('L').and_then(|day| WEEKDAYS.number(day)) {
            Some(day) => Some(Self::LastOfWeekday(day)),
            None => Some(Self::OfWeek(WEEKDAYS.parse(text)?)),
        }
    }

    fn has(&self, day: NaiveDate) -> bool {
        let last = u32::from(day.num_days_in_month());
        let of_week = day.weekday().number_from_sunday();
        match self {
            Self::OfMonth(days) => days.has(day.day()),
            Self::Last => day.day() == last,
            Self::LastWorkday => Some(day.day()) == near_workday(day, last),
            Self::NearWorkday(wanted) => *wanted <= last && Some(day.day()) == near_workday(day, *wanted),
            Self::OfWeek(days) => days.has(of_week),
            Self::LastOfWeekday(wanted) => of_week == *wanted && day.day() + 7 > last,
            Self::NthOfWeekday(wanted, nth) => of_week == *wanted && (day.day() - 1) / 7 + 1 == *nth,
        }
    }
}

/// The workday nearest to a day of `month`, within that month.
fn near_workday(month: NaiveDate, day: u32) -> Option<u32> {
    let last = u32::from(month.num_days_in_month());
    Some(match month.with_day(day)?.weekday() {
        Weekday::Sat if day == 1 => 3,
        Weekday::Sat => day - 1,
        Weekday::Sun if day == last => day - 2,
        Weekday::Sun => day + 1,
        _ => day,
    })
}

/// Which way days are looked at.
#[derive(Clone, Copy, Debug)]
enum Direction {
    Later,
    Earlier,
}

impl Direction {
    fn day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Later => day.succ_opt(),
            Self::Earlier => day.pred_opt(),
        }
    }

    /// The nearest day of another month.
    fn month(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Later => day.with_day(1)?.checked_add_months(chrono::Months::new(1)),
            Self::Earlier => day.with_day(1)?.pred_opt(),
        }
    }
}

fn date_time(time: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.as_millis())
}

fn timestamp(day: NaiveDate, minute: u32) -> Timestamp {
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    Timestamp::from_secs(midnight.timestamp() + i64::from(minute) * 60)
}
