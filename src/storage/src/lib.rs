//! Durable state: the embedded database behind the synchronous [`Store`] trait and the threads that drive it, or a
//! database server ([`mysql`]), which has threads of its own. Both keep the contract of `logic::contract`.
//!
//! ```text
//!   logic --writes--> store thread --(one transaction a batch)--> database
//!     |                    |  commit, then publish
//!     |                    v
//!     |               outcomes --> logic
//!     +-----reads----> read thread ---^
//! ```
//!
//! A store carries out writes in order, many in one commit, and publishes their outcomes after it. A
//! message becomes visible to readers in the same moment in which its outcome is published, never before.

#![forbid(unsafe_code)]

mod calendar;
mod claim;
mod column;
#[cfg(test)]
mod conformance;
mod database;
mod error;
mod failed_streams;
mod machine;
mod mysql;
mod outcome;
mod overview;
mod page;
mod settings;
mod sqlite;
mod storage;
mod store;
mod threads;
mod token;

pub use database::{Database, without_password};
pub use error::StoreError;
pub use machine::{Clock, Random, system_random, wall_clock};
pub use mysql::Mysql;
pub use outcome::Outcome;
pub use settings::{Settings, StorageUrl};
pub use sqlite::{Disk, MemoryDisk, SqliteStore};
pub use storage::{Opened, Storage, open, start};
pub use store::{Publish, Reader, Store};
