//! How requests name keys: key id, key ARN, alias name, alias ARN.

use opentrail_model::{AccountId, Arn, Region};

use crate::error::KmsError;
use crate::key::KeyPlace;

/// A key as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Key(KeyPlace),
    Alias(AliasPlace),
}

/// Where an alias is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AliasPlace {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    /// With `alias/`.
    pub(crate) name: String,
}

impl AliasPlace {
    /// `arn:aws:kms:<region>:<account>:alias/<name>`.
    pub(crate) fn arn(&self) -> String {
        format!("arn:{}:kms:{}:{}:{}", self.region.partition(), self.region, self.account, self.name)
    }

    /// The alias's document in the catalog.
    pub(crate) fn document(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.name)
    }
}

impl Reference {
    /// What `text` names for `account` in `region`. An ARN must be of that Region. (API Reference, `KeyId`; the texts
    /// of errors as KMS has them.)
    pub(crate) fn parse(text: &str, account: AccountId, region: &Region) -> Result<Self, KmsError> {
        if !text.starts_with("arn:") {
            return Self::of(text, account, region)
                .ok_or_else(|| KmsError::NotFound(format!("Invalid keyId '{text}'")));
        }
        let invalid = || KmsError::InvalidArn(format!("Invalid arn {text}"));
        let arn: Arn = text.parse().map_err(|_| invalid())?;
        if arn.service() != "kms" || arn.partition() != region.partition() {
            return Err(invalid());
        }
        let owner = arn.account().parse().map_err(|_| invalid())?;
        if arn.region() != region.as_str() {
            return Err(KmsError::NotFound(format!("Invalid arn {}", arn.region())));
        }
        match arn.resource().strip_prefix("key/") {
            Some(id) => {
                let id = id.parse().map_err(|_| KmsError::NotFound(format!("Key '{text}' does not exist")))?;
                Ok(Self::Key(KeyPlace { account: owner, region: region.clone(), id }))
            }
            None => Self::of(arn.resource(), owner, region).ok_or_else(invalid),
        }
    }

    fn of(text: &str, account: AccountId, region: &Region) -> Option<Self> {
        let region = region.clone();
        if text.starts_with("alias/") {
            return Some(Self::Alias(AliasPlace { account, region, name: text.to_owned() }));
        }
        Some(Self::Key(KeyPlace { account, region, id: text.parse().ok()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_forms_are_understood_and_others_refused() {
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        let parse = |text: &str| Reference::parse(text, account, &region);
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let key = parse(id).unwrap();
        assert_eq!(parse(&format!("arn:aws:kms:us-east-1:111122223333:key/{id}")).unwrap(), key);
        let Reference::Alias(alias) = parse("alias/logs").unwrap() else { panic!("an alias") };
        assert_eq!(alias.arn(), "arn:aws:kms:us-east-1:111122223333:alias/logs");
        assert_eq!(parse(&alias.arn()).unwrap(), Reference::Alias(alias));
        let theirs = parse(&format!("arn:aws:kms:us-east-1:444455556666:key/{id}")).unwrap();
        assert!(matches!(theirs, Reference::Key(place) if place.account.to_string() == "444455556666"));
        for unknown in ["", "logs", &format!("arn:aws:kms:eu-west-1:111122223333:key/{id}")] {
            assert!(matches!(parse(unknown), Err(KmsError::NotFound(_))), "{unknown}");
        }
        for bad in ["arn:aws:s3:::b", "arn:aws:kms:us-east-1:1:key/x", "arn:aws:kms:us-east-1:111122223333:grant/x"] {
            assert!(matches!(parse(bad), Err(KmsError::InvalidArn(_))), "{bad}");
        }
    }
}
