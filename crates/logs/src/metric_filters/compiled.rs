//! The filters of a group, compiled to be asked about many events.

use std::sync::Arc;

use opentrail_filters::{FilterPattern, FilterSet, Selector};

use crate::error::{LogsError, invalid};
use crate::store::{FilterVersion, MetricFilter, MetricTransformation};

/// (API Reference, PutMetricFilter and MetricTransformation.)
const MOST_DIMENSIONS: usize = 3;

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// `$.a.b` of JSON.
    Json(Selector),
    /// `$name` of a line's columns, with the `$`.
    Column(String),
}

impl Field {
    fn parse(text: &str) -> Result<Self, LogsError> {
        if text.starts_with("$.") {
            let selector = Selector::parse(text);
            return selector
                .map(Self::Json)
                .map_err(|error| invalid(format!("{text:?} is no field of a JSON event: {error}.")));
        }
        match text.strip_prefix('$') {
            Some(name)
                if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') =>
            {
                Ok(Self::Column(text.to_owned()))
            }
            _ => Err(invalid(format!("{text:?} is no field: write $.field for JSON events, $field for columns."))),
        }
    }

    pub(crate) fn of(&self, pattern: &FilterPattern, message: &str) -> Option<String> {
        match self {
            Self::Json(selector) => selector.value_of(message),
            Self::Column(name) => pattern.extract(message)?.remove(name),
        }
    }
}

/// What is reported for an event that matches.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(f64),
    Of(Field),
}

impl Value {
    fn parse(text: &str) -> Result<Self, LogsError> {
        if text.starts_with('$') {
            return Ok(Self::Of(Field::parse(text)?));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::Number(number)),
            _ => Err(invalid(format!("The metric value {text:?} is neither a number nor a field such as $.size."))),
        }
    }
}

/// A filter, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) id: i64,
    pub(crate) pattern: FilterPattern,
    pub(crate) transformation: MetricTransformation,
    pub(crate) value: Value,
    pub(crate) dimensions: Vec<(String, Field)>,
    after: u64,
    through: Option<u64>,
}

impl Compiled {
    fn new(version: FilterVersion) -> Result<Self, LogsError> {
        let FilterVersion { id, filter: MetricFilter { pattern, transformation, .. }, after, through } = version;
        let pattern = FilterPattern::parse(&pattern).map_err(|error| invalid(format!("{error}")))?;
        let (value, dimensions) = parse_transformation(&transformation)?;
        Ok(Self { id, pattern, transformation, value, dimensions, after, through })
    }

    /// Whether it applies to events that were committed with this sequence number.
    pub(crate) fn applies_to(&self, sequence: u64) -> bool {
        self.after < sequence && self.through.is_none_or(|through| sequence <= through)
    }
}

/// The filters of a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupFilters {
    pub(crate) set: FilterSet,
    /// In the order of the set's patterns.
    pub(crate) filters: Vec<Arc<Compiled>>,
}

impl GroupFilters {
    /// Compiles filters. One that does not compile is left out and logged; none such was ever put.
    pub(crate) fn new(versions: Vec<FilterVersion>) -> Self {
        let mut filters = Vec::with_capacity(versions.len());
        for version in versions {
            let name = version.filter.name.clone();
            match Compiled::new(version) {
                Ok(compiled) => filters.push(Arc::new(compiled)),
                Err(error) => tracing::error!(filter = name, %error, "a metric filter cannot be used"),
            }
        }
        Self { set: FilterSet::new(filters.iter().map(|filter| filter.pattern.clone())), filters }
    }
}

fn parse_transformation(transformation: &MetricTransformation) -> Result<(Value, Vec<(String, Field)>), LogsError> {
    let value = Value::parse(&transformation.value)?;
    let dimensions = transformation.dimensions.iter().map(|(name, field)| Ok((name.clone(), Field::parse(field)?)));
    Ok((value, dimensions.collect::<Result<_, LogsError>>()?))
}

/// Refuses what no metric can be made of. (API Reference, MetricTransformation; User Guide, "Publishing dimensions with
/// metrics".)
pub(crate) fn check_transformation(pattern: &str, transformation: &MetricTransformation) -> Result<(), LogsError> {
    let parsed =
        FilterPattern::parse(pattern).map_err(|error| invalid(format!("Invalid metric filter pattern: {error}.")))?;
    let (value, dimensions) = parse_transformation(transformation)?;
    if transformation.namespace.is_empty() || transformation.metric.is_empty() {
        return Err(invalid("metricNamespace and metricName must not be empty."));
    }
    if transformation.namespace.starts_with("AWS/") {
        return Err(invalid("Metric namespaces that begin with AWS/ are reserved: use another metricNamespace."));
    }
    if dimensions.len() > MOST_DIMENSIONS {
        return Err(invalid(format!("A metric filter has at most {MOST_DIMENSIONS} dimensions.")));
    }
    if !dimensions.is_empty() && transformation.default.is_some() {
        return Err(invalid("defaultValue cannot be given together with dimensions: leave one of them out."));
    }
    if transformation.dimensions.keys().any(|name| name.trim().is_empty() || name.starts_with(':') || !name.is_ascii())
    {
        return Err(invalid(
            "The names of dimensions have ASCII characters, not only blanks, and do not begin with ':'.",
        ));
    }
    let text = parsed.as_str().trim_start();
    let fields = dimensions.iter().map(|(_, field)| field);
    let of_value = if let Value::Of(field) = &value { Some(field) } else { None };
    for field in fields.chain(of_value) {
        let fits = match field {
            Field::Json(_) => text.starts_with('{'),
            Field::Column(_) => text.starts_with('['),
        };
        if !fits {
            return Err(invalid(
                "Fields are taken from JSON events by a pattern within { }, as $.field, or from columns by one within [ ], as $field.",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformation(value: &str) -> MetricTransformation {
        MetricTransformation {
            namespace: "N".to_owned(),
            metric: "M".to_owned(),
            value: value.to_owned(),
            default: None,
            dimensions: Default::default(),
            unit: None,
        }
    }

    #[test]
    fn values_are_numbers_or_fields_of_the_patterns_kind() {
        for (pattern, value) in [("", "1"), ("x", "-2.5e3"), ("{ $.a = 1 }", "$.size"), ("[a, b]", "$b")] {
            assert!(check_transformation(pattern, &transformation(value)).is_ok(), "{pattern} {value}");
        }
        for (pattern, value) in
            [("x", "$.size"), ("{ $.a = 1 }", "$b"), ("", "many"), ("", "NaN"), ("", "$"), ("{", "1")]
        {
            assert!(check_transformation(pattern, &transformation(value)).is_err(), "{pattern} {value}");
        }
    }

    #[test]
    fn dimensions_are_three_and_without_a_default() {
        let mut with = transformation("1");
        for name in ["a", "b", "c"] {
            with.dimensions.insert(name.to_owned(), "$.x".to_owned());
        }
        assert!(check_transformation("{ $.x = * }", &with).is_ok());
        let defaulted = MetricTransformation { default: Some(0.0), ..with.clone() };
        assert!(check_transformation("{ $.x = * }", &defaulted).is_err());
        with.dimensions.insert("d".to_owned(), "$.x".to_owned());
        assert!(check_transformation("{ $.x = * }", &with).is_err());
    }
}
