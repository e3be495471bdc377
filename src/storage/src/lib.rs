//! Durable state: an embedded database behind the synchronous [`Store`] trait and the threads that drive it, or a
//! database server ([`Mysql`]) with threads of its own. Both keep the contract of `logic::contract`; the conformance
//! suite runs against both.
//!
//! ```text
//!   logic --writes--> store thread --(one transaction a batch)--> database
//!     |                    |  commit, then publish
//!     |                    v
//!     |               outcomes --> logic
//!     +-----reads----> read threads --^
//! ```
//!
//! A store executes writes in order, many in one commit, and publishes their outcomes afterwards. A message becomes
//! visible to readers at the moment its outcome is published, never before.
//!
//! Shared definitions (`calendar`, `column`, `page`, …) lie below both stores. Each store has one file a noun beside
//! its machinery.

#![forbid(unsafe_code)]

mod account_usage;
mod calendar;
mod changed;
mod claim;
mod clock_watch;
mod column;
#[cfg(test)]
mod conformance;
mod counters;
mod database;
mod deployment;
mod error;
mod failed_streams;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod header_cache;
mod hex;
mod layout;
mod listing;
mod machine;
mod mysql;
mod networks;
mod outcome;
mod overview;
mod page;
mod peers;
mod read_queue;
mod read_schedule;
mod retention;
mod settings;
mod sqlite;
mod steady_clock;
mod storage;
mod store;
mod threads;
mod token;
mod unread;

pub use clock_watch::ClockWatch;
pub use counters::Counters;
pub use database::{Database, is_host, without_password};
pub use deployment::{Deployment, Joining, RandomId};
pub use error::StoreError;
pub use machine::{Clock, Random, system_random, wall_clock};
pub use mysql::Mysql;
pub use outcome::Outcome;
pub use peers::{BusKey, KEY_OVERLAP_MS, PeerView, Peers};
pub use read_queue::ReadOutbox;
pub use settings::{Settings, StorageUrl};
pub use sqlite::{Disk, MemoryDisk, SqliteStore};
pub use storage::{Opened, Storage, examine, open, start};
pub use store::{Publish, Reader, Store};
