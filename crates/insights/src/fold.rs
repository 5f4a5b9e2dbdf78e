//! The fold: events in the order of the journal become counts, surprises, episodes, findings.
//!
//! Time is the journal's: an event belongs to the minute in which the server received it, or to the minute that is open if that is later.
//! So a replay of the same journal gives the same minutes, whatever clock it runs under. A minute without any event at all is
//! counted as silence for an hour; after that, time is unknown rather than silent. When the clock goes back by more than
//! [`BACK`] minutes, the fold's time goes on by whole weeks less that, so that rhythms keep their phase.

use std::collections::BTreeSet;

use opentrail_model::AccountId;

use crate::accounts::Accounts;
use crate::attributions::{Attribute, LONGEST_VALUE, without_session};
use crate::key::{Category, InsightType, Key, KeyRef, LONGEST_TEXT, clip};
use crate::keys::{Keys, Slot};
use crate::method::{Closed, Episode, Minute, Observed, Parameters, Sensitivity, Surprise, WEEK, discoveries};
use crate::record::{Finding, State};
use crate::texts::Texts;
use crate::tracked::Tracked;

/// Minutes without any event that count as silence.
pub(crate) const SILENCE: u32 = 60;
/// A clock that goes back by no more is waited for.
const BACK: u32 = 60;

/// A call, as the fold needs it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The recipient account.
    pub account: AccountId,
    /// `awsRegion`.
    pub region: &'a str,
    /// `eventSource`.
    pub event_source: &'a str,
    /// `eventName`.
    pub event_name: &'a str,
    /// Management or data.
    pub category: Category,
    /// Whether the call changes something; only such count for the call rate of management events.
    pub writes: bool,
    /// `errorCode`.
    pub error_code: Option<&'a str>,
    /// `userIdentity.arn`.
    pub user_arn: Option<&'a str>,
    /// `userAgent`.
    pub user_agent: Option<&'a str>,
}

/// What a closed minute came to.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The minute, in the fold's time.
    pub(crate) minute: Minute,
    /// The same on the clock.
    pub(crate) on_clock: Minute,
    pub(crate) findings: Vec<(Slot, Finding)>,
    /// Keys with calls in the minute, before they were folded in: number, calls, contributors in their stored form.
    pub(crate) counts: Vec<u8>,
    /// Keys whose episode began, goes on or ended: their state is stored at once.
    pub(crate) touched: BTreeSet<Slot>,
    pub(crate) new_keys: Vec<Slot>,
    pub(crate) new_accounts: Vec<AccountId>,
    pub(crate) evicted: Vec<u64>,
}

/// The state of Insights.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) keys: Keys,
    pub(crate) texts: Texts,
    pub(crate) observed: Observed,
    pub(crate) accounts: Accounts,
    /// The open minute, in the fold's time.
    pub(crate) open: Option<Minute>,
    /// The fold's time less the clock's, in minutes.
    pub(crate) offset: u32,
    pub(crate) next_id: u64,
    /// The last minute that had an event.
    pub(crate) last_event: Minute,
    most_keys: usize,
    active: Vec<Slot>,
    episodes: BTreeSet<Slot>,
    new_keys: Vec<Slot>,
    new_accounts: Vec<AccountId>,
    evicted: Vec<u64>,
}

impl Fold {
    /// Nothing known yet; at most `most_keys` keys are kept.
    pub(crate) fn new(most_keys: usize) -> Self {
        Self {
            keys: Keys::default(),
            texts: Texts::default(),
            observed: Observed::default(),
            accounts: Accounts::default(),
            open: None,
            offset: 0,
            next_id: 1,
            last_event: Minute(0),
            most_keys: most_keys.max(1),
            active: Vec::new(),
            episodes: BTreeSet::new(),
            new_keys: Vec::new(),
            new_accounts: Vec::new(),
            evicted: Vec::new(),
        }
    }

    /// How many keys are watched.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Puts back a key that was stored.
    pub(crate) fn restore(&mut self, tracked: Tracked) -> Slot {
        self.accounts.add_key(tracked.key.account, tracked.series.latest(), &self.observed);
        let has_episode = tracked.series.episode().is_some();
        let slot = self.keys.insert(tracked);
        if has_episode {
            self.episodes.insert(slot);
        }
        slot
    }

