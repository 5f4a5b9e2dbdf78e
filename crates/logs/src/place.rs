//! Where a log group lies, and how it and its streams are called.

use std::fmt;

use opentrail_model::{AccountId, Region};

/// A log group's account, Region and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupPlace {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Its name, 1 to 512 characters.
    pub name: String,
}

/// A text that is no ARN of a log group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the ARN of a log group; write arn:aws:logs:REGION:ACCOUNT:log-group:NAME")]
pub struct ParseGroupArnError {
    text: String,
}

impl GroupPlace {
    /// The ARN as it identifies the group in requests: without `:*` at the end.
    pub fn arn(&self) -> String {
        format!("arn:{}:logs:{}:{}:log-group:{}", self.region.partition(), self.region, self.account, self.name)
    }

    /// The ARN as policies name the group, with `:*` at the end. (CloudWatch Logs User Guide, "Overview of managing
    /// access permissions", "Log groups": the ARN with `:*` is for IAM policies on all operations but tagging.)
    pub fn arn_with_streams(&self) -> String {
        format!("{}:*", self.arn())
    }

    /// The ARN of one of its streams.
    pub fn stream_arn(&self, stream: &str) -> String {
        format!("{}:log-stream:{stream}", self.arn())
    }

    /// Reads an ARN of a log group, with or without `:*` at its end.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_arn(text: &str) -> Result<Self, ParseGroupArnError> {
        let wrong = || ParseGroupArnError { text: text.to_owned() };
        let rest = text.strip_suffix(":*").unwrap_or(text);
        let parts: Vec<&str> = rest.splitn(7, ':').collect();
        let [arn, _, service, region, account, kind, name] = parts[..] else { return Err(wrong()) };
        if arn != "arn" || service != "logs" || kind != "log-group" || !is_group_name(name) {
            return Err(wrong());
        }
        let (account, region) = (account.parse().map_err(|_| wrong())?, region.parse().map_err(|_| wrong())?);
        Ok(Self { account, region, name: name.to_owned() })
    }
}

impl fmt::Display for GroupPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())
    }
}

/// Whether `name` can be a log group's. (API Reference, CreateLogGroup: letters, digits, `_`, `-`, `/`, `.` and `#`.)
pub(crate) fn is_group_name(name: &str) -> bool {
    (1..=512).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.' | b'#'))
}

/// Whether `name` can be a log stream's: 1 to 512 characters without `:` and `*`. (API Reference, CreateLogStream.)
pub(crate) fn is_stream_name(name: &str) -> bool {
    (1..=512).contains(&name.chars().count()) && !name.contains([':', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_with_and_without_their_end() {
        let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/trail";
        let place = GroupPlace::from_arn(arn).unwrap();
        assert_eq!((place.arn().as_str(), place.name.as_str()), (arn, "/aws/trail"));
        assert_eq!(GroupPlace::from_arn(&place.arn_with_streams()).unwrap(), place);
        assert_eq!(place.stream_arn("s"), format!("{arn}:log-stream:s"));
    }

    #[test]
    fn what_names_no_group_is_refused() {
        let wrong =
            ["", "name", "arn:aws:s3:::b", "arn:aws:logs:eu-west-1:111122223333:log-group:", "arn:aws:logs:r:1:x:n"];
        for text in wrong {
            assert!(GroupPlace::from_arn(text).is_err(), "{text}");
        }
        assert!(GroupPlace::from_arn("arn:aws:logs:eu-west-1:111122223333:log-group:a:log-stream:b").is_err());
    }
}
