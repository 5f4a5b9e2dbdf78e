//! What delivery keeps in the catalog. Only the trail's worker writes its documents.

use std::collections::BTreeMap;

use opentrail_catalog::{Change, Expect};
use opentrail_model::{AccountId, OrganizationId, Position, Region, Timestamp};
use opentrail_trails::{Trail, TrailKey};
use serde::{Deserialize, Serialize};

use crate::aggregation::Round;
use crate::chain::Chain;
use crate::layout::{Group, Root};
use crate::put::Destination;

/// One [`WorkerState`] per trail, by the trail's key.
pub(crate) const WORKERS: &str = "delivery-workers";
/// One [`DeliveredFile`] per log file that no digest lists yet, by [`file_key`].
pub(crate) const FILES: &str = "delivery-files";
/// One [`Chain`] per digest chain, by [`chain_key`].
pub(crate) const CHAINS: &str = "delivery-chains";
/// One [`crate::digest::PendingDigest`] per chain whose digest is on its way, by [`chain_key`].
pub(crate) const DIGESTS: &str = "delivery-digests";
/// One [`crate::notifier::Notification`] per log file that its trail's topic is to be told of, by [`file_key`].
pub(crate) const NOTIFICATIONS: &str = "delivery-notifications";
/// One [`crate::log_groups::FeedState`] per trail that has, or had lately, a log group, by the trail's key.
pub(crate) const LOG_GROUPS: &str = "delivery-log-groups";
/// The supervisor's [`Position`], by [`SUPERVISOR_KEY`].
pub(crate) const SUPERVISOR: &str = "delivery-supervisor";
/// See [`SUPERVISOR`].
pub(crate) const SUPERVISOR_KEY: &str = "position";

/// How far a trail's delivery has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerState {
    /// Every record up to and including this position is in a delivered file, or is not the trail's.
    pub(crate) cursor: Position,
    /// The settings in effect after `cursor`; those of the deleted trail while its last digests are made.
    pub(crate) trail: Option<Trail>,
    /// Set once the trail is deleted.
    pub(crate) deleted: Option<Deleted>,
    /// For groups that are ahead of `cursor`: the last position that was delivered.
    pub(crate) ahead: Vec<(Group, Position)>,
    /// Files that are fixed and on their way.
    pub(crate) cut: Option<Cut>,
    /// Which data events are in aggregated events that were delivered; `None` while none are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aggregated: Option<Round>,
    /// Digest chains by account and Region, as releases stored them that gave them no documents of their own
    /// ([`CHAINS`]). They move there with the next commit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) chains: BTreeMap<String, Chain>,
}

/// When a trail was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    /// The entry that says so.
    pub(crate) position: Position,
    /// When the worker came to it.
    pub(crate) at: Timestamp,
}

/// The intent to deliver files, committed before the first put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// At most one file per group.
    pub(crate) files: Vec<FileIntent>,
    /// The worker's cursor once they are delivered.
    pub(crate) cursor: Position,
    /// Present when the files are those of aggregated events, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round: Option<Round>,
}

/// One file of a [`Cut`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIntent {
    pub(crate) bucket: String,
    /// The trail's prefix, which is in the key.
    pub(crate) prefix: Option<String>,
    /// The organization in the key, for an organization's trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrganizationId>,
    /// The key that it is to be sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key: Option<String>,
    pub(crate) key: String,
    pub(crate) group: Group,
    /// The first record's position.
    pub(crate) first: Position,
    /// The last record's position.
    pub(crate) last: Position,
    /// Lower-case hex of the SHA-256 of the uncompressed file.
    pub(crate) sha256: String,
    /// Records inside.
    pub(crate) count: u64,
    pub(crate) oldest_event: Option<Timestamp>,
    pub(crate) newest_event: Option<Timestamp>,
    /// When the server received the oldest record inside.
    pub(crate) oldest_received: Timestamp,
    /// When the server received the newest record inside: the 30 days of retries count from here.
    pub(crate) newest_received: Timestamp,
}

/// A delivered log file that waits for its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveredFile {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) sha256: String,
    pub(crate) oldest_event: Option<Timestamp>,
    pub(crate) newest_event: Option<Timestamp>,
    /// When the delivery was recorded: the digest whose window holds this moment lists the file.
    pub(crate) delivered: Timestamp,
}

impl WorkerState {
    /// A worker that begins after `cursor` and knows no trail yet.
    pub(crate) fn new(cursor: Position) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// The position behind which the journal is needed still.
    pub(crate) fn needs_from(&self) -> Position {
        self.aggregated.map_or(self.cursor, |aggregated| aggregated.from.min(self.cursor))
    }

