//! What makes advanced event selectors valid. (API Reference, AdvancedEventSelector and AdvancedFieldSelector; User
//! Guide, "Filtering data events by using advanced event selectors" and "Logging network activity events".)

use opentrail_model::{AdvancedEventSelector, Arn, FieldSelector, SelectorField, is_network_source};

use crate::basic::EXCLUDABLE_SOURCES;
use crate::error::{FieldError, SelectorError};
use crate::known::{Arns, data_type};
use crate::{Holder, SelectorError as E};

/// Values over all conditions of all selectors.
const MAX_VALUES: usize = 500;
/// Selectors of an event data store. A trail's are bounded by their values alone.
const MAX_STORE_SELECTORS: usize = 5;

const MANAGEMENT: &str = "Management";
const DATA: &str = "Data";
const NETWORK_ACTIVITY: &str = "NetworkActivity";
/// The categories that only event data stores have: each stands alone there and is not filtered further.
/// (API Reference, AdvancedFieldSelector, `eventCategory`.)
const LONELY: [&str; 4] = ["ActivityAuditLog", "ConfigurationItem", "Evidence", "Insight"];

pub(crate) fn validate(selectors: &[AdvancedEventSelector], holder: Holder) -> Result<(), SelectorError> {
    let max = if holder == Holder::Trail { MAX_VALUES } else { MAX_STORE_SELECTORS };
    if !(1..=max).contains(&selectors.len()) {
        return Err(E::Count { given: selectors.len(), max });
    }
    let fields = selectors.iter().flat_map(|selector| &selector.field_selectors);
    let given = fields.map(count).sum();
    if given > MAX_VALUES {
        return Err(E::Values { given, max: MAX_VALUES });
    }
    let mut categories = Vec::with_capacity(selectors.len());
    for (number, selector) in (1..).zip(selectors) {
        categories.push(validate_one(selector, holder).map_err(|error| E::Advanced { number, error })?);
    }
    match categories.iter().find(|category| LONELY.contains(category)) {
        Some(lonely) if categories.iter().any(|category| category != lonely) => {
            Err(E::Mixed { category: (*lonely).to_owned() })
        }
        _ => Ok(()),
    }
}

/// Returns the selector's category.
fn validate_one(selector: &AdvancedEventSelector, holder: Holder) -> Result<&str, FieldError> {
    let fields = &selector.field_selectors;
    for (index, FieldSelector { field, .. }) in fields.iter().enumerate() {
        if fields[..index].iter().any(|earlier| earlier.field == *field) {
            return Err(FieldError::Repeated { field: *field });
        }
    }
    let find = |field| fields.iter().find(|selector| selector.field == field);
    let missing = |field, category: Option<&str>| FieldError::Missing { field, category: category.map(str::to_owned) };
    let category = find(SelectorField::EventCategory).ok_or_else(|| missing(SelectorField::EventCategory, None))?;
    Rule::of_category(holder).check(category, None)?;
    let category = category.equals[0].as_str();
    for selector in fields.iter().filter(|selector| selector.field != SelectorField::EventCategory) {
        let rule = Rule::of(selector.field, category, holder);
        let not_of = || FieldError::NotOfCategory { field: selector.field, category: category.to_owned() };
        rule.ok_or_else(not_of)?.check(selector, Some(category))?;
        refuse_contradiction(selector)?;
    }
    let required = match category {
        DATA => Some(SelectorField::ResourcesType),
        NETWORK_ACTIVITY => Some(SelectorField::EventSource),
        _ => None,
    };
    if let Some(field) = required.filter(|field| find(*field).is_none()) {
        return Err(missing(field, Some(category)));
    }
    if let (Some(kind), Some(arn)) = (find(SelectorField::ResourcesType), find(SelectorField::ResourcesArn)) {
        validate_arns(&kind.equals[0], arn)?;
    }
    Ok(category)
}

fn count(selector: &FieldSelector) -> usize {
    selector.operators().iter().map(|(_, values)| values.len()).sum()
}

/// How a field is used with a category.
struct Rule {
    operators: Operators,
    /// Whether there is exactly one value.
    single: bool,
    accepts: fn(&str) -> bool,
    expected: &'static str,
}

#[derive(Clone, Copy)]
enum Operators {
    Any,
    Equals,
    NotEquals,
    EqualsOrNot,
}

impl Operators {
    fn allowed(self) -> &'static str {
        match self {
            Self::Any => "any operator",
            Self::Equals => "Equals",
            Self::NotEquals => "NotEquals",
            Self::EqualsOrNot => "Equals and NotEquals",
        }
    }

    fn take(self, operator: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Equals => operator == "Equals",
            Self::NotEquals => operator == "NotEquals",
            Self::EqualsOrNot => operator == "Equals" || operator == "NotEquals",
        }
    }
}

