//! JSON that is right by its grammar and that a parser of texts and numbers refuses all the same: halves of characters
//! (`"\ud800"`) and numbers beyond any float (`1e999`). Clients can bring both into a record; they hide from no rule by it.

/// The record with U+FFFD for each half of a character and the largest float for a number beyond it.
pub(crate) fn mend(record: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(record.len());
    let mut rest = record;
    let mut within = false;
    while let Some(byte) = rest.first() {
        let (spelled, length) = match byte {
            b'\\' if within => escape(rest),
            b'-' | b'0'..=b'9' if !within => {
                let number = number(rest);
                (finite(number), number.len())
            }
            _ => (&rest[..1], 1),
        };
        within ^= *byte == b'"';
        mended.extend_from_slice(spelled);
        rest = &rest[length..];
    }
    mended
}

/// How the escape at the beginning is to be spelled, and how long it is.
fn escape(text: &[u8]) -> (&[u8], usize) {
    const REPLACEMENT: &[u8] = br"\ufffd";
    match unit(text) {
        None => {
            let length = text.len().min(2);
            (&text[..length], length)
        }
        Some(0xd800..=0xdbff) if matches!(text.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => (&text[..12], 12),
        Some(0xd800..=0xdfff) => (REPLACEMENT, 6),
        Some(_) => (&text[..6], 6),
    }
}

/// The UTF-16 unit that `\uXXXX` at the beginning stands for.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn number(text: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    &text[..end]
}

fn finite(number: &[u8]) -> &[u8] {
    let value = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
    match value {
        Some(f64::INFINITY) => b"1.7976931348623157e308",
        Some(f64::NEG_INFINITY) => b"-1.7976931348623157e308",
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mended(text: &str) -> String {
        String::from_utf8(mend(text.as_bytes())).unwrap()
    }

    #[test]
    fn halves_of_characters_become_replacements() {
        assert_eq!(
            mended(r#"{"a\ud800":"\udc00x","b":"\ud83d\ude00"}"#),
            r#"{"a\ufffd":"\ufffdx","b":"\ud83d\ude00"}"#
        );
        assert_eq!(
            mended(r#"["\ud800\ud800\udc00","\\ud800","\ud800\n"]"#),
            r#"["\ufffd\ud800\udc00","\\ud800","\ufffd\n"]"#
        );
    }

    #[test]
    fn numbers_beyond_floats_become_the_largest() {
        let large = "9".repeat(400);
        let text = format!(r#"[1e999,-1E+999,{large},1e-999,1.5,"1e999"]"#);
        let max = "1.7976931348623157e308";
        assert_eq!(mended(&text), format!(r#"[{max},-{max},{max},1e-999,1.5,"1e999"]"#));
    }

    proptest! {
        #[test]
        fn what_needs_no_mending_stays(text in "\\PC{0,60}", number in any::<f64>()) {
            let json = serde_json::json!({ text.clone(): [text, number] }).to_string();
            prop_assert_eq!(mended(&json), json);
        }

        #[test]
        fn anything_ends(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            mend(&bytes);
        }
    }
}
