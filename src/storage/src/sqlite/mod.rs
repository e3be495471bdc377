//! The embedded database: one SQLite file, with a journal of messages beside it.
//!
//! A commit appends its whole batch of messages as one record to the *journal*, a file of its own; once that record is
//! synced, the messages are durable. They stay *resident* and are *filed* into the tables by key later, in slices
//! between commits. Everything else (accounts, tokens, members, cursors) is written to its table directly, and so is an
//! entry that tells of such a change.
//!
//! ```text
//!   writes --> cache: number, check --> run (cids) --> journal record --synced--> resident tail --> readers
//!                                        |                                           |  evicted
//!                                        +--- frozen --> filing: by key --> message_YYYYMM, sent_YYYYMMDD
//! ```
//!
//! Opened on a file it holds an exclusive lock, a write-ahead log, and a thread for checkpoints.
//!
//! Machinery below (`journal`, `run`, `resident`, `filing`, `sent`, `checkpoint`, `schema`), then the writer's state
//! ([`store`]) and the readers' ([`view`]), one file a noun with its verbs, and on top `write`, `read`, `open`.

mod account;
mod append_cache;
mod chains;
mod change;
mod changed;
mod checkpoint;
mod codec;
mod column;
mod commit_group;
mod connection;
mod contact;
mod conversation;
mod conversation_list;
mod deployment;
mod dropper;
mod entry;
mod filing;
mod filter;
mod former;
pub mod fuzzing;
mod generations;
mod group;
mod holder;
mod housekeeping;
mod identity;
mod journal;
mod listing;
mod lock;
mod login_cache;
mod login_view;
mod message;
mod name;
mod name_cache;
mod node;
mod open;
mod pages;
mod pins;
mod presence;
mod read;
mod reader;
mod readers;
mod references;
mod resident;
mod retention;
mod run;
mod schema;
mod scrub;
mod scrubber;
mod search;
mod sent;
mod session;
mod snapshot;
mod store;
mod system_entry;
#[cfg(test)]
mod tests;
mod timeline;
mod totals;
mod unread;
mod usage;
mod view;
mod write;

pub use identity::Place;
pub use journal::{Disk, MemoryDisk};
pub use store::SqliteStore;
