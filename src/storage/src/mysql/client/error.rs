//! What can go wrong between this client and the server.

use mysql_common::packets::ServerError;
use mysql_common::proto::codec::error::PacketCodecError;
use std::io;
use thiserror::Error;

/// An error of a connection or of a statement.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server's answer.
    #[error("{message} ({code}){}", change.map(|change| format!(": {change}")).unwrap_or_default())]
    Server {
        /// MySQL Server Error Message Reference; MariaDB Error Codes.
        code: u16,
        message: String,
        /// What to change, if that is known.
        change: Option<&'static str>,
    },
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server sent what the protocol does not allow here.
    #[error("the database server sent {0}")]
    Protocol(String),
    #[error(
        "the database server does not offer TLS: give it a certificate (ssl_cert and ssl_key in the [mysqld] section \
             of its configuration), or set storage.tls = false"
    )]
    NoTls,
    #[error(
        "the account logs in with the plugin `{0}`, which is not supported: use mysql_native_password or \
             caching_sha2_password"
    )]
    Plugin(String),
}

impl ClientError {
    pub(super) fn protocol(what: impl Into<String>) -> ClientError {
        ClientError::Protocol(what.into())
    }
}

impl From<PacketCodecError> for ClientError {
    fn from(error: PacketCodecError) -> ClientError {
        match error {
            PacketCodecError::Io(error) => ClientError::Io(error),
            other => ClientError::Protocol(format!("an invalid packet ({other})")),
        }
    }
}

impl From<ServerError<'_>> for ClientError {
    fn from(error: ServerError<'_>) -> ClientError {
        ClientError::Server {
            code: error.error_code(),
            message: error.message_str().into_owned(),
            change: None,
        }
    }
}
