//! What TLS finds wrong with a peer, as a sentence for the operator.

use crate::trust::Trust;
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use std::io;
use thiserror::Error as ThisError;

/// The most names of a certificate that are listed.
const NAMES_MAX: usize = 5;

/// A peer that cannot be used. It stays so until somebody changes something, except that certificates expire.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Fault {
    /// Its certificate is refused.
    #[error("{0}")]
    Certificate(String),
    /// It answers in another protocol.
    #[error("{host} does not speak TLS on this port")]
    NotTls { host: String },
    /// It wants a certificate of its client, which this server does not have.
    #[error("{host} demands a client certificate, which is not supported")]
    ClientCertificate { host: String },
    /// It ends the connection for another reason.
    #[error("{host} refuses the TLS connection: {reason}")]
    Refused { host: String, reason: String },
}

/// The fault that an error of a connection carries.
pub fn fault_in(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}

impl Fault {
    /// What an error in the connection to this host means.
    pub fn of(error: Error, host: &str, trust: &Trust) -> Fault {
        let host = host.to_owned();
        match error {
            Error::InvalidCertificate(error) => Fault::Certificate(certificate(&error, &host, trust)),
            Error::InvalidMessage(_) => Fault::NotTls { host },
            Error::AlertReceived(AlertDescription::CertificateRequired) => Fault::ClientCertificate { host },
            Error::AlertReceived(alert) => {
                Fault::Refused { host, reason: format!("it sent the alert {alert:?}") }
            }
            other => Fault::Refused { host, reason: other.to_string() },
        }
    }
}

fn certificate(error: &CertificateError, host: &str, trust: &Trust) -> String {
    let of_host = format!("the TLS certificate of {host}");
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("{of_host} expired on {}: renew it", date(*not_after))
        }
        CertificateError::Expired => format!("{of_host} has expired: renew it"),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "{of_host} is only valid from {}: correct the clock of this machine, or issue another certificate",
            date(*not_before)
        ),
        CertificateError::NotValidForNameContext { presented, .. } => match names(presented) {
            names if names.is_empty() => format!(
                "{of_host} names no host in its subjectAltName, so it is not valid for {host}: issue one that does"
            ),
            names => format!(
                "{of_host} is not valid for {host} but for {}: connect to it by one of these names, or issue one for {host}",
                names.join(", ")
            ),
        },
        // An authority of the same name with another key makes a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "{of_host} is not signed by an authority in {}: set {} to a file with the certificate of the authority that \
             signed it",
            trust.source, trust.key
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => format!(
            "{of_host} is one of an authority (CA:TRUE): issue a server's certificate with it and install that, and \
             set {} to a file with the authority's",
            trust.key
        ),
        other => format!("{of_host} cannot be accepted: {other}"),
    }
}

/// The names in a certificate, which the library gives as `DnsName("a.example")`. Whoever made the certificate chose
/// their text.
fn names(presented: &[String]) -> Vec<String> {
    let name = |text: &String| {
        let inside = text.split_once('(').map_or(&**text, |(_, rest)| rest.trim_end_matches(')'));
        inside.trim_matches('"').chars().filter(char::is_ascii_graphic).collect()
    };
    presented.iter().take(NAMES_MAX).map(name).filter(|name: &String| !name.is_empty()).collect()
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown date".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_what_surrounds_them() {
        let presented =
            ["DnsName(\"a.example\")", "IpAddress(127.0.0.1)", "IpAddress(::1)", "DnsName(\"x\n\u{1b}[0m\")"];
        let presented = presented.map(str::to_owned);
        assert_eq!(names(&presented), ["a.example", "127.0.0.1", "::1", "x[0m"]);
    }
}
