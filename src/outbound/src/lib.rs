//! Connections to the servers that this one depends on, Redis and the database: dialing, TLS, and whom to trust.
//!
//! A [`Stream`] is a TCP connection, with or without TLS, and blocks with time limits. [`Trust`] is the list of
//! authorities that may vouch for a peer; a certificate must also be valid now and name the host that was dialed.
//! There is no way to skip these checks. What TLS finds wrong is a [`Fault`], a sentence for the operator.
//!
//! ```text
//!   Stream::dial --TCP--> Stream --start_tls(trust, host)--> the same Stream, encrypted
//!                                                              |-- try_clone --> reads in one thread, writes in another
//! ```

mod fault;
mod probe;
mod stream;
mod trust;

pub use fault::{Fault, fault_in};
pub use probe::speaks_tls;
pub use stream::Stream;
pub use trust::{Trust, is_verifiable};
