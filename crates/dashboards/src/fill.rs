//! What is put in for the marks of a statement.
//!
//! A `?` in a widget's statement is replaced as text, wherever it stands: between quotes, or for a store's id after FROM.
//! (User Guide, "Create a custom dashboard with the AWS CLI".)

use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_model::Timestamp;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A longer time than this is shown by days when no period is given.
const BY_HOURS: Duration = Duration::from_secs(2 * 24 * 60 * 60);
const PERIODS: [&str; 8] = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

/// What a widget's statement can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `$StartTime$`.
    StartTime,
    /// `$EndTime$`.
    EndTime,
    /// `$Period$`: what `DATE_TRUNC` takes.
    Period,
    /// `$EventDataStoreId$`, in managed dashboards.
    EventDataStoreId,
}

impl Parameter {
    const ALL: [Self; 4] = [Self::StartTime, Self::EndTime, Self::Period, Self::EventDataStoreId];

    /// Its name in `QueryParameters` and `QueryParameterValues`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartTime => "$StartTime$",
            Self::EndTime => "$EndTime$",
            Self::Period => "$Period$",
            Self::EventDataStoreId => "$EventDataStoreId$",
        }
    }

    /// The parameter of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.as_str() == name)
    }
}

/// The values of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    start: String,
    end: String,
    period: String,
    store: Option<Uuid>,
}

/// Why values are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// There is no such parameter.
    #[error(
        "{name} is no parameter of a dashboard: there are $StartTime$, $EndTime$ and $Period$, and for managed dashboards $EventDataStoreId$."
    )]
    Unknown {
        /// What was given.
        name: String,
    },
    /// It is no time.
    #[error("{name} is {text:?}, which is no time such as 2024-11-05T10:45:24Z.")]
    Time {
        /// The parameter.
        name: &'static str,
        /// What was given.
        text: String,
    },
    /// The end is first.
    #[error("$StartTime$ {start} is not before $EndTime$ {end}.")]
    Order {
        /// The start.
        start: String,
        /// The end.
        end: String,
    },
    /// It is no period.
    #[error("$Period$ is {text:?}; it can be second, minute, hour, day, week, month, quarter or year.")]
    Period {
        /// What was given.
        text: String,
    },
    /// It is no store.
    #[error("$EventDataStoreId$ is {text:?}, which is no ID of an event data store.")]
    Store {
        /// What was given.
        text: String,
    },
    /// A managed dashboard needs to know what to show.
    #[error("Give the event data store of a managed dashboard as $EventDataStoreId$.")]
    NoStore,
}

impl Values {
    /// Reads `QueryParameterValues`, those of a store left out: the last 24 hours unless they say otherwise, by the hour or,
    /// over more than two days, by the day. The defaults are choices, as AWS documents them of its console only.
    ///
    /// # Errors
    /// When a value is of no use, so that the caller hears of it and not of a query that failed.
    pub fn read(given: &BTreeMap<String, String>, now: Timestamp) -> Result<Self, ValuesError> {
        if let Some(name) = given.keys().find(|name| Parameter::from_name(name).is_none()) {
            return Err(ValuesError::Unknown { name: name.clone() });
        }
        let text = |parameter: Parameter| given.get(parameter.as_str()).cloned();
        let time = |parameter: Parameter| {
            let Some(text) = text(parameter) else { return Ok(None) };
            let malformed = || ValuesError::Time { name: parameter.as_str(), text: text.clone() };
            Ok(Some((moment(&text).ok_or_else(malformed)?, text)))
        };
        let (end, end_text) = time(Parameter::EndTime)?.unwrap_or_else(|| (now, spell(now)));
        let (start, start_text) = time(Parameter::StartTime)?.unwrap_or_else(|| (end - DAY, spell(end - DAY)));
        if start >= end {
            return Err(ValuesError::Order { start: start_text, end: end_text });
        }
        let by = if end.since(start) > BY_HOURS { "day" } else { "hour" };
        let period = text(Parameter::Period).unwrap_or_else(|| by.to_owned());
        if !PERIODS.iter().any(|known| known.eq_ignore_ascii_case(&period)) {
            return Err(ValuesError::Period { text: period });
        }
        Ok(Self { start: start_text, end: end_text, period, store: None })
    }

