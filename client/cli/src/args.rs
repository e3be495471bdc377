//! The command line arguments.

use crate::command::{argument, help};
use crate::secret;
use chatclient_connection::Server;
use clap::{ArgGroup, Parser};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use tls::Trust;
use wire::account::Who;

/// The port of a chat server.
const PORT: u16 = 6000;
/// How an address is reached by its beginning.
const SCHEMES: [Scheme; 3] = [
    Scheme { prefix: "tls://", is_secure: true, is_websocket: false, port: PORT },
    Scheme { prefix: "ws://", is_secure: false, is_websocket: true, port: 80 },
    Scheme { prefix: "wss://", is_secure: true, is_websocket: true, port: 443 },
];

/// The beginning of an address.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    prefix: &'static str,
    is_secure: bool,
    is_websocket: bool,
    /// Where neither the address nor an argument says one.
    port: u16,
}

const SCRIPTS: &str = "\
Scripts:
With --user or --token-file, and with --exec, --json, --wait or a stdin that is not a terminal, the program asks nothing. \
It takes the commands of `help`, one per line, except those about the open conversation. Each command waits for its \
result before the next begins. Nothing is saved on this machine. Messages that are printed count as delivered, not as \
read. Results go to stdout, and so do messages with --wait, after the commands of --exec; what arrives otherwise goes to \
stderr, or with --quiet nowhere. JSON objects all go to stdout.
  chatclient --user li --password-file pw --exec 'chat:2:hello'
  tail -F log | sed -u 's/^/chat:ops:/' | chatclient --user bot --password-file pw
  chatclient --token-file token --json --wait 60";

const REST: &str = "\
Signals:
SIGHUP, SIGINT, SIGQUIT and SIGTERM end the program; at a terminal it first sends what was written and restores the \
terminal.

Exit status:
  0  success
  1  something failed
  2  wrong usage; nothing was done

Environment:
  XDG_DATA_HOME           where the messages are, by default ~/.local/share
  XDG_CONFIG_HOME         where the configuration is, by default ~/.config
  TERM, COLORTERM         what the terminal can show; TERM=dumb: lines without colours and cursor movements
  NO_COLOR                no colours
  LC_ALL, LC_CTYPE, LANG  whether to draw with characters beyond ASCII

Files:
  $XDG_DATA_HOME/chatclient/
          one folder for each server: messages, logins, unsent messages, typed lines; readable by their owner only
  $XDG_CONFIG_HOME/chatclient/config.toml
          formats of times, colours, notifications and keys; --print-config prints what is in effect";

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
    /// The server's address or host name, also with its port: localhost:6000, [::1]:6000; with TLS: tls://chat.example; by
    /// WebSocket: wss://chat.example, or ws:// without TLS
    #[arg(default_value = "127.0.0.1")]
    pub ip: String,
    /// The server's chat port; 6000 where neither this nor the address says one
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Encrypt the connection with TLS, as an address with tls:// does. The server's certificate must name the host, be
    /// valid, and be signed by an authority that this system trusts
    #[arg(long)]
    pub tls: bool,
    /// Trust the authorities in this PEM file instead of the system's; implies --tls
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Log in as this user, by name or id; a name of digits stands in quotes: '"7"'. At a terminal the password is asked
    /// for, unless a file has it
    #[arg(long, value_name = "NAME")]
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
    format!("{}\n\n{SCRIPTS}\n\n{REST}", help::manual())
}

/// Splits the port from an address that has one: `localhost:6000`, `[::1]:6000`, not `::1`.
fn host_and_port(address: &str) -> Result<(&str, Option<u16>), String> {
    let bracketed = address.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match address.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (address, None),
        },
    };
    let Some(port) = port else { return Ok((host, None)) };
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, Some(port))),
        _ => Err(format!(
            "{address} is no address: the port is a number from 1 to 65535, as in localhost:6000"
        )),
    }
}

