//! The command line: as it was typed ([`Args`]), resolved once into a [`Config`].
//!
//! Exit codes: 2 for a command line that cannot be read, 1 for a configuration that is wrong, 0 for all that was only
//! asked for.

use crate::config::Config;
use clap::Parser;
use logic::ConnId;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process;
use std::str::FromStr;
use std::thread;

const USAGE: &str = "chatserver [OPTIONS] [IP PORT]
 Example: chatserver 127.0.0.1 6000";

/// A chat server: one loop a thread, everything in an embedded database.
#[derive(Debug, Parser)]
#[command(name = "chatserver", version, override_usage = USAGE)]
pub struct Args {
    /// Read the configuration from this TOML file; without it no file is read
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Set one key of the configuration, over the file; may be given many times
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<Setting>,

    /// Threads that serve connections [default: one less than there are cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,

    /// Print the configuration as it takes effect, as TOML, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Where chat clients connect: an IPv4 or IPv6 address, over all configuration
    #[arg(value_name = "IP", requires = "port", value_parser = ip)]
    ip: Option<IpAddr>,

    /// The port there; 0 takes a free one
    #[arg(value_name = "PORT", value_parser = port)]
    port: Option<u16>,
}

/// One `--set`: a key and its value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Before the dot.
    pub section: String,
    /// Between dot and `=`.
    pub key: String,
    /// After the first `=`.
    pub value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Setting, Self::Err> {
        let form = "the form is SECTION.KEY=VALUE, like log.level=debug";
        let (name, value) = text.split_once('=').ok_or(form)?;
        let (section, key) = name.trim().split_once('.').ok_or(form)?;
        if section.is_empty() || key.is_empty() {
            return Err(form);
        }
        Ok(Setting { section: section.to_owned(), key: key.to_owned(), value: value.trim().to_owned() })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.section, self.key, self.value)
    }
}

impl Args {
    /// Reads the process's command line. `--help` and `--version` print and exit 0; what cannot be read exits 2 with
    /// the usage.
    pub fn parse_or_exit() -> Args {
        Args::try_parse().unwrap_or_else(|error| {
            // A closed stdout or stderr changes nothing.
            let _ = error.print();
            if error.use_stderr() && !error.to_string().contains(USAGE) {
                let _ = writeln!(io::stderr(), "\nUsage: {USAGE}");
            }
            process::exit(error.exit_code())
        })
    }

    /// The configuration to run with. `--check-config` and `--print-config` are carried out here and exit 0; a
    /// configuration that is wrong exits 1 and says why.
    pub fn config_or_exit(&self) -> Config {
        let config = Config::load(self).unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "chatserver: {error}");
            process::exit(1)
        });
        if self.check_config || self.print_config {
            let text =
                if self.print_config { config.to_toml() } else { "The configuration is good.\n".to_owned() };
            match io::stdout().write_all(text.as_bytes()) {
                // Whoever closes the pipe early has read enough.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    let _ = writeln!(io::stderr(), "chatserver: cannot write to stdout: {error}");
                    process::exit(1)
                }
                _ => process::exit(0),
            }
        }
        config
    }

    /// The address that `IP PORT` gives.
    pub fn listen(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip?, self.port?))
    }

    /// How many threads serve connections, 1 to [`ConnId::REACTORS_MAX`].
    pub fn reactors(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(|| (cores() - 1).clamp(1, ConnId::REACTORS_MAX))
    }
}

fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=ConnId::REACTORS_MAX).contains(threads));
    threads.ok_or_else(|| format!("threads are a number from 1 to {}", ConnId::REACTORS_MAX))
}

fn ip(text: &str) -> Result<IpAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "this is not an IPv4 or IPv6 address")
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "a port is a number from 0 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(format!("chatserver {line}").split_whitespace())
    }

    #[test]
    fn ip_and_port_come_together_and_are_checked() {
        let listen = |line| parse(line).unwrap().listen().map(|address| address.to_string());
        assert_eq!(listen(""), None);
        assert_eq!(listen("127.0.0.1 6000").as_deref(), Some("127.0.0.1:6000"));
        assert_eq!(listen("::1 6000").as_deref(), Some("[::1]:6000"));
        assert_eq!(listen("[::1] 0").as_deref(), Some("[::1]:0"));
        assert_eq!(listen("--threads 2 0.0.0.0 65535").as_deref(), Some("0.0.0.0:65535"));
        for bad in [
            "127.0.0.1",
            "6000",
            "127.0.0.1 65536",
            "127.0.0.1 port",
            "127.0.0.1 -1",
            "127.0.0.1 6000 7000",
            "localhost 6000",
            "1.2.3 6000",
            "127.0.0.1:6000",
        ] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn settings_and_threads_are_checked_for_form() {
        let args = parse("--set a.b=c=d --set x.y=").unwrap();
        let setting = |section: &str, key: &str, value: &str| Setting {
            section: section.into(),
            key: key.into(),
            value: value.into(),
        };
        assert_eq!(args.set, [setting("a", "b", "c=d"), setting("x", "y", "")]);
        for bad in ["--set", "--set level", "--set level=info", "--set log.level", "--set .a=1", "--set a.=1"]
        {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        assert_eq!(parse("--threads 3").unwrap().reactors(), 3);
        assert!((1..=ConnId::REACTORS_MAX).contains(&parse("").unwrap().reactors()));
        for bad in ["--threads 0", "--threads 257", "--threads x", "--wrong"] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
