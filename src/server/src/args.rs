//! The command line: as typed ([`Args`]), resolved once into a [`Config`].
//!
//! Exit codes: 2 for an invalid command line, 1 for an invalid configuration, 0 after `--help`, `--version`,
//! `--check-config` and `--print-config`.

use crate::config::{Config, ConfigError, Setting, is_exposed};
use clap::Parser;
use logic::ConnId;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process;
use std::thread;
use storage::{Database, StorageUrl};

const USAGE: &str = "chatserver [OPTIONS] [IP PORT]
 Example: chatserver 127.0.0.1 6000";

const MANUAL: &str = "\
Signals:
  SIGTERM, SIGINT  stop the server: it notifies clients, finishes requests in flight and writes everything to disk; a \
second signal ends it at once, and no acknowledged message is lost
  SIGHUP           reads the configuration again and applies log.level; reads the files of tls.certificate and tls.key \
again, and keeps the old ones where they are not good

Exit status:
  0  the server was stopped by a signal, or what an option asked for was done
  1  the configuration is invalid, the server could not start, or it ended by an error
  2  the command line is invalid

Environment:
  CREDENTIALS_DIRECTORY  the folder of $CREDENTIALS_DIRECTORY/NAME in the paths of password files; systemd sets it
  NOTIFY_SOCKET          where readiness and the watchdog are reported (sd_notify(3))
  LISTEN_FDS             sockets that systemd has opened (sd_listen_fds(3))
  JOURNAL_STREAM         whether stderr is the journal, so that log lines carry priorities instead of times

Files:
  data/chat.db  the database unless storage.url names another one, with chat.db-wal and chat.db.journal-*; it is complete \
only together with these";

/// A chat server for one machine or a cluster, with SQLite or MySQL behind it.
#[derive(Debug, Parser)]
#[command(name = "chatserver", version, override_usage = USAGE, after_long_help = MANUAL, max_term_width = 100)]
pub struct Args {
    /// Read the configuration from this TOML file. Without it no file is read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set one key, overriding the file. May be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<Setting>,

    /// Number of threads that serve connections [default: cores minus one]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// Check the configuration and exit
    #[arg(long)]
    check_config: bool,

    /// Print the effective configuration as TOML and exit
    #[arg(long)]
    print_config: bool,

    /// Replace the key with which the nodes of the configured cluster authenticate what they send through Redis, and
    /// exit. The nodes keep running and use the new key a minute later
    #[arg(long)]
    pub(crate) rotate_bus_key: bool,

    /// Listen for chat clients on this IPv4 or IPv6 address, overriding all configuration
    #[arg(value_name = "IP", requires = "port", value_parser = ip)]
    ip: Option<IpAddr>,

    /// Listen on this port; 0 picks a free one
    #[arg(value_name = "PORT", value_parser = port)]
    port: Option<u16>,
}

impl Args {
    /// Parses the process's command line. `--help` and `--version` print and exit 0; an invalid command line exits 2
    /// with the usage.
    pub fn parse_or_exit() -> Args {
        Args::try_parse().unwrap_or_else(|error| {
            // A closed stdout or stderr is not an error.
            let _ = error.print();
            if error.use_stderr() && !error.to_string().contains(USAGE) {
                let _ = writeln!(io::stderr(), "\nUsage: {USAGE}");
            }
            process::exit(error.exit_code())
        })
    }

    /// The configuration that these arguments ask for.
    ///
    /// # Errors
    /// If the file cannot be read, or the file or a `--set` is invalid.
    pub fn load_config(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.set, self.listen())
    }

    /// The configuration to run with. `--check-config` and `--print-config` are carried out here and exit 0; an invalid
    /// configuration is reported and exits 1.
    pub fn config_or_exit(&self) -> Config {
        let config = self.load_config().unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "chatserver: {error}");
            process::exit(1)
        });
        if self.check_config {
            if let Some(warning) = self.warning(&config) {
                let _ = writeln!(io::stderr(), "chatserver: warning: {warning}");
            }
            let faults = config.faults();
            for fault in &faults {
                let _ = writeln!(io::stderr(), "chatserver: {fault}");
            }
            if !faults.is_empty() {
                process::exit(1)
            }
        }
        if self.check_config || self.print_config {
            let text =
                if self.print_config { config.to_toml() } else { "The configuration is good.\n".to_owned() };
            match io::stdout().write_all(text.as_bytes()) {
                // A reader may close the pipe when it has seen enough.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    let _ = writeln!(io::stderr(), "chatserver: cannot write to stdout: {error}");
                    process::exit(1)
                }
                _ => process::exit(0),
            }
        }
        config
    }

    /// What the operator should change although the server can run so: a password that other users can see.
    pub fn warning(&self, config: &Config) -> Option<String> {
        let StorageUrl::Mysql(Database { password: Some(_), .. }) = &config.storage.url else { return None };
        const FILE: &str =
            "put it into a file that only the server can read, and name that in storage.password_file";
        if self.set.iter().any(|setting| setting.is("storage", "url")) {
            return Some(format!(
                "every user of this machine can see the password in --set storage.url; {FILE}"
            ));
        }
        let path = self.config.as_deref()?;
        let place = path.display();
        let exposed = fs::metadata(path).is_ok_and(|file| is_exposed(&file));
        exposed.then(|| {
            format!(
                "every user of this machine can read the password in storage.url in {place}; run chmod o-rwx {place}, or \
                 {FILE}"
            )
        })
    }

    /// The address given as `IP PORT`.
    fn listen(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip?, self.port?))
    }

    /// The number of threads that serve connections, 1 to [`ConnId::REACTORS_MAX`].
    pub fn reactors(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(|| (cores() - 1).clamp(1, ConnId::REACTORS_MAX))
    }
}

fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=ConnId::REACTORS_MAX).contains(threads));
    threads.ok_or_else(|| format!("must be a number from 1 to {}", ConnId::REACTORS_MAX))
}

fn ip(text: &str) -> Result<IpAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "must be an IPv4 or IPv6 address")
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "must be a number from 0 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(format!("chatserver {line}").split_whitespace())
    }

    #[test]
    fn ip_and_port_are_given_together_and_validated() {
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
    fn settings_and_threads_are_validated() {
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
