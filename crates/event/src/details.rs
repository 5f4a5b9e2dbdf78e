use crate::{Event, json};
use sonic_rs::{JsonValueTrait, LazyValue};

/// What is asked of few events and has no column: who called, from where, with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallDetails {
    /// The caller: `userIdentity.arn`, else `AWSAccount:<id>`, `AWSService:<name>`, or another type with what is known
    /// of it in the same manner.
    pub caller: Option<String>,
    /// `sourceIPAddress`.
    pub source_ip: Option<String>,
    /// `userAgent`.
    pub user_agent: Option<String>,
}

/// What an event of CloudTrail Insights is about. (User Guide, "CloudTrail Insights record contents".)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsightSubject {
    /// `insightDetails.insightType`.
    pub insight_type: Option<String>,
    /// `insightDetails.sourceEventCategory`; absent in older records, all of management events.
    pub category: Option<String>,
    /// `insightDetails.insightSource`: the trail whose data events were watched; at the top in the records of event data stores.
    pub source: Option<String>,
}

impl Event<'_> {
    /// What an event of Insights is about; of another event nothing.
    pub fn insight(self) -> InsightSubject {
        let mut subject = InsightSubject::default();
        let Ok(record) = str::from_utf8(self.raw()) else { return subject };
        json::members(record, |key, value| match key {
            "insightDetails" if value.is_object() => {
                json::members(value.as_raw_str(), |key, value| {
                    let member = match key {
                        "insightType" => &mut subject.insight_type,
                        "sourceEventCategory" => &mut subject.category,
                        "insightSource" => &mut subject.source,
                        _ => return,
                    };
                    *member = value.as_str().map(str::to_owned);
                });
            }
            "insightSource" => subject.source = value.as_str().map(str::to_owned),
            _ => {}
        });
        subject
    }

    /// `metadata.channelARN`: which channel the event was put to.
    pub fn channel(self) -> Option<String> {
        let mut channel = None;
        json::members(str::from_utf8(self.raw()).ok()?, |key, value| {
            if key == "metadata" && value.is_object() {
                json::members(value.as_raw_str(), |key, value| {
                    if key == "channelARN" {
                        channel = value.as_str().map(str::to_owned);
                    }
                });
            }
        });
        channel
    }

    /// Reads the record once more. Takes about as long as decoding it did.
    pub fn details(self) -> CallDetails {
        let mut details = CallDetails::default();
        let Ok(record) = str::from_utf8(self.raw()) else { return details };
        json::members(record, |key, value| match key {
            "userIdentity" => details.caller = caller(value),
            "sourceIPAddress" => details.source_ip = value.as_str().map(str::to_owned),
            "userAgent" => details.user_agent = value.as_str().map(str::to_owned),
            _ => {}
        });
        details
    }
}

/// (User Guide, "Aggregated events", `userIdentity` as a dimension; the other types are a choice.)
fn caller(identity: &LazyValue<'_>) -> Option<String> {
    if !identity.is_object() {
        return None;
    }
    let (mut kind, mut arn, mut account, mut service, mut principal) = (None, None, None, None, None);
    json::members(identity.as_raw_str(), |key, value| {
        let member = match key {
            "type" => &mut kind,
            "arn" => &mut arn,
            "accountId" => &mut account,
            "invokedBy" => &mut service,
            "principalId" => &mut principal,
            _ => return,
        };
        *member = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    });
    if arn.is_some() {
        return arn;
    }
    let kind = kind?;
    let name = match kind.as_str() {
        "AWSAccount" => account,
        "AWSService" => service,
        _ => principal.or(account).or(service),
    };
    Some(name.map_or_else(|| kind.clone(), |name| format!("{kind}:{name}")))
}
