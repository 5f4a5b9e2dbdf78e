use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::Clock;
use parking_lot::Mutex;

/// Buckets kept before the idle ones are dropped; Regions are whatever callers sign for, so their number has no bound.
const MAX_BUCKETS: usize = 10_000;

/// AWS's request rates, for those who test how their clients bear throttling; off unless asked for.
///
/// Each operation has a token bucket of its own per account and Region. The rates are those of the General Reference,
/// "AWS CloudTrail endpoints and quotas"; that a bucket holds one second's worth, or a minute's of those by the minute, is
/// a choice, as bursts are not published.
pub struct Quotas {
    clock: Arc<dyn Clock>,
    buckets: Mutex<HashMap<(AccountId, Region, &'static str), Bucket>>,
}

/// The account has spent its requests for this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded;

struct Bucket {
    /// In parts of a request, so that a millisecond at the lowest rate counts.
    tokens: u64,
    filled: Timestamp,
}

/// Parts that a request has: what a bucket of one request a minute gets in a minute.
const REQUEST: u64 = 60_000;

/// How fast a bucket fills, in requests a minute, and how many it holds.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_minute: u64,
    holds: u64,
}

impl Quotas {
    /// Full buckets.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    /// Takes one request of `operation` from the account's bucket.
    pub(crate) fn take(&self, account: AccountId, region: &Region, operation: &'static str) -> Result<(), Exceeded> {
        let now = self.clock.now();
        let rate = rate_of(operation);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|(_, _, operation), bucket| {
                let rate = rate_of(operation);
                bucket.refill(rate, now);
                bucket.tokens < rate.holds * REQUEST
            });
        }
        let bucket = buckets
            .entry((account, region.clone(), operation))
            .or_insert_with(|| Bucket { tokens: rate.holds * REQUEST, filled: now });
        bucket.refill(rate, now);
        bucket.tokens = bucket.tokens.checked_sub(REQUEST).ok_or(Exceeded)?;
        Ok(())
    }
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now: Timestamp) {
        let passed = now.since(self.filled).min(Duration::from_secs(60));
        self.tokens = (self.tokens + rate.per_minute * passed.as_millis() as u64).min(rate.holds * REQUEST);
        self.filled = now;
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quotas({} buckets)", self.buckets.lock().len())
    }
}

fn rate_of(operation: &str) -> Rate {
    let per_second = match operation {
        "GenerateQuery" => return Rate { per_minute: 4, holds: 4 },
        "PutAuditEvents" => 100,
        "StartQuery" | "CancelQuery" => 3,
        "LookupEvents" | "ListInsightsData" => 2,
        "ListInsightsMetricData" => 1,
        "SearchSampleQueries" | "RegisterOrganizationDelegatedAdmin" | "DeregisterOrganizationDelegatedAdmin" => 10,
        read if ["Get", "Describe", "List"].iter().any(|verb| read.starts_with(verb)) => 10,
        _ => 1,
    };
    Rate { per_minute: per_second * 60, holds: per_second }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_runtime::ManualClock;

    fn account(number: u64) -> AccountId {
        AccountId::from_u64(number).unwrap()
    }

    #[test]
    fn a_bucket_empties_and_fills_again_with_time() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1000)));
        let quotas = Quotas::new(clock.clone());
        let region = Region::us_east_1();
        let lookup = || quotas.take(account(1), &region, "LookupEvents");
        assert_eq!([lookup(), lookup(), lookup()], [Ok(()), Ok(()), Err(Exceeded)]);
        clock.advance(Duration::from_millis(499));
        assert_eq!(lookup(), Err(Exceeded));
        clock.advance(Duration::from_millis(1));
        assert_eq!([lookup(), lookup()], [Ok(()), Err(Exceeded)]);
        clock.advance(Duration::from_secs(3600));
        assert_eq!([lookup(), lookup(), lookup()], [Ok(()), Ok(()), Err(Exceeded)]);
    }

    #[test]
    fn a_rate_can_be_one_of_minutes() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1000)));
        let quotas = Quotas::new(clock.clone());
        let generate = || quotas.take(account(1), &Region::us_east_1(), "GenerateQuery");
        assert_eq!([generate(), generate(), generate(), generate()], [Ok(()); 4]);
        clock.advance(Duration::from_millis(14_999));
        assert_eq!(generate(), Err(Exceeded));
        clock.advance(Duration::from_millis(1));
        assert_eq!([generate(), generate()], [Ok(()), Err(Exceeded)]);
    }

    #[test]
    fn accounts_regions_and_operations_do_not_share() {
        let quotas = Quotas::new(Arc::new(ManualClock::new(Timestamp::EPOCH)));
        let (here, there) = (Region::us_east_1(), "eu-west-1".parse().unwrap());
        assert_eq!(quotas.take(account(1), &here, "StartLogging"), Ok(()));
        assert_eq!(quotas.take(account(1), &here, "StartLogging"), Err(Exceeded));
        assert_eq!(quotas.take(account(2), &here, "StartLogging"), Ok(()));
        assert_eq!(quotas.take(account(1), &there, "StartLogging"), Ok(()));
        assert_eq!(quotas.take(account(1), &here, "StopLogging"), Ok(()));
    }

    #[test]
    fn idle_buckets_are_dropped_when_there_are_too_many() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let quotas = Quotas::new(clock.clone());
        for number in 0..MAX_BUCKETS as u64 {
            quotas.take(account(number), &Region::us_east_1(), "ListTrails").unwrap();
        }
        clock.advance(Duration::from_secs(1));
        quotas.take(account(0), &Region::us_east_1(), "StartLogging").unwrap();
        assert_eq!(quotas.buckets.lock().len(), 1);
    }
}
