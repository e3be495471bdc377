//! The settings of a listener.

use crate::encryption::Encryption;
use crate::origin::Origin;
use ipnet::IpNet;

/// How many connections a listener keeps; one above this is closed at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Of one address (IPv6: of one /64). This machine and trusted proxies, which have those of many clients, may have
    /// all; where a proxy names the client by a PROXY header, its address counts.
    pub per_address: usize,
}

/// The settings of a listener.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    /// `None`: connections are not encrypted.
    pub encryption: Option<Encryption>,
    /// Whose PROXY headers and X-Forwarded-For are trusted to name the client.
    pub proxies: Vec<IpNet>,
    /// Where browsers reach this server, if the operator has said so.
    pub url: Option<Origin>,
    /// Whose pages may use this server, beside its own.
    pub origins: Vec<Origin>,
}

impl Settings {
    /// Whether the value of an Origin field matches: its host and port are those of Host or of the server's address.
    pub(crate) fn admits(&self, origin: &str, host: &str) -> bool {
        // `null`, for instance, is no page of ours.
        let Ok(origin) = origin.parse::<Origin>() else { return false };
        let scheme = if origin.is_secure() { "https" } else { "http" };
        let own = format!("{scheme}://{host}").parse::<Origin>();
        own.is_ok_and(|own| own == origin)
            || self.url.as_ref() == Some(&origin)
            || self.origins.contains(&origin)
    }

    /// Only limits: no TLS, no proxies.
    pub fn plain(limits: Limits) -> Settings {
        Settings { limits, encryption: None, proxies: Vec::new(), url: None, origins: Vec::new() }
    }
}
