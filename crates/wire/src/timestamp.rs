//! Times in AWS's JSON protocols: seconds since the epoch as a number, with a fraction only when there is one.
//!
//! ISO 8601 text is read too, as SDKs do. [`optional`] and [`optional_list`] are for serde's `with`.

use opentrail_model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The moment that a JSON number or text stands for; `None` when it stands for none that can be represented.
pub(crate) fn from_json(value: &serde_json::Value) -> Option<Timestamp> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(secs) => from_secs(secs),
            None => from_fraction(number.as_f64()?),
        },
        _ => None,
    }
}

/// The years 0000 to 9999: what ISO 8601 spells with four digits.
const RANGE_SECS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn from_secs(secs: i64) -> Option<Timestamp> {
    RANGE_SECS.contains(&secs).then(|| Timestamp::from_secs(secs))
}

fn from_fraction(secs: f64) -> Option<Timestamp> {
    from_secs(secs.floor() as i64)
        .filter(|_| secs.is_finite())
        .map(|_| Timestamp::from_millis((secs * 1000.0).round() as i64))
}

/// A time as one JSON value.
struct Wire(Timestamp);

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_millis() % 1000 {
            0 => serializer.serialize_i64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        from_json(&value)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("{value} is not a time in seconds since the epoch")))
    }
}

pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp, Wire};

    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Wire).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Wire>::deserialize(deserializer)?.map(|wire| wire.0))
    }
}

/// As [`optional`], for a time that must be there.
pub(crate) mod required {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp, Wire};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        Wire(*time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Ok(Wire::deserialize(deserializer)?.0)
    }
}

pub(crate) mod optional_list {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp, Wire};

    pub(crate) fn serialize<S: Serializer>(times: &Option<Vec<Timestamp>>, serializer: S) -> Result<S::Ok, S::Error> {
        times.as_ref().map(|times| times.iter().copied().map(Wire).collect::<Vec<_>>()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Timestamp>>, D::Error> {
        let times = Option::<Vec<Wire>>::deserialize(deserializer)?;
        Ok(times.map(|times| times.into_iter().map(|wire| wire.0).collect()))
    }
}

/// ISO 8601 text, the form of times in the Query protocol's XML.
pub(crate) mod iso {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_iso())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// As [`iso`], for a time that may be absent.
pub(crate) mod iso_optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp, de};

    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::to_iso).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Timestamp> {
        serde_json::from_str::<Wire>(json).ok().map(|wire| wire.0)
    }

    #[test]
    fn numbers_fractions_and_iso_text_are_read() {
        assert_eq!(read("1700000000"), Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(read("1700000000.123"), Some(Timestamp::from_millis(1_700_000_000_123)));
        assert_eq!(read("1.7e9"), Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(read("\"2023-11-14T22:13:20Z\""), Some(Timestamp::from_secs(1_700_000_000)));
    }

    #[test]
    fn what_is_no_time_or_beyond_year_9999_is_refused() {
        for json in ["\"yesterday\"", "true", "1e300", "-1e300", "253402300800", "[1]"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn whole_seconds_are_written_without_a_fraction() {
        let json = |time| serde_json::to_string(&Wire(time)).unwrap();
        assert_eq!(json(Timestamp::from_secs(1_700_000_000)), "1700000000");
        assert_eq!(json(Timestamp::from_millis(1_700_000_000_120)), "1700000000.12");
    }
}
