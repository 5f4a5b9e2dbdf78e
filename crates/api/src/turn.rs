use std::collections::HashMap;
use std::sync::Arc;

use opentrail_model::AccountId;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Keeps the changes of one account's trails in the same order in the catalog and in the journal.
///
/// A handler takes the account's [`Turn`] just before it commits and hands it on with its [`crate::Reply`]; whoever
/// appends the reply's changes to the journal drops it afterwards. Without it DeleteTrail and a CreateTrail of the same
/// name could be committed in one order and journaled in the other, and delivery would lose the new trail.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>>);

/// The right to change an account's trails. Hold it until the change is in the journal.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits until no other change of the account's trails is under way.
    ///
    /// # Cancellation
    /// Dropping the future gives the place in the queue away.
    pub(crate) async fn take(&self, account: AccountId) -> Turn {
        let turns = self.0.lock().entry(account).or_default().clone();
        Turn { _guard: turns.lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_change_of_an_account_at_a_time() {
        let turns = Turns::default();
        let account = |number| AccountId::from_u64(number).unwrap();
        let first = turns.take(account(1)).await;
        assert!(turns.take(account(1)).now_or_never().is_none());
        assert!(turns.take(account(2)).now_or_never().is_some());
        drop(first);
        assert!(turns.take(account(1)).now_or_never().is_some());
    }
}
