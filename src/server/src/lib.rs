//! The chat server's program: configuration, start and stop, the logic and password threads, and the bus between nodes.
//!
//! Rules are in `logic`, sockets in `net`, databases in `storage`.

#![forbid(unsafe_code)]

pub mod app;
pub mod args;
pub mod bus;
pub mod config;
pub mod logic_thread;
pub mod password;
mod search_index;
pub mod systemd;
