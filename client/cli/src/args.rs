//! The command line, and what it means.

use crate::terminal::command::{self, USAGES};
use clap::{ArgGroup, Parser};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wire::account::Who;

const SCRIPTS: &str = "\
Scripts: with --user or --token-file, and --exec, --json, --wait or lines on a stdin that is no terminal, nothing is asked. \
Commands are those of `help`, one a line, but for those about an open conversation. Every command waits for its answer \
before the next begins. Nothing is kept on this machine, and what is printed counts as delivered, never as read.

  chatclient --user li --password-file pw --exec 'chat:2:hello'
  tail -F log | sed -u 's/^/chat:ops:/' | chatclient --user bot --password-file pw
  chatclient --token-file token --json --wait 60

Exit codes: 0 done, 1 something failed, 2 wrong usage: nothing was done. SIGHUP, SIGINT, SIGQUIT and SIGTERM end the \
program; at a terminal it first sends what was written and puts the terminal in order.";

/// Talk to a chat server from the terminal, or from a script.
///
/// At a terminal a menu offers to log in and to register; `help` then lists the commands. Messages, the login and what is
/// still to be sent are kept under $XDG_DATA_HOME/chatclient (~/.local/share/chatclient), readable by their owner
/// alone.
///
/// A connection that is lost is made again, in scripts, too. In a cluster the client goes on at another node: every other
/// attempt goes to the address that was given, the others to the nodes that the server told of, the least loaded first; where
/// a server that is being stopped names one, there it goes first.
#[derive(Debug, Parser)]
#[command(name = "chatclient", version, after_help = SCRIPTS, after_long_help = manual(), max_term_width = 100)]
#[command(group = ArgGroup::new("account").args(["user", "token_file"]).multiple(true))]
pub struct Arguments {
    /// The server's address or host name.
    #[arg(default_value = "127.0.0.1")]
    pub ip: String,
    /// The server's chat port.
    #[arg(default_value_t = 6000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Log in as this user, by name or id.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// The password is the first line of this file, which others should not be able to read.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Log in by the token in this file. With --user it need not exist: the token of a login by password is written to it.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Make the account of --user first; one that exists is logged in to.
    #[arg(long, requires = "user")]
    pub register: bool,
    /// Do this command and leave; can be given again. Stdin is not read.
    #[arg(long, value_name = "COMMAND", requires = "account")]
    pub exec: Vec<String>,
    /// Print one JSON object a line: of each command its result, of each message what it is.
    #[arg(long, requires = "account")]
    pub json: bool,
    /// After the last command go on printing what comes for this long.
    #[arg(long, value_name = "SECONDS", requires = "account")]
    pub wait: Option<u32>,
    /// Keep nothing on this machine: no messages, no login, no typed lines.
    #[arg(long)]
    pub no_store: bool,
    /// Do not ring the terminal's bell on a direct message.
    #[arg(long)]
    pub no_bell: bool,
}

/// What `--help` and the manual page say at their end.
fn manual() -> String {
    let rows = USAGES.iter().map(|usage| format!("\n  {:<22} {}", usage.form, usage.purpose));
    format!("Commands:{}\n\n{SCRIPTS}", rows.collect::<String>())
}

/// What to log in by.
#[derive(Debug)]
pub struct Entry {
    pub token: Option<String>,
    /// Tried without a token, or when it is not valid.
    pub password: Option<(Who, String)>,
    pub register: bool,
    token_file: Option<PathBuf>,
}

impl Arguments {
    /// `host:port`.
    pub fn address(&self) -> String {
        // A literal IPv6 address needs brackets before its port.
        let bare = self.ip.contains(':') && !self.ip.starts_with('[');
        if bare { format!("[{}]:{}", self.ip, self.port) } else { format!("{}:{}", self.ip, self.port) }
    }

    /// What to log in by, if it is given; the error is a sentence.
    pub fn entry(&self) -> Result<Option<Entry>, String> {
        let password = match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => {
                let who = command::who(user).ok_or("--user is empty")?;
                Some((who, secret(file)?))
            }
            _ => None,
        };
        let token = match &self.token_file {
            Some(file) if password.is_none() || file.exists() => Some(secret(file)?),
            _ => None,
        };
        if password.is_none() && token.is_none() {
            return Ok(None);
        }
        Ok(Some(Entry { token, password, register: self.register, token_file: self.token_file.clone() }))
    }
}

impl Entry {
    /// Writes down the token of a login by password, where one was asked for.
    pub fn keep_token(&self, token: &str) -> io::Result<()> {
        let Some(file) = self.token_file.as_ref().filter(|_| self.token.as_deref() != Some(token)) else {
            return Ok(());
        };
        let mut options = OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        out.set_permissions(fs::Permissions::from_mode(0o600))?;
        writeln!(out, "{token}")
    }
}

/// The first line of a file that only its owner should be able to read.
fn secret(file: &Path) -> Result<String, String> {
    let sentence = |error: io::Error| format!("cannot read {}: {error}", file.display());
    let about = fs::metadata(file).map_err(sentence)?;
    if about.is_file() && about.mode() & 0o077 != 0 {
        eprintln!("chatclient: others can read {0}: chmod 600 {0}", file.display());
    }
    let text = fs::read_to_string(file).map_err(sentence)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("the first line of {} is empty", file.display())),
    }
}

#[cfg(test)]
#[path = "../../../man/check.rs"]
mod check;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_is_what_the_arguments_say() {
        let command = <Arguments as clap::CommandFactory>::command();
        check::check(command, "1", env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn an_ipv6_address_is_told_from_its_port() {
        let address = |ip| Arguments::parse_from(["chatclient", ip, "6000"]).address();
        assert_eq!(
            [address("::1"), address("[::1]"), address("chat")],
            ["[::1]:6000", "[::1]:6000", "chat:6000"]
        );
    }
}
