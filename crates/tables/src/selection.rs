//! Which events a store takes: its settings compiled once per version.

use std::ops::Range;
use std::time::Duration;

use opentrail_event::{Event, EventBatch};
use opentrail_model::{Region, Source, Timestamp};
use opentrail_selectors::Matcher;
use opentrail_stores::{EventDataStore, Kind, Status};

/// How far an `eventTime` may lie ahead of the record's arrival and be believed.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// A store's settings, ready to be matched.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) store: EventDataStore,
    matcher: Matcher,
    /// The ARNs of the store's channels.
    channels: Vec<String>,
    /// The ARNs of the stores whose Insights it takes.
    insight_sources: Vec<String>,
}

impl Selection {
    pub(crate) fn of(store: EventDataStore) -> Self {
        let matcher = Matcher::of(&store.selectors());
        let channels = store.channels.iter().map(|channel| channel.arn().to_string()).collect();
        let insight_sources = store.insight_sources.iter().map(|source| source.arn().to_string()).collect();
        Self { store, matcher, channels, insight_sources }
    }

    /// Those of the rows in `among` whose events the store takes, in order. Records of `opentrail import` go to Event
    /// history only; a store of activity audit logs takes what its channels lead to it, whatever else says that it is one, and one of
    /// Insights events takes what is found in its sources, beside records of Insights that were made elsewhere.
    pub(crate) fn rows(&self, batch: &EventBatch, among: Range<usize>) -> Vec<usize> {
        if self.store.status() != Status::Enabled {
            return Vec::new();
        }
        // Neighbours are mostly of one Region.
        let mut last: Option<(Option<&str>, bool)> = None;
        let mut covers = |region| match last {
            Some((known, covered)) if known == region => covered,
            _ => last.insert((region, self.covers(region))).1,
        };
        let audits = self.store.kind() == Kind::ActivityAuditLog;
        let concerned = |row: &usize| {
            let event = batch.event(*row);
            let may_be = match event.source() {
                Source::Api | Source::Gateway | Source::Records => !audits,
                Source::StoreInsights => {
                    event.insight().source.is_some_and(|from| self.insight_sources.contains(&from))
                }
                Source::Channel => audits && event.channel().is_some_and(|channel| self.channels.contains(&channel)),
                Source::Import | Source::Control | Source::Insights => false,
            };
            // What a store of Insights takes is chosen by its sources' accounts and Regions.
            let mut from_here = || event.source() == Source::StoreInsights || covers(event.region());
            may_be && self.store.is_of(event.account()) && from_here()
        };
        let mut rows: Vec<usize> = among.filter(concerned).collect();
        self.matcher.retain(batch, &mut rows);
        rows
    }

    /// A record without a usable `awsRegion` counts as recorded in the store's home Region, as it does for trails.
    fn covers(&self, region: Option<&str>) -> bool {
        self.store.multi_region
            || region
                .and_then(|region| region.parse::<Region>().ok())
                .is_none_or(|region| region == self.store.key.home_region)
    }
}

/// When an event happened, as a store sees it: what says no time, or one more than a day ahead of the record's arrival,
/// gives way to the arrival, so that a hostile record cannot outlive the retention.
pub(crate) fn time_of(event: Event<'_>) -> Timestamp {
    event.time().filter(|time| *time <= event.received() + AHEAD).unwrap_or(event.received())
}
