use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_model::{AccountId, Region, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::{Context, Outcome};

/// How long a token continues its listing; a choice, as AWS does not say.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Items of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// Why a `NextToken` does not continue this listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageTokenError {
    #[error("The NextToken is not one that this operation returned.")]
    Forged,
    #[error("The NextToken belongs to another request: repeat every other parameter of the request that returned it.")]
    OtherRequest,
    #[error("The NextToken has expired: repeat the request without it.")]
    Expired,
}

/// What a token says. Sealed with the key ring, so that nobody can read, make or alter one.
#[derive(Serialize, Deserialize)]
struct Claims<C> {
    account: AccountId,
    region: Region,
    /// Hash of the request's other parameters.
    request: [u8; 32],
    issued: Timestamp,
    cursor: C,
}

/// The token that continues `request` of `operation` behind `cursor`.
pub(crate) fn issue(cx: &Context<'_>, operation: &str, request: &impl Serialize, cursor: &impl Serialize) -> String {
    let claims =
        Claims { account: cx.account(), region: cx.region().clone(), request: hash(request), issued: cx.now(), cursor };
    let plaintext = serde_json::to_vec(&claims).expect("cursors are plain values, which serialize to JSON");
    STANDARD.encode(cx.services.keys.seal(&purpose(operation), &plaintext))
}

/// The cursor in a token that [`issue`] made for the same caller, operation and request.
pub(crate) fn redeem<C: DeserializeOwned>(
    cx: &Context<'_>,
    operation: &str,
    request: &impl Serialize,
    token: &str,
) -> Result<C, PageTokenError> {
    let sealed = STANDARD.decode(token).map_err(|_| PageTokenError::Forged)?;
    let plaintext = cx.services.keys.unseal(&purpose(operation), &sealed).map_err(|_| PageTokenError::Forged)?;
    // A token sealed by another version of this program may hold another kind of cursor.
    let claims: Claims<C> = serde_json::from_slice(&plaintext).map_err(|_| PageTokenError::Expired)?;
    if claims.account != cx.account() || claims.region != *cx.region() || claims.request != hash(request) {
        return Err(PageTokenError::OtherRequest);
    }
    if cx.now() > claims.issued + LIFETIME { Err(PageTokenError::Expired) } else { Ok(claims.cursor) }
}

/// Resources by their ARNs, each beside its name, and the token of the next page.
pub(crate) type Page = (Vec<(String, String)>, Option<String>);

/// One page of resources in the order of their ARNs, each beside its name, and the token of the next.
pub(crate) fn page(
    cx: &Context<'_>,
    operation: &str,
    mut items: Vec<(String, String)>,
    max_results: Option<i32>,
    token: Option<&str>,
) -> Outcome<Page> {
    // The last one of the page before.
    let after: Option<String> = token.map(|token| redeem(cx, operation, &(), token)).transpose()?;
    let page = max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    items.retain(|(arn, _)| after.as_ref().is_none_or(|after| arn > after));
    items.sort();
    let more = items.len() > page;
    items.truncate(page);
    let next = items.last().filter(|_| more).map(|(last, _)| issue(cx, operation, &(), last));
    Ok((items, next))
}

fn purpose(operation: &str) -> String {
    format!("page-token/{operation}")
}

fn hash(request: &impl Serialize) -> [u8; 32] {
    let bytes = serde_json::to_vec(request).expect("requests are plain values, which serialize to JSON");
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    hash
}
