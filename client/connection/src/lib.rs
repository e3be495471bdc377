//! Drives a [`Session`](chatclient_core::Session) over TCP, with or without TLS: one thread, one socket, a clock.
//!
//! ```text
//!   any thread            connection thread
//!   Client --lock------> Session <---- mio Poll: socket, waker, next_timeout
//!          --wake------>    |
//!   Receiver <-- events -- store
//! ```
//!
//! The session is behind a lock that is held for microseconds: commands take it, and the thread takes it to handle
//! input. It is never held during network or disk I/O. Changes and events are committed to the store, if there is one,
//! before the events are passed on and before bytes are written to the server.

#![forbid(unsafe_code)]

mod client;
mod server;
mod shared_session;
mod thread;

pub use client::Client;
pub use server::Server;
