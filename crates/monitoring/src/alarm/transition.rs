//! What follows from a change of an alarm's state.

use opentrail_model::Timestamp;
use opentrail_runtime::Random;

use super::composite::{Held, Release};
use super::history::NewItem;
use super::outbox::Outgoing;
use super::plan::{Plan, Suppressor};
use super::{Alarm, State, StateValue, Suppression};

/// An alarm after a change, with everything that is to be durable together with it.
#[derive(Clone, Debug)]
pub(super) struct Transition {
    pub(super) alarm: Alarm,
    pub(super) items: Vec<NewItem>,
    pub(super) outgoing: Vec<Outgoing>,
    /// When what is held back is to be looked at again.
    pub(super) due: Option<Timestamp>,
}

/// `alarm` in the state `new`; `suppressor` is the state of the alarm that holds its actions back, where there is one.
pub(super) fn transition(
    alarm: &Alarm,
    plan: &Plan,
    new: State,
    suppressor: Option<StateValue>,
    now: Timestamp,
    random: &dyn Random,
) -> Transition {
    let old = alarm.state.clone();
    let mut next = alarm.clone();
    next.state = new;
    let mut made = Transition { alarm: next, items: Vec::new(), outgoing: Vec::new(), due: None };
    if made.alarm.state.value != old.value {
        made.items.push(NewItem::state(&made.alarm, &old, &made.alarm.state));
        made.outgoing.push(Outgoing::event(&made.alarm, &old, now, random));
        let actions = Outgoing::actions(&made.alarm, &old, now);
        match suppressor_of(plan) {
            None => made.outgoing.extend(actions),
            // What was held back of an earlier change is out of date.
            Some(_) => {
                made.alarm.suppression.held = (!actions.is_empty()).then_some(Held { old, since: now });
            }
        }
    }
    settle(&mut made, plan, suppressor, now);
    made
}

/// Looks whether what is held back may go.
fn settle(made: &mut Transition, plan: &Plan, suppressor: Option<StateValue>, now: Timestamp) {
    let Some(Held { old, .. }) = made.alarm.suppression.held.clone() else {
        made.alarm.suppression = Suppression::default();
        return;
    };
    let by = suppressor_of(plan).map(|plan| (plan, suppressor));
    match made.alarm.suppression.settle(by, now) {
        Release::Hold(due) => made.due = due,
        Release::Perform => made.outgoing.extend(Outgoing::actions(&made.alarm, &old, now)),
    }
}

pub(super) fn suppressor_of(plan: &Plan) -> Option<&Suppressor> {
    match plan {
        Plan::Metric(_) => None,
        Plan::Composite(composite) => composite.suppressor.as_ref(),
    }
}
