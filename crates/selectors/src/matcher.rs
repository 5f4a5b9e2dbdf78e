//! Selectors compiled: conditions over the columns of a batch, evaluated column by column.

use opentrail_event::{Event, EventBatch};
use opentrail_model::{
    AdvancedEventSelector, DataResource, EventSelector, FieldSelector, ReadWriteType, SelectorField, Selectors,
};

use crate::resources::{BasicType, type_of_arn, type_of_source};
use crate::terms::{Condition, Terms};

/// Selectors, ready to be held against events. Any of them that takes an event is enough.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The rules of each category: most events are of a category for which there are few.
    categories: Vec<(Box<str>, Vec<Rule>)>,
}

/// All of what must hold for an event of the rule's category.
#[derive(Clone, Debug, Default)]
struct Rule {
    texts: Vec<(Column, Condition)>,
    /// Asked last, being the dearest.
    resource: Option<Resource>,
}

/// A column as text.
type Column = for<'a> fn(Event<'a>) -> Option<&'a str>;

/// That one of the event's resources has such a type and such an ARN.
#[derive(Clone, Debug)]
struct Resource {
    kind: Condition,
    arn: Condition,
}

impl Matcher {
    /// Compiles selectors, which must be valid.
    pub fn of(selectors: &Selectors) -> Self {
        let mut matcher = Self { categories: Vec::new() };
        match selectors {
            Selectors::Basic(basic) => basic.iter().for_each(|selector| matcher.add_basic(selector)),
            Selectors::Advanced { advanced } => advanced.iter().for_each(|selector| matcher.add_advanced(selector)),
        }
        matcher
    }

    /// Keeps those of `rows` whose events are taken.
    ///
    /// # Panics
    /// If a row is not in the batch.
    pub fn retain(&self, batch: &EventBatch, rows: &mut Vec<usize>) {
        if rows.is_empty() {
            return;
        }
        let mut taken = vec![false; batch.len()];
        let mut of_category = Vec::with_capacity(rows.len());
        let mut open = Vec::with_capacity(rows.len());
        for (category, rules) in &self.categories {
            of_category.clear();
            of_category.extend(rows.iter().copied().filter(|row| batch.event(*row).category() == &**category));
            for rule in rules {
                open.clear();
                open.extend(of_category.iter().copied().filter(|row| !taken[*row]));
                rule.retain(batch, &mut open);
                open.iter().for_each(|row| taken[*row] = true);
            }
        }
        rows.retain(|row| taken[*row]);
    }

    fn add(&mut self, category: &str, rule: Rule) {
        match self.categories.iter_mut().find(|(known, _)| **known == *category) {
            Some((_, rules)) => rules.push(rule),
            None => self.categories.push((category.into(), vec![rule])),
        }
    }

    fn add_basic(&mut self, selector: &EventSelector) {
        let read_write = read_write(selector.read_write_type);
        if selector.include_management_events {
            let mut texts: Vec<_> = read_write.clone().into_iter().collect();
            let excluded = Terms::new(&selector.exclude_management_event_sources, &[], &[]);
            if !excluded.is_empty() {
                texts.push((column(SelectorField::EventSource), Condition::new(None, excluded)));
            }
            self.add("Management", Rule { texts, resource: None });
        }
        for resource in selector.data_resources.iter().filter_map(Resource::of_basic) {
            self.add("Data", Rule { texts: read_write.clone().into_iter().collect(), resource: Some(resource) });
        }
    }

    fn add_advanced(&mut self, selector: &AdvancedEventSelector) {
        let (mut rule, mut kind, mut arn, mut category) = (Rule::default(), None, None, None);
        for field in &selector.field_selectors {
            match field.field {
                SelectorField::EventCategory => category = field.equals.first(),
                SelectorField::ResourcesType => kind = Some(condition(field)),
                SelectorField::ResourcesArn => arn = Some(condition(field)),
                other => rule.texts.push((column(other), condition(field))),
            }
        }
        if kind.is_some() || arn.is_some() {
            rule.resource = Some(Resource { kind: kind.unwrap_or_default(), arn: arn.unwrap_or_default() });
        }
        if let Some(category) = category {
            self.add(category, rule);
        }
    }
}

