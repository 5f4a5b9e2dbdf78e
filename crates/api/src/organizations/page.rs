use serde::Serialize;

use super::Outcome;
use super::asked::Asked;
use crate::page_token;

/// The most items of a page. (API Reference, `MaxResults`.)
const MOST: usize = 20;

/// A part of a listing, and the token that continues it.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_token: Option<String>,
}

/// What a request says about paging.
pub(super) struct Wanted<'a> {
    pub(super) next_token: Option<&'a String>,
    pub(super) max_results: Option<i32>,
}

/// The items behind the token, which come with their keys in ascending order; `request` is what else must be the same
/// when a listing is continued.
pub(super) fn page<T>(
    asked: &Asked<'_>,
    items: impl IntoIterator<Item = (String, T)>,
    request: &impl Serialize,
    wanted: &Wanted<'_>,
) -> Outcome<Page<T>> {
    let operation = format!("organizations/{}", asked.operation.name());
    let after: Option<String> = match wanted.next_token {
        Some(token) => Some(page_token::redeem(&asked.cx, &operation, request, token)?),
        None => None,
    };
    let most = wanted.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST);
    let mut rest = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let taken: Vec<(String, T)> = rest.by_ref().take(most).collect();
    let last = rest.next().and(taken.last()).map(|(key, _)| key);
    let next_token = last.map(|key| page_token::issue(&asked.cx, &operation, request, key));
    Ok(Page { items: taken.into_iter().map(|(_, item)| item).collect(), next_token })
}

/// What a request says about paging, from an input that has the two members.
macro_rules! wanted {
    ($input:expr) => {
        $crate::organizations::page::Wanted { next_token: $input.next_token.as_ref(), max_results: $input.max_results }
    };
}
pub(super) use wanted;
