//! `chatclient [IP PORT]`: the chat in a terminal.

#![forbid(unsafe_code)]

mod args;
mod terminal;

use args::Arguments;
use chatclient::{Folder, Options};
use clap::Parser;
use std::io;
use std::process::ExitCode;

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
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let options = Options { device: Some(device()), ..Options::new(u64::from_ne_bytes(seed)) };
    let address = arguments.address();
    let folder = (!arguments.no_store).then(|| Folder::of_user(&address)).flatten();
    terminal::run(terminal::Setup { address, options, folder, bell: !arguments.no_bell })?;
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
