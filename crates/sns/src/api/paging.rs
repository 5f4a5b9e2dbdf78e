//! Pages of lists: 100 of them, and a token that says where the next begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::SnsError;

/// Entries of a page. (API Reference, ListTopics, ListSubscriptions.)
pub(super) const PAGE: usize = 100;

/// Asked for, so that it is known whether there is another page.
pub(super) const PAGE_AND_ONE: usize = PAGE + 1;

/// The key that the page begins after; empty for the first.
pub(super) fn after(token: Option<&str>) -> Result<String, SnsError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(String::new()) };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() <= 512);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
    text.ok_or_else(|| SnsError::parameter("NextToken", "it is not one that this operation returned"))
}

/// The page of `keyed`, and the token for the next.
pub(super) fn page<T>(mut keyed: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
    let more = keyed.len() > PAGE;
    keyed.truncate(PAGE);
    let token = keyed.last().filter(|_| more).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    (keyed.into_iter().map(|(_, value)| value).collect(), token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_to_the_next_page() {
        let keyed = |count: usize| (0..count).map(|n| (format!("{n:04}"), n)).collect::<Vec<_>>();
        let (first, token) = page(keyed(PAGE_AND_ONE));
        assert_eq!((first.len(), after(token.as_deref()).unwrap().as_str()), (PAGE, "0099"));
        assert_eq!(page(keyed(PAGE)).1, None);
        assert!(after(Some("%")).is_err() && after(None).unwrap().is_empty());
    }
}
