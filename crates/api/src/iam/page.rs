use opentrail_wire::sigv4::QueryError;

use super::Outcome;
use super::asked::Asked;
use crate::page_token;

/// Items of a page when the caller does not say. (IAM API Reference, `MaxItems`.)
const DEFAULT_ITEMS: i32 = 100;

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
    let operation = asked.operation.name();
    let after: Option<String> = match marker {
        None => None,
        Some(marker) => {
            let redeemed = page_token::redeem(&asked.cx, operation, &(), marker);
            Some(
                redeemed
                    .map_err(|_| QueryError::validation("Invalid Marker: it is not one that this listing returned."))?,
            )
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
        marker: marker.map(|key| page_token::issue(&asked.cx, operation, &(), &key)),
    })
}
