use opentrail_model::{AccountId, OrganizationId, Region, Timestamp};

/// The folders of an account that hold event log files. (User Guide, "Finding your CloudTrail log files", "Finding your
/// CloudTrail Insights log files", and their like for network activity and aggregated events.) Digests lie in
/// `CloudTrail-Digest` and are none.
pub(crate) const KINDS: [&str; 4] =
    ["CloudTrail", "CloudTrail-Aggregated", "CloudTrail-Insight", "CloudTrail-NetworkActivity"];

/// The folder `…AWSLogs/[o-…/]<account>/<kind>/<Region>/`, which has a folder for each day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Folder {
    /// Its whole name, with the slash.
    pub(crate) name: String,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) account: AccountId,
    pub(crate) kind: &'static str,
    pub(crate) region: Region,
}

impl Folder {
    /// The folder that a key lies in, with what follows the folder's name. `root` ends with `AWSLogs/`.
    fn of<'a>(root: &str, key: &'a str) -> Option<(Self, &'a str)> {
        let mut rest = key.strip_prefix(root)?;
        let mut next = || {
            let (part, after) = rest.split_once('/')?;
            rest = after;
            Some(part)
        };
        let first = next()?;
        let organization: Option<OrganizationId> = first.parse().ok();
        let account = if organization.is_some() { next()? } else { first }.parse().ok()?;
        let kind = next()?;
        let kind = KINDS.into_iter().find(|known| *known == kind)?;
        let region = next()?.parse().ok()?;
        let name = key[..key.len() - rest.len()].to_owned();
        Some((Self { name, organization, account, kind, region }, rest))
    }

    /// The same by its own name.
    pub(crate) fn parse(root: &str, name: &str) -> Option<Self> {
        Self::of(root, name).filter(|(_, rest)| rest.is_empty()).map(|(folder, _)| folder)
    }

    /// What keys of a day's files and later ones' are greater than.
    pub(crate) fn before_day(&self, day: Timestamp) -> String {
        format!("{}{}", self.name, day.format("%Y/%m/%d"))
    }

    /// The same for files whose names say this minute or a later one. A name has the kind in its middle, as the folder
    /// does: for all but `CloudTrail` that is a guess, and what is called otherwise is found once a sweep.
    pub(crate) fn before_minute(&self, minute: Timestamp) -> String {
        let Self { name, account, kind, region, .. } = self;
        format!("{name}{}/{account}_{kind}_{region}_{}", minute.format("%Y/%m/%d"), minute.format("%Y%m%dT%H%M"))
    }
}

/// The key of a log file, `<folder>YYYY/MM/DD/<…>_YYYYMMDDTHHmmZ_<…>.json.gz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogKey {
    pub(crate) folder: Folder,
    /// The minute in its name.
    pub(crate) minute: Timestamp,
}

impl LogKey {
    /// `None` for what is no log file by its key.
    pub(crate) fn parse(root: &str, key: &str) -> Option<Self> {
        let (folder, rest) = Folder::of(root, key)?;
        let (day, name) = rest.rsplit_once('/')?;
        let is_day = day.len() == 10 && day.split('/').map(str::len).eq([4, 2, 2]);
        let stem = name.strip_suffix(".json.gz").filter(|_| is_day)?;
        let minute = stem.split('_').find_map(minute)?;
        Some(Self { folder, minute })
    }
}

/// `20260102T0304Z`.
fn minute(text: &str) -> Option<Timestamp> {
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if !digits(date, 8) || !digits(time, 4) {
        return None;
    }
    let ((year, day), (hour, minute)) = (date.split_at(4), time.split_at(2));
    let (month, day) = day.split_at(2);
    format!("{year}-{month}-{day}T{hour}:{minute}:00Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "111122223333";

    #[test]
    fn log_files_of_every_kind_and_layout_are_known_by_their_keys() {
        for (root, folder) in [
            ("AWSLogs/", format!("AWSLogs/{A}/CloudTrail/us-east-1/")),
            ("p/q/AWSLogs/", format!("p/q/AWSLogs/o-abcdefghij/{A}/CloudTrail/eu-west-1/")),
            ("AWSLogs/", format!("AWSLogs/{A}/CloudTrail-Insight/us-east-1/")),
            ("AWSLogs/", format!("AWSLogs/{A}/CloudTrail-NetworkActivity/us-east-1/")),
            ("AWSLogs/", format!("AWSLogs/o-abcdefghij/{A}/CloudTrail-Aggregated/us-east-1/")),
        ] {
            let key = format!("{folder}2026/01/02/{A}_CloudTrail_us-east-1_20260102T0304Z_0123456789abcdef.json.gz");
            let found = LogKey::parse(root, &key).unwrap();
            assert_eq!(
                (found.folder.name.as_str(), found.minute.to_iso().as_str()),
                (folder.as_str(), "2026-01-02T03:04:00Z")
            );
            assert_eq!(Folder::parse(root, &folder), Some(found.folder));
        }
    }

    #[test]
    fn digests_and_what_lies_elsewhere_are_no_log_files() {
        let name = format!("{A}_CloudTrail_us-east-1_20260102T0304Z_x.json.gz");
        for key in [
            format!("AWSLogs/{A}/CloudTrail-Digest/us-east-1/2026/01/02/{name}"),
            format!("AWSLogs/{A}/Config/us-east-1/2026/01/02/{name}"),
            format!("other/AWSLogs/{A}/CloudTrail/us-east-1/2026/01/02/{name}"),
            format!("AWSLogs/123/CloudTrail/us-east-1/2026/01/02/{name}"),
            format!("AWSLogs/{A}/CloudTrail/us-east-1/2026/01/{name}"),
            format!("AWSLogs/{A}/CloudTrail/us-east-1/2026/01/02/{}", name.replace(".gz", "")),
            format!("AWSLogs/{A}/CloudTrail/us-east-1/2026/01/02/{}", name.replace("0304Z", "9904Z")),
            format!("AWSLogs/{A}/CloudTrail/us-east-1/2026/01/02/"),
            String::new(),
        ] {
            assert_eq!(LogKey::parse("AWSLogs/", &key), None, "{key}");
        }
    }

    #[test]
    fn a_listing_begins_before_the_files_of_its_day_and_minute() {
        let key =
            format!("AWSLogs/{A}/CloudTrail/us-east-1/2026/01/02/{A}_CloudTrail_us-east-1_20260102T0304Z_a.json.gz");
        let LogKey { folder, minute } = LogKey::parse("AWSLogs/", &key).unwrap();
        for from in [folder.before_day(minute), folder.before_minute(minute)] {
            assert!(from < key && from.as_str() > folder.name.as_str(), "{from}");
        }
        assert!(folder.before_minute(minute + std::time::Duration::from_secs(60)) > key);
    }
}
