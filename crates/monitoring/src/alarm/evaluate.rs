//! Evaluation: as data come, at the ends of periods, and of composite alarms when those that they depend on change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::Shutdown;
use tracing::warn;

use super::alarms::{Alarms, Change, Loaded, Work};
use super::composite;
use super::decide::{Decision, EXTRA, Slot, decide};
use super::plan::{CompositePlan, MetricPlan, Plan};
use super::reason::{self, Evaluated};
use super::transition::{suppressor_of, transition};
use super::{AlarmKey, State, StateValue};
use crate::queries::QueryError;
use crate::store::{Span, StoreError};

/// A period is over this long after its end: data come a little late.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// When the file fails, it is asked again after this long.
const RETRY: Duration = Duration::from_secs(5);

/// The clock is looked at again after this long, so that one that was set back is noticed.
const LOOK: Duration = Duration::from_secs(60);

/// A clock that shows this much less than before was set back.
const SET_BACK: Duration = Duration::from_secs(5);

/// What evaluation says of an alarm.
enum Verdict {
    /// It is in that state; look again then.
    Is(State, Option<Timestamp>),
    /// It stays in its state; look again then.
    Stays(Option<Timestamp>),
}

/// The state that the range gives, where that says something new.
fn decided(plan: &MetricPlan, old: &State, range: &[Evaluated]) -> Option<(StateValue, Decision)> {
    let newest = range.iter().rev().find_map(|period| period.samples);
    if newest.is_some_and(|samples| plan.is_too_few(samples)) {
        return None;
    }
    let slots: Vec<Slot> = range.iter().map(|period| period.slot).collect();
    let decision = decide(&slots, plan.evaluated, plan.to_alarm, plan.treat);
    // The first look at an alarm says why even where the state stays.
    let value = decision.state.filter(|value| *value != old.value || old.is_unchecked())?;
    Some((value, decision))
}

impl Alarms {
    /// Evaluates until the shutdown begins. What it has not come to is evaluated by the next start.
    pub(crate) async fn evaluate_until(&self, shutdown: &Shutdown) {
        let mut last = self.clock.now();
        while !shutdown.has_begun() {
            let now = self.clock.now();
            if now + SET_BACK < last {
                self.start_over();
            }
            last = now;
            let next = self.evaluate_due(now).await;
            let deadline = next.unwrap_or(now + LOOK).min(now + LOOK);
            tokio::select! {
                () = shutdown.begun() => return,
                () = self.wake.notified() => {}
                // What bounds the sleep is no clock that can be set.
                _ = tokio::time::timeout(LOOK, self.clock.sleep_until(deadline)) => {}
            }
        }
    }

    /// Forgets when alarms were due: all are looked at now.
    fn start_over(&self) {
        let mut work = self.work.lock();
        let Work { dirty, due } = &mut *work;
        dirty.extend(std::mem::take(due).into_keys());
    }

    /// Evaluates what is due at `now`, and what follows from it; returns when something will be due.
    pub(crate) async fn evaluate_due(&self, now: Timestamp) -> Option<Timestamp> {
        loop {
            let batch = {
                let mut work = self.work.lock();
                let mut batch = std::mem::take(&mut work.dirty);
                batch.extend(work.due.iter().filter(|(_, due)| **due <= now).map(|(key, _)| key.clone()));
                batch.iter().for_each(|key| {
                    work.due.remove(key);
                });
                batch
            };
            if batch.is_empty() {
                return self.work.lock().due.values().min().copied();
            }
            for key in batch {
                let due = match self.evaluate(&key, now).await {
                    Ok(due) => due,
                    Err(error) => {
                        warn!(alarm = key.name, error = %error, "an alarm was not evaluated");
                        Some(now + RETRY)
                    }
                };
                if let Some(due) = due {
                    self.work.lock().due.insert(key, due);
                }
            }
        }
    }

