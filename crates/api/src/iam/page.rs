use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_wire::sigv4::QueryError;

use super::Outcome;
use super::asked::Asked;

/// Items of a page when the caller does not say. (IAM API Reference, `MaxItems`.)
const DEFAULT_ITEMS: i32 = 100;

/// The longest key in a marker: IAM's markers have at most 320 characters. Only keys of tags can be longer; after a
/// shortened one those that begin alike come again.
const MAX_KEY: usize = 200;

/// A part of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) is_truncated: Option<bool>,
    /// Continues the listing; present when it is truncated.
    pub(super) marker: Option<String>,
}

/// The items behind `marker`, which come with their keys in ascending order.
pub(super) fn page<T>(
    asked: &Asked<'_>,
    items: impl IntoIterator<Item = (String, T)>,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Outcome<Page<T>> {
    let purpose = format!("iam-marker/{}/{}", asked.account_id(), asked.operation.name());
    let keys = &asked.cx.services.keys;
    let after: Option<String> = match marker {
        None => None,
        Some(marker) => {
            let sealed = STANDARD.decode(marker).ok();
            let opened = sealed.and_then(|sealed| keys.unseal(&purpose, &sealed).ok());
            let key = opened.and_then(|key| String::from_utf8(key.to_vec()).ok());
            let invalid = || QueryError::validation("Invalid Marker: it is not one that this listing returned.");
            Some(key.ok_or_else(invalid)?)
        }
    };
    let mut items = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let most = usize::try_from(max_items.unwrap_or(DEFAULT_ITEMS)).unwrap_or(1);
    let mut taken: Vec<(String, T)> = items.by_ref().take(most).collect();
    let more = items.next().is_some();
    let marker = more.then(|| taken.last_mut().map(|(key, _)| std::mem::take(key))).flatten();
    Ok(Page {
        items: taken.into_iter().map(|(_, item)| item).collect(),
        is_truncated: Some(more),
        marker: marker.map(|key| STANDARD.encode(keys.seal(&purpose, bounded(&key).as_bytes()))),
    })
}

fn bounded(key: &str) -> &str {
    &key[..key.floor_char_boundary(MAX_KEY)]
}
