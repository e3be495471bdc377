//! Commands: what a typed line means, without carrying it out.
//!
//! ```text
//!   line --parse--> Command, by the rows of the table --> terminal/, script/
//!                   or Mistake --help--> a sentence
//! ```
//!
//! [`table`] has one row per command: its syntax, its help, what Tab completes, and its parser. A noun's file holds the
//! meanings of its commands. A new command is a row and a meaning; no dispatcher changes.

pub mod ambiguity;
pub mod argument;
pub mod change;
pub mod complete;
pub mod contact;
pub mod group;
pub mod help;
pub mod message;
pub mod parse;
pub mod presence;
pub mod session;
pub mod suggest;
pub mod table;
pub mod timeline;

pub use parse::{Typed, parse};
pub use table::Command;
