use std::time::Duration;

use opentrail_model::{AccountId, Region};

use super::reader::Reader;

/// `[metrics]`: the server's own metrics in CloudWatch.
#[derive(Clone, Debug)]
pub(crate) struct MetricsSection {
    /// `metrics.account`: the operator's account, which sees them. Default: the account of `--account-id`.
    pub(crate) account: Option<AccountId>,
    /// `metrics.region`: where it sees them. Default us-east-1.
    pub(crate) region: Region,
    /// `metrics.interval`: how often they are put. Default 60 s.
    pub(crate) interval: Duration,
}

impl MetricsSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("metrics");
        let account = section.parsed("account", "twelve digits");
        let region = section.parsed("region", "a Region such as us-east-1").unwrap_or_else(Region::us_east_1);
        let interval = section.duration("interval", Duration::from_secs(60), Duration::from_secs(1));
        section.finish();
        Self { account, region, interval }
    }
}