impl Rule {
    fn retain(&self, batch: &EventBatch, rows: &mut Vec<usize>) {
        for (column, condition) in &self.texts {
            rows.retain(|row| condition.holds(column(batch.event(*row))));
        }
        if let Some(resource) = &self.resource {
            rows.retain(|row| resource.holds(batch.event(*row)));
        }
    }
}

/// What a basic selector's `ReadWriteType` asks of `readOnly`. A record that does not say whether it is read-only
/// counts as a write: a choice, as what may have changed something is the more important to keep.
fn read_write(kind: ReadWriteType) -> Option<(Column, Condition)> {
    let yes = Terms::new(&["true"], &[], &[]);
    let condition = match kind {
        ReadWriteType::All => return None,
        ReadWriteType::ReadOnly => Condition::new(Some(yes), Terms::default()),
        ReadWriteType::WriteOnly => Condition::new(None, yes),
    };
    Some((column(SelectorField::ReadOnly), condition))
}

fn condition(selector: &FieldSelector) -> Condition {
    let wanted = Terms::new(&selector.equals, &selector.starts_with, &selector.ends_with);
    let unwanted = Terms::new(&selector.not_equals, &selector.not_starts_with, &selector.not_ends_with);
    Condition::new((!wanted.is_empty()).then_some(wanted), unwanted)
}

/// Where a field is found. Flags are compared as text, as `readOnly` is documented to be.
fn column(field: SelectorField) -> Column {
    match field {
        SelectorField::ErrorCode => |event| event.error_code(),
        SelectorField::EventCategory => |event| Some(event.category()),
        SelectorField::EventName => |event| event.name(),
        SelectorField::EventSource => |event| event.event_source(),
        SelectorField::EventType => |event| event.event_type(),
        SelectorField::ReadOnly => |event| event.read_only().map(flag),
        SelectorField::SessionCredentialFromConsole => |event| event.session_credential_from_console().map(flag),
        SelectorField::UserIdentityArn => |event| event.user_arn(),
        SelectorField::VpcEndpointId => |event| event.vpc_endpoint_id(),
        SelectorField::ResourcesArn | SelectorField::ResourcesType => unreachable!("resources are not one text"),
    }
}

fn flag(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

impl Resource {
    /// `None` for types that basic selectors do not know.
    fn of_basic(resource: &DataResource) -> Option<Self> {
        let kind = BasicType::named(&resource.kind)?;
        let arn = if resource.values.iter().any(|value| kind.is_all(value)) {
            Condition::default()
        } else {
            Condition::new(Some(named(kind, &resource.values)), Terms::default())
        };
        Some(Self { kind: Condition::new(Some(Terms::new(kind.types(), &[], &[])), Terms::default()), arn })
    }

    /// Whether one resource has both: the ARN is looked at where the type is right. Of several resources of the type
    /// one is enough, for negative operators too: a choice (it is not documented), which rather logs than leaves out.
    fn holds(&self, event: Event<'_>) -> bool {
        let mut listed = false;
        for (kind, arn) in event.resources() {
            listed = true;
            let kind = kind.or_else(|| type_of_arn(arn?));
            if self.kind.holds(kind) && self.arn.holds(arn) {
                return true;
            }
        }
        let kind = || event.event_source().and_then(type_of_source);
        !listed && self.arn.holds(None) && self.kind.holds(kind())
    }
}

/// S3 objects by what their ARNs begin with, functions exactly, tables exactly or as the owner of a stream.
/// (API Reference, DataResource, `Values`.)
fn named(kind: BasicType, values: &[String]) -> Terms {
    match kind {
        BasicType::Object => Terms::new(&[], values, &[]),
        BasicType::Function => Terms::new(values, &[], &[]),
        BasicType::Table => {
            let streams: Vec<String> = values.iter().map(|table| format!("{table}/stream/")).collect();
            Terms::new(values, &streams, &[])
        }
    }
}
