//! Query strings and form bodies as pairs.

use percent_encoding::percent_decode_str;

/// One parameter, decoded; bytes that are no UTF-8 become replacement characters.
pub(crate) struct Pair {
    pub(crate) name: String,
    /// Empty also when there was no `=`.
    pub(crate) value: String,
}

/// The parameters in their order. A `+` is a space, as S3 and the query protocol read it.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Pair> {
    text.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Pair { name: decoded(name), value: decoded(value) }
    })
}

/// A path or a part of one: percent-decoded, `+` stays.
pub(crate) fn decoded_path(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decoded(text: &str) -> String {
    if text.contains('+') { decoded_path(&text.replace('+', " ")) } else { decoded_path(text) }
}
