use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::OutboundError;
use crate::reach::Reach;

/// The system's resolver, with what is out of reach left out. The connection goes to the addresses that were looked at
/// here: a name that changes its address in between (DNS rebinding) gains nothing.
pub(crate) struct Guarded(pub(crate) Arc<Reach>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let unresolved = |reason: String| OutboundError::Unresolved { host: host.clone(), reason };
            let found = tokio::net::lookup_host((host.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| unresolved(error.to_string()))?.collect();
            let reached: Vec<SocketAddr> = found.iter().copied().filter(|at| reach.allows(at.ip())).collect();
            match (reached.is_empty(), found.first()) {
                (false, _) => Ok(Box::new(reached.into_iter()) as Addrs),
                (true, Some(at)) => Err(OutboundError::OutOfReach { host, address: at.ip() }.into()),
                (true, None) => Err(unresolved("the answer is empty".to_owned()).into()),
            }
        })
    }
}
