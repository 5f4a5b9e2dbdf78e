use std::net::IpAddr;

use opentrail_model::{Region, Timestamp};

use crate::context::Context;
use crate::principal::Principal;

/// An authenticated call to a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub principal: Principal,
    /// The Region that the request was signed for.
    pub region: Region,
    /// Goes into the answer and into the event.
    pub request_id: String,
    /// Where the call came from.
    pub source_ip: IpAddr,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

impl Call {
    /// The condition keys that every call at the time `now` has. (IAM User Guide, "AWS global condition context keys".)
    pub fn conditions(&self, now: Timestamp) -> Context {
        let mut conditions = Context::new()
            .with("aws:SourceIp", self.source_ip.to_string())
            .with("aws:CurrentTime", now.to_iso())
            .with("aws:EpochTime", now.as_secs().to_string())
            .with("aws:SecureTransport", self.secure_transport.to_string())
            .with("aws:RequestedRegion", self.region.as_str());
        if let Some(user_agent) = &self.user_agent {
            conditions.insert("aws:UserAgent", user_agent);
        }
        conditions
    }
}