    /// Whether events are taken.
    pub(crate) fn is_logging(&self) -> bool {
        self.deleted.is_none() && self.trail.as_ref().is_some_and(|trail| trail.logging)
    }

    /// Whether delivered files go into digests.
    pub(crate) fn is_digesting(&self) -> bool {
        self.is_logging() && self.trail.as_ref().is_some_and(|trail| trail.log_file_validation)
    }

    /// The trail whose delivered files go into digests.
    pub(crate) fn digested_trail(&self) -> Option<&Trail> {
        self.trail.as_ref().filter(|_| self.is_digesting())
    }

    /// The last position of `group` that was delivered, when that is ahead of the cursor.
    pub(crate) fn delivered_through(&self, group: &Group) -> Position {
        self.ahead.iter().find(|(ahead, _)| ahead == group).map_or(self.cursor, |(_, through)| *through)
    }

    /// Takes note that the files of `cut` are delivered (or given up).
    pub(crate) fn finish_cut(&mut self, cut: &Cut) {
        self.cursor = self.cursor.max(cut.cursor);
        self.aggregated = cut.round.or(self.aggregated);
        // Which aggregated events are written does not follow from positions alone.
        for file in cut.files.iter().filter(|_| cut.round.is_none()) {
            self.ahead.retain(|(group, _)| *group != file.group);
            self.ahead.push((file.group.clone(), file.last));
        }
        let cursor = self.cursor;
        self.ahead.retain(|(_, through)| *through > cursor);
        self.cut = None;
    }

    /// The change that stores this state over `revision`; 0 for a worker without a document.
    pub(crate) fn store(&self, trail: &TrailKey, revision: u64) -> Change {
        let expect = if revision == 0 { Expect::Absent } else { Expect::Revision(revision) };
        Change::put(WORKERS, trail.to_string(), expect, self)
    }
}

impl FileIntent {
    /// Where it is put.
    pub(crate) fn destination(&self) -> Destination<'_> {
        Destination {
            bucket: &self.bucket,
            root: Root { prefix: self.prefix.as_deref(), organization: self.organization.as_ref() },
            kms_key: self.kms_key.as_deref(),
            recipient: self.group.account,
        }
    }
}

impl Cut {
    /// When the server received the oldest record of the cut.
    pub(crate) fn oldest_received(&self) -> Option<Timestamp> {
        self.files.iter().map(|file| file.oldest_received).min()
    }
}

/// The key of a chain, within its worker.
pub(crate) fn chain_name(account: AccountId, region: &Region) -> String {
    format!("{account}/{region}")
}

/// The key of a chain's documents.
pub(crate) fn chain_key(trail: &TrailKey, account: AccountId, region: &Region) -> String {
    format!("{trail}/{account}/{region}")
}

/// The key of a delivered file's document: in the order of positions within its chain.
pub(crate) fn file_key(trail: &TrailKey, file: &FileIntent) -> String {
    let Group { account, region, kind } = &file.group;
    format!("{}/{:020}-{}", chain_key(trail, *account, region), file.last.0, kind.folder())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FileKind;

    fn file(region: &str, first: u64, last: u64) -> FileIntent {
        FileIntent {
            bucket: "b".into(),
            prefix: None,
            organization: None,
            kms_key: None,
            key: String::new(),
            group: Group {
                account: "111122223333".parse().unwrap(),
                region: region.parse().unwrap(),
                kind: FileKind::CloudTrail,
            },
            first: Position(first),
            last: Position(last),
            sha256: String::new(),
            count: 1,
            oldest_event: None,
            newest_event: None,
            oldest_received: Timestamp::EPOCH,
            newest_received: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_group_that_is_ahead_of_the_cursor_is_remembered_until_the_cursor_has_passed_it() {
        let mut state = WorkerState::new(Position(10));
        let cut = |files, cursor| Cut { files, cursor: Position(cursor), round: None };
        state.finish_cut(&cut(vec![file("eu-west-1", 15, 30)], 12));
        assert_eq!(state.delivered_through(&file("eu-west-1", 0, 0).group), Position(30));
        assert_eq!(state.delivered_through(&file("us-east-1", 0, 0).group), Position(12));
        state.finish_cut(&cut(vec![file("us-east-1", 13, 29)], 30));
        assert_eq!((state.cursor, state.ahead), (Position(30), Vec::new()));
    }
}