    /// The minute in the fold's time in which something received in `received` is counted, not before the open one. Changes
    /// the relation of the two when the clock went back too far to wait for it.
    pub(crate) fn place(&mut self, received: Minute) -> Minute {
        let at = Minute(received.0.saturating_add(self.offset));
        let Some(open) = self.open.filter(|open| open.0 > at.0.saturating_add(BACK)) else { return at };
        let weeks = open.since(at).div_ceil(WEEK);
        self.offset = self.offset.saturating_add(weeks.saturating_mul(WEEK));
        Minute(received.0.saturating_add(self.offset))
    }

    /// Whether a minute must be closed before `minute` opens.
    pub(crate) fn must_close(&self, minute: Minute) -> bool {
        self.open.is_some_and(|open| open < minute && open.since(self.last_event) <= SILENCE)
    }

    /// Opens `minute`, when nothing is left to close before it.
    pub(crate) fn open(&mut self, minute: Minute) {
        self.open = Some(self.open.map_or(minute, |open| open.max(minute)));
    }

    /// Notes that there was an event in the open minute.
    pub(crate) fn note_event(&mut self) {
        self.last_event = self.open.unwrap_or(self.last_event);
    }

    /// Counts a call in the open minute, for what `is_on`.
    pub(crate) fn count(&mut self, call: &Call<'_>, is_on: impl Fn(InsightType) -> bool) {
        let rate = KeyRef {
            account: call.account,
            region: clip(call.region, LONGEST_TEXT),
            event_source: clip(call.event_source, LONGEST_TEXT),
            event_name: clip(call.event_name, LONGEST_TEXT),
            category: call.category,
            error_code: None,
        };
        if (call.writes || call.category == Category::Data) && is_on(InsightType::ApiCallRate) {
            self.count_key(&rate, call);
        }
        if let Some(code) = call.error_code.filter(|_| is_on(InsightType::ApiErrorRate)) {
            self.count_key(&KeyRef { error_code: Some(clip(code, LONGEST_TEXT)), ..rate }, call);
        }
    }

