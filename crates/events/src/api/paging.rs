//! Lists a page at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Cx;
use crate::error::EventsError;
use crate::repository::Kept;

/// The most items of a page. (API Reference, `Limit` of each list.)
const MOST: usize = 100;

/// What a request says about paging.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) limit: Option<i32>,
    pub(super) token: Option<String>,
}

/// A page of a list, and the token of the next.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

impl Asked {
    fn limit(&self) -> usize {
        self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST).clamp(1, MOST)
    }

    /// The key that the page begins after; empty for the first. Tokens are sealed, for the caller's account, the Region
    /// and the `list` alone.
    fn after(&self, cx: &Cx<'_>, list: &str) -> Result<String, EventsError> {
        let Some(token) = &self.token else { return Ok(String::new()) };
        let invalid = || EventsError::Validation("NextToken is not one that this operation returned.".to_owned());
        let sealed = STANDARD.decode(token).map_err(|_| invalid())?;
        let after = cx.events.ring.unseal(&purpose(cx, list), &sealed).map_err(|_| invalid())?;
        String::from_utf8(after.to_vec()).map_err(|_| invalid())
    }

    /// The page of the documents whose keys begin with `prefix` and that `wanted` takes.
    pub(super) async fn documents<T: Kept>(
        &self,
        cx: &Cx<'_>,
        prefix: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Page<T>, EventsError> {
        let list = format!("{}/{prefix}", T::KIND);
        let mut after = self.after(cx, &list)?;
        let limit = self.limit();
        let mut items: Vec<T> = Vec::new();
        loop {
            let found = cx.events.documents.page::<T>(prefix, &after, MOST).await?;
            let is_last = found.len() < MOST;
            for item in found {
                after = item.key();
                if !wanted(&item) {
                    continue;
                }
                if items.len() == limit {
                    let last = items.last().map(T::key).unwrap_or_default();
                    return Ok(Page { items, next: Some(seal(cx, &list, &last)) });
                }
                items.push(item);
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// The page of `items`, which are few and in the order of what `name` gives.
    pub(super) fn of<T>(
        &self,
        cx: &Cx<'_>,
        list: &str,
        items: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> String,
    ) -> Result<Page<T>, EventsError> {
        let after = self.after(cx, list)?;
        let mut later = items.into_iter().filter(|item| after.is_empty() || name(item) > after);
        let items: Vec<T> = later.by_ref().take(self.limit()).collect();
        let last = later.next().and(items.last()).map(name);
        Ok(Page { items, next: last.map(|last| seal(cx, list, &last)) })
    }
}

fn seal(cx: &Cx<'_>, list: &str, last: &str) -> String {
    STANDARD.encode(cx.events.ring.seal(&purpose(cx, list), last.as_bytes()))
}

fn purpose(cx: &Cx<'_>, list: &str) -> String {
    format!("events-token/{}/{}/{list}", cx.account(), cx.region())
}
