use rustls::{ProtocolVersion, ServerConnection};

/// How a client's connection was encrypted. `clientProvidedHostHeader` comes from each request's `Host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// As CloudTrail spells it: `TLS_AES_128_GCM_SHA256`, but `ECDHE-RSA-AES128-GCM-SHA256` for TLS 1.2.
    pub cipher_suite: String,
    /// The key exchange group, e.g. `x25519`.
    pub key_exchange: Option<String>,
}

impl TlsDetails {
    /// What was agreed on a connection; `None` while its handshake goes on.
    pub fn of(connection: &ServerConnection) -> Option<Self> {
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => return None,
        };
        let suite = format!("{:?}", connection.negotiated_cipher_suite()?.suite());
        let group = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        Some(Self {
            version: version.to_owned(),
            cipher_suite: spelled(&suite),
            key_exchange: group.map(|g| spelled_group(&g)),
        })
    }
}

/// rustls names TLS 1.3 suites `TLS13_…`; TLS 1.2 suites have their OpenSSL names in records.
fn spelled(suite: &str) -> String {
    if let Some(rest) = suite.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = suite.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES").replace('_', "-");
    name.strip_suffix("-POLY1305-SHA256").map(|chacha| format!("{chacha}-POLY1305")).unwrap_or(name)
}

/// Classic groups are lower case in records (`x25519`, `secp256r1`), the hybrid one is not.
fn spelled_group(group: &str) -> String {
    if group.contains("MLKEM") { group.to_owned() } else { group.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_suites_are_spelled_as_in_records() {
        assert_eq!(spelled("TLS13_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
        assert_eq!(spelled("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(spelled("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"), "ECDHE-RSA-CHACHA20-POLY1305");
        assert_eq!(spelled_group("X25519"), "x25519");
    }
}
