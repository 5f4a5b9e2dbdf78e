//! What is known of one key, and what a minute adds to it.

use super::codec::{Bytes, Malformed};
use super::episode::{Episode, Phase};
use super::history::{Baseline, Expected, History, Knowledge};
use super::minute::{DAY, HOUR, Minute, WEEK};
use super::parameters::Parameters;
use super::peaks::Peaks;
use super::spread::{ASSUMED, CLUMPED, Spreads, WINDOWS};
use super::tail::exponent;

/// Minutes whose counts are kept one by one.
const RECENT: usize = 60;
/// After this many minutes without one, a stretch of surprises belongs to the past.
const APART: u32 = 15;
/// And so does what goes on for so many minutes, if it was no episode: it is how the key is.
const LONG: u32 = 2 * HOUR;
/// An episode that lasts longer begins to count as history.
const ADOPTED: u32 = 6 * HOUR;
/// What is less than this many times the expected, or fewer calls above it, surprises nobody.
const LEAST_RATIO: f64 = 1.5;
const LEAST_EXCESS: f64 = 4.0;
/// The logarithm of the number of [`WINDOWS`].
const TRIES: f64 = 1.609_437_912_434_1;
/// Within the first weeks the largest surprise so far takes the place of the second largest day.
const FEW_DAYS: u32 = 4 * WEEK;
/// In an account's first week everything is new: a key that is younger than this is measured with margins so many times as wide.
const NEW: u32 = HOUR;
const NEW_WIDER: f64 = 4.0;
/// What would be this surprising if calls came in clumps as assumed is not learned from as spread; it is the day's peak instead.
const TOO_SURPRISING: f64 = 16.0;
/// The same where next to nothing is known.
const TOO_SURPRISING_AT_FIRST: f64 = 6.0;
/// Surprises up to about this one come on every day of a key whose counts are as modelled.
const DAILY: f64 = 6.0;
/// A habit counts as so much more than that at least.
const LEAST_HABIT: f64 = 2.5;

/// A count that lies above what is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surprise {
    /// The negative logarithm of its chance, for the most surprising window.
    pub exponent: f64,
    /// That window, in minutes.
    pub window: u32,
    /// The calls within it.
    pub count: u64,
    /// What was expected per minute.
    pub expected: f64,
    /// The surprise that the key's habits are worth.
    pub habit: f64,
}

/// What a minute came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Closed {
    /// Nothing to tell.
    Usual,
    /// Unusual for the key: an episode, if the other keys of the account allow ([`super::discoveries`], [`Series::begin`]).
    Unusual(Surprise),
    /// An episode goes on.
    Open,
    /// The episode is over.
    Over(Episode),
}

/// Surprises that follow one another: they become a peak once they belong to the past.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stretch {
    largest: f32,
    first: Minute,
    last: Minute,
}

/// How surprising a minute was.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// The exponent of the most surprising window.
    largest: f64,
    /// The same with clumps no larger than is assumed of all keys.
    as_assumed: f64,
    /// What passed the parameters.
    told: Option<Surprise>,
}

/// What is known of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The minute of its first call.
    first: Minute,
    /// The minute folded in last.
    latest: Minute,
    recent: [u32; RECENT],
    history: History,
    expected: Expected,
    /// The half hour that `expected` is for.
    half_hour: u32,
    spreads: Spreads,
    peaks: Peaks,
    stretch: Stretch,
    /// Whether the latest minute was learned from.
    is_learned: bool,
    /// The minute with which the last episode was over: windows that reach back to it show that one again.
    ended: Minute,
    episode: Option<Box<Episode>>,
}

impl Series {
    /// A key whose first call comes in `minute`.
    pub fn new(minute: Minute) -> Self {
        Self {
            first: minute,
            latest: minute.back(1),
            recent: [0; RECENT],
            history: History::at(minute.hour()),
            expected: Expected::default(),
            half_hour: 0,
            spreads: Spreads::default(),
            peaks: Peaks::at(minute.day()),
            stretch: Stretch::default(),
            is_learned: true,
            ended: Minute(0),
            episode: None,
        }
    }

    /// The minute of its first calls.
    pub fn first(&self) -> Minute {
        self.first
    }

    /// The last minute folded in.
    pub fn latest(&self) -> Minute {
        self.latest
    }

    /// The episode that goes on.
    pub fn episode(&self) -> Option<&Episode> {
        self.episode.as_deref()
    }

    /// The count of a minute among the last 60; zero for others.
    pub fn count(&self, minute: Minute) -> u32 {
        let is_kept = minute <= self.latest && self.latest.since(minute) < RECENT as u32;
        if is_kept { self.recent[minute.0 as usize % RECENT] } else { 0 }
    }

    /// What is expected per minute.
    pub fn expected(&self) -> f64 {
        self.expected.now * self.spreads.share()
    }

    /// The standard deviation of a minute's count around [`Self::expected`].
    pub fn deviation(&self) -> f64 {
        let mean = self.expected();
        (mean * self.spreads.dispersion(0, mean, CLUMPED)).sqrt()
    }

