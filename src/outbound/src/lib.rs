//! Connections to the servers that this one depends on, Redis and the database: dialing, and TLS over blocking sockets.
//!
//! A [`Stream`] is a TCP connection, with or without TLS, and blocks with time limits. What TLS finds wrong with a
//! server is a [`tls::Fault`], a sentence for the operator.
//!
//! ```text
//!   Stream::dial --TCP--> Stream --start_tls(trust, host)--> the same Stream, encrypted
//!                                                              |-- try_clone --> reads in one thread, writes in another
//! ```

mod probe;
mod stream;

pub use probe::speaks_tls;
pub use stream::Stream;
