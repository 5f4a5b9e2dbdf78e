use opentrail_imports::Origin;
use opentrail_model::{AccountId, Arn};
use opentrail_wire::cloudtrail::S3ImportSource;

use crate::trail::validate_bucket;

/// An `ImportSource` that nothing can be read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("S3LocationUri {uri:?} is not valid: use s3://bucket or s3://bucket/prefix/.")]
    Uri { uri: String },
    #[error("S3BucketRegion {region:?} is not a Region.")]
    Region { region: String },
    #[error("S3BucketAccessRoleArn {role:?} is not the ARN of a role in the account {account}.")]
    Role { role: String, account: AccountId },
}

/// Reads an import's source. A slash at the end of the URI says nothing. The role must be one of the caller's account, as a
/// role can be passed to a service in its own account only. (IAM User Guide, "Grant a user permissions to pass a role to an
/// AWS service".)
pub(super) fn parse(s3: S3ImportSource, account: AccountId) -> Result<Origin, SourceError> {
    let S3ImportSource { s3_location_uri: uri, s3_bucket_region: region, s3_bucket_access_role_arn: role } = s3;
    let Some((bucket, folder)) = place(&uri) else { return Err(SourceError::Uri { uri }) };
    let Ok(region) = region.parse() else { return Err(SourceError::Region { region }) };
    let is_role = |arn: &Arn| {
        arn.service() == "iam" && arn.account() == account.to_string() && arn.resource().starts_with("role/")
    };
    if !role.parse().is_ok_and(|arn| is_role(&arn)) {
        return Err(SourceError::Role { role, account });
    }
    Ok(Origin { uri, bucket, folder, region, role })
}

/// The bucket in a URI, and the folder in it: empty, or with a slash at its end.
fn place(uri: &str) -> Option<(String, String)> {
    let (bucket, folder) = uri.strip_prefix("s3://").map(|place| place.split_once('/').unwrap_or((place, "")))?;
    validate_bucket(bucket).ok()?;
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    let good = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    match folder {
        "" => Some((bucket.to_owned(), String::new())),
        folder => folder.split('/').all(good).then(|| (bucket.to_owned(), format!("{folder}/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_bucket_and_a_folder() {
        let at = |bucket: &str, folder: &str| Some((bucket.to_owned(), folder.to_owned()));
        assert_eq!(place("s3://logs"), at("logs", ""));
        assert_eq!(place("s3://logs/"), at("logs", ""));
        assert_eq!(place("s3://logs/a/AWSLogs/111122223333"), at("logs", "a/AWSLogs/111122223333/"));
        assert_eq!(place("s3://logs/a/"), at("logs", "a/"));
        for bad in ["logs", "https://logs", "s3://", "s3://L", "s3://logs//a", "s3://logs/a//", "s3://logs/../a"] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
