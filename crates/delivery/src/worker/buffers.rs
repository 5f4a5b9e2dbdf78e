//! The files that are being filled. A trail of an organization has thousands: one per account, Region and kind.

use std::collections::HashMap;
use std::ops::Index;

use opentrail_event::Event;
use opentrail_model::{AccountId, Timestamp};

use crate::layout::{FileKind, Group};
use crate::log_file::Buffer;

/// Files that are closed together at most: the intent to deliver them is one document.
const FILES_AT_ONCE: usize = 256;

/// The open files of a trail, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    all: Vec<Buffer>,
    /// Where each account's are in `all`.
    of_account: HashMap<AccountId, Vec<usize>>,
    size_bytes: usize,
}

impl Buffers {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Buffer> {
        self.all.iter()
    }

    /// What they hold together, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The file of the group. The Region is as the record spells it, which need not be one.
    pub(super) fn find(&self, account: AccountId, region: &str, kind: FileKind) -> Option<usize> {
        let of_group = |index: &usize| {
            let group = &self.all[*index].group;
            group.kind == kind && group.region.as_str() == region
        };
        self.of_account.get(&account)?.iter().copied().find(of_group)
    }

    /// Opens a file with `event` as its first record.
    pub(super) fn open(&mut self, group: Group, event: Event<'_>, now: Timestamp) -> usize {
        let (index, account) = (self.all.len(), group.account);
        self.add(Buffer::open(group, event, now), account);
        index
    }

    pub(super) fn push(&mut self, index: usize, event: Event<'_>) {
        let buffer = &mut self.all[index];
        self.size_bytes -= buffer.size_bytes();
        buffer.push(event);
        self.size_bytes += buffer.size_bytes();
    }

    /// Those for which `wanted` holds; when they are too many to be closed at once, the ones that hold up the cursor most.
    pub(super) fn to_close(&self, wanted: impl Fn(&Buffer) -> bool) -> Vec<usize> {
        let mut which: Vec<usize> = (0..self.all.len()).filter(|index| wanted(&self.all[*index])).collect();
        if which.len() > FILES_AT_ONCE {
            which.sort_unstable_by_key(|index| self.all[*index].first);
            which.truncate(FILES_AT_ONCE);
            which.sort_unstable();
        }
        which
    }

    /// Takes the files at `which`, whose indexes grow, out.
    pub(super) fn take(&mut self, which: &[usize]) -> Vec<Buffer> {
        let (mut taken, mut which) = (Vec::with_capacity(which.len()), which.iter().peekable());
        let all = std::mem::take(self).all;
        for (index, buffer) in all.into_iter().enumerate() {
            if which.next_if_eq(&&index).is_some() {
                taken.push(buffer);
            } else {
                let account = buffer.group.account;
                self.add(buffer, account);
            }
        }
        taken
    }

    fn add(&mut self, buffer: Buffer, account: AccountId) {
        self.size_bytes += buffer.size_bytes();
        self.of_account.entry(account).or_default().push(self.all.len());
        self.all.push(buffer);
    }
}

impl Index<usize> for Buffers {
    type Output = Buffer;

    fn index(&self, index: usize) -> &Buffer {
        &self.all[index]
    }
}

#[cfg(test)]
mod tests {
    use opentrail_event::EventBatch;
    use opentrail_journal::Entry;
    use opentrail_model::{Position, Region, Source};

    use super::*;

    #[test]
    fn thousands_of_files_are_found_counted_and_closed_in_the_order_of_their_first_records() {
        let entries: Vec<Entry> = (1..=3000)
            .map(|n| Entry {
                position: Position(n),
                source: Source::Records,
                account: AccountId::from_u64(n % 1000).unwrap(),
                received: Timestamp::EPOCH,
                body: r#"{"awsRegion":"us-east-1"}"#.into(),
            })
            .collect();
        let batch = EventBatch::decode(Position::START, &entries);
        let mut buffers = Buffers::default();
        for event in batch.events() {
            match buffers.find(event.account(), "us-east-1", FileKind::CloudTrail) {
                Some(index) => buffers.push(index, event),
                None => {
                    let (account, region) = (event.account(), Region::us_east_1());
                    buffers.open(Group { account, region, kind: FileKind::CloudTrail }, event, Timestamp::EPOCH);
                }
            }
        }
        let total = |buffers: &Buffers| buffers.iter().map(Buffer::size_bytes).sum::<usize>();
        let mut first = 1;
        while !buffers.is_empty() {
            assert_eq!(buffers.size_bytes(), total(&buffers));
            for taken in buffers.take(&buffers.to_close(|_| true)) {
                assert_eq!((taken.first, taken.count), (Position(first), 3));
                assert_eq!(buffers.find(taken.group.account, "us-east-1", FileKind::CloudTrail), None);
                first += 1;
            }
        }
        assert_eq!((first, buffers.size_bytes()), (1001, 0));
    }
}
