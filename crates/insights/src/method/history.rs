//! What a key did in the hours of the last weeks, and what it does at this time of day and week.

use super::codec::{Bytes, Malformed};
use super::level::Level;
use super::minute::{DAY, HOUR, Minute};

/// Hours that are remembered: 28 days, and one in which the present hour overtakes the oldest.
const HOURS: usize = 29 * 24;
/// An hour of which fewer minutes were observed tells nothing.
const ENOUGH: u32 = 30;
/// Days that the baseline of a record is over. (User Guide, "CloudTrail Insights record contents": `baselineDuration`.)
const BASELINE_HOURS: u32 = 7 * 24;
/// Once so many minutes were observed, the rhythm of the week is known, and that of the day with it.
const WEEKS_KNOWN: u32 = 3 * 7 * DAY;

/// Which minutes were observed at all: while the server is down, or the journal silent, nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    minutes: Box<[u8; HOURS]>,
    /// The hour of the minute observed last.
    hour: u32,
    /// Minutes observed ever.
    total: u64,
    /// Minutes observed in the hours that are remembered.
    recent: u32,
}

impl Default for Observed {
    fn default() -> Self {
        Self { minutes: Box::new([0; HOURS]), hour: 0, total: 0, recent: 0 }
    }
}

impl Observed {
    /// Notes that `minute`, later than those before, was observed.
    pub fn close(&mut self, minute: Minute) {
        let hour = minute.hour();
        let skipped = hour.saturating_sub(self.hour).min(HOURS as u32);
        for back in 0..skipped {
            self.minutes[(hour - back) as usize % HOURS] = 0;
        }
        self.hour = self.hour.max(hour);
        let slot = &mut self.minutes[self.hour as usize % HOURS];
        *slot = slot.saturating_add(1).min(HOUR as u8);
        self.total += 1;
        self.recent = self.minutes.iter().map(|minutes| u32::from(*minutes)).sum();
    }

    /// Minutes observed ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Minutes observed in the last 29 days.
    pub fn recent(&self) -> u32 {
        self.recent
    }

    fn of_hour(&self, hour: u32) -> u32 {
        let is_known = hour <= self.hour && self.hour - hour < HOURS as u32;
        if is_known { self.minutes[hour as usize % HOURS].into() } else { 0 }
    }

    /// Its stored form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.hour.to_le_bytes());
        out.extend(self.total.to_le_bytes());
        out.extend(self.minutes.iter());
    }

    /// From its stored form.
    ///
    /// # Errors
    /// [`Malformed`] when there are too few bytes.
    pub fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (hour, total) = (bytes.u32()?, bytes.u64()?);
        let minutes: [u8; HOURS] = bytes.take(HOURS)?.try_into().map_err(|_| Malformed)?;
        let recent = minutes.iter().map(|minutes| u32::from(*minutes)).sum();
        Ok(Self { minutes: Box::new(minutes), hour, total, recent })
    }
}

/// How much is known about an account.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    /// Which minutes were observed.
    pub observed: &'a Observed,
    /// Since when the account is watched.
    pub since: Minute,
    /// How many minutes of it were observed, of those that are remembered.
    pub age: u32,
}

impl Knowledge<'_> {
    /// The minutes of the hour in which the account was watched.
    fn minutes_of(&self, hour: u32) -> u32 {
        match hour.cmp(&self.since.hour()) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.observed.of_hour(hour).min(HOUR - self.since.0 % HOUR),
            std::cmp::Ordering::Greater => self.observed.of_hour(hour),
        }
    }
}

/// What is expected per minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    /// For windows of less than an hour.
    pub(crate) now: f64,
    /// For the window of an hour, which lies in the previous hour too: that one is left out.
    pub(crate) hour: f64,
}

/// The average of the days before, as a record tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Calls per minute.
    pub average: f64,
    /// Minutes that the average is over.
    pub minutes: u32,
}

/// The counts of a key's hours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History {
    hours: Box<[Level; HOURS]>,
    /// The hour that is being counted.
    hour: u32,
    counted: f32,
}

impl History {
    pub(crate) fn at(hour: u32) -> Self {
        Self { hours: Box::new([Level::default(); HOURS]), hour, counted: 0.0 }
    }

    /// Goes on to `hour`; the hours between had no calls.
    pub(crate) fn advance(&mut self, hour: u32) {
        if hour <= self.hour {
            return;
        }
        self.hours[self.hour as usize % HOURS] = Level::of(self.counted.into());
        let skipped = (hour - self.hour).min(HOURS as u32);
        for back in 0..skipped {
            self.hours[(hour - back) as usize % HOURS] = Level::default();
        }
        (self.hour, self.counted) = (hour, 0.0);
    }

    /// Counts in the present hour.
    pub(crate) fn count(&mut self, calls: f64) {
        self.counted += calls as f32;
    }

    /// Calls per minute in an hour before the present one; `None` when it was not observed.
    fn rate(&self, hour: u32, known: &Knowledge<'_>) -> Option<f64> {
        let minutes = known.minutes_of(hour);
        let is_kept = hour < self.hour && self.hour - hour < HOURS as u32;
        (is_kept && minutes >= ENOUGH)
            .then(|| self.hours[hour as usize % HOURS].value() * f64::from(HOUR) / f64::from(HOUR * minutes))
    }

    /// The upper median of the rates in the hours that lie `every` hours apart before `hour`, up to `times` of them.
    fn median(&self, hour: u32, every: u32, times: u32, known: &Knowledge<'_>) -> f64 {
        let mut rates = [0.0; 7];
        let mut n = 0;
        for back in (1..=times).filter_map(|i| hour.checked_sub(i * every)) {
            if let Some(rate) = self.rate(back, known) {
                rates[n] = rate;
                n += 1;
            }
        }
        rates[..n].sort_by(f64::total_cmp);
        if n == 0 { 0.0 } else { rates[n / 2] }
    }

