//! HTTP/1.1 for browsers and operators, without an async runtime: a thread for each listener, with a poll of its own.
//!
//! ```text
//!   http.listen --\                             / site: GET /
//!                  > listener -> connection -> route
//!   ops.listen ---/  (sockets,   (pure: bytes   \ ops: /healthz, /readyz, /metrics, /status
//!                     deadlines)  in and out)
//! ```
//!
//! * `exchange`: a connection without its socket: requests in, answers out, in their order. Pure.
//! * `request`: what a request is, and which ones are refused. The parser is a library's (`shiguredo_http11`).
//! * `response`, `status`: answers as bytes.
//! * `site`, `ops`: which path is answered by what.
//! * `listener`: the thread: sockets, deadlines, limits.
//!
//! No other thread waits for these, and they wait for none; browsers cannot keep operators waiting.

#![forbid(unsafe_code)]

mod exchange;
mod listener;
mod ops;
mod request;
mod response;
mod site;
mod status;

pub use listener::{Http, Limits, Service, start};
pub use ops::Operations;