    /// What the latest minute was measured with, for those who tune the method.
    pub fn explain_last(&self) -> String {
        let share = self.spreads.share();
        let of_window = |at: usize| self.spreads.dispersion(at, mean(&self.expected, WINDOWS[at]) * share, CLUMPED);
        let spreads: [f64; WINDOWS.len()] = std::array::from_fn(of_window);
        let (expected, first, second) = (self.expected, self.peaks.first(), self.peaks.second());
        format!(
            "{expected:.3?} by {share:.2}, dispersions {spreads:.1?}, largest days {first:.0} {second:.0}, stretch {:?}",
            self.stretch.largest
        )
    }

    /// The largest surprise of the stretch that goes on; zero when there is none.
    pub fn stretch(&self) -> f64 {
        self.stretch.largest.into()
    }

    /// The average of the days before.
    pub fn baseline(&self, known: &Knowledge<'_>) -> Baseline {
        self.history.baseline(known)
    }

    /// Folds in `minute`, which must be later than those before; minutes in between had no calls. Without parameters nothing is
    /// unusual, and no episode begins.
    ///
    /// A minute without calls need not be folded in, unless an episode goes on.
    pub fn close(
        &mut self,
        minute: Minute,
        count: u32,
        known: &Knowledge<'_>,
        parameters: Option<&Parameters>,
    ) -> Closed {
        self.skip_to(minute);
        self.latest = minute;
        self.recent[minute.0 as usize % RECENT] = count;
        self.expect(minute, known);
        let sums = self.sums();
        let measured = self.measure(&sums, known, parameters);
        if let Some(episode) = &mut self.episode {
            let phase = episode.close(minute, count, self.expected.now);
            let is_adopted = minute.since(episode.start) >= ADOPTED;
            self.history.count(if is_adopted { count.into() } else { f64::from(count).min(self.expected.now) });
            return match phase {
                Phase::Open => Closed::Open,
                Phase::Over => {
                    self.ended = minute;
                    self.episode.take().map_or(Closed::Usual, |episode| Closed::Over(*episode))
                }
            };
        }
        self.history.count(count.into());
        self.is_learned = measured.as_assumed < self.too_surprising();
        if self.is_learned {
            self.spreads.learn(&sums, self.expected.now, self.latest.since(self.ended));
        }
        measured.told.map_or(Closed::Usual, Closed::Unusual)
    }

    /// Begins an episode: `surprise` is what [`Self::close`] answered for the latest minute.
    pub fn begin(&mut self, surprise: &Surprise) -> &Episode {
        let average = surprise.count as f64 / f64::from(surprise.window);
        let threshold = Episode::threshold(surprise.expected, average);
        let is_elevated = |minute: Minute| f64::from(self.count(minute)) > threshold;
        let window = (0..surprise.window).rev().map(|back| self.latest.back(back));
        let mut start = window.clone().find(|minute| is_elevated(*minute)).unwrap_or(self.latest);
        while self.latest.since(start) + 1 < RECENT as u32 && start.back(1) > self.ended && is_elevated(start.back(1)) {
            start = start.back(1);
        }
        let calls = (start.0..=self.latest.0).map(|minute| u64::from(self.count(Minute(minute)))).sum::<u64>();
        let average = calls as f64 / f64::from(self.latest.since(start) + 1);
        self.episode.insert(Box::new(Episode {
            start,
            detected: self.latest,
            window: surprise.window,
            expected: surprise.expected,
            average,
            surprise: surprise.exponent,
            last: self.latest,
            calls,
            calls_since: 0,
        }))
    }

    /// Folds in the minutes before `minute`, which had no calls.
    fn skip_to(&mut self, minute: Minute) {
        let (before, skipped) = (self.latest, minute.since(self.latest).saturating_sub(1));
        for after in 1..=skipped.min(RECENT as u32) {
            self.latest = Minute(before.0 + after);
            self.recent[self.latest.0 as usize % RECENT] = 0;
            // A surprise is not learned from, nor a window that reaches back to it.
            let longest = if self.is_learned { self.latest.since(self.ended) } else { after };
            self.spreads.learn(&self.sums(), self.expected.now, longest);
        }
        self.latest = before;
        self.spreads.learn_silence(skipped.saturating_sub(RECENT as u32), self.expected.now);
        let Stretch { largest, first, last } = self.stretch;
        let is_past = minute.since(last) > APART || (minute.since(first) > LONG && self.episode.is_none());
        if largest > 0.0 && is_past {
            self.peaks.advance(last.day());
            self.peaks.note(largest.into());
            self.stretch.largest = 0.0;
        }
        self.history.advance(minute.hour());
        self.peaks.advance(minute.day());
    }

    fn too_surprising(&self) -> f64 {
        if self.spreads.is_assumed() { TOO_SURPRISING_AT_FIRST } else { TOO_SURPRISING }
    }

