//! How the parts meet: each seam of another crate, implemented over concrete backends.

mod access;
mod buckets;
mod recording;
mod sealer;
mod tls;

pub(crate) use access::StoreAccess;
pub(crate) use buckets::TrailBuckets;
pub(crate) use recording::{GatewayPort, Recording};
pub(crate) use sealer::RingSealer;
pub(crate) use tls::{client_config, server_config};
