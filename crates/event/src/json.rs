//! Walking JSON without building it. A repeated key counts with its last value, as serde_json has it.

use sonic_rs::{LazyValue, to_array_iter, to_object_iter};

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Calls `each` for every member of the object, in order, up to the first byte that is no JSON.
/// Says whether the whole text was one object and nothing more.
pub(crate) fn members<'a>(object: &'a str, mut each: impl FnMut(&str, &LazyValue<'a>)) -> bool {
    let mut rest = object.trim_start_matches(WHITESPACE).strip_prefix('{').unwrap_or_default();
    for member in to_object_iter(object) {
        let Ok((key, value)) = member else { return false };
        let raw = value.as_raw_str();
        // The iterator does not say where it stopped; its last value lies in the text and does.
        rest = &object[raw.as_ptr().addr() - object.as_ptr().addr() + raw.len()..];
        each(&key, &value);
    }
    rest.trim_matches(WHITESPACE) == "}"
}

/// Calls `each` for every element of the array, in order, up to the first byte that is no JSON.
pub(crate) fn elements<'a>(array: &'a str, mut each: impl FnMut(&LazyValue<'a>)) {
    for element in to_array_iter(array) {
        let Ok(element) = element else { return };
        each(&element);
    }
}

/// The last member called `name`.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<LazyValue<'a>> {
    let mut found = None;
    members(object, |key, value| {
        if key == name {
            found = Some(value.clone());
        }
    });
    found
}
