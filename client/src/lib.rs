//! The chat client as a library: a connection that stays, messages that arrive once and in order, and an outbox that
//! loses nothing.
//!
//! ```text
//!    user ---- commands ----> +---------+ <---- bytes, time ---- +------------+
//!                             | Session |                        | connection | <----> server
//!    user <---- events ------ +---------+ ----- bytes ---------> +------------+
//!                             pure: no socket, clock, thread      one thread, one socket
//! ```
//!
//! * [`Session`] decides everything: it logs in and resumes, keeps each conversation's [`timeline`], acknowledges
//!   ([`cursors`]), retries what waits in the [`outbox`], and says when to connect again, and where ([`route`]). Time and randomness are
//!   arguments, so a test drives it on a fake clock and replays it from a seed.
//! * [`Client`] drives one session over TCP on a thread of its own.
//! * [`store`] keeps messages, cursors and the outbox in a file, so that all of this also holds across the client's own end.
//! * [`sanitize`] makes text of others safe to show on a terminal.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod connection;
pub mod cursors;
pub mod event;
pub mod outbox;
pub mod random;
pub mod requests;
pub mod route;
pub mod sanitize;
pub mod schedule;
pub mod session;
pub mod snapshot;
pub mod store;
pub mod timeline;

pub use connection::Client;
pub use event::{Event, Failure, LogoutReason, Lost, SendFailure};
pub use outbox::{LocalId, SendError};
pub use requests::RequestId;
pub use session::{LinkAction, Options, Session};
pub use snapshot::Snapshot;
pub use store::Folder;