    /// Evaluates an alarm; returns when it is to be looked at again. Composite alarms that depend on it are put to work.
    async fn evaluate(&self, key: &AlarmKey, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let Some(loaded) = self.find(key) else { return Ok(None) };
            let verdict = match &loaded.plan {
                Plan::Metric(plan) => self.look(key, &loaded, plan, now).await?,
                Plan::Composite(plan) => self.derive(key, &loaded, plan, now),
            };
            let (state, due) = match verdict {
                Verdict::Is(state, due) => (state, due),
                Verdict::Stays(due) => (loaded.alarm.state.clone(), due),
            };
            if state == loaded.alarm.state && loaded.alarm.suppression.held.is_none() {
                return Ok(due);
            }
            let changing = self.changing().await?;
            // Somebody changed it meanwhile: what was seen is about another alarm.
            if !self.find(key).is_some_and(|now| Arc::ptr_eq(&now, &loaded)) {
                continue;
            }
            let suppressor = suppressor_of(&loaded.plan).and_then(|suppressor| self.state_of(key, &suppressor.alarm));
            let suppressor = suppressor.map(|state| state.value);
            let made = transition(&loaded.alarm, &loaded.plan, state, suppressor, now, &*self.random);
            let due = due.into_iter().chain(made.due).min();
            if made.alarm == loaded.alarm {
                return Ok(due);
            }
            let has_changed = made.alarm.state.value != loaded.alarm.state.value;
            changing.commit(vec![Change::of(made)]).await?;
            if has_changed {
                metrics::counter!("opentrail_monitoring_transitions_total").increment(1);
                self.look_at(self.parents(key));
            }
            return Ok(due);
        }
    }

    fn state_of(&self, key: &AlarmKey, name: &str) -> Option<State> {
        let key = AlarmKey { scope: key.scope.clone(), name: name.to_owned() };
        self.find(&key).map(|loaded| loaded.alarm.state.clone())
    }

    fn derive(&self, key: &AlarmKey, loaded: &Loaded, plan: &CompositePlan, now: Timestamp) -> Verdict {
        let old = &loaded.alarm.state;
        Verdict::Is(composite::state(plan, &key.scope, old, &|name| self.state_of(key, name), now), None)
    }

    async fn look(
        &self,
        key: &AlarmKey,
        loaded: &Loaded,
        plan: &MetricPlan,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        let old = &loaded.alarm.state;
        // Periods before this are over.
        let closed = (now - SETTLE).as_secs().div_euclid(plan.period) * plan.period;
        let due = Some(Timestamp::from_secs(closed + plan.period) + SETTLE);
        // What is over was looked at already: only open periods can say something new.
        if loaded.has_looked_at(closed) && !self.is_open_breaching(key, plan, closed, now).await? {
            return Ok(Verdict::Stays(due));
        }
        let range = self.range(key, plan, closed, now).await?;
        let Some((value, decision)) = decided(plan, old, &range) else {
            // A change of state, which may fail to be written, is not noted: it makes the alarm another one.
            loaded.note_look(closed);
            return Ok(Verdict::Stays(due));
        };
        let (reason, reason_data) = reason::of(plan, &range, decision, (old.value, value), now);
        let transitioned = if value == old.value { old.transitioned } else { now };
        Ok(Verdict::Is(State { value, reason, reason_data, updated: now, transitioned }, due))
    }

    /// Whether an open period breaches for certain; a glance at a period or two, as it is asked for with all data that come.
    async fn is_open_breaching(
        &self,
        key: &AlarmKey,
        plan: &MetricPlan,
        closed: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !plan.is_certain_early() {
            return Ok(false);
        }
        let open = now.as_secs().div_euclid(plan.period) * plan.period;
        let span = Span { start: closed, end: open + plan.period, period: plan.period };
        Ok(self.values(key, plan, span, closed, now).await?.1.is_some())
    }

    /// The evaluation range, the oldest period first: those that are over, and after them open ones, up to the last that
    /// breaches for certain.
    async fn range(
        &self,
        key: &AlarmKey,
        plan: &MetricPlan,
        closed: i64,
        now: Timestamp,
    ) -> Result<Vec<Evaluated>, StoreError> {
        let periods = i64::try_from(plan.evaluated + EXTRA).unwrap_or(i64::MAX);
        let open = now.as_secs().div_euclid(plan.period) * plan.period;
        let span = Span { start: closed - periods * plan.period, end: open + plan.period, period: plan.period };
        let (values, last_certain) = self.values(key, plan, span, closed, now).await?;
        let end = last_certain.map_or(closed, |certain| certain + plan.period);
        let evaluated = |time: i64| {
            let value = values.get(&time);
            Evaluated {
                time: Timestamp::from_secs(time),
                slot: value.map_or(Slot::Missing, |(value, _)| plan.slot(*value)),
                samples: value.and_then(|(_, samples)| *samples),
            }
        };
        let range: Vec<Evaluated> = span.periods().filter(|time| *time < end).map(evaluated).collect();
        let extra = range.len().saturating_sub(plan.evaluated + EXTRA);
        Ok(range[extra..].to_vec())
    }

    /// Values and numbers of samples by period; and the last open period that breaches whatever comes.
    async fn values(
        &self,
        key: &AlarmKey,
        plan: &MetricPlan,
        span: Span,
        closed: i64,
        now: Timestamp,
    ) -> Result<(BTreeMap<i64, (f64, Option<f64>)>, Option<i64>), StoreError> {
        let Some(metric) = plan.queries.only_metric() else {
            let answers = self.store_answers(key, plan, span, now).await?;
            let points = answers.into_iter().next().map(|answer| answer.points).unwrap_or_default();
            return Ok((points.into_iter().map(|(time, value)| (time, (value, None))).collect(), None));
        };
        let read = self.store.read(&key.scope, &metric.metric, metric.unit, span, now).await?;
        let mut values = BTreeMap::new();
        let mut certain = None;
        for (time, summary) in &read {
            let Some(value) = metric.statistic.of(summary) else { continue };
            values.insert(*time, (value, Some(summary.count)));
            let breaches = matches!(plan.slot(value), Slot::Breaching(_));
            let holds = plan.is_certain_early() && !(plan.needs_no_negatives() && summary.min < 0.0);
            if *time >= closed && breaches && holds {
                certain = Some(*time);
            }
        }
        Ok((values, certain))
    }

    async fn store_answers(
        &self,
        key: &AlarmKey,
        plan: &MetricPlan,
        span: Span,
        now: Timestamp,
    ) -> Result<Vec<crate::queries::Answer>, StoreError> {
        match plan.queries.answer(&self.store, &key.scope, span.start, span.end, now).await {
            Ok(answers) => Ok(answers),
            Err(QueryError::Store(error)) => Err(error),
            // An expression that comes to nothing usable, for the data that there are: no data.
            Err(QueryError::Problem(_)) => Ok(Vec::new()),
        }
    }

    /// Sets an alarm's state by hand, until it is evaluated again.
    pub(crate) async fn set_state(
        &self,
        key: &AlarmKey,
        value: StateValue,
        reason: String,
        reason_data: Option<String>,
    ) -> Result<bool, StoreError> {
        let changing = self.changing().await?;
        let Some(loaded) = self.find(key) else { return Ok(false) };
        let now = self.clock.now();
        let old = &loaded.alarm.state;
        let transitioned = if value == old.value { old.transitioned } else { now };
        let state = State { value, reason, reason_data, updated: now, transitioned };
        let suppressor = suppressor_of(&loaded.plan).and_then(|suppressor| self.state_of(key, &suppressor.alarm));
        let suppressor = suppressor.map(|state| state.value);
        let made = transition(&loaded.alarm, &loaded.plan, state, suppressor, now, &*self.random);
        if let Some(due) = made.due {
            self.work.lock().due.entry(key.clone()).and_modify(|at| *at = due.min(*at)).or_insert(due);
            self.wake.notify_one();
        }
        let has_changed = made.alarm.state.value != old.value;
        changing.commit(vec![Change::of(made)]).await?;
        drop(changing);
        if has_changed {
            self.look_at(self.parents(key));
        }
        Ok(true)
    }
}