    /// The 24 hours before `now`, by the hour: what scheduled refreshes show.
    pub fn last_day(now: Timestamp) -> Self {
        Self { start: spell(now - DAY), end: spell(now), period: "hour".to_owned(), store: None }
    }

    /// The values with a store for `$EventDataStoreId$`.
    #[must_use]
    pub fn with_store(self, store: Uuid) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The store for `$EventDataStoreId$`.
    pub fn store(&self) -> Option<Uuid> {
        self.store
    }

    /// The value of a parameter.
    pub(crate) fn of(&self, parameter: Parameter) -> Result<String, ValuesError> {
        Ok(match parameter {
            Parameter::StartTime => self.start.clone(),
            Parameter::EndTime => self.end.clone(),
            Parameter::Period => self.period.clone(),
            Parameter::EventDataStoreId => self.store.ok_or(ValuesError::NoStore)?.to_string(),
        })
    }
}

/// As SQL compares it with `eventTime`, with the milliseconds, so that what just happened is before now.
fn spell(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// A time with a zone, without one (UTC), or a date.
fn moment(text: &str) -> Option<Timestamp> {
    [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")].iter().find_map(|text| text.parse().ok())
}

/// The statement with `values` in the place of its `?`, in order.
///
/// # Errors
/// The number of marks, when it is another than that of the values.
pub fn fill<V: AsRef<str>>(statement: &str, values: &[V]) -> Result<String, usize> {
    let mut pieces = statement.split('?');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    let marks = statement.matches('?').count();
    if marks != values.len() {
        return Err(marks);
    }
    for (value, piece) in values.iter().zip(pieces) {
        filled.push_str(value.as_ref());
        filled.push_str(piece);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Values, ValuesError> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Values::read(&given, "2026-01-02T03:04:05Z".parse().unwrap())
    }

    #[test]
    fn marks_are_replaced_in_order_wherever_they_stand() {
        assert_eq!(fill("a '?' b ? c?", &["1", "?", "3"]).as_deref(), Ok("a '1' b ? c3"));
        assert_eq!(fill::<&str>("none", &[]).as_deref(), Ok("none"));
        assert_eq!((fill("? ?", &["1"]), fill("", &["1"])), (Err(2), Err(0)));
    }

    #[test]
    fn what_is_left_out_is_the_last_day_by_the_hour() {
        let values = read(&[]).unwrap();
        assert_eq!(values.start, "2026-01-01T03:04:05.000Z");
        assert_eq!((&*values.end, &*values.period), ("2026-01-02T03:04:05.000Z", "hour"));
        assert_eq!(values, Values::last_day("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(values.of(Parameter::EventDataStoreId), Err(ValuesError::NoStore));
        let week = read(&[("$StartTime$", "2025-12-25"), ("$EndTime$", "2026-01-01T00:00:00.00Z")]).unwrap();
        assert_eq!((&*week.start, &*week.end, &*week.period), ("2025-12-25", "2026-01-01T00:00:00.00Z", "day"));
        let before = read(&[("$EndTime$", "2024-05-06T07:08:09")]).unwrap();
        assert_eq!(before.start, "2024-05-05T07:08:09.000Z");
    }

    #[test]
    fn values_of_no_use_are_refused() {
        let unknown = ValuesError::Unknown { name: "$Start$".to_owned() };
        assert_eq!(read(&[("$Start$", "2024-01-01")]), Err(unknown));
        assert!(matches!(read(&[("$EndTime$", "yesterday")]), Err(ValuesError::Time { name: "$EndTime$", .. })));
        assert!(matches!(read(&[("$StartTime$", "2026-01-03")]), Err(ValuesError::Order { .. })));
        assert!(matches!(read(&[("$Period$", "fortnight")]), Err(ValuesError::Period { .. })));
        assert!(read(&[("$Period$", "DAY")]).is_ok());
    }
}
