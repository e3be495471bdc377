//! Where Redis is, and how to log in there.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::fmt;
use tls::Trust;

/// The address and the credentials of Redis.
#[derive(Clone)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    /// `None`: the default user.
    pub user: Option<String>,
    pub password: Option<String>,
    /// The number of the database.
    pub database: i64,
    /// With TLS, by these authorities; `None`: in plain text.
    pub trust: Option<Trust>,
}

impl Endpoint {
    /// Parses `redis://[USER@]HOST:PORT[/DB]` or `rediss://…`. With the latter, a [`Trust`] has to be added.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the name of the key.
    pub fn parse(url: &str) -> Result<Endpoint, String> {
        // The library knows the second scheme only if it does the encryption.
        let plain = url.replacen("rediss://", "redis://", 1);
        let info: ConnectionInfo =
            plain.into_connection_info().map_err(|error| format!("must be `redis://HOST:PORT`: {error}"))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err("must be a TCP address".to_owned());
        };
        let settings = info.redis_settings();
        Ok(Endpoint {
            host: host.clone(),
            port: *port,
            user: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            database: settings.db(),
            trust: None,
        })
    }
}

/// Without the password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
