//! The configuration: a strict TOML file, `--set` on the command line, and `IP PORT`, each over the one before it.
//!
//! Without `--config` no file is read: nothing that happens to lie in the working folder changes the server. A key
//! that is not known is an error which names the nearest that is, so a misspelt one never goes unnoticed.

mod keys;
mod secret;
#[cfg(test)]
mod tests;
mod value;

pub use keys::{Chat, Cluster, Config, Contacts, Http, Legacy, Limits, Log, Password, Session, Storage};
pub use secret::secret;
pub use value::RedisUrl;

use crate::args::{Args, Setting};
use keys::SECTIONS;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};
use storage::{Database, StorageUrl};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Why there is no configuration. A sentence for the operator.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file that `--config` names cannot be read.
    #[error("cannot read the configuration {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// A line of the file is wrong.
    #[error("{}:{line}: {sentence}", .path.display())]
    File {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        sentence: String,
    },
    /// A `--set` is wrong.
    #[error("--set {setting}: {sentence}")]
    Set {
        /// As it was typed.
        setting: Setting,
        /// What is wrong with it.
        sentence: String,
    },
}

impl Config {
    /// The defaults, the file over them, each `--set` over that in its order, and `IP PORT` over all.
    pub fn load(args: &Args) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        if let Some(path) = &args.config {
            config.read_file(path)?;
        }
        for setting in &args.set {
            config
                .apply_setting(setting)
                .map_err(|sentence| ConfigError::Set { setting: setting.to_show(), sentence })?;
        }
        if let Some(listen) = args.listen() {
            config.chat.listen = listen;
        }
        Ok(config)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        self.apply_text(&text).map_err(|(at, sentence)| {
            let line = 1 + text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
            ConfigError::File { path: path.to_owned(), line, sentence }
        })
    }

    /// Lays a TOML document over what is set. An error says which bytes it is about.
    fn apply_text(&mut self, text: &str) -> Result<(), (Range<usize>, String)> {
        let document = DeTable::parse(text).map_err(|error| {
            (error.span().unwrap_or_default(), format!("this is not TOML: {}", error.message()))
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

    /// Lays one `--set` over what is set. Its value is TOML or, where it is not, a string as it stands.
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

impl Storage {
    /// What storage is opened with; the password is read from its file. An error is a sentence for the operator.
    pub fn settings(&self) -> Result<storage::Settings, String> {
        let password = match (&self.url, &self.password_file) {
            (StorageUrl::Mysql(Database { password: Some(_), .. }), Some(_)) => {
                let sentence = "storage.url has a password, and storage.password_file names another: \
                                remove one of the two";
                return Err(sentence.to_owned());
            }
            (StorageUrl::Mysql(_), Some(path)) => {
                Some(secret(path).map_err(|error| format!("{}: {error}", path.display()))?)
            }
            _ => None,
        };
        let accept_weak_durability = self.accept_weak_durability;
        Ok(storage::Settings { url: self.url.clone(), password, accept_weak_durability })
    }
}

impl Setting {
    /// As it may be shown: without a password.
    fn to_show(&self) -> Setting {
        Setting { value: storage::without_password(&self.value), ..self.clone() }
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
