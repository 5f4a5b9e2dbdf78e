use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that travel as base64 text in JSON, e.g. the DER of a public key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_base64() {
        assert_eq!(serde_json::to_string(&Blob(vec![0, 255])).unwrap(), "\"AP8=\"");
        assert_eq!(serde_json::from_str::<Blob>("\"AP8=\"").unwrap(), Blob(vec![0, 255]));
        assert!(serde_json::from_str::<Blob>("\"?\"").is_err());
    }
}
