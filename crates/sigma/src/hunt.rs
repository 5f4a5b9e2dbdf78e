//! Rules over records of the past.

use std::collections::BTreeMap;

use bytes::Bytes;
use opentrail_model::{AccountId, Timestamp};

use crate::finding::About;
use crate::run::Found;
use crate::{Correlator, Finding, RuleSet};

/// After so many records it is said how far the hunt is.
const STEP: u64 = 10_000;

/// How far a hunt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hunted {
    /// Records that were looked at.
    pub records: u64,
    /// Those among them that are no JSON object.
    pub unreadable: u64,
    /// What was found.
    pub findings: u64,
}

/// Runs the rules over `records`, which are best in the order of their time: correlation rules count what comes more than
/// fifteen minutes later than something newer as too late. `account` is that of records that name none. Each account is
/// looked at by itself.
///
/// A record that comes twice is found twice, with the same id.
pub fn hunt(
    rules: &RuleSet,
    account: AccountId,
    records: impl IntoIterator<Item = Bytes>,
    mut found: impl FnMut(Finding),
    mut progress: impl FnMut(&Hunted),
) -> Hunted {
    let mut hunted = Hunted::default();
    let mut correlators = BTreeMap::<AccountId, Correlator>::new();
    for record in records {
        hunted.records += 1;
        match rules.evaluate(&record) {
            Err(_) => hunted.unreadable += 1,
            Ok((_, matched)) if matched.is_empty() => {}
            Ok((event, matched)) => {
                let about = About::of(&event, &record, account, Timestamp::EPOCH);
                let correlator = correlators.entry(about.account).or_default();
                let event = Found { set: rules, event: &event, about: &about, record: &record };
                for finding in event.findings(&matched, correlator) {
                    hunted.findings += 1;
                    found(finding);
                }
            }
        }
        if hunted.records.is_multiple_of(STEP) {
            progress(&hunted);
        }
    }
    progress(&hunted);
    hunted
}
