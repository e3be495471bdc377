//! The check of Redis at the start: a fault of the configuration is told from an outage.

use super::connection::SILENCE;
use redis::{Client, Connection, ConnectionInfo, ErrorKind, RedisError, cmd};

/// Checks that Redis accepts the password and the database number. An outage is no error: the threads of the bus wait
/// for its end.
///
/// # Errors
/// A sentence that says what to change.
pub fn check(redis: &ConnectionInfo) -> Result<(), String> {
    let connected =
        Client::open(redis.clone()).and_then(|client| client.get_connection_with_timeout(SILENCE));
    match connected.and_then(ping) {
        Ok(()) => Ok(()),
        Err(error) => match change_for(&error) {
            Some(change) => {
                Err(format!("Redis at {} refuses this server: {}; {change}", redis.addr(), reason(&error)))
            }
            None => {
                log::warn!("Redis at {} is not available yet: {error}", redis.addr());
                Ok(())
            }
        },
    }
}

fn ping(mut connection: Connection) -> Result<(), RedisError> {
    connection.set_read_timeout(Some(SILENCE))?;
    connection.set_write_timeout(Some(SILENCE))?;
    cmd("PING").query(&mut connection)
}

/// What to change, if the error is a fault of the configuration and does not pass.
pub(super) fn change_for(error: &RedisError) -> Option<&'static str> {
    const PASSWORD: &str = "put its password into the file that cluster.password_file names, or remove that key if it \
                            has none";
    match error.kind() {
        ErrorKind::AuthenticationFailed => Some(PASSWORD),
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Some(PASSWORD),
        _ if error.code() == Some("NOPERM") => Some(
            "give its user the right to use PING, SUBSCRIBE, PUBLISH, EVAL and the keys and channels of the server",
        ),
        _ if error.to_string().contains("switch database") => {
            Some("correct the database number at the end of cluster.redis")
        }
        _ => None,
    }
}

/// What Redis says, on one line.
pub(super) fn reason(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) if !detail.is_empty() => detail.to_owned(),
        _ => error.to_string(),
    }
}
