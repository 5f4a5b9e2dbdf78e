use std::collections::BTreeSet;
use std::time::Duration;

use opentrail_model::{AccountId, OrganizationId, Region, Timestamp};

use crate::key::Folder;

/// A bucket that is followed: one `[[follow]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called: what was taken is remembered under this name.
    pub name: String,
    /// The bucket.
    pub bucket: String,
    /// The trail's `S3KeyPrefix`, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Only what lies in this organization's folder.
    pub organization: Option<OrganizationId>,
    /// Only folders of these accounts; of all when empty. Events of an account of this server are taken as that
    /// account's only if it is here.
    pub accounts: BTreeSet<AccountId>,
    /// Only folders of these Regions; of all when empty.
    pub regions: BTreeSet<Region>,
    /// Whose events are of accounts that this server does not have.
    pub account: AccountId,
    /// How far back it begins when it is followed for the first time.
    pub start: Start,
    /// How often it is looked for the newest files, if no queue tells of them.
    pub poll: Duration,
    /// How often it is looked for late files, new accounts and Regions.
    pub sweep: Duration,
    /// How long after the minute in its name, and after a file is there, it is found at the latest.
    pub look_back: Duration,
}

/// Where a bucket begins to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// So long before the first start.
    Back(Duration),
    /// At this time.
    At(Timestamp),
}

impl Source {
    /// The folder of all log files.
    pub(crate) fn root(&self) -> String {
        if self.prefix.is_empty() { "AWSLogs/".to_owned() } else { format!("{}/AWSLogs/", self.prefix) }
    }

    /// Whether the configuration wants this folder.
    pub(crate) fn wants(&self, folder: &Folder) -> bool {
        (self.organization.is_none() || self.organization == folder.organization)
            && self.wants_account(folder.account)
            && (self.regions.is_empty() || self.regions.contains(&folder.region))
    }

    pub(crate) fn wants_account(&self, account: AccountId) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&account)
    }

    /// Whose an event is that names this account, which may be one of the server; `None` when it may not be taken.
    ///
    /// As with `POST /v1/records`, an event of an account of the server is that account's and nobody else's, and one of
    /// any other account is the source's. Whoever can write to the bucket can write what they like: so an account of
    /// the server must be named for it.
    pub(crate) fn whose(&self, named: AccountId, is_here: bool) -> Option<AccountId> {
        match is_here {
            false => Some(self.account),
            true if named == self.account || self.accounts.contains(&named) => Some(named),
            true => None,
        }
    }
}
