//! The built programs as processes, from the outside: what a user, an operator or an attacker would notice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

mod backpressure;
mod benchmark;
mod cluster;
mod command_line;
mod database;
mod descriptors;
mod durability;
mod frames;
mod full_disk;
mod hostile;
mod legacy;
mod legacy_faults;
mod session;
mod shutdown;
mod terminal;
mod terminal_cluster;
