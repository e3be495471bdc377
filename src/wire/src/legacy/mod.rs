//! The JSON stream of the muduo cluster chat servers: bare JSON objects one after another, without a frame.
//!
//! ```text
//!   bytes --> scan --> one object --> request --> Command --> (logic) --> welcome / message / answer --> object, NUL
//! ```
//!
//! * [`scan`]: finds where an object ends, however the bytes were split.
//! * [`request`]: decodes one object to a [`crate::Command`], the same that a frame gives.
//! * [`answer`], [`welcome`], [`message`]: what the server sends, in the form and length that the clients can process.
//! * [`style`]: message numbers and the longest object.

pub mod answer;
mod escape;
pub mod message;
pub mod request;
pub mod scan;
pub mod style;
pub mod welcome;

pub use scan::{Scan, Scanner, StreamError};
pub use style::{MsgIds, Style};
pub use welcome::Welcome;
