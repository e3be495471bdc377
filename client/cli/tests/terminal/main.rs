//! The program at a terminal, with the fake server of the client library behind it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../../core/tests/support/mod.rs"]
mod support;

mod attention;
mod changes;
mod conversation;
mod devices;
mod fuzz;
mod history;
mod place;
mod pty;
mod readers;
mod references;
mod screen;
mod search;
mod settings;
mod typing;
mod words;