    fn count_key(&mut self, key: &KeyRef<'_>, call: &Call<'_>) {
        let Some(minute) = self.open else { return };
        let slot = self.keys.find(key).unwrap_or_else(|| self.insert(key, minute));
        let Some(tracked) = self.keys.get_mut(slot) else { return };
        if tracked.count == 0 {
            self.active.push(slot);
        }
        tracked.count = tracked.count.saturating_add(1);
        let values = [
            (Attribute::UserIdentityArn, call.user_arn.map(without_session)),
            (Attribute::UserAgent, call.user_agent),
            (Attribute::ErrorCode, (key.error_code.is_none()).then(|| call.error_code.unwrap_or("null"))),
        ];
        for (attribute, value) in values {
            if let Some(value) = value {
                tracked.current.add(attribute, self.texts.id(clip(value, LONGEST_VALUE)), 1);
            }
        }
        if self.texts.is_full() {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        let Self { keys, texts, .. } = self;
        texts.sweep(keys.iter().flat_map(|(_, tracked)| tracked.texts()));
    }

    fn insert(&mut self, key: &KeyRef<'_>, minute: Minute) -> Slot {
        if self.keys.len() >= self.most_keys
            && let Some(evicted) = self.keys.evict()
        {
            self.accounts.remove_key(evicted.key.account);
            self.evicted.push(evicted.id);
            metrics::counter!("opentrail_insights_evicted_keys_total").increment(1);
        }
        if self.accounts.add_key(key.account, minute, &self.observed) {
            self.new_accounts.push(key.account);
        }
        let key = Key {
            account: key.account,
            region: key.region.into(),
            event_source: key.event_source.into(),
            event_name: key.event_name.into(),
            category: key.category,
            error_code: key.error_code.map(Into::into),
        };
        let tracked = Tracked::new(self.next_id, key, minute);
        self.next_id += 1;
        let slot = self.keys.insert(tracked);
        self.new_keys.push(slot);
        slot
    }

    /// Closes the open minute and opens the next; `sensitivity` is asked for each account with something unusual.
    pub(crate) fn close(&mut self, sensitivity: impl Fn(&Key) -> Option<Sensitivity>) -> Option<Step> {
        let minute = self.open?;
        self.observed.close(minute);
        let mut active = std::mem::take(&mut self.active);
        // The order of the keys' numbers, which a restart does not change.
        active.retain(|slot| self.keys.get(*slot).is_some_and(|tracked| tracked.count > 0));
        active.sort_unstable_by_key(|slot| self.keys.get(*slot).map(|tracked| tracked.id));
        active.dedup();
        let mut step = Step {
            minute,
            on_clock: minute.back(self.offset),
            counts: crate::redo::write(&self.keys, &self.texts, &active),
            touched: self.episodes.clone(),
            new_keys: std::mem::take(&mut self.new_keys),
            new_accounts: std::mem::take(&mut self.new_accounts),
            evicted: std::mem::take(&mut self.evicted),
            ..Step::default()
        };
        let silent = self.episodes.iter().copied().filter(|slot| self.keys.get(*slot).is_some_and(|t| t.count == 0));
        let due: Vec<Slot> = active.into_iter().chain(silent.collect::<Vec<_>>()).collect();
        let mut unusual = Vec::new();
        for slot in due {
            self.close_key(slot, minute, &sensitivity, &mut step, &mut unusual);
        }
        self.begin(unusual, &mut step);
        self.open = Some(minute.next());
        Some(step)
    }

    fn close_key(
        &mut self,
        slot: Slot,
        minute: Minute,
        sensitivity: &impl Fn(&Key) -> Option<Sensitivity>,
        step: &mut Step,
        unusual: &mut Vec<Candidate>,
    ) {
        let ages = self.ages();
        let Some(tracked) = self.keys.get_mut(slot) else { return };
        let known = self.accounts.known(tracked.key.account, &self.observed, ages);
        let parameters = sensitivity(&tracked.key).and_then(|sensitivity| Parameters::of(sensitivity, known.age));
        match tracked.close(minute, &known, parameters.as_ref()) {
            Closed::Usual | Closed::Open => {}
            Closed::Unusual(surprise) => {
                let rate = parameters.map_or(0.0, |parameters| parameters.false_discoveries);
                let (account, id) = (tracked.key.account, tracked.id);
                unusual.push(Candidate { account, id, slot, surprise, rate });
            }
            Closed::Over(episode) => {
                step.findings.push((slot, self.finding(slot, &episode, State::End)));
                self.episodes.remove(&slot);
                if let Some(tracked) = self.keys.get_mut(slot) {
                    tracked.settle();
                }
            }
        }
    }

    fn ages(&self) -> (u64, u32) {
        (self.observed.total(), self.observed.recent())
    }

    /// Decides account by account which surprises are episodes.
    fn begin(&mut self, mut unusual: Vec<Candidate>, step: &mut Step) {
        unusual.sort_by_key(|candidate| (candidate.account, candidate.id));
        let mut discovered = Vec::new();
        for candidates in unusual.chunk_by(|a, b| a.account == b.account) {
            let mut candidates = candidates.to_vec();
            let rate = candidates.iter().map(|candidate| candidate.rate).fold(0.0, f64::max);
            let keys = self.accounts.keys(candidates[0].account);
            discoveries(&mut candidates, keys, rate, |candidate| candidate.surprise.exponent);
            discovered.extend(candidates);
        }
        discovered.sort_by_key(|candidate| candidate.id);
        for Candidate { slot, surprise, .. } in discovered {
            let Some(tracked) = self.keys.get_mut(slot) else { continue };
            let episode = *tracked.series.begin(&surprise);
            self.episodes.insert(slot);
            step.touched.insert(slot);
            step.findings.push((slot, self.finding(slot, &episode, State::Start)));
        }
    }

    fn finding(&self, slot: Slot, episode: &Episode, state: State) -> Finding {
        let tracked = self.keys.get(slot).expect("a key with an episode is never evicted");
        let known = self.accounts.known(tracked.key.account, &self.observed, self.ages());
        let baseline = tracked.series.baseline(&known);
        let (average, minutes, at) = match state {
            State::Start => (episode.average, episode.detected.since(episode.start) + 1, episode.start),
            State::End => {
                let minutes = episode.minutes();
                (episode.calls as f64 / f64::from(minutes), minutes, episode.last.next())
            }
        };
        Finding {
            key: tracked.key.clone(),
            state,
            began: episode.start.back(self.offset).begins(),
            time: at.back(self.offset).begins(),
            baseline,
            expected: episode.expected,
            average,
            minutes,
            attributions: tracked.attributions(average, baseline.average, &self.texts),
        }
    }
}

/// A surprise that may become an episode.
#[derive(Clone, Debug)]
struct Candidate {
    account: AccountId,
    id: u64,
    slot: Slot,
    surprise: Surprise,
    rate: f64,
}
