//! The chat server's program: configuration, start and stop, the logic and password threads, the bus between nodes, and what operators
//! see.
//!
//! Rules are in `logic`, sockets in `net`, databases in `storage`.

#![forbid(unsafe_code)]

pub mod app;
pub mod args;
pub mod bus;
pub mod config;
pub mod logic_thread;
pub mod ops;
pub mod password;
mod search_index;
pub mod systemd;
