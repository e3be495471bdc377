//! The authorities that may vouch for a server.

use crate::provider;
use runtime::regular_file::read_regular;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The longest file of certificates, bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Certificates of authorities, read once.
#[derive(Clone)]
pub struct Trust {
    pub(crate) config: Arc<ClientConfig>,
    /// Where the certificates are from, for operators.
    pub(crate) source: Arc<str>,
    /// The configuration key that names a file of certificates.
    pub(crate) key: &'static str,
}

impl Trust {
    /// The certificates in this PEM file, and no others. `key` is the configuration key or the option that names the
    /// file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file.
    pub fn of_file(key: &'static str, path: &Path) -> Result<Trust, String> {
        let failed = |why: String| format!("`{key}` names {}: {why}", path.display());
        let bytes = read_regular(path, FILE_BYTES).map_err(|error| failed(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for (number, certificate) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let number = number + 1;
            let certificate = certificate
                .map_err(|error| failed(format!("its certificate {number} is damaged: {error}")))?;
            roots.add(certificate).map_err(|error| {
                failed(format!("its certificate {number} is not one of an authority: {error}"))
            })?;
        }
        if roots.is_empty() {
            return Err(failed(
                "there is no certificate in it; it must have those of authorities, in PEM form (`-----BEGIN CERTIFICATE-----`)"
                    .to_owned(),
            ));
        }
        Ok(Trust::new(roots, key, path.display().to_string()))
    }

    /// The authorities that this system trusts. `key` is the configuration key that names a file instead.
    ///
    /// # Errors
    /// A sentence, if the system has no such list.
    pub fn of_system(key: &'static str) -> Result<Trust, String> {
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(loaded.certs);
        if roots.is_empty() {
            let why = loaded.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
            return Err(format!(
                "TLS is on, but this system has no list of trusted authorities{why}: install the package ca-certificates, \
                 or set `{key}` to a file with their certificates"
            ));
        }
        Ok(Trust::new(roots, key, "this system's list".to_owned()))
    }

    /// Nobody: every certificate is refused.
    pub fn of_nobody() -> Trust {
        Trust::new(RootCertStore::empty(), "", String::new())
    }

    /// The settings of a connection that checks the server in this way.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    fn new(roots: RootCertStore, key: &'static str, source: String) -> Trust {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Trust { config: Arc::new(config), source: source.into(), key }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.source).finish()
    }
}

/// Whether a certificate can name this host: an IP address or a DNS name.
pub fn is_verifiable(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}