    /// What is expected in the half hour that `minute` lies in: the largest of what the rhythm of the week says (until it is known,
    /// that of the day too), of the hours just before, and of the long run where the others say little. It is rather too high than too
    /// low; by how much is learned elsewhere ([`super::spread`]).
    pub(crate) fn expected(&self, minute: Minute, known: &Knowledge<'_>) -> Expected {
        let hour = minute.hour();
        // From one hour to the next a rhythm goes in a line: the hour that is nearer counts by a quarter.
        let nearer = if minute.0 % HOUR < HOUR / 2 { hour.saturating_sub(1) } else { hour + 1 };
        let knows_weeks = known.age >= WEEKS_KNOWN;
        let rhythm = |at: u32| {
            let weekly = self.median(at, 7 * 24, 4, known);
            if knows_weeks { weekly } else { weekly.max(self.median(at, 24, 7, known)) }
        };
        let seasonal = 0.75 * rhythm(hour) + 0.25 * rhythm(nearer);
        let age = f64::from(known.age.clamp(1, 28 * DAY));
        let total = self.hours.iter().map(|level| level.value()).sum::<f64>() + f64::from(self.counted);
        let long_run = total / age.max(f64::from(HOUR));
        // Medians of hours with a call or two say nothing.
        let long_run = if long_run * f64::from(HOUR) < 3.0 { long_run } else { long_run / 10.0 };
        let floor = 0.5 / (age + f64::from(HOUR));
        let least = seasonal.max(long_run).max(floor);
        let before = |hours: u32| hour.checked_sub(hours).and_then(|hour| self.rate(hour, known)).unwrap_or(0.0);
        // Two hours, so that a burst across the hour is not what is expected of its own end.
        Expected { now: least.max(before(1).min(before(2))), hour: least.max(before(2).min(before(3))) }
    }

    /// The average over the seven days before the present hour, or as much of them as was observed.
    pub(crate) fn baseline(&self, known: &Knowledge<'_>) -> Baseline {
        let mut calls = 0.0;
        let mut minutes = 0;
        for hour in self.hour.saturating_sub(BASELINE_HOURS)..self.hour {
            let observed = known.minutes_of(hour);
            minutes += observed;
            if observed > 0 {
                calls += self.hours[hour as usize % HOURS].value();
            }
        }
        Baseline { average: if minutes == 0 { 0.0 } else { calls / f64::from(minutes) }, minutes }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.hour.to_le_bytes());
        out.extend(self.counted.to_le_bytes());
        out.extend(self.hours.iter().map(|level| level.0));
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (hour, counted) = (bytes.u32()?, bytes.f32()?);
        let mut history = Self { counted, ..Self::at(hour) };
        for (level, byte) in history.hours.iter_mut().zip(bytes.take(HOURS)?) {
            *level = Level(*byte);
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of `days` days in which `rate` gives the calls of each hour, at the beginning of the day after.
    fn history(days: u32, rate: impl Fn(u32) -> f64) -> (History, Observed) {
        let (mut history, mut observed) = (History::at(0), Observed::default());
        for hour in 0..days * 24 {
            history.advance(hour);
            history.count(rate(hour));
            (0..60).for_each(|minute| observed.close(Minute(hour * 60 + minute)));
        }
        history.advance(days * 24);
        (history, observed)
    }

    fn known(observed: &Observed) -> Knowledge<'_> {
        Knowledge { observed, since: Minute(0), age: observed.total() as u32 }
    }

    #[test]
    fn the_rhythm_of_the_week_is_expected() {
        // 600 calls an hour on Mondays from nine to five, 6 otherwise.
        let calls =
            |hour: u32| if (hour / 24).is_multiple_of(7) && (9..17).contains(&(hour % 24)) { 600.0 } else { 6.0 };
        let (history, observed) = history(21, calls);
        let at = |hour: u32| history.expected(Minute((21 * 24 + hour) * 60 + 15), &known(&observed)).now;
        assert!((at(12) - 10.0).abs() < 0.5, "a Monday noon: {}", at(12));
        assert!(at(3) < 0.5, "a Monday night: {}", at(3));
    }

    #[test]
    fn one_odd_day_does_not_move_what_is_expected() {
        let (history, observed) = history(14, |hour| if hour / 24 == 13 && hour % 24 < 20 { 6000.0 } else { 60.0 });
        let expected = history.expected(Minute((14 * 24 + 5) * 60), &known(&observed)).now;
        assert!(expected < 5.0, "{expected}");
    }

    #[test]
    fn what_was_not_observed_is_not_silence() {
        let (mut history, mut observed) = history(2, |_| 60.0);
        // A day of which nothing is known.
        let later = Minute(3 * DAY);
        history.advance(later.hour());
        observed.close(later);
        let baseline = history.baseline(&known(&observed));
        assert_eq!(baseline.minutes, 2 * DAY);
        assert!((baseline.average - 1.0).abs() < 0.05, "{baseline:?}");
        assert!(history.expected(later.next(), &known(&observed)).now > 0.9);
    }

    #[test]
    fn stored_and_read_again_it_is_the_same() {
        let (history, observed) = history(3, f64::from);
        let mut out = Vec::new();
        history.write(&mut out);
        observed.write(&mut out);
        let mut bytes = Bytes(&out);
        assert_eq!(History::read(&mut bytes), Ok(history));
        assert_eq!(Observed::read(&mut bytes), Ok(observed));
        assert!(bytes.is_empty());
        assert_eq!(History::read(&mut Bytes(&out[..100])), Err(Malformed));
    }
}
