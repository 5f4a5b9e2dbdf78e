//! Log groups and topics of trails at other endpoints: AWS's, or of services that speak as CloudWatch Logs and SNS do.
//!
//! [`LogGroupsElsewhere`] and [`TopicsElsewhere`] are the ways there; [`Routed`] tells by ARN which log group or topic of a
//! trail is one of those, and which is this server's. What is sent, and sent again, is `delivery`'s to decide.

mod batches;
mod log_groups;
mod roles;
mod routed;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint};
use opentrail_outbound::{Outbound, OutboundError, OutboundOptions};
use opentrail_runtime::Clock;

pub use log_groups::LogGroupsElsewhere;
pub use routed::{ArnPattern, ParseArnPatternError, Routed};
pub use topics::TopicsElsewhere;

/// The longest answer: a page of log events, each of which may have 256 KB.
const LONGEST_ANSWER: usize = 128 << 20;

/// A service elsewhere.
#[derive(Clone, Debug)]
pub struct ElsewhereOptions {
    /// Where it is, and whose calls these are. Calls are signed for the Region of the ARN that they are about.
    pub at: AwsEndpoint,
    /// What is there and not here.
    pub arns: Vec<ArnPattern>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Where the roles of trails are assumed with that key, so that each call is one of the trail's role. `None`: calls are of
    /// the key itself. Only for log groups: topics have policies.
    pub sts: Option<Uri>,
}

fn calls(options: &ElsewhereOptions, clock: &Arc<dyn Clock>) -> Result<AwsCalls, OutboundError> {
    let outbound =
        OutboundOptions { timeout: options.timeout, most_answer_bytes: LONGEST_ANSWER, ..OutboundOptions::default() };
    Ok(AwsCalls::new(Outbound::new(outbound)?, Arc::clone(clock)))
}