/// A user on the command line whose password is to be asked for.
#[derive(Debug)]
pub struct UserAsked {
    /// As it was written.
    pub typed: String,
    pub who: Who,
    pub register: bool,
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
    /// `host:port`. The error is a sentence.
    pub fn address(&self) -> Result<String, String> {
        let scheme = self.scheme();
        let (host, own) = host_and_port(scheme.map_or(&self.ip, |scheme| &self.ip[scheme.prefix.len()..]))?;
        let port = match (own, self.port) {
            (Some(own), Some(port)) if own != port => {
                return Err(format!("two different ports: {own} and {port}"));
            }
            (own, port) => own.or(port).unwrap_or(scheme.map_or(PORT, |scheme| scheme.port)),
        };
        // A literal IPv6 address needs brackets before the port.
        let bare = host.contains(':') && !host.starts_with('[');
        Ok(if bare { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }

    /// The server at this `host:port`, with or without TLS. The error is a sentence.
    pub fn server(&self, address: &str) -> Result<Server, String> {
        let over = |server: Server| match self.scheme() {
            Some(Scheme { is_websocket: true, .. }) => server.over_websocket(),
            _ => server,
        };
        if !self.has_tls() {
            return Ok(over(Server::plain(address)));
        }
        let trust = match &self.ca {
            Some(file) => Trust::of_file("--ca", file)?,
            None => Trust::of_system("--ca")?,
        };
        Ok(over(Server::secure(address, trust)))
    }

    fn has_tls(&self) -> bool {
        self.tls || self.ca.is_some() || self.scheme().is_some_and(|scheme| scheme.is_secure)
    }

    fn scheme(&self) -> Option<Scheme> {
        SCHEMES.into_iter().find(|scheme| self.ip.starts_with(scheme.prefix))
    }

    /// The user whose password is to be asked for, as --user names no file with it. The error is a sentence.
    pub fn user_without_password(&self) -> Result<Option<UserAsked>, String> {
        let has_content = |file: &PathBuf| fs::metadata(file).is_ok_and(|about| about.len() > 0);
        let has_token = self.token_file.as_ref().is_some_and(has_content);
        match &self.user {
            Some(user) if self.password_file.is_none() && !has_token => {
                let who = argument::who(user).ok_or("--user is empty")?;
                Ok(Some(UserAsked { typed: user.clone(), who, register: self.register }))
            }
            _ => Ok(None),
        }
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
            Some(file) if self.user.is_none() || file.exists() => secret::token(file)?,
            _ => None,
        };
        match (&password, &token, &self.token_file) {
            (None, None, Some(file)) if self.user.is_none() => {
                return Err(format!("{} is empty", file.display()));
            }
            (None, None, _) => return Ok(None),
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
    fn an_address_may_have_a_port() {
        let address = |words: &[&str]| Arguments::parse_from([&["chatclient"], words].concat()).address();
        for (words, expected) in [
            (&[][..], "127.0.0.1:6000"),
            (&["chat"], "chat:6000"),
            (&["chat", "6001"], "chat:6001"),
            (&["::1"], "[::1]:6000"),
            (&["[::1]"], "[::1]:6000"),
            (&["::1", "6001"], "[::1]:6001"),
            (&["localhost:6001"], "localhost:6001"),
            (&["[::1]:6001"], "[::1]:6001"),
            (&["localhost:6001", "6001"], "localhost:6001"),
            (&["tls://chat.example"], "chat.example:6000"),
            (&["tls://[::1]:6001"], "[::1]:6001"),
            (&["ws://chat.example"], "chat.example:80"),
            (&["wss://chat.example"], "chat.example:443"),
            (&["ws://chat.example", "6080"], "chat.example:6080"),
        ] {
            assert_eq!(address(words).as_deref(), Ok(expected));
        }
        for words in
            [&["localhost:0"][..], &["localhost:x"], &["localhost:70000"], &["localhost:6001", "6000"]]
        {
            assert!(address(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn tls_is_asked_for_in_three_ways() {
        let has_tls = |words: &[&str]| Arguments::parse_from([&["chatclient"], words].concat()).has_tls();
        assert!(
            has_tls(&["tls://chat"]) && has_tls(&["chat", "--tls"]) && has_tls(&["chat", "--ca", "a.pem"])
        );
        assert!(has_tls(&["wss://chat"]) && !has_tls(&["ws://chat"]) && !has_tls(&["chat"]));
        let error = Arguments::parse_from(["chatclient", "--ca", "/no/such/file"]).server("chat:6000");
        assert!(error.is_err_and(|why| why.starts_with("`--ca` names /no/such/file: ")));
    }

    #[test]
    fn the_password_of_a_user_without_a_file_is_asked_for() {
        let asked = |user| {
            let arguments = Arguments::parse_from(["chatclient", "--user", user]);
            arguments.user_without_password().unwrap().map(|asked| asked.who)
        };
        assert_eq!(asked("1"), Some(Who::Id(wire::UserId(1))));
        assert_eq!(asked("\"1\""), Some(Who::Name("1".into())));
        assert_eq!(asked("ann"), Some(Who::Name("ann".into())));
    }
}
