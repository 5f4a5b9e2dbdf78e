//! The windows of a digest chain: one per trail, account and Region.
//!
//! A chain opens when logging with validation starts or an account joins the organization (for the trail's home Region)
//! or when the first file of a Region is delivered; a choice, as CloudTrail's own rule for idle Regions is not
//! documented. From then on every interval gets its digest, empty ones too, each beginning where the one before ended.
//! When logging stops, validation is turned off, the trail is deleted or the account leaves, the chain gets one last
//! digest and closes.

use std::time::Duration;

use opentrail_model::{AccountId, OrganizationId, Region, Timestamp};
use serde::{Deserialize, Serialize};

/// Digest times are whole seconds, so that no window is shorter.
const SHORTEST: Duration = Duration::from_secs(1);

/// Where a chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    /// The organization below which its digests lie. It outlives the account's membership, for the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrganizationId>,
    /// Where the next window starts; for a closed chain the earliest moment at which it may start again.
    pub(crate) start: Timestamp,
    /// Whether windows are running.
    pub(crate) open: bool,
    /// The last digest of an open chain; the next one links to it.
    pub(crate) previous: Option<Link>,
    /// The end of the last window, once the chain is told to close.
    pub(crate) closing: Option<Timestamp>,
    /// When the chain is to open again after it has closed.
    pub(crate) reopen: Option<Timestamp>,
}

/// What a digest says of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// Lower-case hex of the SHA-256 of the uncompressed digest.
    pub(crate) sha256: String,
    /// Lower-case hex.
    pub(crate) signature: String,
}

impl Chain {
    /// A chain that opens at `now`.
    pub(crate) fn new(account: AccountId, region: Region, now: Timestamp) -> Self {
        let start = now.floor_secs();
        Self { account, region, organization: None, start, open: true, previous: None, closing: None, reopen: None }
    }

    /// Opens the chain unless it is open.
    pub(crate) fn open(&mut self, now: Timestamp) {
        if !self.open {
            // Never before the last window's end, so that no two digests have the same key.
            self.start = self.start.max(now.floor_secs());
            self.open = true;
        } else if self.closing.is_some() {
            self.reopen.get_or_insert(now.floor_secs());
        }
    }

    /// Ends the chain with a last window that holds `now`.
    pub(crate) fn close(&mut self, now: Timestamp) {
        if !self.open || (self.closing.is_some() && self.reopen.is_none()) {
            return;
        }
        // Told to close again before the first last digest went out: it will hold everything until now.
        self.reopen = None;
        self.closing = Some((now.floor_secs() + SHORTEST).max(self.start + SHORTEST));
    }

    /// The end of the current window; `None` when there is none.
    pub(crate) fn end(&self, interval: Duration) -> Option<Timestamp> {
        let interval = interval.max(SHORTEST);
        let regular = (self.start + interval).floor_secs();
        self.open.then(|| self.closing.map_or(regular, |closing| closing.min(regular)))
    }

    /// When the current window's digest can be made. The last one needs no waiting: it has everything already.
    pub(crate) fn due(&self, interval: Duration) -> Option<Timestamp> {
        let end = self.end(interval)?;
        Some(if self.closing == Some(end) { self.start } else { end })
    }

    /// Moves on after the digest that ends at `end` was delivered as `link`.
    pub(crate) fn advance(&mut self, end: Timestamp, link: Link) {
        self.start = end;
        if self.closing.is_some_and(|closing| closing <= end) {
            self.shut();
        } else {
            self.previous = Some(link);
        }
    }

    /// Closes the chain without a last digest.
    pub(crate) fn shut(&mut self) {
        self.previous = None;
        self.closing = None;
        self.open = false;
        if let Some(reopen) = self.reopen.take() {
            self.open(reopen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn chain() -> Chain {
        Chain::new("111122223333".parse().unwrap(), Region::us_east_1(), at(10_500))
    }

    fn link() -> Link {
        Link { bucket: "b".into(), key: "k".into(), sha256: "h".into(), signature: "s".into() }
    }

    #[test]
    fn each_window_begins_where_the_one_before_ended() {
        let mut chain = chain();
        assert_eq!((chain.start, chain.end(HOUR)), (at(10_000), Some(at(3_610_000))));
        chain.advance(at(3_610_000), link());
        assert_eq!((chain.start, chain.end(HOUR)), (at(3_610_000), Some(at(7_210_000))));
        assert_eq!(chain.previous, Some(link()));
    }

    #[test]
    fn the_last_window_is_cut_short_and_the_next_chain_links_to_nothing() {
        let mut chain = chain();
        chain.close(at(20_700));
        assert_eq!(chain.end(HOUR), Some(at(21_000)));
        assert!(chain.due(HOUR) <= Some(at(20_700)));
        chain.advance(at(21_000), link());
        assert_eq!((chain.open, chain.end(HOUR), &chain.previous), (false, None, &None));
        chain.open(at(20_800));
        assert_eq!((chain.open, chain.start), (true, at(21_000)));
    }

    #[test]
    fn missed_windows_come_before_the_last_one() {
        let mut chain = chain();
        chain.close(at(8_000_000));
        let mut ends = Vec::new();
        while let Some(end) = chain.end(HOUR) {
            ends.push(end.as_millis());
            chain.advance(end, link());
        }
        assert_eq!(ends, [3_610_000, 7_210_000, 8_001_000]);
    }

    #[test]
    fn a_restart_before_the_last_digest_is_out_waits_for_it() {
        let mut chain = chain();
        chain.close(at(20_000));
        chain.open(at(30_000));
        assert_eq!(chain.end(HOUR), Some(at(21_000)));
        chain.advance(at(21_000), link());
        assert_eq!((chain.open, chain.start, &chain.previous), (true, at(30_000), &None));
        chain.close(at(40_000));
        chain.open(at(41_000));
        chain.close(at(42_000));
        assert_eq!((chain.closing, chain.reopen), (Some(at(43_000)), None));
    }

    #[test]
    fn stopping_at_once_still_makes_a_window_of_a_second() {
        let mut chain = chain();
        chain.close(at(10_500));
        assert_eq!(chain.end(HOUR), Some(at(11_000)));
    }
}
