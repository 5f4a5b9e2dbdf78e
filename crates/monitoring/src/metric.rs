//! What is measured: a metric's name, and a datum of it.

use std::fmt;

use opentrail_model::{AccountId, Region, Timestamp};

use crate::summary::Summary;

/// The units of CloudWatch. (API Reference, "MetricDatum", `Unit`.)
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// A unit of CloudWatch, e.g. `Count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(&'static str);

impl Unit {
    /// `None`: data that have no unit.
    pub const NONE: Self = Self("None");
    /// `Count`.
    pub const COUNT: Self = Self("Count");

    /// The unit of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        UNITS.into_iter().find(|unit| *unit == name).map(Self)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// A metric: namespace, name and dimensions. Other dimensions make another metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName {
    /// E.g. `AWS/Logs` or `LogMetrics`.
    pub namespace: String,
    /// E.g. `ErrorCount`.
    pub name: String,
    /// Names and values, sorted by name.
    dimensions: Vec<(String, String)>,
}

impl MetricName {
    /// A metric of those dimensions, in whatever order they are.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        dimensions: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut dimensions: Vec<_> = dimensions.into_iter().collect();
        dimensions.sort();
        Self { namespace: namespace.into(), name: name.into(), dimensions }
    }

    /// Names and values, sorted by name.
    pub fn dimensions(&self) -> &[(String, String)] {
        &self.dimensions
    }

    /// The dimensions as one text, by which they compare.
    pub(crate) fn dimensions_text(&self) -> String {
        serde_json::to_string(&self.dimensions).expect("pairs of texts have a JSON form")
    }

    /// From the text that [`Self::dimensions_text`] makes.
    pub(crate) fn from_parts(namespace: String, name: String, dimensions: &str) -> Option<Self> {
        Some(Self { namespace, name, dimensions: serde_json::from_str(dimensions).ok()? })
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        self.dimensions.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// How finely a metric's data are kept at first. (API Reference, "MetricDatum", `StorageResolution`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To the second.
    High,
    /// To the minute.
    Standard,
}

/// What was measured at a moment: one value, several, or a summary of many.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    /// Whose metric it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Which.
    pub metric: MetricName,
    /// When.
    pub time: Timestamp,
    /// Of what unit.
    pub unit: Unit,
    /// How finely it is to be kept.
    pub resolution: Resolution,
    /// The values.
    pub values: Summary,
}
