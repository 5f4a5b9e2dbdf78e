//! Tokens of lists: where the next page begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{LogsError, invalid};

/// The words for a token that is none.
pub(super) fn invalid_token() -> LogsError {
    invalid("The specified nextToken is invalid.")
}

/// The token after which the list goes on behind `key`.
pub(super) fn token(list: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}\n{key}"))
}

/// What [`token`] was given for the same list; `None` without a token.
pub(super) fn behind(list: &str, token: Option<&str>) -> Result<Option<String>, LogsError> {
    let Some(token) = token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid_token())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid_token())?;
    match text.split_once('\n') {
        Some((of, key)) if of == list => Ok(Some(key.to_owned())),
        _ => Err(invalid_token()),
    }
}

/// How many a page has: what is asked for, `usual` without.
pub(super) fn limit(asked: Option<i32>, usual: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).filter(|asked| *asked > 0).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_list() {
        let made = token("groups", "/a");
        assert_eq!(behind("groups", Some(&made)).unwrap().as_deref(), Some("/a"));
        assert!(behind("streams", Some(&made)).is_err());
        assert!(behind("groups", Some("???")).is_err());
        assert_eq!(behind("groups", None).unwrap(), None);
    }
}
