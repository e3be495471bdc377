//! The entry point; everything is in the library.

use chatserver::args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    chatserver::app::run(&Args::parse_or_exit())
}
