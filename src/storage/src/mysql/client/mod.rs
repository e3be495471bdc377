//! The client's side of the MySQL protocol, as far as it is used here: logging in, with or without TLS, statements as
//! text, several in one packet, and pings.
//!
//! Packets, scrambles and values are the library's (`mysql_common`). The connection is an [`outbound::Stream`], so that
//! a certificate is checked against the authorities of the configuration and no others, and one time limit holds for
//! connecting, TLS and logging in together.

mod error;
mod login;
mod packets;
mod public_key;
mod session;

pub use error::ClientError;
pub use login::{Credentials, log_in};
pub use session::Session;
