//! The only place that spells object keys.
//!
//! User Guide, "Finding your CloudTrail log files" and "CloudTrail digest files"; the folders of the other kinds by
//! "CloudTrail Insights", "network activity events" and "aggregated events".

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest as hash};
use opentrail_model::{AccountId, Arn, OrganizationId, Position, Region, Timestamp};
use opentrail_trails::{Trail, TrailKey};
use serde::{Deserialize, Serialize};

/// The kinds of log files, each in a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileKind {
    /// Management and data events.
    CloudTrail,
    /// Insights events.
    Insight,
    /// Network activity events.
    NetworkActivity,
    /// Aggregated data events.
    Aggregated,
}

impl FileKind {
    /// Where events of an `eventCategory` go: management and data events share their files.
    pub fn of(category: &str) -> Self {
        match category {
            "Insight" => Self::Insight,
            "NetworkActivity" => Self::NetworkActivity,
            "Aggregated" => Self::Aggregated,
            _ => Self::CloudTrail,
        }
    }

    /// The folder, which is also the infix of the file's name.
    pub fn folder(self) -> &'static str {
        match self {
            Self::CloudTrail => "CloudTrail",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
        }
    }
}

/// What one log file holds: events of one kind, of one account, recorded in one Region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The account whose activity it is.
    pub account: AccountId,
    /// Where it was recorded.
    pub region: Region,
    /// Which kind of events.
    pub kind: FileKind,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.kind.folder(), self.region)
    }
}

/// Where a trail's keys begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root<'a> {
    /// The trail's `S3KeyPrefix`.
    pub prefix: Option<&'a str>,
    /// The organization whose trail it is.
    pub organization: Option<&'a OrganizationId>,
}

impl<'a> Root<'a> {
    /// Where the files of `trail` lie.
    pub(crate) fn of_trail(trail: &'a Trail) -> Self {
        let organization = trail.organization.as_ref().map(|organization| &organization.id);
        Self { prefix: trail.prefix.as_deref(), organization }
    }

    /// What all keys of `account`'s log files and digests begin with.
    fn of(self, account: AccountId) -> String {
        let prefix = self.prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let organization = self.organization.map(|id| format!("{id}/")).unwrap_or_default();
        format!("{prefix}AWSLogs/{organization}{account}")
    }
}

/// The key of a log file that is delivered at `at`. `suffix` is [`suffix`]'s.
pub fn log_file(root: Root<'_>, group: &Group, at: Timestamp, suffix: &str) -> String {
    let Group { account, region, kind } = group;
    let folder = kind.folder();
    let day = at.format("%Y/%m/%d");
    let minute = at.format("%Y%m%dT%H%MZ");
    let root = root.of(*account);
    format!("{root}/{folder}/{region}/{day}/{account}_{folder}_{region}_{minute}_{suffix}.json.gz")
}

/// The key of the digest of `account`'s log files in `region` that ends at `end`.
pub fn digest(root: Root<'_>, account: AccountId, region: &Region, trail: &TrailKey, end: Timestamp) -> String {
    let TrailKey { home_region, name, .. } = trail;
    let day = end.format("%Y/%m/%d");
    let second = end.format("%Y%m%dT%H%M%SZ");
    let root = root.of(account);
    format!(
        "{root}/CloudTrail-Digest/{region}/{day}/{account}_CloudTrail-Digest_{region}_{name}_{home_region}_{second}.json.gz"
    )
}

/// The folder, below an account's, of what queries deliver.
pub const QUERY_FOLDER: &str = "CloudTrail-Lake/Query";

/// The key of a file of the results of the query `id`, started at `at`, of `account`'s event data stores. (User Guide,
/// "Find your saved query results"; that the day is the start's is a choice.)
pub fn query_result(root: Root<'_>, account: AccountId, at: Timestamp, id: &str, file: &str) -> String {
    let (root, day) = (root.of(account), at.format("%Y/%m/%d"));
    format!("{root}/{QUERY_FOLDER}/{day}/{id}/{file}")
}

