//! Which events a trail takes: its settings compiled once per version, matched over columns without parsing JSON.

use opentrail_event::Event;
use opentrail_model::{AccountId, DataResource, EventSelector, ReadWriteType, Region, Source};
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
    owner: AccountId,
    home: Region,
    /// Where the trail's partition records global services.
    global_region: Region,
    multi_region: bool,
    global_services: bool,
    recursive: bool,
    selectors: Vec<Selector>,
}

#[derive(Clone, Debug)]
struct Selector {
    read_write: ReadWriteType,
    management: bool,
    excluded_sources: Vec<String>,
    data: Vec<DataSelector>,
}

/// Data events of one resource type.
#[derive(Clone, Debug)]
struct DataSelector {
    service: DataService,
    /// Every resource of the service.
    all: bool,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataService {
    S3,
    Lambda,
    DynamoDb,
}

impl Selection {
    /// Compiles the settings of `trail`.
    pub fn of(trail: &Trail) -> Self {
        Self {
            owner: trail.key.account,
            home: trail.key.home_region.clone(),
            global_region: trail.key.home_region.of_global_services(),
            multi_region: trail.multi_region,
            global_services: trail.include_global_service_events,
            recursive: trail.recursive_logging,
            selectors: trail.selectors.iter().map(Selector::of).collect(),
        }
    }

    /// The Region that `event` counts as recorded in: its `awsRegion`. A record without a usable one counts as
    /// recorded in the trail's home Region: a choice, so that it reaches its owner's trails instead of none.
    pub fn region_of(&self, event: Event<'_>) -> Region {
        event.region().and_then(|region| region.parse().ok()).unwrap_or_else(|| self.home.clone())
    }

    /// Whether the trail takes `event`.
    ///
    /// Imported records go to history only. Insight, NetworkActivity and Aggregated events are not selected by basic
    /// selectors.
    pub fn matches(&self, event: Event<'_>) -> bool {
        event.source() != Source::Import
            && event.account() == self.owner
            && self.takes_region(event)
            && (self.recursive || !is_own_delivery(event))
            && self.selectors.iter().any(|selector| selector.matches(event))
    }

    fn takes_region(&self, event: Event<'_>) -> bool {
        let recorded = match event.region() {
            Some(region) if region == self.home.as_str() => &self.home,
            Some(region) if region == self.global_region.as_str() => &self.global_region,
            Some(region) if region.parse::<Region>().is_ok() => return self.multi_region,
            _ => &self.home,
        };
        (self.multi_region || *recorded == self.home)
            && (self.global_services || *recorded != self.global_region || !is_global(event))
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

impl Selector {
    fn of(selector: &EventSelector) -> Self {
        Self {
            read_write: selector.read_write_type,
            management: selector.include_management_events,
            excluded_sources: selector.exclude_management_event_sources.clone(),
            data: selector.data_resources.iter().filter_map(DataSelector::of).collect(),
        }
    }

    fn matches(&self, event: Event<'_>) -> bool {
        self.takes(event.read_only())
            && match event.category() {
                "Management" => {
                    self.management
                        && !event.event_source().is_some_and(|s| self.excluded_sources.iter().any(|e| e == s))
                }
                "Data" => self.data.iter().any(|data| data.matches(event)),
                _ => false,
            }
    }

    /// A record that does not say whether it is read-only counts as a write: a choice, as what may have changed
    /// something is the more important to keep.
    fn takes(&self, read_only: Option<bool>) -> bool {
        match self.read_write {
            ReadWriteType::All => true,
            ReadWriteType::ReadOnly => read_only == Some(true),
            ReadWriteType::WriteOnly => read_only != Some(true),
        }
    }
}

impl DataSelector {
    /// `None` for types that basic selectors do not know; the API refuses them.
    fn of(resource: &DataResource) -> Option<Self> {
        let service = match resource.kind.as_str() {
            "AWS::S3::Object" => DataService::S3,
            "AWS::Lambda::Function" => DataService::Lambda,
            "AWS::DynamoDB::Table" => DataService::DynamoDb,
            _ => return None,
        };
        let all = resource.values.iter().any(|value| service.is_all(value));
        Some(Self { service, all, values: resource.values.clone() })
    }

    fn matches(&self, event: Event<'_>) -> bool {
        let mut none = true;
        for (kind, arn) in event.resources() {
            none = false;
            // A resource without a type is judged by its ARN alone.
            if kind.is_some_and(|kind| !self.service.has_type(kind)) {
                continue;
            }
            let of_service = kind.is_some() || arn.is_some_and(|arn| self.service.owns(arn));
            if of_service && (self.all || arn.is_some_and(|arn| self.values.iter().any(|v| self.service.is(arn, v)))) {
                return true;
            }
        }
        // Old records name no resource; to ask for all is to ask for them too.
        none && self.all && event.event_source() == Some(self.service.event_source())
    }
}

impl DataService {
    fn event_source(self) -> &'static str {
        match self {
            Self::S3 => "s3.amazonaws.com",
            Self::Lambda => "lambda.amazonaws.com",
            Self::DynamoDb => "dynamodb.amazonaws.com",
        }
    }

    fn has_type(self, kind: &str) -> bool {
        match self {
            Self::S3 => kind == "AWS::S3::Object",
            Self::Lambda => kind == "AWS::Lambda::Function",
            Self::DynamoDb => kind == "AWS::DynamoDB::Table" || kind == "AWS::DynamoDB::Stream",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Lambda => "lambda",
            Self::DynamoDb => "dynamodb",
        }
    }

    /// Whether `arn` is one of this service.
    fn owns(self, arn: &str) -> bool {
        let mut parts = arn.split(':');
        parts.next() == Some("arn") && parts.nth(1) == Some(self.name())
    }

    /// `arn:aws:s3` (also `arn:aws:s3:::`), `arn:aws:lambda`, `arn:aws:dynamodb`, in any partition.
    fn is_all(self, value: &str) -> bool {
        self.owns(value) && (value.matches(':').count() == 2 || (self == Self::S3 && value.ends_with(":s3:::")))
    }

    /// S3 by prefix, functions exactly, tables exactly or as the owner of a stream.
    fn is(self, arn: &str, value: &str) -> bool {
        match self {
            Self::S3 => arn.starts_with(value),
            Self::Lambda => arn == value,
            Self::DynamoDb => {
                arn.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with("/stream/"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
