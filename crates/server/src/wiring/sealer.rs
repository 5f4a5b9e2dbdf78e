use std::sync::Arc;

use opentrail_identity::Sealer;
use opentrail_keys::KeyRing;

/// Session tokens, sealed with the key ring.
#[derive(Debug)]
pub(crate) struct RingSealer(pub(crate) Arc<KeyRing>);

impl Sealer for RingSealer {
    fn seal(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
        self.0.seal(purpose, plaintext)
    }

    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.unseal(purpose, sealed).ok().map(|plaintext| plaintext.to_vec())
    }
}
