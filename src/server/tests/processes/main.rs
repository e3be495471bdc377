//! The built programs as processes: what a user, an operator or an attacker would notice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod support;

mod backpressure;
mod benchmark;
mod bus;
mod changes;
mod cluster;
mod cluster_faults;
mod command_line;
mod crowd;
mod damage;
mod database;
mod descriptors;
mod devices;
mod durability;
mod edits;
mod encryption;
mod entries;
mod frames;
mod full_disk;
mod guesses;
mod hostile;
mod last_message;
mod legacy;
mod legacy_faults;
mod log;
mod make_cluster;
mod mixed_crash;
mod names;
mod output_memory;
mod proxies;
mod readers;
mod reads;
mod recipients;
mod references;
mod rights;
mod scrub;
mod search;
mod session;
mod session_kills;
mod sessions;
mod settings;
mod shutdown;
mod starts;
mod systemd;
mod terminal;
mod terminal_cluster;
mod terminal_history;
mod terminal_signals;
mod tls;
mod typing;
mod units;
mod unread;
mod upgrade;
