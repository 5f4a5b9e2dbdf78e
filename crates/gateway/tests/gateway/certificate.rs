//! A certificate of its own for each test: self-signed, for 127.0.0.1, with an ECDSA key on P-256 (RFC 5280).

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// ecdsa-with-SHA256, id-ecPublicKey, prime256v1, commonName, subjectAltName.
const SIGNED_WITH: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 4, 3];
const ALT_NAME: &[u8] = &[0x06, 3, 0x55, 0x1d, 17];

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let head = match content.len() {
        short @ ..128 => vec![tag, u8::try_from(short).unwrap()],
        one @ 128..256 => vec![tag, 0x81, u8::try_from(one).unwrap()],
        two => [&[tag, 0x82], &u16::try_from(two).unwrap().to_be_bytes()[..]].concat(),
    };
    [head, content].concat()
}

fn self_signed() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref()).unwrap();
    let algorithm = der(SEQUENCE, &[SIGNED_WITH]);
    let name = der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[COMMON_NAME, &der(0x0c, &[b"upstream"])])])]);
    let validity = der(SEQUENCE, &[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"21000101000000Z"])]);
    let public = der(0x03, &[&[0], pair.public_key().as_ref()]);
    let alt = der(SEQUENCE, &[ALT_NAME, &der(0x04, &[&der(SEQUENCE, &[&[0x87, 4, 127, 0, 0, 1]])])]);
    let contents = der(
        SEQUENCE,
        &[
            &[0xa0, 3, 2, 1, 2],
            &[2, 1, 1],
            &algorithm,
            &name,
            &validity,
            &name,
            &der(SEQUENCE, &[&der(SEQUENCE, &[EC_KEY, P256]), &public]),
            &der(0xa3, &[&der(SEQUENCE, &[&alt])]),
        ],
    );
    let signature = pair.sign(&SystemRandom::new(), &contents).unwrap();
    let certificate = der(SEQUENCE, &[&contents, &algorithm, &der(0x03, &[&[0], signature.as_ref()])]);
    (certificate.into(), PrivatePkcs8KeyDer::from(key.as_ref().to_vec()).into())
}

/// Two sides that trust each other; the server speaks `protocols`.
pub(crate) fn sides(protocols: &[&str]) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (certificate, key) = self_signed();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut server = server.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    (Arc::new(server), Arc::new(client.unwrap().with_root_certificates(roots).with_no_client_auth()))
}
