//! One rule: what it is called, and what it looks for.

use rsigma_parser::{CorrelationRule, Detection, SigmaRule};
use serde::{Deserialize, Serialize};

use crate::correlate::CorrelationSpec;
use crate::document::Document;
use crate::{Level, Reason, checks};

/// What a rule says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHead {
    /// Its `id`; where it has none, its `name` or its title.
    pub id: String,
    /// The short `name` by which correlations refer to it.
    pub name: Option<String>,
    /// Its title.
    pub title: String,
    /// How serious what it finds is.
    pub level: Level,
    /// Its tags, e.g. `attack.t1078`.
    pub tags: Vec<String>,
}

impl RuleHead {
    /// Whether a correlation that names `reference` means this rule.
    pub(crate) fn is_called(&self, reference: &str) -> bool {
        self.id == reference || self.name.as_deref() == Some(reference)
    }
}

/// A rule that was read and found to be one.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) head: RuleHead,
    pub(crate) document: Document,
    pub(crate) kind: RuleKind,
}

#[derive(Clone, Debug)]
pub(crate) enum RuleKind {
    /// Looks at one event at a time.
    Detection(Box<SigmaRule>),
    /// Looks at what other rules find over a time.
    Correlation(CorrelationSpec),
}

impl Rule {
    /// What it says about itself.
    pub fn head(&self) -> &RuleHead {
        &self.head
    }

    /// Its text, YAML.
    pub fn text(&self) -> &str {
        &self.document.text
    }

    /// `detection` or `correlation`.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            RuleKind::Detection(_) => "detection",
            RuleKind::Correlation(_) => "correlation",
        }
    }

    /// The file it came in.
    pub fn file(&self) -> &str {
        &self.document.file
    }

    /// Reads a stored rule again: what [`Self::text`] was.
    ///
    /// # Errors
    /// A [`Reason`] when it is no rule, or none that runs here.
    pub fn parse(file: &str, text: &str) -> Result<Self, Reason> {
        crate::census::check(text)?;
        Self::read(Document { file: file.to_owned(), label: String::new(), text: text.to_owned() })
    }

    /// Reads the rule in a document, whose size was checked.
    pub(crate) fn read(document: Document) -> Result<Self, Reason> {
        checks::conditions(&document.text)?;
        let found =
            rsigma_parser::parse_sigma_yaml(&document.text).map_err(|error| Reason::Invalid(error.to_string()))?;
        if let Some(error) = found.errors.into_iter().next() {
            return Err(Reason::Invalid(error));
        }
        if !found.filters.is_empty() {
            return Err(Reason::Unsupported(
                "filters of rules are not applied; put the filter into the rule's own detection".to_owned(),
            ));
        }
        let (mut rules, mut correlations) = (found.rules, found.correlations);
        match (rules.pop(), correlations.pop()) {
            (Some(rule), None) => Self::detection(rule, document),
            (None, Some(rule)) => Self::correlation(rule, document),
            _ => Err(Reason::Invalid("a document holds one rule".to_owned())),
        }
    }

    fn detection(mut rule: SigmaRule, document: Document) -> Result<Self, Reason> {
        checks::version(rule.sigma_version)?;
        checks::log_source(&rule.logsource)?;
        if rule.status == Some(rsigma_parser::Status::Unsupported) {
            return Err(Reason::Unsupported(
                "its status is unsupported: it says itself that it cannot be run".to_owned(),
            ));
        }
        if rule.detection.timeframe.is_some() {
            return Err(Reason::Unsupported(
                "a timeframe says nothing without a count, which Sigma 2 has correlation rules for".to_owned(),
            ));
        }
        checks::detections(&rule.detection)?;
        let head = head(&rule.id, &rule.name, &rule.title, rule.level, &rule.tags)?;
        // What has no part in matching is in the text.
        rule.custom_attributes.clear();
        rule.description = None;
        rule.falsepositives.clear();
        Ok(Self { head, document, kind: RuleKind::Detection(Box::new(rule)) })
    }

    fn correlation(rule: CorrelationRule, document: Document) -> Result<Self, Reason> {
        checks::version(rule.sigma_version)?;
        let head = head(&rule.id, &rule.name, &rule.title, rule.level, &rule.tags)?;
        let spec = CorrelationSpec::of(&rule)?;
        Ok(Self { head, document, kind: RuleKind::Correlation(spec) })
    }
}

fn head(
    id: &Option<String>,
    name: &Option<String>,
    title: &str,
    level: Option<rsigma_parser::Level>,
    tags: &[String],
) -> Result<RuleHead, Reason> {
    let named = |text: &&String| !text.trim().is_empty();
    let id = id.as_ref().filter(named).or(name.as_ref().filter(named)).map_or(title, String::as_str);
    for (what, text, most) in [("its id in bytes", id, 256), ("its title in bytes", title, 1024)] {
        if text.len() > most {
            return Err(Reason::TooLarge { what, most });
        }
    }
    if id.trim().is_empty() {
        return Err(Reason::Invalid("it has neither an id nor a title".to_owned()));
    }
    if tags.len() > 64 || tags.iter().any(|tag| tag.len() > 256) {
        return Err(Reason::TooLarge { what: "the number of its tags", most: 64 });
    }
    Ok(RuleHead {
        id: id.to_owned(),
        name: name.clone(),
        title: title.to_owned(),
        level: level.map(Level::from).unwrap_or_default(),
        tags: tags.to_vec(),
    })
}

/// Every item of a detection, at any depth.
pub(crate) fn items<'d>(detection: &'d Detection, each: &mut dyn FnMut(&'d rsigma_parser::DetectionItem)) {
    match detection {
        Detection::AllOf(found) => found.iter().for_each(each),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| items(part, each)),
        Detection::ArrayMatch { body, .. } => items(body, each),
        Detection::Conditional { named, .. } => named.values().for_each(|part| items(part, each)),
        Detection::Keywords(_) => {}
    }
}
