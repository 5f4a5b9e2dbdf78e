//! Walking JSON without building it. A repeated key counts with its last value, as serde_json has it.

use sonic_rs::{JsonValueTrait, LazyValue, get_from_str, to_array_iter, to_object_iter};

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Calls `each` for every member of the object, in order, up to the first byte that is no JSON.
/// Says whether the whole text was one object and nothing more.
///
/// A key that escapes half a character (`"\ud800"`) is JSON, but no text: `each` sees it as it is spelled, quotes
/// included, which is nobody's name.
pub fn members<'a>(object: &'a str, mut each: impl FnMut(&str, &LazyValue<'a>)) -> bool {
    let mut rest = object.trim_start_matches(WHITESPACE).strip_prefix('{').unwrap_or_default();
    let mut separator = "";
    for member in to_object_iter(object) {
        let Ok((key, value)) = member else { return odd_members(rest, separator, each) };
        // The iterator does not say where it stopped; its last value lies in the text and does.
        rest = after(object, &value);
        separator = ",";
        each(&key, &value);
    }
    rest.trim_matches(WHITESPACE) == "}"
}

/// The members from `rest` on, for which the iterator is too strict: it ends at a key that is no text.
fn odd_members<'a>(mut rest: &'a str, mut separator: &str, mut each: impl FnMut(&str, &LazyValue<'a>)) -> bool {
    loop {
        rest = rest.trim_start_matches(WHITESPACE);
        let Some(member) = rest.strip_prefix(separator) else { return rest.trim_end_matches(WHITESPACE) == "}" };
        let Some(key) = first(member).filter(|key| key.is_str() && has_whole_escapes(key.as_raw_str())) else {
            return false;
        };
        let Some(value) = after(member, &key).trim_start_matches(WHITESPACE).strip_prefix(':') else { return false };
        let Some(value) = first(value) else { return false };
        rest = after(rest, &value);
        separator = ",";
        each(key.as_str().unwrap_or(key.as_raw_str()), &value);
    }
}

/// The value that `text` begins with; `None` when that is no JSON.
fn first(text: &str) -> Option<LazyValue<'_>> {
    get_from_str(text, [""; 0]).ok()
}

/// Whether four hexadecimal digits follow each `\u`, which skipping a text does not ask.
fn has_whole_escapes(text: &str) -> bool {
    let is_whole = |digits: &str| digits.bytes().take_while(u8::is_ascii_hexdigit).take(4).count() == 4;
    text.replace(r"\\", "").split(r"\u").skip(1).all(is_whole)
}

/// What follows `value`, which lies in `text`.
fn after<'a>(text: &'a str, value: &LazyValue<'a>) -> &'a str {
    let raw = value.as_raw_str();
    &text[raw.as_ptr().addr() - text.as_ptr().addr() + raw.len()..]
}

/// Calls `each` for every element of the array, in order, up to the first byte that is no JSON.
pub fn elements<'a>(array: &'a str, mut each: impl FnMut(&LazyValue<'a>)) {
    for element in to_array_iter(array) {
        let Ok(element) = element else { return };
        each(&element);
    }
}

/// The last member called `name`.
pub fn member<'a>(object: &'a str, name: &str) -> Option<LazyValue<'a>> {
    let mut found = None;
    members(object, |key, value| {
        if key == name {
            found = Some(value.clone());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `members` makes of the text: each key with its value as spelled, and whether it was one object.
    fn walk(object: &str) -> (Vec<(String, String)>, bool) {
        let mut seen = Vec::new();
        let whole = members(object, |key, value| seen.push((key.to_owned(), value.as_raw_str().to_owned())));
        (seen, whole)
    }

    #[test]
    fn keys_that_are_no_text_hide_no_other_member() {
        for odd in [r#""\ud800""#, r#""\udfff""#, r#""a\ud800\u0041""#, r#""\ud800\ud800""#, r#""\udc00\ud800\\u""#] {
            for (object, keys) in [
                (format!(r#"{{{odd}:1,"b":[2],"\u0063":{{"d":3}}}}"#), [odd, "b", "c"]),
                (format!(r#" {{ "b" : [2] , {odd} : 1 , "\u0063" : {{"d":3}} }} "#), ["b", odd, "c"]),
                (format!("{{\"b\":[2],\n\"\\u0063\":{{\"d\":3}},\t{odd}:1}}"), ["b", "c", odd]),
            ] {
                let (seen, whole) = walk(&object);
                assert!(whole, "{object}");
                assert_eq!(seen.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), keys, "{object}");
                let value = |name: &str| &*seen.iter().find(|(key, _)| key == name).unwrap().1;
                assert_eq!((value(odd), value("b"), value("c")), ("1", "[2]", r#"{"d":3}"#), "{object}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_no_object_after_an_odd_key_either() {
        for object in [
            r#"{"\ud800":1"#,
            r#"{"\ud800":1,"#,
            r#"{"\ud800":1,}"#,
            r#"{"\ud800":1 "b":2}"#,
            r#"{"\ud800":1}}"#,
            r#"{"\ud800":1},"#,
            r#"{"\ud800" 1}"#,
            r#"{"\ud800"}"#,
            r#"{"\ud800":}"#,
            r#"{"\ud800":1,2:3}"#,
            r#"{,"\ud800":1}"#,
            r#"{"a":1,,"\ud800":1}"#,
            r#"{"\ud8":1}"#,
            r#"{"\ud800"#,
            r#"{"\q":1,"b":2}"#,
            "{\"\\ud800\n\":1}",
            r#""\ud800""#,
            r#"["\ud800"]"#,
        ] {
            assert!(!walk(object).1, "{object}");
        }
    }
}
