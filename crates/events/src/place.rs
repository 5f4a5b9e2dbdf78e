//! Where buses, rules, connections and API destinations are: account, Region and name, as ARNs and as documents' keys.

use opentrail_model::{AccountId, Arn, Region};
use serde::{Deserialize, Serialize};

/// The bus that every account has in every Region.
pub(crate) const DEFAULT: &str = "default";

/// An event bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BusPlace {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// `default`, or what it was named at its creation.
    pub name: String,
}

impl BusPlace {
    /// The bus `name` of `account` in `region`.
    pub fn new(account: AccountId, region: &Region, name: &str) -> Self {
        Self { account, region: region.clone(), name: name.to_owned() }
    }

    /// The bus that `text` names for `account` in `region`: a name, or an ARN. `None` for an ARN of something else.
    pub(crate) fn parse(text: &str, account: AccountId, region: &Region) -> Option<Self> {
        if !text.starts_with("arn:") {
            return Some(Self::new(account, region, text));
        }
        let arn: Arn = text.parse().ok()?;
        let name = arn.resource().strip_prefix("event-bus/").filter(|_| arn.service() == "events")?;
        Some(Self::new(arn.account().parse().ok()?, &arn.region().parse().ok()?, name))
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        arn(self.account, &self.region, &format!("event-bus/{}", self.name))
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}{}", prefix(self.account, &self.region), self.name)
    }

    pub(crate) fn is_default(&self) -> bool {
        self.name == DEFAULT
    }
}

/// A rule of a bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RulePlace {
    pub(crate) bus: BusPlace,
    pub(crate) name: String,
}

impl RulePlace {
    /// Its ARN, which names the bus unless that is the default one.
    pub(crate) fn arn(&self) -> String {
        let bus = if self.bus.is_default() { String::new() } else { format!("{}/", self.bus.name) };
        arn(self.bus.account, &self.bus.region, &format!("rule/{bus}{}", self.name))
    }

    /// The rule with this ARN.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let arn: Arn = text.parse().ok()?;
        let resource = arn.resource().strip_prefix("rule/").filter(|_| arn.service() == "events")?;
        let (bus, name) = resource.rsplit_once('/').unwrap_or((DEFAULT, resource));
        let bus = BusPlace::new(arn.account().parse().ok()?, &arn.region().parse().ok()?, bus);
        Some(Self { bus, name: name.to_owned() })
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}/{}", self.bus.document(), self.name)
    }
}

/// What the keys of an account's documents in a Region begin with.
pub(crate) fn prefix(account: AccountId, region: &Region) -> String {
    format!("{account}/{region}/")
}

/// The ARN of something of EventBridge.
pub(crate) fn arn(account: AccountId, region: &Region, resource: &str) -> String {
    format!("arn:{}:events:{region}:{account}:{resource}", region.partition())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(name: &str) -> BusPlace {
        BusPlace::new("111122223333".parse().unwrap(), &"eu-west-1".parse().unwrap(), name)
    }

    #[test]
    fn arns_lead_back_to_where_they_came_from() {
        for name in ["default", "orders"] {
            let place = bus(name);
            let elsewhere = (AccountId::from_u64(1).unwrap(), "us-east-1".parse().unwrap());
            assert_eq!(BusPlace::parse(&place.arn(), elsewhere.0, &elsewhere.1), Some(place.clone()));
            let rule = RulePlace { bus: place, name: "r".to_owned() };
            assert_eq!(RulePlace::parse(&rule.arn()), Some(rule));
        }
        assert_eq!(
            RulePlace { bus: bus("default"), name: "r".to_owned() }.arn(),
            "arn:aws:events:eu-west-1:111122223333:rule/r"
        );
    }

    #[test]
    fn an_arn_of_something_else_is_no_bus() {
        let place = bus("default");
        for text in ["arn:aws:sqs:eu-west-1:111122223333:event-bus/a", "arn:aws:events:eu-west-1:111122223333:rule/a"] {
            assert_eq!(BusPlace::parse(text, place.account, &place.region), None);
        }
    }
}
