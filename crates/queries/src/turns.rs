//! Who may run a query now.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use opentrail_model::AccountId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// So many queries run at a time. An account that has none running need not wait for another's to end, as long as no more
/// than twice as many run: a query may take an hour.
#[derive(Debug)]
pub(crate) struct Turns {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: usize,
    running: HashMap<AccountId, usize>,
    waiting: VecDeque<(AccountId, oneshot::Sender<Turn>)>,
}

impl State {
    fn of(&self, account: AccountId) -> usize {
        self.running.get(&account).copied().unwrap_or_default()
    }
}

/// A query of an account may run until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    account: AccountId,
}

impl Turns {
    /// `limit` queries at a time, at least one.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), state: Mutex::default() })
    }

    /// Waits for a turn. Those whose account has fewer running go first, then those who came first.
    ///
    /// # Cancellation
    /// Safe: whoever does not wait any more is passed over.
    pub(crate) async fn take(self: &Arc<Self>, account: AccountId) -> Turn {
        let (sender, turn) = oneshot::channel();
        self.state.lock().waiting.push_back((account, sender));
        self.grant();
        turn.await.expect("whoever waits is granted a turn or gone")
    }

    /// Gives out what turns there are.
    fn grant(self: &Arc<Self>) {
        while let Some((account, waiting)) = self.next() {
            // A turn that nobody takes comes back by being dropped.
            drop(waiting.send(Turn { turns: Arc::clone(self), account }));
        }
    }

    fn next(&self) -> Option<(AccountId, oneshot::Sender<Turn>)> {
        let state = &mut *self.state.lock();
        state.waiting.retain(|(_, waiting)| !waiting.is_closed());
        let first = (0..state.waiting.len()).min_by_key(|number| state.of(state.waiting[*number].0))?;
        let account = state.waiting[first].0;
        let is_free = state.total < self.limit || (state.of(account) == 0 && state.total < self.limit * 2);
        if !is_free {
            return None;
        }
        state.total += 1;
        *state.running.entry(account).or_default() += 1;
        state.waiting.remove(first)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let state = &mut *self.turns.state.lock();
            state.total -= 1;
            if let Some(running) = state.running.get_mut(&self.account) {
                *running -= 1;
                if *running == 0 {
                    state.running.remove(&self.account);
                }
            }
        }
        self.turns.grant();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn account(number: u64) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    #[tokio::test]
    async fn an_account_with_nothing_running_goes_first_and_beyond_the_limit_once() {
        let turns = Turns::new(2);
        let mut held = vec![turns.take(account(1)).await, turns.take(account(1)).await];
        let mut third = Box::pin(turns.take(account(1)));
        assert!(third.as_mut().now_or_never().is_none());
        let other = turns.take(account(2)).await;
        let mut again = Box::pin(turns.take(account(2)));
        assert!(again.as_mut().now_or_never().is_none());
        let another = turns.take(account(3)).await;
        let mut last = Box::pin(turns.take(account(4)));
        assert!(last.as_mut().now_or_never().is_none(), "four run already");

        held.pop();
        assert!(third.as_mut().now_or_never().is_none());
        drop((last.as_mut().now_or_never().expect("it has nothing running"), another, other));
        let second = again.as_mut().now_or_never().expect("its account has fewer running");
        drop(held);
        third.await;
        drop(second);
        let state = turns.state.lock();
        assert_eq!((state.total, state.running.len(), state.waiting.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn whoever_waits_no_more_is_passed_over() {
        let turns = Turns::new(1);
        let first = turns.take(account(1)).await;
        let mut gone = Box::pin(turns.take(account(1)));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut waiting = Box::pin(turns.take(account(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(waiting.as_mut().now_or_never().is_some());
        let first = turns.take(account(1)).await;
        let mut granted = Box::pin(turns.take(account(1)));
        assert!(granted.as_mut().now_or_never().is_none());
        drop(first);
        // It has its turn, and goes without having seen it.
        drop(granted);
        assert_eq!(turns.state.lock().total, 0);
    }
}