    fn expect(&mut self, minute: Minute, known: &Knowledge<'_>) {
        let half_hour = minute.0 / (HOUR / 2);
        if half_hour != self.half_hour {
            self.expected = self.history.expected(minute, known);
            self.half_hour = half_hour;
        }
    }

    /// The calls within each of [`WINDOWS`].
    fn sums(&self) -> [u64; WINDOWS.len()] {
        let mut sums = [0; WINDOWS.len()];
        let (mut sum, mut back) = (0, 0);
        for (at, window) in sums.iter_mut().zip(WINDOWS) {
            while back < window {
                sum += u64::from(self.recent[self.latest.back(back).0 as usize % RECENT]);
                back += 1;
            }
            *at = sum;
        }
        sums
    }

    /// How surprising the minute is, noted among the day's; told when it passes the parameters.
    fn measure(
        &mut self,
        sums: &[u64; WINDOWS.len()],
        known: &Knowledge<'_>,
        parameters: Option<&Parameters>,
    ) -> Measured {
        let is_new = known.age < WEEK && self.latest.since(self.first) < NEW;
        let parameters = parameters.map(|p| if is_new { p.wider(NEW_WIDER) } else { *p });
        let habit = if known.age < FEW_DAYS { self.peaks.first() } else { self.peaks.second() };
        let share = self.spreads.share();
        let mut measured = Measured::default();
        for (at, (window, &count)) in WINDOWS.into_iter().zip(sums).enumerate() {
            let expected = mean(&self.expected, window) * share;
            let (count, ratio, excess) = (count as f64, count as f64 / expected, count as f64 - expected);
            if ratio < LEAST_RATIO || excess < LEAST_EXCESS || window > self.latest.since(self.ended) {
                continue;
            }
            // The windows are tries: each has to be as much less likely.
            let of = |most| exponent(count, expected, self.spreads.dispersion(at, expected, most)) - TRIES;
            let exponent = of(CLUMPED);
            measured.largest = measured.largest.max(exponent);
            measured.as_assumed = measured.as_assumed.max(of(ASSUMED));
            let passes = parameters.is_some_and(|p| {
                ratio >= p.ratio
                    && excess >= p.excess
                    && exponent >= habit + (p.above_peaks - 1.0) * (habit - DAILY).max(LEAST_HABIT)
            });
            if passes && measured.told.is_none_or(|other| other.exponent < exponent) {
                let expected = expected / f64::from(window);
                measured.told = Some(Surprise { exponent, window, count: sums[at], expected, habit });
            }
        }
        // Where nothing is known nothing is surprising, and must not look like a habit later.
        if known.age < HOUR || (is_new && known.age < DAY) {
            return Measured { told: measured.told, ..Measured::default() };
        }
        if measured.largest > 0.0 {
            let first = if self.stretch.largest > 0.0 { self.stretch.first } else { self.latest };
            let largest = self.stretch.largest.max(measured.largest as f32);
            self.stretch = Stretch { largest, first, last: self.latest };
        }
        measured
    }

    /// Its stored form.
    pub fn write(&self, out: &mut Vec<u8>) {
        for number in
            [self.first.0, self.latest.0, self.half_hour, self.stretch.first.0, self.stretch.last.0, self.ended.0]
        {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.stretch.largest.to_le_bytes());
        for number in [self.expected.now, self.expected.hour] {
            out.extend(number.to_bits().to_le_bytes());
        }
        for count in self.recent {
            super::codec::put_varint(out, count.into());
        }
        out.push(self.is_learned.into());
        self.spreads.write(out);
        self.peaks.write(out);
        self.history.write(out);
        out.push(self.episode.is_some().into());
        if let Some(episode) = &self.episode {
            episode.write(out);
        }
    }

    /// From its stored form.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn read(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (first, latest) = (Minute(bytes.u32()?), Minute(bytes.u32()?));
        let half_hour = bytes.u32()?;
        let (began, last, ended) = (Minute(bytes.u32()?), Minute(bytes.u32()?), Minute(bytes.u32()?));
        let stretch = Stretch { largest: bytes.f32()?, first: began, last };
        let expected = Expected { now: f64::from_bits(bytes.u64()?), hour: f64::from_bits(bytes.u64()?) };
        let mut series = Self { ended, half_hour, stretch, expected, ..Self::new(first) };
        series.latest = latest;
        for count in &mut series.recent {
            *count = bytes.varint()?.try_into().map_err(|_| Malformed)?;
        }
        series.is_learned = bytes.u8()? != 0;
        series.spreads = Spreads::read(bytes)?;
        series.peaks = Peaks::read(bytes)?;
        series.history = History::read(bytes)?;
        series.episode = match bytes.u8()? {
            0 => None,
            1 => Some(Box::new(Episode::read(bytes)?)),
            _ => return Err(Malformed),
        };
        Ok(series)
    }
}

fn mean(expected: &Expected, window: u32) -> f64 {
    f64::from(window) * if window < HOUR { expected.now } else { expected.hour }
}
