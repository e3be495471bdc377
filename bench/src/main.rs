//! The load generator's command line: exit code 0, 1 or 2, see [`chatbench::Outcome`].

#![forbid(unsafe_code)]

use chatbench::args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match chatbench::run(Args::parse()) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("chatbench: {error}");
            ExitCode::from(2)
        }
    }
}
