//! Strings of JSON: where they end, and what they say.

/// How many bytes at the beginning say what they are: up to the first quote, backslash or control character.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The highest bit of each byte that is less than `limit`. Exact for the lowest such byte, which is all that is
    // asked.
    let less = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let ends = quote | backslash | less(word, b' ');
        if ends != 0 {
            return number * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    words.len() * 8 + rest.iter().position(ends).unwrap_or(rest.len())
}

/// How many bytes an escape has, with its backslash, which comes first; `None` when it is none.
pub(crate) fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Appends what a string says, given between its quotes, whose escapes are whole. Half of a surrogate pair becomes the
/// replacement character.
pub fn unescape(mut raw: &str, said: &mut String) {
    while let Some((before, escape)) = raw.split_once('\\') {
        said.push_str(before);
        let mut rest = escape.chars();
        match rest.next() {
            Some('b') => said.push('\u{8}'),
            Some('f') => said.push('\u{c}'),
            Some('n') => said.push('\n'),
            Some('r') => said.push('\r'),
            Some('t') => said.push('\t'),
            Some('u') => {
                let (character, length) = code_point(escape);
                said.push(character);
                raw = &escape[length..];
                continue;
            }
            other => said.extend(other),
        }
        raw = rest.as_str();
    }
    said.push_str(raw);
}

/// The character of `uXXXX`, or of two of them with a backslash between, and how many bytes these have.
fn code_point(escape: &str) -> (char, usize) {
    let unit = |text: Option<&str>| text.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let first = unit(escape.get(1..5)).unwrap_or_default();
    if let Some(high @ 0..0x400) = first.checked_sub(0xd800)
        && escape.get(5..7) == Some("\\u")
        && let Some(second) = unit(escape.get(7..11))
        && let Some(low @ 0..0x400) = second.checked_sub(0xdc00)
    {
        let pair = char::from_u32(0x1_0000 + (high << 10) + low);
        return (pair.unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn strings_say_what_another_parser_reads(text in "\\PC{0,20}[\"\\\\\n\u{1}a😀é]{0,9}\\PC{0,20}") {
            let json = serde_json::to_string(&text).unwrap();
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            for raw in [&json[1..json.len() - 1], &ascii] {
                let mut said = String::new();
                unescape(raw, &mut said);
                prop_assert_eq!(&said, &text);
            }
        }

        #[test]
        fn plain_ends_at_the_first_special_byte(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(plain(&bytes), expected.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        for (raw, expected) in [(r"\ud83d", "\u{fffd}"), (r"\udc00x", "\u{fffd}x"), (r"\ud83d\u0041", "\u{fffd}A")] {
            let mut said = String::new();
            unescape(raw, &mut said);
            assert_eq!(said, expected, "{raw}");
        }
    }
}
