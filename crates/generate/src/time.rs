//! Times as people write them, in UTC.
//!
//! A time is a span from its first moment to its last: "yesterday" is a day, "2026-02-01 12:00" a moment. What has two
//! readings ("03/04/2026", "last Monday" on a Tuesday) is none of them. Crates for such texts give moments and guess.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use opentrail_model::Timestamp;

use crate::words::{Words, number};

/// From a moment on, and until before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<NaiveDateTime>,
    pub(crate) to: Option<NaiveDateTime>,
}

/// A time as such: its first moment and its end, which is not in it. Those of a moment are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    start: NaiveDateTime,
    end: NaiveDateTime,
}

impl Time {
    fn day(date: NaiveDate) -> Option<Self> {
        Some(Self { start: date.and_time(NaiveTime::MIN), end: date.succ_opt()?.and_time(NaiveTime::MIN) })
    }

    fn days(from: NaiveDate, to: NaiveDate) -> Self {
        Self { start: from.and_time(NaiveTime::MIN), end: to.and_time(NaiveTime::MIN) }
    }
}

/// Takes the times out of a question.
///
/// # Errors
/// When there are several, or one that cannot be: what is wrong with it.
pub(crate) fn take(words: &mut Words, now: Timestamp) -> Result<Option<Span>, String> {
    let now = DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default().naive_utc();
    let mut found: Option<Span> = None;
    let mut at = 0;
    while at < words.len() {
        let Some((span, end)) = (Reader { words, now }).span(at) else {
            at += 1;
            continue;
        };
        words.claim(at..end);
        if found.is_some_and(|before| before != span) {
            return Err("it names several times".to_owned());
        }
        found = Some(span);
        at = end;
    }
    if let Some(Span { from, to }) = found {
        if from.is_some_and(|from| from > now) {
            return Err("the time that it names is in the future".to_owned());
        }
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err("the time that it names ends before it begins".to_owned());
        }
    }
    Ok(found)
}

struct Reader<'a> {
    words: &'a Words,
    now: NaiveDateTime,
}

