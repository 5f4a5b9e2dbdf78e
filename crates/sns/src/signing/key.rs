use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_runtime::Random;
use opentrail_wire::sigv4::sha256;
use parking_lot::Mutex;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::{CryptoRng, Error as RandError, RngCore};
use rsa::signature::{RandomizedSigner, SignatureEncoding};

use super::SigningError;
use crate::topic::SignatureVersion;

/// How many signatures are remembered: a message for many endpoints is signed once.
const REMEMBERED: usize = 256;

/// A private key, ready to sign.
pub(crate) struct SigningKey {
    /// What its certificate is called.
    pub(crate) id: String,
    pair: Pair,
    random: Arc<dyn Random>,
    recent: Mutex<VecDeque<([u8; 32], String)>>,
}

enum Pair {
    /// aws-lc makes no signatures over SHA-1.
    Sha1(Box<rsa::pkcs1v15::SigningKey<sha1::Sha1>>),
    Sha256(Box<RsaKeyPair>),
}

/// The injected chance, as the library asks for it: it blinds the private exponent's use.
struct Chance<'a>(&'a dyn Random);

impl SigningKey {
    pub(super) fn open(
        id: String,
        version: SignatureVersion,
        pkcs8: &[u8],
        random: Arc<dyn Random>,
    ) -> Result<Self, SigningError> {
        let pair = match version {
            SignatureVersion::V1 => {
                let key = rsa::RsaPrivateKey::from_pkcs8_der(pkcs8).map_err(crypto)?;
                Pair::Sha1(Box::new(rsa::pkcs1v15::SigningKey::new(key)))
            }
            SignatureVersion::V2 => Pair::Sha256(Box::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(crypto)?)),
        };
        Ok(Self { id, pair, random, recent: Mutex::new(VecDeque::new()) })
    }

    /// The signature over `text`, in base64: RSASSA-PKCS1-v1_5 with the version's hash. Takes milliseconds.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<String, SigningError> {
        let hash = sha256(text);
        if let Some((_, signature)) = self.recent.lock().iter().find(|(known, _)| *known == hash) {
            return Ok(signature.clone());
        }
        let signature = match &self.pair {
            Pair::Sha1(key) => key.try_sign_with_rng(&mut Chance(&*self.random), text).map_err(crypto)?.to_vec(),
            Pair::Sha256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).map_err(crypto)?;
                signature
            }
        };
        let signature = STANDARD.encode(signature);
        let mut recent = self.recent.lock();
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back((hash, signature.clone()));
        Ok(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RngCore for Chance<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandError> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl CryptoRng for Chance<'_> {}

fn crypto(error: impl fmt::Display) -> SigningError {
    SigningError::Crypto(error.to_string())
}
