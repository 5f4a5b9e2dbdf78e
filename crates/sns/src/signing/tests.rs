use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_catalog::MemoryCatalog;
use opentrail_runtime::{ManualClock, SystemRandom};

use super::*;

fn keys(catalog: &Arc<MemoryCatalog>, ring: &Arc<KeyRing>, clock: &Arc<ManualClock>) -> SigningKeys {
    let (catalog, clock) = (Arc::<MemoryCatalog>::clone(catalog), Arc::<ManualClock>::clone(clock));
    SigningKeys::new(catalog, Arc::clone(ring), clock, Arc::new(SystemRandom), "trail.example.com".to_owned())
}

/// The RSA public key in a certificate that holds one of 2048 bits: a bit string that begins with a sequence of 266
/// bytes, and is read here by nobody who wrote it.
pub(crate) fn public_key_of(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    let head = [0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a];
    let at = der.windows(head.len()).position(|window| window == head).unwrap();
    der[at + 5..at + 5 + 4 + 0x010a].to_vec()
}

#[tokio::test]
async fn signatures_of_both_versions_verify_with_the_certificates() {
    let catalog = Arc::new(MemoryCatalog::default());
    let ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let signing = keys(&catalog, &ring, &clock);
    for version in [SignatureVersion::V1, SignatureVersion::V2] {
        let key = signing.current(version).await.unwrap();
        let signature = STANDARD.decode(key.sign(b"text").unwrap()).unwrap();
        assert_eq!(key.sign(b"text").unwrap(), STANDARD.encode(&signature), "remembered");
        let public = public_key_of(&signing.certificate(&key.id).await.unwrap().unwrap());
        let algorithm = match version {
            SignatureVersion::V1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureVersion::V2 => &RSA_PKCS1_2048_8192_SHA256,
        };
        let public = UnparsedPublicKey::new(algorithm, public);
        public.verify(b"text", &signature).unwrap();
        assert!(public.verify(b"texts", &signature).is_err());
    }
    assert_eq!(signing.certificate("nothing").await.unwrap(), None);
}

#[tokio::test]
async fn a_key_is_kept_over_restarts_and_followed_in_time_by_another() {
    let catalog = Arc::new(MemoryCatalog::default());
    let ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let first = keys(&catalog, &ring, &clock).current(SignatureVersion::V2).await.unwrap();
    let again = keys(&catalog, &ring, &clock).current(SignatureVersion::V2).await.unwrap();
    assert_eq!(first.id, again.id);
    let other_ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let error = keys(&catalog, &other_ring, &clock).current(SignatureVersion::V2).await.unwrap_err();
    assert!(matches!(error, SigningError::Sealed { .. }));

    let signing = keys(&catalog, &ring, &clock);
    signing.current(SignatureVersion::V2).await.unwrap();
    clock.advance(VALIDITY - MARGIN);
    let next = signing.current(SignatureVersion::V2).await.unwrap();
    assert_ne!(next.id, first.id);
    assert!(signing.certificate(&first.id).await.unwrap().is_some(), "what it signed can still be verified");
}
