//! Tokens for the next page: opaque to clients, good for the same request only.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::errors;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a request is known by: everything in it but the token.
pub(super) fn digest(request: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(request).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// A token for going on at `place` with the request of that digest.
pub(super) fn token(digest: u64, place: &impl Serialize) -> String {
    let text = serde_json::to_string(&(digest, place)).expect("places have a JSON form");
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Where a token says to go on.
///
/// # Errors
/// `InvalidNextToken` for what is no token, or one of another request.
pub(super) fn place<T: DeserializeOwned>(digest: u64, token: Option<&str>) -> Result<Option<T>, CodedError> {
    let Some(token) = token else { return Ok(None) };
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let read: Option<(u64, T)> = text.and_then(|text| serde_json::from_slice(&text).ok());
    match read {
        Some((of, place)) if of == digest => Ok(Some(place)),
        _ => Err(errors::invalid_next_token(
            "The NextToken is not one that this operation returned for the same request; leave it out to start again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_request() {
        let (this, other) = (digest(&("a", 1)), digest(&("a", 2)));
        let made = token(this, &(7, "x"));
        assert_eq!(place::<(u8, String)>(this, Some(&made)).unwrap(), Some((7, "x".to_owned())));
        assert_eq!(place::<(u8, String)>(this, None).unwrap(), None);
        assert_eq!(place::<(u8, String)>(other, Some(&made)).unwrap_err().code, "InvalidNextToken");
        assert_eq!(place::<(u8, String)>(this, Some("?")).unwrap_err().code, "InvalidNextToken");
    }
}
