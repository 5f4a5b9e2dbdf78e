use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::TlsSection;

/// TLS towards clients: HTTP/2 and HTTP/1.1 by ALPN.
pub(crate) fn server_config(section: &TlsSection) -> anyhow::Result<Arc<ServerConfig>> {
    let certificates = certificates(&section.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&section.private_key)
        .with_context(|| format!("{} holds no private key", section.private_key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .with_context(|| format!("{} and its key do not fit", section.certificate.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS towards an upstream, trusting the authorities in `ca` or those of the system.
pub(crate) fn client_config(ca: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).with_context(|| format!("{} is not usable", file.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .with_context(|| format!("{} cannot be read as PEM certificates", file.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate", file.display());
    }
    Ok(certificates)
}
