//! The certificate of a server and its key.

use crate::provider;
use parking_lot::RwLock;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, ServerConfig,
};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error as ThisError;

/// Tickets that a client gets with each connection, for one resumption each.
const TICKETS: usize = 1;

/// Why a certificate and a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum IdentityError {
    /// In the file with the certificate.
    #[error("{0}")]
    Certificate(String),
    /// In the file with the key.
    #[error("{0}")]
    Key(String),
    #[error("they do not belong together: the key is not that of the first certificate")]
    Mismatch,
}

/// A chain of certificates, the server's first, with its key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// The last second in which the server's certificate is valid, since 1970.
    pub not_after: u64,
    not_before: Option<u64>,
}

impl Identity {
    /// Reads both from PEM.
    ///
    /// # Errors
    /// A sentence about one of the two, or that they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Identity, IdentityError> {
        let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
            CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| IdentityError::Certificate(format!("it is damaged: {error}")))?;
        let Some(first) = chain.first() else {
            let why = "there is no certificate in it; it must have the server's, then those that lead to an authority, in \
                       PEM form (`-----BEGIN CERTIFICATE-----`)";
            return Err(IdentityError::Certificate(why.to_owned()));
        };
        let damaged = |error: Error| IdentityError::Certificate(format!("it cannot be used: {error}"));
        for certificate in &chain {
            ParsedCertificate::try_from(certificate).map_err(damaged)?;
        }
        let (not_before, not_after) = validity(first).map_err(damaged)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => IdentityError::Key(
                "there is no private key in it that can be used; it must be in PEM form (`-----BEGIN PRIVATE KEY-----`) \
                 without a passphrase"
                    .to_owned(),
            ),
            error => IdentityError::Key(format!("it is damaged: {error}")),
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => IdentityError::Mismatch,
            error => IdentityError::Key(format!("it cannot be used: {error}")),
        })?;
        Ok(Identity { key: Arc::new(key), not_after, not_before })
    }

    /// What a client whose clock shows `now`, in seconds since 1970, finds wrong with the time of the certificate.
    pub fn time_fault(&self, now: u64) -> Option<String> {
        if now > self.not_after {
            return Some(format!("the certificate expired on {}: renew it", date(self.not_after)));
        }
        let from = self.not_before.filter(|from| now < *from)?;
        Some(format!(
            "the certificate is only valid from {}: correct the clock of this machine, or issue another certificate",
            date(from)
        ))
    }

    /// How many certificates the chain has.
    pub fn chain_length(&self) -> usize {
        self.key.cert.len()
    }

    /// The end of its validity, for people.
    pub fn expiry(&self) -> String {
        date(self.not_after)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// The time in which a certificate is valid, seconds since 1970; the beginning only where it lies ahead of 1970.
///
/// The library tells it only where a certificate is refused for it: so it is asked about a time long after and one long
/// before. It checks the time before it looks for a signer.
fn validity(certificate: &CertificateDer<'_>) -> Result<(Option<u64>, u64), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let nobody = RootCertStore::empty();
    let algorithms = provider().signature_verification_algorithms.all;
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], time, algorithms)
    };
    // The year 9999, in which RFC 5280 lets certificates end that never do.
    const LAST: u64 = 253_402_300_799;
    let not_after = match at(LAST + 1) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            not_after.as_secs()
        }
        Err(error) => return Err(error),
        Ok(()) => LAST,
    };
    let not_before = match at(0) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            Some(not_before.as_secs())
        }
        _ => None,
    };
    Ok((not_before, not_after))
}

fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown date".to_owned(), |time| time.to_string())
}

/// What a server needs for each connection. Clones share the certificate, which can be replaced at any time.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Identity>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().key))
    }
}

impl Acceptor {
    /// TLS 1.2 and 1.3. A client can resume a session by a ticket, so sessions take no memory here; the keys of tickets
    /// change every six hours and with each start.
    ///
    /// # Errors
    /// If the machine has no random numbers.
    pub fn new(identity: Identity) -> Result<Acceptor, Error> {
        let current = Arc::new(Current(RwLock::new(identity)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = TICKETS;
        Ok(Acceptor { config: Arc::new(config), current })
    }

    /// Uses another certificate from the next connection on. Sessions of the one before can still be resumed.
    pub fn replace(&self, identity: Identity) {
        *self.current.0.write() = identity;
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.current).finish()
    }
}