const SUFFIX_CHARS: usize = 16;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 16 letters and digits at the end of a log file's name.
///
/// CloudTrail's are random; ours follow from what the file holds (the trail and when it was created, the group, the
/// positions of the first and the last record), so that a repeated put overwrites itself. 16 of 62 characters are
/// 95 bits: two files of one minute never meet by chance.
pub fn suffix(trail: &Arn, created: Timestamp, group: &Group, first: Position, last: Position) -> String {
    let name = format!("{trail}\n{}\n{group}\n{first}\n{last}", created.as_millis());
    let bytes = hash(&SHA256, name.as_bytes());
    let (head, _) = bytes.as_ref().split_at(16);
    let mut number = u128::from_be_bytes(head.try_into().expect("the head is 16 bytes"));
    let mut text = String::with_capacity(SUFFIX_CHARS);
    for _ in 0..SUFFIX_CHARS {
        text.push(char::from(ALPHABET[(number % 62) as usize]));
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group {
            account: "111122223333".parse().unwrap(),
            region: "us-east-2".parse().unwrap(),
            kind: FileKind::CloudTrail,
        }
    }

    fn trail() -> TrailKey {
        TrailKey {
            account: "111122223333".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
            name: "main".parse().unwrap(),
        }
    }

    const AT: &str = "2015-08-01T02:10:59Z";

    #[test]
    fn log_files_stand_where_the_user_guide_says() {
        let key = log_file(Root::default(), &group(), AT.parse().unwrap(), "Mu0KsOhtH1ar15ZZ");
        assert_eq!(
            key,
            "AWSLogs/111122223333/CloudTrail/us-east-2/2015/08/01/\
             111122223333_CloudTrail_us-east-2_20150801T0210Z_Mu0KsOhtH1ar15ZZ.json.gz"
        );
        let insight = Group { kind: FileKind::Insight, ..group() };
        let root = Root { prefix: Some("a/b"), organization: None };
        let key = log_file(root, &insight, AT.parse().unwrap(), "Mu0KsOhtH1ar15ZZ");
        assert_eq!(
            key,
            "a/b/AWSLogs/111122223333/CloudTrail-Insight/us-east-2/2015/08/01/\
             111122223333_CloudTrail-Insight_us-east-2_20150801T0210Z_Mu0KsOhtH1ar15ZZ.json.gz"
        );
    }

    #[test]
    fn digests_stand_where_validate_logs_looks() {
        let Group { account, region, .. } = group();
        let root = Root { prefix: Some("p"), organization: None };
        let key = digest(root, account, &region, &trail(), AT.parse().unwrap());
        assert_eq!(
            key,
            "p/AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/01/\
             111122223333_CloudTrail-Digest_us-east-2_main_us-east-1_20150801T021059Z.json.gz"
        );
        // validate-logs reads the time at these places from the end.
        assert_eq!(&key[key.len() - 24..key.len() - 8], "20150801T021059Z");
    }

    #[test]
    fn what_an_organization_trail_delivers_stands_below_the_organization() {
        let id = "o-exampleorgid".parse().unwrap();
        let root = Root { prefix: None, organization: Some(&id) };
        let key = log_file(root, &group(), AT.parse().unwrap(), "Mu0KsOhtH1ar15ZZ");
        assert_eq!(
            key,
            "AWSLogs/o-exampleorgid/111122223333/CloudTrail/us-east-2/2015/08/01/\
             111122223333_CloudTrail_us-east-2_20150801T0210Z_Mu0KsOhtH1ar15ZZ.json.gz"
        );
        let Group { account, region, .. } = group();
        let key = digest(Root { prefix: Some("p"), ..root }, account, &region, &trail(), AT.parse().unwrap());
        assert_eq!(
            key,
            "p/AWSLogs/o-exampleorgid/111122223333/CloudTrail-Digest/us-east-2/2015/08/01/\
             111122223333_CloudTrail-Digest_us-east-2_main_us-east-1_20150801T021059Z.json.gz"
        );
    }

    #[test]
    fn query_results_stand_where_the_user_guide_says() {
        let account = group().account;
        let of = |root| query_result(root, account, AT.parse().unwrap(), "id", "result_1.csv.gz");
        let key = "AWSLogs/111122223333/CloudTrail-Lake/Query/2015/08/01/id/result_1.csv.gz";
        assert_eq!(of(Root::default()), key);
        assert_eq!(of(Root { prefix: Some("a/b"), organization: None }), format!("a/b/{key}"));
    }

    #[test]
    fn the_suffix_follows_from_what_the_file_holds() {
        let at = Timestamp::from_secs(7);
        let of = |first, last| suffix(&trail().arn(), at, &group(), Position(first), Position(last));
        assert_eq!(of(1, 2), of(1, 2));
        assert_eq!(of(1, 2).len(), 16);
        assert!(of(1, 2).bytes().all(|b| b.is_ascii_alphanumeric()));
        let other = Group { region: "eu-west-1".parse().unwrap(), ..group() };
        let others = [
            of(1, 3),
            of(2, 2),
            of(12, 2),
            suffix(&trail().arn(), Timestamp::from_secs(8), &group(), Position(1), Position(2)),
            suffix(&trail().arn(), at, &other, Position(1), Position(2)),
        ];
        assert!(others.iter().all(|other| *other != of(1, 2)));
    }
}