impl Reader<'_> {
    fn today(&self) -> NaiveDate {
        self.now.date()
    }

    /// The span that begins at word `at`, and where it ends.
    fn span(&self, at: usize) -> Option<(Span, usize)> {
        let word = self.words.lower(at);
        match word {
            "since" => {
                let (time, end) = self.time(at + 1)?;
                Some((Span { from: Some(time.start), to: None }, end))
            }
            "after" => {
                let (time, end) = self.time(at + 1)?;
                Some((Span { from: Some(time.end), to: None }, end))
            }
            "before" | "until" | "till" | "through" => {
                let (time, end) = self.time(at + 1)?;
                let to = if word == "through" { time.end } else { time.start };
                Some((Span { from: None, to: Some(to) }, end))
            }
            "between" => self.range(at + 1, &["and"]),
            "from" => self.range(at + 1, &["to", "until", "till", "through", "-"]).or_else(|| self.within(at + 1)),
            "in" | "during" | "over" | "within" | "on" | "of" | "for" => self.within(at + 1),
            _ => self.range(at, &["to", "until", "through"]).or_else(|| self.within(at)),
        }
    }

    fn within(&self, at: usize) -> Option<(Span, usize)> {
        // `May` and bare years mean something else where nothing says that they are times.
        let (time, end) = self.time(at)?;
        if end == at + 1 {
            let word = self.words.lower(at);
            let led = at > 0 && matches!(self.words.lower(at - 1), "in" | "during" | "for" | "of" | "from" | "over");
            if !led && (word == "may" || word == "march" || number(word).is_some()) {
                return None;
            }
        }
        // A moment is no span.
        (time.start < time.end).then_some((Span { from: Some(time.start), to: Some(time.end) }, end)).map(
            |(span, end)| {
                let open = Span { to: span.to.filter(|to| *to <= self.now), ..span };
                (open, end)
            },
        )
    }

    fn range(&self, at: usize, between: &[&str]) -> Option<(Span, usize)> {
        if let Some(clock) = self.clock_range(at, between) {
            return Some(clock);
        }
        let (first, middle) = self.time(at)?;
        between.contains(&self.words.lower(middle)).then_some(())?;
        let (last, end) = self.time(middle + 1)?;
        // "from January 5 2025 to now" ends with what is there.
        Some((Span { from: Some(first.start), to: Some(last.end).filter(|to| *to <= self.now) }, end))
    }

    /// `between 10:00 and 12:00 [on] yesterday`.
    fn clock_range(&self, at: usize, between: &[&str]) -> Option<(Span, usize)> {
        let (from, middle) = self.clock(at)?;
        between.contains(&self.words.lower(middle)).then_some(())?;
        let (to, end) = self.clock(middle + 1)?;
        let end = if self.words.lower(end) == "on" { end + 1 } else { end };
        let (day, end) = self.date(end)?;
        Some((Span { from: Some(day.and_time(from)), to: Some(day.and_time(to)) }, end))
    }

    /// A time that begins at word `at`, and where it ends. "The" may stand before it, and changes what "last week" is.
    fn time(&self, at: usize) -> Option<(Time, usize)> {
        if self.words.lower(at) == "the" {
            return self.the(at + 1);
        }
        self.rolling(at, false).or_else(|| self.calendar(at)).or_else(|| self.moment(at))
    }

    fn the(&self, at: usize) -> Option<(Time, usize)> {
        if let Some(time) = self.rolling(at, true).or_else(|| self.quarter_of(at)) {
            return Some(time);
        }
        match self.words.lower(at) {
            "day" if self.words.matches(at, "day before yesterday").is_some() => {
                Some((Time::day(self.today() - Days::new(2))?, at + 3))
            }
            _ => {
                // "the first of January 2026", "the 5th of May".
                let day = ordinal(self.words.lower(at))?;
                let after = at + 1 + usize::from(self.words.lower(at + 1) == "of");
                let (month, end) = self.month_name(after)?;
                self.month_day(month, day, end)
            }
        }
    }

    /// "last 7 days", "past week", "last half hour": until now. "last week" without "the" is the calendar's.
    fn rolling(&self, at: usize, the: bool) -> Option<(Time, usize)> {
        let lead = self.words.lower(at);
        if !matches!(lead, "last" | "past" | "previous") {
            return None;
        }
        let (count, unit_at, bare) = match number(self.words.lower(at + 1)) {
            Some(count) => (count, at + 2, false),
            None => (1, at + 1, true),
        };
        if self.words.lower(unit_at) == "half" && bare {
            let end = self.words.matches(unit_at, "half an? hour")?;
            return Some((self.back(Duration::minutes(30))?, end));
        }
        let unit = self.words.lower(unit_at);
        let singular = unit.strip_suffix('s').unwrap_or(unit);
        if bare && unit.ends_with('s') {
            // "the last days": how many?
            return None;
        }
        let end = unit_at + 1;
        if bare && !the && lead != "past" && matches!(singular, "week" | "month" | "year") {
            return self.calendar_before(singular).map(|time| (time, end));
        }
        if bare && lead == "previous" {
            return None;
        }
        let count_i64 = i64::from(count);
        let time = match singular {
            "minute" | "min" => self.back(Duration::minutes(count_i64))?,
            "hour" | "hr" => self.back(Duration::hours(count_i64))?,
            "day" => self.back(Duration::days(count_i64))?,
            "week" => self.back(Duration::weeks(count_i64))?,
            "fortnight" => self.back(Duration::weeks(count_i64 * 2))?,
            "month" => Time { start: self.now.checked_sub_months(Months::new(count))?, end: self.after_now() },
            "year" => Time { start: self.now.checked_sub_months(Months::new(count * 12))?, end: self.after_now() },
            _ => return None,
        };
        (count > 0).then_some((time, end))
    }

    fn back(&self, by: Duration) -> Option<Time> {
        Some(Time { start: self.now.checked_sub_signed(by)?, end: self.after_now() })
    }

    /// An end that leaves nothing out: spans that reach it are open.
    fn after_now(&self) -> NaiveDateTime {
        self.now + Duration::milliseconds(1)
    }

    fn calendar_before(&self, unit: &str) -> Option<Time> {
        let today = self.today();
        Some(match unit {
            "week" => {
                let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()));
                Time::days(monday - Days::new(7), monday)
            }
            "month" => {
                let first = today.with_day(1)?;
                Time::days(first.checked_sub_months(Months::new(1))?, first)
            }
            "year" => {
                let first = today.with_day(1)?.with_month(1)?;
                Time::days(first.checked_sub_months(Months::new(12))?, first)
            }
            _ => return None,
        })
    }

    /// Days, weeks, months, quarters and years of the calendar.
    fn calendar(&self, at: usize) -> Option<(Time, usize)> {
        let today = self.today();
        let until_now = |from: NaiveDate| Time { start: from.and_time(NaiveTime::MIN), end: self.after_now() };
        let word = self.words.lower(at);
        if word == "this" {
            let from = match self.words.lower(at + 1) {
                "week" => today - Days::new(u64::from(today.weekday().num_days_from_monday())),
                "month" => today.with_day(1)?,
                "year" => today.with_day(1)?.with_month(1)?,
                "quarter" => today.with_day(1)?.with_month(today.month0() / 3 * 3 + 1)?,
                _ => return None,
            };
            return Some((until_now(from), at + 2));
        }
        if let Some(time) = self.quarter_of(at) {
            return Some(time);
        }
        // "January 2026", "January"; a month's day is a date.
        if let Some((date, end)) = self.date(at) {
            // "2026-02-01 12:00" is a moment.
            let clock = end + usize::from(self.words.lower(end) == "at");
            return if self.clock(clock).is_some() { None } else { Some((Time::day(date)?, end)) };
        }
        if let Some((month, end)) = self.month_name(at) {
            if ordinal(self.words.lower(end)).is_some() {
                return None;
            }
            let (year, end) = match self.year(end) {
                Some(year) => (year, end + 1),
                None => (if month > today.month() { today.year() - 1 } else { today.year() }, end),
            };
            let first = NaiveDate::from_ymd_opt(year, month, 1)?;
            return Some((Time::days(first, first.checked_add_months(Months::new(1))?), end));
        }
        let year = self.year(at)?;
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        Some((Time::days(first, NaiveDate::from_ymd_opt(year + 1, 1, 1)?), at + 1))
    }

    /// "Q4 2025", "fourth|last quarter of 2025".
    fn quarter_of(&self, at: usize) -> Option<(Time, usize)> {
        let word = self.words.lower(at);
        let (quarter, year_at) = match word {
            "q1" | "q2" | "q3" | "q4" => (u32::from(word.as_bytes()[1] - b'0'), at + 1),
            _ => {
                let quarter = match word {
                    "first" | "1st" => 1,
                    "second" | "2nd" => 2,
                    "third" | "3rd" => 3,
                    "fourth" | "4th" | "last" => 4,
                    _ => return None,
                };
                (quarter, self.words.matches(at + 1, "quarter of")?)
            }
        };
        let year = self.year(year_at)?;
        let first = NaiveDate::from_ymd_opt(year, quarter * 3 - 2, 1)?;
        Some((Time::days(first, first.checked_add_months(Months::new(3))?), year_at + 1))
    }

    fn year(&self, at: usize) -> Option<i32> {
        let word = self.words.lower(at);
        let digits = word.len() == 4 && word.starts_with("20") && word.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| word.parse().ok()).flatten()
    }

    fn month_name(&self, at: usize) -> Option<(u32, usize)> {
        const MONTHS: &[&str] = &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let word = self.words.lower(at);
        let month = MONTHS.iter().position(|month| *month == word || (word.len() == 3 && month.starts_with(word)));
        let month = month.or((word == "sept").then_some(8))?;
        Some((u32::try_from(month).ok()? + 1, at + 1))
    }

    /// A day of a month, in the year that follows or else the latest that is not in the future.
    fn month_day(&self, month: u32, day: u32, end: usize) -> Option<(Time, usize)> {
        let (date, end) = self.in_year(month, day, end)?;
        Some((Time::day(date)?, end))
    }

    fn in_year(&self, month: u32, day: u32, end: usize) -> Option<(NaiveDate, usize)> {
        let comma = usize::from(self.words.lower(end) == ",");
        if let Some(year) = self.year(end + comma) {
            return Some((NaiveDate::from_ymd_opt(year, month, day)?, end + comma + 1));
        }
        let this = NaiveDate::from_ymd_opt(self.today().year(), month, day);
        let date = this.filter(|date| *date <= self.today());
        Some((date.or_else(|| NaiveDate::from_ymd_opt(self.today().year() - 1, month, day))?, end))
    }

    /// One day.
    fn date(&self, at: usize) -> Option<(NaiveDate, usize)> {
        let word = self.words.lower(at);
        if let Ok(date) = NaiveDate::parse_from_str(word, "%Y-%m-%d") {
            return (word.len() == 10).then_some((date, at + 1));
        }
        let today = self.today();
        if word == "today" {
            return Some((today, at + 1));
        }
        if word == "yesterday" {
            return Some((today.pred_opt()?, at + 1));
        }
        if let Some(count) = number(word)
            && let Some(end) = self.words.matches(at + 1, "days|day ago")
        {
            return (count > 0).then_some((today.checked_sub_days(Days::new(u64::from(count)))?, end));
        }
        if let Some((month, end)) = self.month_name(at) {
            return self.in_year(month, ordinal(self.words.lower(end))?, end + 1);
        }
        if let (Some(day), Some((month, end))) = (ordinal(word), self.month_name(at + 1)) {
            return self.in_year(month, day, end);
        }
        let (last, name) = if word == "last" { (true, at + 1) } else { (false, at) };
        if !last && at > 0 && self.words.lower(at - 1) == "last" {
            return None;
        }
        let weekday: Weekday = match self.words.lower(name) {
            name if name.ends_with("day") => name.parse().ok()?,
            _ => return None,
        };
        let back = (7 + today.weekday().num_days_from_monday() - weekday.num_days_from_monday()) % 7;
        // The day of today is today or a week ago; "last Monday" on a Tuesday is yesterday or a week before.
        if back == 0 || (last && back <= today.weekday().num_days_from_monday()) {
            return None;
        }
        Some((today.checked_sub_days(Days::new(u64::from(back)))?, name + 1))
    }

    /// A time of the day: "9am", "9 am", "14:30", "noon", "midnight".
    fn clock(&self, at: usize) -> Option<(NaiveTime, usize)> {
        let word = self.words.lower(at);
        match word {
            "noon" => return Some((NaiveTime::from_hms_opt(12, 0, 0)?, at + 1)),
            "midnight" => return Some((NaiveTime::MIN, at + 1)),
            _ => {}
        }
        let (digits, half, mut end) = match word.strip_suffix("am").or_else(|| word.strip_suffix("pm")) {
            Some(digits) if !digits.is_empty() => (digits, Some(&word[digits.len()..]), at + 1),
            _ => match self.words.lower(at + 1) {
                half @ ("am" | "pm") => (word, Some(half), at + 2),
                _ => (word, None, at + 1),
            },
        };
        if let Some(after) = self.words.matches(end, "utc") {
            end = after;
        }
        let digits = digits.strip_suffix('z').unwrap_or(digits);
        let Some(half) = half else {
            let with_seconds = NaiveTime::parse_from_str(digits, "%H:%M:%S");
            return Some((with_seconds.or_else(|_| NaiveTime::parse_from_str(digits, "%H:%M")).ok()?, end));
        };
        let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
        let hour: u32 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
        let hour = hour % 12 + if half == "pm" { 12 } else { 0 };
        Some((NaiveTime::from_hms_opt(hour, minute.parse().ok()?, 0)?, end))
    }

    /// A moment: a day and a time of it in either order, or both in one word.
    fn moment(&self, at: usize) -> Option<(Time, usize)> {
        let word = self.words.lower(at);
        if word == "now" {
            return Some((Time { start: self.now, end: self.after_now() }, at + 1));
        }
        let moment = |time: NaiveDateTime, end: usize| Some((Time { start: time, end: time }, end));
        if word.len() > 10 && word.as_bytes()[10] == b't' {
            let bare = word.strip_suffix('z').unwrap_or(word);
            for form in ["%Y-%m-%dt%H:%M:%S%.f", "%Y-%m-%dt%H:%M"] {
                if let Ok(time) = NaiveDateTime::parse_from_str(bare, form) {
                    return moment(time, at + 1);
                }
            }
            return None;
        }
        if let Some((date, middle)) = self.date(at) {
            let middle = if self.words.lower(middle) == "at" { middle + 1 } else { middle };
            let (time, end) = self.clock(middle)?;
            return moment(date.and_time(time), end);
        }
        let (time, middle) = self.clock(at)?;
        let middle = if self.words.lower(middle) == "on" { middle + 1 } else { middle };
        let (date, end) = self.date(middle)?;
        moment(date.and_time(time), end)
    }
}

/// `5`, `5th`, `first`: a day of a month.
fn ordinal(word: &str) -> Option<u32> {
    const WORDS: &[&str] =
        &["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    if let Some(at) = WORDS.iter().position(|one| *one == word) {
        return u32::try_from(at + 1).ok();
    }
    let ends = ["st", "nd", "rd", "th"];
    let digits = ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
    digits.parse().ok().filter(|day| (1..=31).contains(day) && digits.len() <= 2)
}

#[cfg(test)]
mod tests;
