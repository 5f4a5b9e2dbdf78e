use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_model::Timestamp;
use opentrail_wire::sigv4::hex_sha256;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use zeroize::Zeroizing;

use super::SigningError;

/// A new key with its certificate.
pub(super) struct Made {
    /// 32 hexadecimal digits of the certificate's SHA-256.
    pub(super) id: String,
    /// PKCS#8 DER.
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) certificate_pem: String,
}

/// Makes a key and signs its certificate with it. Takes a second of a processor, more or less.
pub(super) fn make(host: &str, not_before: Timestamp, not_after: Timestamp) -> Result<Made, SigningError> {
    let failed = |error: rcgen::Error| SigningError::Crypto(error.to_string());
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
    let mut parameters = CertificateParams::new(vec![host.to_owned()]).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, host);
    parameters.distinguished_name = name;
    parameters.not_before = day(not_before);
    parameters.not_after = day(not_after);
    let certificate = parameters.self_signed(&pair).map_err(failed)?;
    Ok(Made {
        id: hex_sha256(certificate.der())[..32].to_owned(),
        private: Zeroizing::new(pair.serialize_der()),
        certificate_pem: pem(certificate.der()),
    })
}

/// The first moment of the day of `time`, in the type of the library.
fn day(time: Timestamp) -> time::OffsetDateTime {
    let number = |pattern| time.format(pattern).parse::<u16>().unwrap_or(1);
    let part = |pattern| u8::try_from(number(pattern)).unwrap_or(1);
    date_time_ymd(i32::from(number("%Y")), part("%m"), part("%d"))
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|b| char::from(*b)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
