//! A MySQL or MariaDB server as the database: of one node, or of all nodes of a cluster.
//!
//! The server's own log and group commit do what the embedded database's journal does, so messages go straight into
//! their tables: many in one transaction, in two round trips whatever their number ([`message`]), by several threads,
//! each responsible for its own conversations ([`threads`]). Everything that decides whether a message may be stored is
//! read after the lock on its conversation, so that several nodes can do this at once.
//!
//! If the answer to a COMMIT is lost, it is unknown whether the transaction was committed. The same messages are then
//! retried: once the conversation's lock is acquired, looking up their `cid`s shows whether they are stored
//! ([`appender`]).

mod account;
mod appender;
mod change;
mod changed;
mod check;
mod claim;
mod client;
mod connection;
mod contact;
mod conversation;
mod deployment;
mod device;
mod end;
mod entry_change;
mod failure;
mod fence;
mod former;
mod group;
mod housekeeping;
mod last_message;
mod listing;
mod member_cache;
mod member_change;
mod member_list;
mod membership;
mod message;
mod name;
mod node;
mod open;
mod pages;
mod presence;
mod publish_barrier;
mod read;
mod read_thread;
mod reader;
mod readers;
mod reconnect;
mod record;
mod references;
mod retention;
mod router;
mod schema;
mod search;
mod sent;
mod session;
mod sql;
mod system_entry;
mod targets;
#[cfg(test)]
mod tests;
mod threads;
mod timeline;
mod token;
mod totals;
mod transaction;
mod unread;
mod usage;
mod write;
mod writer;

pub use open::Mysql;
pub use threads::Threads;