impl Rule {
    /// `None` if events of `category` are not selected by `field`.
    fn of(field: SelectorField, category: &str, holder: Holder) -> Option<Self> {
        use SelectorField as F;
        let of_network = category == NETWORK_ACTIVITY;
        let of_trails_management = category == MANAGEMENT && holder == Holder::Trail;
        let filterable = category == DATA || (category == MANAGEMENT && holder == Holder::EventDataStore);
        match field {
            F::ReadOnly if category == MANAGEMENT || category == DATA => {
                Some(Self::equals(|value| value == "true" || value == "false", "it is true or false"))
            }
            F::EventSource if of_network => {
                let expected = "it is one service that logs network activity events, such as s3.amazonaws.com";
                Some(Self::equals(is_network_source, expected))
            }
            F::EventSource if of_trails_management => Some(Self {
                operators: Operators::NotEquals,
                single: false,
                accepts: |value| EXCLUDABLE_SOURCES.contains(&value),
                expected: "a trail can leave out kms.amazonaws.com and rdsdata.amazonaws.com only",
            }),
            F::EventName if filterable || of_network => Some(Self::any()),
            F::EventSource | F::EventType | F::UserIdentityArn if filterable => Some(Self::any()),
            F::SessionCredentialFromConsole if filterable => Some(Self {
                operators: Operators::EqualsOrNot,
                ..Self::equals(|value| value == "true", "it is true; for the others use NotEquals")
            }),
            F::ResourcesType if category == DATA => {
                Some(Self::equals(|value| data_type(value).is_some(), "it is a type such as AWS::S3::Object"))
            }
            F::ResourcesArn if category == DATA => Some(Self::any()),
            F::ErrorCode if of_network => {
                Some(Self::equals(|value| value == "VpceAccessDenied", "it is VpceAccessDenied"))
            }
            F::VpcEndpointId if of_network => Some(Self::any()),
            _ => None,
        }
    }

    fn of_category(holder: Holder) -> Self {
        match holder {
            Holder::Trail => Self::equals(
                |value| [MANAGEMENT, DATA, NETWORK_ACTIVITY].contains(&value),
                "it is Management, Data or NetworkActivity",
            ),
            Holder::EventDataStore => Self::equals(
                |value| [MANAGEMENT, DATA, NETWORK_ACTIVITY].contains(&value) || LONELY.contains(&value),
                "it is Management, Data, NetworkActivity, ActivityAuditLog, ConfigurationItem, Evidence or Insight",
            ),
        }
    }

    fn any() -> Self {
        Self { operators: Operators::Any, single: false, accepts: |_| true, expected: "" }
    }

    fn equals(accepts: fn(&str) -> bool, expected: &'static str) -> Self {
        Self { operators: Operators::Equals, single: true, accepts, expected }
    }

    fn check(&self, selector: &FieldSelector, category: Option<&str>) -> Result<(), FieldError> {
        let (field, given) = (selector.field, count(selector));
        if given == 0 {
            return Err(FieldError::Empty { field });
        }
        let used = selector.operators().into_iter().filter(|(_, values)| !values.is_empty());
        for (operator, values) in used {
            if !self.operators.take(operator) {
                let (allowed, category) = (self.operators.allowed(), category.map(str::to_owned));
                return Err(FieldError::Operator { field, operator, allowed, category });
            }
            if let Some(value) = values.iter().find(|value| !(self.accepts)(value)) {
                return Err(FieldError::Value { field, value: value.clone(), expected: self.expected });
            }
        }
        if self.single && given > 1 { Err(FieldError::Several { field, given }) } else { Ok(()) }
    }
}

/// Nothing is both included and excluded. (User Guide, "Filtering data events": do not set conflicting values. That the
/// conflict is an error is a choice: such a selector looks as if it logged something.)
fn refuse_contradiction(selector: &FieldSelector) -> Result<(), FieldError> {
    let operators = selector.operators();
    let (positive, negative) = operators.split_at(3);
    for ((operator, included), (_, excluded)) in positive.iter().zip(negative) {
        if let Some(value) = included.iter().find(|value| excluded.contains(value)) {
            return Err(FieldError::Contradiction { field: selector.field, value: value.clone(), operator });
        }
    }
    Ok(())
}

/// `Equals` and `NotEquals` need whole ARNs; where the API Reference has templates of the type's ARNs, of that service.
/// The rest of the templates is not held against the values: they are older than the names that services allow.
fn validate_arns(kind: &str, selector: &FieldSelector) -> Result<(), FieldError> {
    let field = SelectorField::ResourcesArn;
    let refused = |value: &str, expected| Err(FieldError::Value { field, value: value.to_owned(), expected });
    let arns = data_type(kind).unwrap_or(Arns::Unknown);
    if let (Arns::None, Some(value)) = (&arns, selector.operators().iter().find_map(|(_, values)| values.first())) {
        return refused(value, "resources of this type have no ARN");
    }
    for value in selector.equals.iter().chain(&selector.not_equals) {
        match (value.parse::<Arn>(), &arns) {
            (Err(_), _) => return refused(value, "Equals and NotEquals need whole ARNs"),
            (Ok(arn), Arns::Of(services)) if !services.contains(&arn.service()) => {
                return refused(value, "it is not the ARN of a resource of resources.type");
            }
            (Ok(_), _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
