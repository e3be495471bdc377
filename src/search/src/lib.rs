//! SEARCH: an index of the words of all messages, beside each node.
//!
//! ```text
//!                 queries, fair over accounts              answers
//!   logic ----------------------------------> search ---------------> logic
//!                                              |    \ reads each hit as it is now
//!                                              v     v
//!                                    index file       database
//!                                              ^     /
//!                                              |    v reads what is committed
//!                                          search-index
//! ```
//!
//! The index is derived: the thread `search-index` follows the timelines in the database and writes words and places to
//! an SQLite file of its own. It gives way to messages, and a lost or damaged file is made anew. The thread `search`
//! takes places from the index and reads the messages from the database, with the rights that hold now. Neither thread
//! is waited for by any other.

#![forbid(unsafe_code)]

mod error;
mod file;
mod follower;
mod index;
mod pace;
mod query;
mod queue;
mod reader;
mod source;
mod terms;
mod threads;

pub use error::IndexError;
pub use follower::{FollowError, Follower, SLICE, Step};
pub use index::{Identity, Index};
pub use query::answer;
pub use reader::IndexReader;
pub use source::Source;
pub use threads::{Load, Outbox, Progress, Search, Settings, start};
