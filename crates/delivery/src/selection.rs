//! Which events a trail takes: its settings compiled once per version, matched over columns without parsing JSON.

use std::collections::BTreeSet;
use std::ops::Range;

use opentrail_event::{Event, EventBatch};
use opentrail_model::{AccountId, InsightCategory, InsightSelector, InsightType, Region};
use opentrail_selectors::Matcher;
use opentrail_trails::Trail;

/// Services whose events all partitions record in one Region.
/// (User Guide, "Global service events"; Route 53, Organizations and their like observed.) STS is among them only
/// through its global endpoint, see [`is_global`].
const GLOBAL_SOURCES: [&str; 9] = [
    "cloudfront.amazonaws.com",
    "globalaccelerator.amazonaws.com",
    "health.amazonaws.com",
    "iam.amazonaws.com",
    "organizations.amazonaws.com",
    "route53.amazonaws.com",
    "route53domains.amazonaws.com",
    "shield.amazonaws.com",
    "waf.amazonaws.com",
];
const STS: &str = "sts.amazonaws.com";

/// A trail's settings, ready to be matched.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Whose events are taken.
    accounts: BTreeSet<AccountId>,
    home: Region,
    /// Where the trail's partition records global services.
    global_region: Region,
    multi_region: bool,
    global_services: bool,
    recursive: bool,
    matcher: Matcher,
    insights: Vec<InsightSelector>,
    /// As events of Insights name the trail.
    arn: String,
}

/// What a trail makes of a Region.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Whether it takes the Region's events.
    taken: bool,
    /// Whether global services are recorded there.
    global: bool,
}

impl Selection {
    /// Compiles the settings of `trail`.
    pub fn of(trail: &Trail) -> Self {
        Self {
            accounts: trail.accounts().collect(),
            home: trail.key.home_region.clone(),
            global_region: trail.key.home_region.of_global_services(),
            multi_region: trail.multi_region,
            global_services: trail.include_global_service_events,
            recursive: trail.recursive_logging,
            matcher: Matcher::of(&trail.selectors),
            insights: trail.insights.clone(),
            arn: trail.arn().to_string(),
        }
    }

    /// The Region that `event` counts as recorded in: its `awsRegion`. A record without a usable one counts as
    /// recorded in the trail's home Region: a choice, so that it reaches its owner's trails instead of none.
    pub fn region_of(&self, event: Event<'_>) -> Region {
        event.region().and_then(|region| region.parse().ok()).unwrap_or_else(|| self.home.clone())
    }

    /// Those of the rows in `among` whose events the trail takes, in order. Imported records go to history only, and
    /// those of channels to event data stores.
    ///
    /// # Panics
    /// If `among` reaches beyond the batch.
    pub fn rows(&self, batch: &EventBatch, among: Range<usize>) -> Vec<usize> {
        // Neighbours are mostly of one Region.
        let mut last: Option<(Option<&str>, Place)> = None;
        let mut place_of = |region| match last {
            Some((known, place)) if known == region => place,
            _ => last.insert((region, self.place(region))).1,
        };
        let concerned = |row: &usize| {
            let event = batch.event(*row);
            event.source().is_news()
                && self.accounts.contains(&event.account())
                && self.takes(place_of(event.region()), event)
                && (self.recursive || !is_own_delivery(event))
        };
        let mut rows: Vec<usize> = among.filter(concerned).collect();
        let insights: Vec<usize> = rows.iter().copied().filter(|row| self.takes_insight(batch.event(*row))).collect();
        self.matcher.retain(batch, &mut rows);
        if !insights.is_empty() {
            rows.extend(insights);
            rows.sort_unstable();
            rows.dedup();
        }
        rows
    }

    /// Whether it is an event of Insights that the trail has switched on; event selectors say nothing of these.
    fn takes_insight(&self, event: Event<'_>) -> bool {
        if self.insights.is_empty() || event.category() != "Insight" {
            return false;
        }
        let subject = event.insight();
        let category = subject.category.as_deref().map_or(Some(InsightCategory::Management), InsightCategory::parse);
        let (Some(category), Some(insight_type)) =
            (category, subject.insight_type.as_deref().and_then(InsightType::parse))
        else {
            return false;
        };
        InsightSelector::any(&self.insights, insight_type, category)
            && subject.source.is_none_or(|source| source == self.arn)
    }

    fn place(&self, region: Option<&str>) -> Place {
        let (home, global) = (self.home.as_str(), self.global_region.as_str());
        let usable = |region: &&str| *region == home || *region == global || region.parse::<Region>().is_ok();
        let region = region.filter(usable).unwrap_or(home);
        Place { taken: self.multi_region || region == home, global: region == global }
    }

    fn takes(&self, place: Place, event: Event<'_>) -> bool {
        place.taken && (self.global_services || !place.global || !is_global(event))
    }
}

/// Whether an event recorded in the global services' Region is one of a global service.
///
/// STS has Regional endpoints beside its global one; the record tells which it was in
/// `additionalEventData.RequestDetails.endpointType`. Only records that do not say "regional" count as global.
/// (IAM User Guide, "Logging IAM and AWS STS API calls".)
fn is_global(event: Event<'_>) -> bool {
    match event.event_source() {
        Some(STS) => !says_regional_endpoint(event.raw()),
        Some(source) => GLOBAL_SOURCES.contains(&source),
        None => false,
    }
}

/// Looks for `"endpointType": "regional"`, with any white space, without parsing the record: this is asked of few
/// records (STS, in one Region, for trails without global services).
fn says_regional_endpoint(raw: &[u8]) -> bool {
    const NAME: &[u8] = b"\"endpointType\"";
    let after = |from: usize| {
        let rest = raw[from + NAME.len()..].trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\"regional\""))
    };
    raw.windows(NAME.len()).enumerate().any(|(at, window)| window == NAME && after(at))
}

/// CloudTrail's own puts into buckets and log groups. (API Reference, CreateTrail, `RecursiveLogging`.)
fn is_own_delivery(event: Event<'_>) -> bool {
    event.invoked_by() == Some("cloudtrail.amazonaws.com")
        && matches!(
            (event.event_source(), event.name()),
            (Some("s3.amazonaws.com"), Some("PutObject")) | (Some("logs.amazonaws.com"), Some("PutLogEvents"))
        )
}

#[cfg(test)]
mod tests;
