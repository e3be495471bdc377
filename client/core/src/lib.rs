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
//! * The crates on top of this one drive a session over TCP (`chatclient-connection`) and keep messages, cursors and the
//!   outbox in a file (`chatclient-store`).
//! * [`sanitize`] makes text of others safe to show on a terminal.

#![forbid(unsafe_code)]

pub mod backoff;
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
pub mod timeline;

pub use event::{Event, Failure, LogoutReason, Lost, SendFailure};
pub use outbox::{LocalId, SendError};
pub use requests::RequestId;
pub use session::{LinkAction, Options, Session};
pub use snapshot::Snapshot;
