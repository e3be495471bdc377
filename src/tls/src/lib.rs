//! TLS, without sockets of its own: whom a client trusts, which certificate a server has, and sessions over any byte
//! stream.
//!
//! ```text
//!   Trust ----> Layer<Client> \                           / socket of the caller, blocking or not
//!                              >  plaintext <--> records <
//!   Acceptor -> Layer<Server> /                           \ (a Layer never owns it)
//! ```
//!
//! A [`Stream`] is a server's socket with or without such a layer. A [`Layer`] is driven by the caller's reads and writes. While nothing is on its way, it holds no buffer: records are
//! decrypted and encrypted in memory that all layers of a thread share.
//!
//! What TLS finds wrong with a server is a [`Fault`], a sentence for whoever runs the client. There is no way to skip
//! the checks of a certificate: its signer, its time and its name.
//!
//! All programs use the same implementation of the algorithms, aws-lc-rs.

mod fault;
mod identity;
mod layer;
mod requirement;
mod scratch;
mod session;
mod stream;
mod trust;

pub use fault::{Fault, fault_in};
pub use identity::{Acceptor, Identity, IdentityError};
pub use layer::{Layer, is_session_error};
pub use requirement::TlsRequired;
pub use session::{Client, Role, Server};
pub use stream::Stream;
pub use trust::{Trust, is_verifiable};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// The first byte of a TLS connection: that of a handshake record (RFC 8446, 5.1).
pub const FIRST_BYTE: u8 = 0x16;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
