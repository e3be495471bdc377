//! The client's store on disk: one SQLite file per account and server.
//!
//! ```text
//!   Session --changes, events--> Store::save: one transaction --> then ACKs and SENDs are written to the socket
//!   Store::snapshot --> Session, at the next start;   Store::history --> the screen, also without a server
//! ```
//!
//! A message, the cursor past it and the outbox change in one transaction, before the acknowledgement is sent to the
//! server. So a client that is killed at any moment has every message once and sends every accepted message once. The
//! write-ahead log is not synced for every message: nothing is lost when the process dies; after a power failure the
//! cursor is older, and the server delivers again what lies above it.
//!
//! One module per noun ([`account`], [`contact`], [`draft`], [`group`], [`message`], [`search`], [`timeline`]) holds
//! its table's reads and writes. [`save`] writes a turn of the session; [`database`] opens the file, [`folder`] finds
//! it, and [`active`] holds the store of the account that is logged in.

#![forbid(unsafe_code)]

pub mod account;
pub mod active;
pub mod contact;
pub mod conversation;
pub mod database;
pub mod draft;
pub mod folder;
pub mod group;
pub mod message;
pub mod save;
pub mod search;
pub mod timeline;

pub use account::StoredAccount;
pub use active::ActiveStore;
pub use database::{Store, StoreError};
pub use draft::Draft;
pub use folder::Folder;
pub use message::FailedMessage;
pub use timeline::StoredConversation;

#[cfg(test)]
mod tests;
