//! WebSocket (RFC 6455) without sockets: messages in a byte stream, and the handshake before them. Both ends.
//!
//! ```text
//!   bytes of the peer --> Reader --> Event: a message, ping, pong, close
//!   bytes to the peer <-- put_message, put_control
//! ```
//!
//! * [`Reader`]: takes bytes as they come and keeps only what is incomplete. Idle, it holds no memory.
//! * [`put_message`], [`put_control`]: encode into a buffer of the caller.
//! * [`accept_key`], [`is_key`]: the server's handshake, which HTTP carries. [`ClientHandshake`]: the client's.
//!
//! The header of a frame and the close codes are `tungstenite`'s. Its connection type is not used: it reads and writes a
//! stream by itself, with buffers of its own that it keeps, and decodes all that it has read, while a server that limits
//! what a client may have unanswered stops between two messages. There are no extensions (compression).

#![forbid(unsafe_code)]

mod handshake;
mod mask;
mod reader;
mod tunnel;
mod writer;

#[cfg(test)]
mod tests;

pub use handshake::{ClientHandshake, HandshakeError, accept_key, is_key};
pub use reader::{Event, Fault, Reader, Role};
pub use tungstenite::protocol::frame::coding::CloseCode;
pub use tunnel::Tunnel;
pub use writer::{Control, Kind, put_close, put_control, put_message};
