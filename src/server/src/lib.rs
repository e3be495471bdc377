//! The shells of the chat server: sockets, storage, threads, configuration.

#![forbid(unsafe_code)]

pub mod app;
pub mod args;
pub mod bus;
pub mod config;
pub mod logic_thread;
pub mod password;
pub mod systemd;
