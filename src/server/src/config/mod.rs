//! The configuration: defaults, a strict TOML file, `--set` and `IP PORT`, each overriding the one before it.
//!
//! Without `--config` no file is read, so a stray file in the working directory changes nothing. An unknown key is an
//! error that suggests the nearest known one, so a misspelt key never goes unnoticed.

mod certificate;
mod faults;
mod keys;
mod secret;
mod setting;
#[cfg(test)]
mod tests;
mod value;

pub use keys::{
    Chat, Cluster, Config, Contacts, Http, Legacy, Limits, Log, Password, Registration, Search, Session,
    Storage, Tls,
};
pub use secret::is_exposed;
pub use setting::Setting;
pub use value::RedisUrl;

use keys::SECTIONS;
use logic::contract::Quotas;
use runtime::regular_file::read_regular;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The longest configuration file, bytes.
const FILE_BYTES: u64 = 1 << 20;

/// Why the configuration was rejected.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}:{line}: {sentence}", .path.display())]
    File {
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        sentence: String,
    },
    #[error("--set {setting}: {sentence}")]
    Set {
        /// Without a password.
        setting: Setting,
        sentence: String,
    },
}

/// Which bytes of the file are wrong, and why.
type TextError = (Range<usize>, String);

impl Config {
    /// The defaults, overridden by the file at `path`, then by each setting in its order, then by `listen`.
    ///
    /// # Errors
    /// If the file cannot be read, or a key or value is invalid.
    pub fn load(
        path: Option<&Path>,
        settings: &[Setting],
        listen: Option<SocketAddr>,
    ) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        if let Some(path) = path {
            config.read_file(path)?;
        }
        for setting in settings {
            config
                .apply_setting(setting)
                .map_err(|sentence| ConfigError::Set { setting: setting.redacted(), sentence })?;
        }
        if let Some(listen) = listen {
            config.chat.listen = listen;
        }
        Ok(config)
    }

    /// The defaults, overridden by a TOML document.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn parse(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        config.apply_text(text).map_err(|(_, sentence)| sentence)?;
        Ok(config)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let text = read_regular(path, FILE_BYTES).map_err(unreadable)?;
        let text = String::from_utf8(text)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        self.apply_text(&text).map_err(|(at, sentence)| {
            let line = 1 + text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
            ConfigError::File { path: path.to_owned(), line, sentence }
        })
    }

    /// Applies a TOML document.
    fn apply_text(&mut self, text: &str) -> Result<(), TextError> {
        let document = DeTable::parse(text).map_err(|error| {
            (error.span().unwrap_or_default(), format!("invalid TOML: {}", error.message()))
        })?;
        for (section, value) in document.get_ref() {
            let at = |sentence| (section.span(), sentence);
            if !SECTIONS.iter().any(|(known, _)| known == section.get_ref()) {
                return Err(at(unknown_section(section.get_ref())));
            }
            let DeValue::Table(keys) = value.get_ref() else {
                return Err(at(format!(
                    "`{0}` is a section: write `[{0}]` and its keys below",
                    section.get_ref()
                )));
            };
            for (key, value) in keys {
                self.apply(section.get_ref(), key.get_ref(), value.get_ref())
                    .map_err(|sentence| (key.span(), sentence))?;
            }
        }
        Ok(())
    }

    /// Applies one `--set`. A value that is not valid TOML is taken as a string.
    fn apply_setting(&mut self, setting: &Setting) -> Result<(), String> {
        let bare = || DeValue::String(DeString::Borrowed(&setting.value));
        let value = DeValue::parse(&setting.value).map_or_else(|_| bare(), Spanned::into_inner);
        self.apply(&setting.section, &setting.key, &value)
    }

    fn apply(&mut self, section: &str, key: &str, value: &DeValue<'_>) -> Result<(), String> {
        match self.set(section, key, value) {
            Some(outcome) => outcome.map_err(|sentence| format!("`{section}.{key}` {sentence}")),
            None => Err(unknown_key(section, key)),
        }
    }
}

impl Limits {
    /// The quotas that storage checks.
    pub fn quotas(&self) -> Quotas {
        let &Limits { groups, groups_made_day, friends, conversations, members, .. } = self;
        Quotas { groups, groups_made_day, friends, conversations, members }
    }
}

fn unknown_section(section: &str) -> String {
    // Most likely a key without its section.
    match SECTIONS.iter().find(|(_, keys)| keys.contains(&section)) {
        Some((owner, _)) => {
            format!("there is no section `{section}`; did you mean the key `{owner}.{section}`?")
        }
        None => {
            let known = nearest(section, SECTIONS.iter().map(|(known, _)| *known));
            format!("there is no section `{section}`; did you mean `{known}`?")
        }
    }
}

fn unknown_key(section: &str, key: &str) -> String {
    let Some((_, keys)) = SECTIONS.iter().find(|(known, _)| *known == section) else {
        return unknown_section(section);
    };
    // The right key in the wrong section is nearer than any other of this section.
    let (owner, known) = match SECTIONS.iter().find(|(_, keys)| keys.contains(&key)) {
        Some((owner, _)) => (*owner, key),
        None => (section, nearest(key, keys.iter().copied())),
    };
    format!("there is no key `{section}.{key}`; did you mean `{owner}.{known}`?")
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known
        .min_by_key(|known| strsim::damerau_levenshtein(word, known))
        .expect("there are sections, and keys in each")
}
