//! The pure part of the chat client: it connects, logs in and reconnects, delivers each message once and in order, and
//! retries outgoing messages until the server has stored them.
//!
//! ```text
//!    caller --- commands ---> +---------+ <--- bytes, time --- +------------+
//!                             | Session |                      | connection | <----> server
//!    caller <--- events ----- +---------+ ----- bytes -------> +------------+
//!                             this crate: pure                  crate chatclient-connection
//! ```
//!
//! [`Session`] is a state machine without a socket, clock, file or terminal; see [`state`] for how to drive it. Time
//! and randomness are arguments, so a test runs it on a fake clock and replays it from a seed.
//!
//! * One module per noun ([`session`], [`account`], [`contact`], [`group`], [`message`], [`timeline`], [`presence`],
//!   [`node`]): the requests a caller can make, and how replies and pushes are handled. A new request belongs there and
//!   nowhere else: its reply reaches the caller as [`Event::Reply`], and a push as [`Event::Push`].
//! * Machinery: [`driver`], [`inbound`], [`outbound`], [`connecting`],
//!   [`persistence`], [`history`].
//! * Plain data structures below them: [`reorder`], [`cursors`], [`outbox`], [`requests`], [`comparison`], [`route`],
//!   [`schedule`], [`backoff`], [`random`].
//! * [`sanitize`] makes text from other users safe to print on a terminal.

#![forbid(unsafe_code)]

pub mod account;
pub mod backoff;
pub mod change;
pub mod comparison;
pub mod connecting;
pub mod contact;
pub mod conversation;
pub mod cursors;
pub mod driver;
pub mod event;
pub mod group;
pub mod history;
pub mod inbound;
pub mod message;
pub mod node;
pub mod outbound;
pub mod outbox;
pub mod persistence;
pub mod presence;
pub mod random;
pub mod reorder;
pub mod requests;
pub mod route;
pub mod sanitize;
pub mod schedule;
pub mod session;
pub mod snapshot;
pub mod state;
pub mod timeline;
pub mod timing;

pub use event::{Event, Failure, LogoutReason, Lost, SendFailure};
pub use outbox::{LocalId, SendError};
pub use requests::RequestId;
pub use snapshot::{Kept, Snapshot};
pub use state::{ConnectionAction, Options, Session};
