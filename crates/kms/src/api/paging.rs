//! Lists a page at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Cx;
use crate::error::KmsError;

/// A page of a list, and the marker of the next.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// What a request says about paging.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) limit: Option<i32>,
    pub(super) marker: Option<String>,
}

impl Asked {
    /// The most items wanted: `default` when the request does not say, never more than `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> usize {
        self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default).min(most)
    }

    /// The name that the page begins after; empty for the first. Markers are sealed, for the caller's account, the
    /// Region and the `list` alone.
    pub(super) fn after(&self, cx: &Cx<'_>, list: &str) -> Result<String, KmsError> {
        let Some(marker) = &self.marker else { return Ok(String::new()) };
        let sealed = STANDARD.decode(marker).map_err(|_| KmsError::InvalidMarker)?;
        let after = cx.kms.ring.unseal(&purpose(cx, list), &sealed).map_err(|_| KmsError::InvalidMarker)?;
        String::from_utf8(after.to_vec()).map_err(|_| KmsError::InvalidMarker)
    }
}

/// The page of `items`, sorted by what `name` gives, that comes after `after`.
pub(super) fn page<T>(
    cx: &Cx<'_>,
    list: &str,
    after: &str,
    limit: usize,
    items: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> String,
) -> Page<T> {
    let mut later = items.into_iter().filter(|item| after.is_empty() || name(item).as_str() > after);
    let items: Vec<T> = later.by_ref().take(limit).collect();
    let last = later.next().and(items.last()).map(name);
    let next = last.map(|last| STANDARD.encode(cx.kms.ring.seal(&purpose(cx, list), last.as_bytes())));
    Page { items, next }
}

fn purpose(cx: &Cx<'_>, list: &str) -> String {
    format!("kms-marker/{}/{}/{list}", cx.account(), cx.region())
}
