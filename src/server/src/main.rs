//! The chat server's program. See the library for everything.

use chatserver::args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    chatserver::app::run(&Args::parse_or_exit())
}
