//! HTTP/1.1 for browsers and operators, without an async runtime: a thread for each listener, with a poll of its own.
//!
//! ```text
//!   http.listen --\                             / site: GET /     api: POST /api/... <--> logic
//!                  > listener -> connection -> route
//!   ops.listen ---/  (sockets,   (pure: bytes   \ ops: /healthz, /readyz, /metrics, /status
//!                     deadlines)  in and out)
//! ```
//!
//! * `exchange`: a connection without its socket: requests in, answers out, in their order. Pure.
//! * `request`: what a request is, and which ones are refused. The parser is a library's (`shiguredo_http11`).
//! * `response`, `status`: answers as bytes.
//! * `site`, `ops`: which path is answered by what.
//! * `api`: logging in and sending; logic answers. `fields`: what a head says about its sender.
//! * `listener`: the thread: its connections, and how many there may be (`addresses`).
//! * `connection`: a socket, what comes before HTTP on it (a PROXY header, TLS), and deadlines.
//! * `client`: who has sent a request. `encryption`: what is refused without TLS. `origin`: where a page comes from.
//!
//! * `upgrade`: WebSocket, for which connections are handed over.
//!
//! No other thread waits for these, and they wait for none; browsers cannot keep operators waiting. While logic answers a
//! request, its connection waits, and others are served.

#![forbid(unsafe_code)]

mod addresses;
mod api;
mod auth;
mod client;
mod connection;
mod encryption;
mod exchange;
mod fields;
mod listener;
mod ops;
mod origin;
mod request;
mod response;
mod settings;
mod site;
mod status;
mod upgrade;

pub use encryption::Encryption;
pub use listener::{Http, LogicLink, Service, start};
pub use ops::Operations;
pub use origin::Origin;
pub use settings::{Limits, Settings};
pub use upgrade::{Upgraded, WebSockets};
