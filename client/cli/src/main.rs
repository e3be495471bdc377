//! `chatclient [IP PORT]`: the chat in a terminal, and in scripts.
//!
//! ```text
//!   args --> terminal/   a person at a terminal        both use command/ (what a line means)
//!       \--> script/     commands in, results out      and display/ (text for people)
//! ```

#![forbid(unsafe_code)]

mod args;
mod command;
mod config;
mod display;
mod script;
mod secret;
mod terminal;

use args::{Arguments, Login, UserAsked};
use chatclient_connection::Server;
use chatclient_core::Options;
use chatclient_store::Folder;
use clap::Parser;
use config::Config;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;
use wire::session::ClientKind;

/// The exit code of wrong usage.
const USAGE: u8 = 2;
/// The beginning of a script's device name.
pub const SCRIPT: &str = "chatclient script";
/// The longest device name that the protocol allows, bytes.
const DEVICE_BYTES: usize = wire::limits::DEVICE_BYTES;

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
    let config = match Config::load() {
        Ok(config) => config,
        Err(sentence) => {
            eprintln!("chatclient: {sentence}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    if arguments.print_config {
        let path = Config::path().map(|path| format!("# {}\n", path.display())).unwrap_or_default();
        print!("{path}{}", config.to_toml());
        return Ok(ExitCode::SUCCESS);
    }
    let CommandLine { address, server, login, asked, commands } = match read(arguments) {
        Ok(read) => read,
        Err(sentence) => {
            eprintln!("chatclient: {sentence}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let is_script =
        !commands.is_empty() || arguments.json || arguments.wait.is_some() || !io::stdin().is_terminal();
    let (program, kind) = match login.is_some() && is_script {
        true => (SCRIPT, ClientKind::Script),
        false => ("chatclient", ClientKind::Terminal),
    };
    let with_last = kind == ClientKind::Terminal;
    let options =
        Options { device: Some(device(program)), kind, with_last, ..Options::new(u64::from_ne_bytes(seed)) };
    if let (Some(asked), true) = (&asked, is_script) {
        eprintln!("chatclient: --user {} needs --password-file in a script", asked.typed);
        return Ok(ExitCode::from(USAGE));
    }
    if let (Some(login), true) = (&login, is_script) {
        let wait = Duration::from_secs(arguments.wait.unwrap_or(0).into());
        let (json, quiet, listens) = (arguments.json, arguments.quiet, arguments.wait.is_some());
        let plan = script::Plan { server, options, login, commands, json, quiet, listens, wait };
        let code = if script::run(plan)? { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        return Ok(code);
    }
    let folder = (!arguments.no_store).then(|| Folder::of_user(&address)).flatten();
    if let Some(folder) = &folder
        && folder.requires_tls()
        && !server.is_secure()
    {
        eprintln!(
            "chatclient: this server was reached with TLS before, and without it your login could be read on the way: \
             connect with --tls; if it has no TLS any more, remove {}",
            folder.tls_mark().display()
        );
        return Ok(ExitCode::from(USAGE));
    }
    let setup =
        terminal::Setup { address, server, options, folder, bell: !arguments.no_bell, login, asked, config };
    terminal::run(setup)?;
    Ok(ExitCode::SUCCESS)
}

/// The arguments, checked.
struct CommandLine {
    address: String,
    server: Server,
    login: Option<Login>,
    asked: Option<UserAsked>,
    commands: Vec<script::ScriptCommand>,
}

fn read(arguments: &Arguments) -> Result<CommandLine, String> {
    let address = arguments.address()?;
    Ok(CommandLine {
        server: arguments.server(&address)?,
        address,
        login: arguments.login()?,
        asked: arguments.user_without_password()?,
        commands: script::read_commands(&arguments.exec)?,
    })
}

/// `chatclient on HOST`, shown to the user's other devices.
fn device(program: &str) -> Box<str> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut device = format!("{program} on {host}");
    let end = (0..=DEVICE_BYTES.min(device.len())).rev().find(|at| device.is_char_boundary(*at));
    device.truncate(end.unwrap_or_default());
    device.into()
}
