//! Since when each account is watched.

use std::collections::HashMap;

use opentrail_model::AccountId;

use crate::method::{Knowledge, Minute, Observed};

/// The beginning of an account's observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The minute of its first event.
    pub(crate) since: Minute,
    /// How many minutes had been observed before.
    pub(crate) before: u64,
    /// How many keys it has.
    pub(crate) keys: usize,
}

/// All accounts that are watched.
#[derive(Debug, Default)]
pub(crate) struct Accounts(pub(crate) HashMap<AccountId, Account>);

impl Accounts {
    /// Notes that the account has one more key; returns whether the account is new.
    pub(crate) fn add_key(&mut self, account: AccountId, minute: Minute, observed: &Observed) -> bool {
        let mut is_new = false;
        let entry = self.0.entry(account).or_insert_with(|| {
            is_new = true;
            Account { since: minute, before: observed.total(), keys: 0 }
        });
        entry.keys += 1;
        is_new
    }

    pub(crate) fn remove_key(&mut self, account: AccountId) {
        if let Some(entry) = self.0.get_mut(&account) {
            entry.keys = entry.keys.saturating_sub(1);
        }
    }

    /// How many keys the account has.
    pub(crate) fn keys(&self, account: AccountId) -> usize {
        self.0.get(&account).map_or(0, |account| account.keys)
    }

    /// What is known of the account when `total` minutes have been observed, `recent` of them in the hours that are remembered.
    pub(crate) fn known<'a>(
        &self,
        account: AccountId,
        observed: &'a Observed,
        (total, recent): (u64, u32),
    ) -> Knowledge<'a> {
        let (since, before) = self.0.get(&account).map_or((Minute(0), 0), |account| (account.since, account.before));
        let age = u32::try_from(total.saturating_sub(before)).unwrap_or(u32::MAX).min(recent);
        Knowledge { observed, since, age }
    }
}
