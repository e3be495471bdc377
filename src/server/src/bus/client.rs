//! A connection to Redis: dialing, TLS, the login, commands and values.

use super::endpoint::Endpoint;
use super::inspector::PUBLICATION_BYTES;
use outbound::Stream;
use redis::{Cmd, Parser, RedisError, Value, cmd};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use thiserror::Error;
use tls::{Fault, fault_in};

/// How long Redis may take to connect and log in, to reply, or send nothing, before the connection counts as lost.
pub const SILENCE: Duration = Duration::from_millis(1_500);

/// The most bytes of one value from Redis. Publications may be large, but not as large as Redis allows.
const VALUE_BYTES: usize = 2 * PUBLICATION_BYTES;

const PASSWORD: &str =
    "put its password into the file that cluster.password_file names, or remove that key if it has none";

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ClientError {
    /// It cannot be reached, or is silent.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS finds it at fault.
    #[error("{fault}{}", remedy(fault).map(|change| format!(": {change}")).unwrap_or_default())]
    Tls { fault: Fault },
    /// It refuses this server until something is changed.
    #[error("{reason}; {change}")]
    Refused { reason: String, change: &'static str },
    /// It answers what it should not.
    #[error("{0}")]
    Answer(String),
}

/// What to change, as far as the fault itself does not say so.
fn remedy(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Certificate(_) | Fault::Refused { .. } => None,
        Fault::NotTls { .. } => {
            Some("write redis:// instead of rediss:// in cluster.redis, or turn TLS on there (tls-port)")
        }
        Fault::ClientCertificate { .. } => Some("set tls-auth-clients no in the configuration of Redis"),
    }
}

/// A connection that is logged in.
pub struct Client {
    stream: Stream,
    parser: Parser,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Why that fails.
    pub fn connect(endpoint: &Endpoint) -> Result<Client, ClientError> {
        let mut stream = Stream::dial(&endpoint.host, endpoint.port, SILENCE)?;
        stream.set_deadline(Instant::now() + SILENCE);
        if let Some(trust) = &endpoint.trust {
            stream.start_tls(trust, &endpoint.host).map_err(told)?;
        }
        let mut client = Client { stream, parser: Parser::new() };
        if let Some(password) = &endpoint.password {
            let mut auth = cmd("AUTH");
            if let Some(user) = &endpoint.user {
                auth.arg(user);
            }
            client.request(auth.arg(password), Some(PASSWORD))?;
        }
        if endpoint.database != 0 {
            let change = "correct the database number at the end of cluster.redis";
            client.request(cmd("SELECT").arg(endpoint.database), Some(change))?;
        }
        client.stream.set_limit(SILENCE)?;
        Ok(client)
    }

    /// Sends one command and returns its reply. `change` is what to change if Redis refuses it.
    ///
    /// # Errors
    /// If the connection is lost or Redis refuses the command.
    pub fn request(&mut self, command: &Cmd, change: Option<&'static str>) -> Result<Value, ClientError> {
        self.stream.write_all(&command.get_packed_command()).map_err(told)?;
        match self.read()? {
            Value::ServerError(error) => {
                let error = RedisError::from(error);
                let reason = reason(&error);
                match change_for(&error).or(change) {
                    Some(change) => Err(ClientError::Refused { reason, change }),
                    None => Err(ClientError::Answer(reason)),
                }
            }
            value => Ok(value),
        }
    }

    /// Sends `count` packed commands and returns their replies, of which each may be an error.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn exchange(&mut self, commands: &[u8], count: usize) -> Result<Vec<Value>, ClientError> {
        self.stream.write_all(commands).map_err(told)?;
        (0..count).map(|_| self.read()).collect()
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// If the connection is lost, or the value is malformed or too long.
    pub fn read(&mut self) -> Result<Value, ClientError> {
        let mut bounded = Bounded { stream: &mut self.stream, left: VALUE_BYTES, error: None };
        let value = self.parser.parse_value(&mut bounded);
        match (value, bounded.error) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(error)) => Err(told(error)),
            (Err(error), None) => Err(ClientError::Answer(error.to_string())),
        }
    }

    /// The same connection, for another thread that only writes.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn writer(&self) -> io::Result<Stream> {
        self.stream.try_clone()
    }

    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

/// Ends the connection at a value that is too long, and keeps what the library makes unrecognizable: an error of the
/// connection.
struct Bounded<'a> {
    stream: &'a mut Stream,
    /// How many more bytes may be read for this value. What is read ahead of the next value counts too.
    left: usize,
    error: Option<io::Error>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(self.fail(io::Error::other("somebody published a value that is too long")));
        }
        let room = buffer.len().min(self.left);
        match self.stream.read(&mut buffer[..room]) {
            Ok(0) if room > 0 => {
                Err(self.fail(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection")))
            }
            Ok(length) => {
                self.left -= length;
                Ok(length)
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl Bounded<'_> {
    fn fail(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.error = Some(error);
        kind.into()
    }
}

/// An error of the connection, with what is known about it.
fn told(error: io::Error) -> ClientError {
    match fault_in(&error) {
        Some(fault) => ClientError::Tls { fault: fault.clone() },
        None if is_time_limit(&error) => {
            let text = format!(
                "no answer within {:.1} s: it accepts connections but is silent",
                SILENCE.as_secs_f32()
            );
            ClientError::Io(io::Error::new(ErrorKind::TimedOut, text))
        }
        None => ClientError::Io(error),
    }
}

/// Whether a time limit has passed, which the system reports as an operation that would block.
pub fn is_time_limit(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// What to change, if the error is a fault of the configuration and does not pass.
pub fn change_for(error: &RedisError) -> Option<&'static str> {
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => Some(PASSWORD),
        Some("NOPERM") => Some(
            "give its user the right to use PING, SUBSCRIBE, PUBLISH, EVAL and the keys and channels of the server",
        ),
        _ => None,
    }
}

/// What Redis says, on one line.
pub fn reason(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) if !detail.is_empty() => detail.to_owned(),
        _ => error.to_string(),
    }
}
