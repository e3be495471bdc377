//! The command line arguments.

use crate::command::{argument, help};
use crate::secret;
use clap::{ArgGroup, Parser};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use wire::account::Who;

const SCRIPTS: &str = "\
Scripts: with --user or --token-file, and with --exec, --json, --wait or a stdin that is not a terminal, the program asks \
nothing. It takes the commands of `help`, one per line, except those about the open conversation. Each command waits for \
its result before the next begins. Nothing is saved on this machine. Messages that are printed count as delivered, not as \
read. Results go to stdout, and so do messages with --wait, after the commands of --exec; what arrives otherwise goes to \
stderr, or with --quiet nowhere. JSON objects all go to stdout.

  chatclient --user li --password-file pw --exec 'chat:2:hello'
  tail -F log | sed -u 's/^/chat:ops:/' | chatclient --user bot --password-file pw
  chatclient --token-file token --json --wait 60

Exit codes: 0 success, 1 something failed, 2 wrong usage (nothing was done). SIGHUP, SIGINT, SIGQUIT and SIGTERM end the \
program; at a terminal it first sends what was written and restores the terminal.";

/// Chat from the terminal, or from a script.
///
/// At a terminal a menu offers login and registration; `help` then lists the commands. Messages, the login and unsent
/// messages are saved under $XDG_DATA_HOME/chatclient (~/.local/share/chatclient), readable by their owner only.
///
/// A lost connection is re-established, in scripts too. In a cluster the client continues at another node: every other
/// attempt goes to the configured address, the others to the nodes that the server named, the least loaded first. A
/// server that shuts down may name the node to try first.
#[derive(Debug, Parser)]
#[command(name = "chatclient", version, after_help = SCRIPTS, after_long_help = manual(), max_term_width = 100)]
#[command(group = ArgGroup::new("account").args(["user", "token_file"]).multiple(true))]
pub struct Arguments {
    /// The server's address or host name
    #[arg(default_value = "127.0.0.1")]
    pub ip: String,
    /// The server's chat port
    #[arg(default_value_t = 6000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Log in as this user, by name or id
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// Read the password from the first line of this file, which only its owner should be able to read
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Log in by the token in this file, which only its owner may read; with --user, a login by password writes its
    /// token to it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Register the account of --user unless it exists
    #[arg(long, requires = "user")]
    pub register: bool,
    /// Carry out this command and exit; may be repeated. Stdin is not read
    #[arg(long, value_name = "COMMAND", requires = "account")]
    pub exec: Vec<String>,
    /// Print one JSON object per line: the result of each command, and each message
    #[arg(long, requires = "account")]
    pub json: bool,
    /// After the last command, print what arrives for this long
    #[arg(long, value_name = "SECONDS", requires = "account")]
    pub wait: Option<u32>,
    /// Do not print what arrives before and between the own commands
    #[arg(long, requires = "account")]
    pub quiet: bool,
    /// Save nothing on this machine: no messages, no login, no typed lines
    #[arg(long)]
    pub no_store: bool,
    /// Do not ring the bell on a direct message or a mention
    #[arg(long)]
    pub no_bell: bool,
    /// Print the settings in effect and where they are read from, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// The end of the long help and of the manual page.
fn manual() -> String {
    format!("Commands:{}\n\n{SCRIPTS}", help::manual())
}

/// A login given on the command line.
#[derive(Debug)]
pub struct Login {
    pub token: Option<String>,
    /// Used without a token, or if the token is not valid.
    pub password: Option<(Who, String)>,
    pub register: bool,
    token_file: Option<PathBuf>,
}

impl Arguments {
    /// `host:port`.
    pub fn address(&self) -> String {
        // A literal IPv6 address needs brackets before the port.
        let bare = self.ip.contains(':') && !self.ip.starts_with('[');
        if bare { format!("[{}]:{}", self.ip, self.port) } else { format!("{}:{}", self.ip, self.port) }
    }

    /// The login, if one is given. The error is a sentence.
    pub fn login(&self) -> Result<Option<Login>, String> {
        let password = match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => {
                let who = argument::who(user).ok_or("--user is empty")?;
                Some((who, secret::password(file)?))
            }
            _ => None,
        };
        let token = match &self.token_file {
            Some(file) if password.is_none() || file.exists() => secret::token(file)?,
            _ => None,
        };
        match (&password, &token, &self.token_file) {
            (None, None, Some(file)) => return Err(format!("{} is empty", file.display())),
            (None, None, None) => return Ok(None),
            _ => {}
        }
        Ok(Some(Login { token, password, register: self.register, token_file: self.token_file.clone() }))
    }
}

impl Login {
    /// Writes the token of a login by password to --token-file, if it is given.
    pub fn save_token(&self, token: &str) -> io::Result<()> {
        let Some(file) = self.token_file.as_ref().filter(|_| self.token.as_deref() != Some(token)) else {
            return Ok(());
        };
        let mut options = OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        out.set_permissions(fs::Permissions::from_mode(0o600))?;
        writeln!(out, "{token}")
    }
}

#[cfg(test)]
#[path = "../../../man/check.rs"]
mod check;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_matches_the_arguments() {
        let command = <Arguments as clap::CommandFactory>::command();
        check::check(command, "1", env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn an_ipv6_address_gets_brackets() {
        let address = |ip| Arguments::parse_from(["chatclient", ip, "6000"]).address();
        assert_eq!(
            [address("::1"), address("[::1]"), address("chat")],
            ["[::1]:6000", "[::1]:6000", "chat:6000"]
        );
    }
}
