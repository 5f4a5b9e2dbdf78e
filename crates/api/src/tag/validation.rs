//! What makes tags valid, and how they are merged. (API Reference, Tag and AddTags; "Tag naming limits and
//! requirements".)

use std::collections::HashSet;

use opentrail_trails::Tag;

/// Tags of a resource.
const MAX_TAGS: usize = 50;

/// Why tags are refused. Lengths are among the service model's constraints, checked before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagError {
    #[error("A resource can have at most {MAX_TAGS} tags; this one would have {count}.")]
    TooMany { count: usize },
    #[error("Tag key {key:?} is given more than once.")]
    Duplicate { key: String },
    #[error("Tag {key:?} holds a character other than letters, digits, white space and _ . : / = + - @.")]
    Character { key: String },
    #[error("Tag key {key:?} begins with aws:, which is reserved.")]
    Reserved { key: String },
}

/// Checks the tags of one request.
fn validate(tags: &[Tag]) -> Result<(), TagError> {
    let mut seen = HashSet::new();
    for Tag { key, value } in tags {
        let value = value.as_deref().unwrap_or_default();
        if !key.chars().chain(value.chars()).all(is_allowed) {
            return Err(TagError::Character { key: key.clone() });
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(TagError::Reserved { key: key.clone() });
        }
        if !seen.insert(key) {
            return Err(TagError::Duplicate { key: key.clone() });
        }
    }
    Ok(())
}

/// The resource's tags with those of a request put in: a known key keeps its place and gets the new value.
pub(crate) fn put(tags: &[Tag], added: Vec<Tag>) -> Result<Vec<Tag>, TagError> {
    validate(&added)?;
    let mut all = tags.to_vec();
    for tag in added {
        match all.iter_mut().find(|known| known.key == tag.key) {
            Some(known) => *known = tag,
            None => all.push(tag),
        }
    }
    if all.len() > MAX_TAGS { Err(TagError::TooMany { count: all.len() }) } else { Ok(all) }
}

/// The resource's tags without those that have the keys of `removed`, whatever the values.
pub(crate) fn remove(tags: &[Tag], removed: &[Tag]) -> Vec<Tag> {
    tags.iter().filter(|tag| removed.iter().all(|gone| gone.key != tag.key)).cloned().collect()
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.into(), value: Some(value.into()) }
    }

    #[test]
    fn each_rule_has_its_error() {
        use TagError as E;
        assert_eq!(validate(&[tag("team", "a b"), tag("Kostenstelle/ü", "")]), Ok(()));
        assert_eq!(validate(&[Tag { key: "bare".into(), value: None }]), Ok(()));
        assert_eq!(validate(&[tag("k", "a;b")]), Err(E::Character { key: "k".into() }));
        assert_eq!(validate(&[tag("AWS:k", "v")]), Err(E::Reserved { key: "AWS:k".into() }));
        assert_eq!(validate(&[tag("k", "1"), tag("k", "2")]), Err(E::Duplicate { key: "k".into() }));
    }

    #[test]
    fn a_known_key_gets_the_new_value_in_its_place() {
        let tags = put(&[tag("a", "1"), tag("b", "2")], vec![tag("a", "3"), tag("c", "4")]).unwrap();
        assert_eq!(tags, [tag("a", "3"), tag("b", "2"), tag("c", "4")]);
        assert_eq!(remove(&tags, &[tag("a", "other"), tag("unknown", "")]), [tag("b", "2"), tag("c", "4")]);
    }

    #[test]
    fn the_limit_is_on_what_the_resource_would_have() {
        let fifty: Vec<_> = (0..50).map(|i| tag(&format!("k{i}"), "")).collect();
        assert!(put(&fifty, vec![tag("k0", "again")]).is_ok());
        assert_eq!(put(&fifty, vec![tag("k50", "")]), Err(TagError::TooMany { count: 51 }));
    }
}
