use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use opentrail_runtime::Random;
use zeroize::Zeroizing;

use crate::UnsealError;

pub(crate) const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const COMBINED: &[u8] = b"opentrail materials, combined";
const MESSAGE: &[u8] = b"opentrail material, one message";

/// 256 bits of key material, of which every message gets a key of its own.
///
/// A message's key comes from the material and a random salt (HKDF-SHA256), so that the number of messages under one
/// material is not bounded by AES-GCM's random nonces.
#[derive(Clone)]
pub struct Material(Zeroizing<[u8; 32]>);

impl Material {
    /// Bytes that a sealed message is longer than its plaintext.
    pub const OVERHEAD: usize = SALT_BYTES + NONCE_LEN + TAG_BYTES;

    /// New material.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        Self(bytes)
    }

    /// Material that was exposed before; `None` unless it has 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The material that only somebody has who has all of `parts`, for one `purpose`.
    pub fn combined<'a>(parts: impl IntoIterator<Item = &'a Self>, purpose: &[u8]) -> Self {
        let mut all = Zeroizing::new(Vec::new());
        parts.into_iter().for_each(|part| all.extend_from_slice(&*part.0));
        let mut bytes = Zeroizing::new([0; 32]);
        let pseudo_random = Salt::new(HKDF_SHA256, COMBINED).extract(&all);
        let info = [purpose];
        let expanded = pseudo_random.expand(&info, HKDF_SHA256).and_then(|expanded| expanded.fill(&mut *bytes));
        expanded.expect("HKDF-SHA256 gives 32 bytes");
        Self(bytes)
    }

    /// The bytes, to be sealed or handed to whoever asked for a data key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plaintext`, bound to `associated`.
    ///
    /// # Panics
    /// Never for texts below 64 GiB.
    pub fn seal(&self, associated: &[u8], plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_LEN]);
        random.fill(&mut salt);
        random.fill(&mut nonce);
        let mut body = Zeroizing::new(plaintext.to_vec());
        self.derived(&salt, MESSAGE)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut *body)
            .expect("AES-GCM seals texts below 64 GiB");
        [&salt[..], &nonce, &body].concat()
    }

    /// Opens what [`Self::seal`] made with the same material and associated bytes.
    ///
    /// # Errors
    /// [`UnsealError`], without saying which part is wrong.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (salt, rest) = sealed.split_first_chunk::<SALT_BYTES>().ok_or(UnsealError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plaintext = self.derived(salt, MESSAGE).open_in_place(nonce, Aad::from(associated), &mut body);
        let length = plaintext.map_err(|_| UnsealError)?.len();
        body.truncate(length);
        Ok(body)
    }

    /// The key that belongs to `salt`, for one `purpose`.
    pub(crate) fn derived(&self, salt: &[u8; SALT_BYTES], purpose: &[u8]) -> LessSafeKey {
        let mut key = Zeroizing::new([0; 32]);
        let pseudo_random = Salt::new(HKDF_SHA256, salt).extract(&*self.0);
        let info = [purpose];
        let expanded = pseudo_random.expand(&info, HKDF_SHA256).and_then(|expanded| expanded.fill(&mut *key));
        expanded.expect("HKDF-SHA256 gives 32 bytes");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("the key has 32 bytes"))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_runtime::SystemRandom;

    #[test]
    fn a_message_opens_with_its_material_and_its_associated_bytes_only() {
        let (material, other) = (Material::generate(&SystemRandom), Material::generate(&SystemRandom));
        let sealed = material.seal(b"context", b"secret", &SystemRandom);
        assert_eq!(sealed.len(), b"secret".len() + Material::OVERHEAD);
        assert_eq!(material.open(b"context", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(material.open(b"contexT", &sealed), Err(UnsealError));
        assert_eq!(other.open(b"context", &sealed), Err(UnsealError));
        for i in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[i] ^= 1;
            assert_eq!(material.open(b"context", &altered), Err(UnsealError), "byte {i}");
            assert_eq!(material.open(b"context", &sealed[..i]), Err(UnsealError), "cut at {i}");
        }
    }

    #[test]
    fn combined_material_depends_on_every_part_and_the_purpose() {
        let (a, b) = (Material::generate(&SystemRandom), Material::generate(&SystemRandom));
        let both = Material::combined([&a, &b], b"rows");
        assert_eq!(both.expose(), Material::combined([&a, &b], b"rows").expose());
        for other in [Material::combined([&a], b"rows"), Material::combined([&b], b"rows")] {
            assert_ne!(both.expose(), other.expose());
        }
        assert_ne!(both.expose(), Material::combined([&a, &b], b"else").expose());
    }

    #[test]
    fn no_two_messages_are_alike() {
        let material = Material::generate(&SystemRandom);
        assert_ne!(material.seal(b"", b"secret", &SystemRandom), material.seal(b"", b"secret", &SystemRandom));
        assert_eq!(Material::from_bytes(material.expose()).unwrap().expose(), material.expose());
        assert!(Material::from_bytes(&[0; 31]).is_none());
    }
}
