//! How much of each field a record holds. From the user guide's page on record contents, as the sizes of fields since
//! `eventVersion` 1.05; the `omitted` member follows an earlier revision of that page.

use serde_json::{Value, json};

const MAX_TEXT: usize = 1024;
const MAX_PARAMETERS: usize = 100 * 1024;
const MAX_ADDITIONAL: usize = 28 * 1024;

/// The text of `userAgent`, `errorCode`, `errorMessage`, `requestID`: at most 1 KB, cut at a character.
pub(crate) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// `requestParameters` and `responseElements`: at most 100 KB of JSON.
pub(crate) fn parameters(value: Value) -> Value {
    bounded(value, MAX_PARAMETERS)
}

/// `additionalEventData`: at most 28 KB of JSON.
pub(crate) fn additional(value: Value) -> Value {
    bounded(value, MAX_ADDITIONAL)
}

/// What stands for a field that is too large or could not be kept.
pub(crate) fn omitted() -> Value {
    json!({ "omitted": true })
}

fn bounded(value: Value, limit: usize) -> Value {
    let mut counter = Counter { left: limit };
    if serde_json::to_writer(&mut counter, &value).is_ok() { value } else { omitted() }
}

/// Takes so many bytes and then fails.
struct Counter {
    left: usize,
}

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_above_its_limit_is_omitted_as_a_whole() {
        let fits = json!({ "a": "x".repeat(MAX_PARAMETERS - 8) });
        assert_eq!(parameters(fits.clone()), fits);
        assert_eq!(parameters(json!({ "a": "x".repeat(MAX_PARAMETERS - 7) })), json!({ "omitted": true }));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let text = format!("{}€", "x".repeat(1023));
        assert_eq!(shortened(&text).len(), 1023);
    }
}
