//! The command line.

use clap::Parser;

/// Talk to a chat server from the terminal.
#[derive(Debug, Parser)]
#[command(name = "chatclient", version, after_help = "Exit codes: 0 done, 1 a fault, 2 wrong usage.")]
pub struct Arguments {
    /// The server's address or host name.
    #[arg(default_value = "127.0.0.1")]
    pub ip: String,
    /// The server's chat port.
    #[arg(default_value_t = 6000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Keep nothing on this machine: no messages, no login, no typed lines.
    #[arg(long)]
    pub no_store: bool,
    /// Do not ring the terminal's bell on a direct message.
    #[arg(long)]
    pub no_bell: bool,
}

impl Arguments {
    /// `host:port`.
    pub fn address(&self) -> String {
        // A literal IPv6 address needs brackets before its port.
        let ip = &self.ip;
        if ip.contains(':') && !ip.starts_with('[') {
            format!("[{ip}]:{}", self.port)
        } else {
            format!("{ip}:{}", self.port)
        }
    }
}
