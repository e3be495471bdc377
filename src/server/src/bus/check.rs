//! The check of Redis at the start: a fault of the configuration is told from an outage.

use super::client::{Client, ClientError, SILENCE, is_time_limit};
use super::endpoint::Endpoint;
use redis::cmd;
use std::io;

/// Checks that Redis accepts this server: its protocol with or without TLS, its certificate, the password and the
/// database number. An outage is no error: the threads of the bus wait for its end.
///
/// # Errors
/// A sentence that says what to change.
pub fn check(endpoint: &Endpoint) -> Result<(), String> {
    let Err(error) = ping(endpoint) else { return Ok(()) };
    let mismatch = match &error {
        ClientError::Io(error) => protocol_mismatch(endpoint, error),
        _ => None,
    };
    match (mismatch, error) {
        (Some(sentence), _) => Err(format!("cannot use Redis at {endpoint}: {sentence}")),
        (None, error @ ClientError::Tls { .. }) => Err(format!("cannot use Redis at {endpoint}: {error}")),
        (None, error @ ClientError::Refused { .. }) => {
            Err(format!("Redis at {endpoint} refuses this server: {error}"))
        }
        (None, error @ (ClientError::Io(_) | ClientError::Answer(_))) => {
            log::warn!("Redis at {endpoint} is not available yet: {error}");
            Ok(())
        }
    }
}

fn ping(endpoint: &Endpoint) -> Result<(), ClientError> {
    Client::connect(endpoint)?.request(&cmd("PING"), None)?;
    Ok(())
}

/// Whether one side encrypts and the other does not. Redis says nothing then: it waits for the end of what it takes for
/// a command, or it closes the connection. So the other protocol is tried, without sending anything secret.
fn protocol_mismatch(endpoint: &Endpoint, error: &io::Error) -> Option<&'static str> {
    if endpoint.trust.is_some() {
        let plain = Endpoint { trust: None, user: None, password: None, database: 0, ..endpoint.clone() };
        let is_plain = is_time_limit(error)
            && matches!(ping(&plain), Ok(()) | Err(ClientError::Refused { .. } | ClientError::Answer(_)));
        return is_plain.then_some(
            "it does not speak TLS on this port: write redis:// instead of rediss:// in cluster.redis, or turn TLS on \
             there (tls-port)",
        );
    }
    let is_closed = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    );
    (is_closed && outbound::speaks_tls(&endpoint.host, endpoint.port, SILENCE))
        .then_some("it speaks TLS on this port: write rediss:// instead of redis:// in cluster.redis")
}
