//! `chatclient [IP PORT]`: the chat in a terminal, and in scripts.

#![forbid(unsafe_code)]

mod args;
mod script;
mod terminal;

use args::Arguments;
use chatclient_core::Options;
use chatclient_store::Folder;
use clap::Parser;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

/// The exit code of wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chatclient: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> io::Result<ExitCode> {
    let read = arguments.entry().and_then(|entry| Ok((entry, script::read_commands(&arguments.exec)?)));
    let (entry, commands) = match read {
        Ok(read) => read,
        Err(sentence) => {
            eprintln!("chatclient: {sentence}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let options = Options { device: Some(device()), ..Options::new(u64::from_ne_bytes(seed)) };
    let address = arguments.address();
    let asks_nothing =
        !commands.is_empty() || arguments.json || arguments.wait.is_some() || !io::stdin().is_terminal();
    if let (Some(entry), true) = (&entry, asks_nothing) {
        let wait = Duration::from_secs(arguments.wait.unwrap_or(0).into());
        let plan = script::Plan { address, options, entry, commands, json: arguments.json, wait };
        let code = if script::run(plan)? { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        return Ok(code);
    }
    let folder = (!arguments.no_store).then(|| Folder::of_user(&address)).flatten();
    terminal::run(terminal::Setup { address, options, folder, bell: !arguments.no_bell, entry })?;
    Ok(ExitCode::SUCCESS)
}

/// What the server and one's other devices are told: `chatclient on HOST`.
fn device() -> Box<str> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut device = format!("chatclient on {host}");
    let end = (0..=64.min(device.len())).rev().find(|at| device.is_char_boundary(*at));
    device.truncate(end.unwrap_or_default());
    device.into()
}
