//! `chatclient [IP PORT]`: the chat in a terminal.

#![forbid(unsafe_code)]

mod terminal;

use clap::Parser;
use std::process::ExitCode;

/// Talk to a chat server from the terminal.
#[derive(Parser)]
#[command(name = "chatclient", version, after_help = "Exit codes: 0 done, 1 a fault, 2 wrong usage.")]
struct Arguments {
    /// The server's address or host name.
    #[arg(default_value = "127.0.0.1")]
    ip: String,
    /// The server's chat port.
    #[arg(default_value_t = 6000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

fn main() -> ExitCode {
    let Arguments { ip, port } = Arguments::parse();
    // A literal IPv6 address needs brackets before its port.
    let host = if ip.contains(':') && !ip.starts_with('[') { format!("[{ip}]") } else { ip };
    match terminal::run(&format!("{host}:{port}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chatclient: {error}");
            ExitCode::FAILURE
        }
    }
}
