//! [`Config`]: what a user sets once, in `$XDG_CONFIG_HOME/chatclient/config.toml`.

use crate::display::clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Keys with Alt that edit the line.
const EDITING: &str = "bfd";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The time of a message, in strftime's manner.
    pub time: String,
    /// The line between days, in strftime's manner.
    pub day: String,
    pub colours: ColourChoice,
    /// Whether the members of the open conversation are told that the user is typing.
    pub typing: bool,
    pub notifications: Notifications,
    pub keys: Keys,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColourChoice {
    /// What the terminal can show, unless `NO_COLOR` is set.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "none")]
    None,
    #[serde(rename = "8")]
    Eight,
    #[serde(rename = "16")]
    Sixteen,
    #[serde(rename = "256")]
    Many,
}

/// How direct messages and mentions draw attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    pub bell: bool,
    /// The escape sequence OSC 9, which iTerm2, Windows Terminal and others show on the desktop.
    pub osc9: bool,
    /// The escape sequence OSC 777, which foot, Ghostty, urxvt and others show on the desktop.
    pub osc777: bool,
    /// The number of unread messages in the window's title.
    pub title: bool,
}

/// Characters that do something together with Alt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// One for each of the first conversations.
    pub open: String,
    /// Opens the next conversation with unread messages.
    pub next: char,
    /// The same as `/older`.
    pub older: char,
    /// The same as `/newer`.
    pub newer: char,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            time: "%H:%M".to_owned(),
            day: "%Y-%m-%d".to_owned(),
            colours: ColourChoice::default(),
            typing: true,
            notifications: Notifications::default(),
            keys: Keys::default(),
        }
    }
}

impl Default for Notifications {
    fn default() -> Notifications {
        Notifications { bell: true, osc9: false, osc777: false, title: false }
    }
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { open: "123456789".to_owned(), next: 'a', older: 'o', newer: 'n' }
    }
}

impl Config {
    /// The user's file (XDG Base Directory Specification 0.8); `None` without a home directory.
    pub fn path() -> Option<PathBuf> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder =
            absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        folder.map(|folder| folder.join("chatclient/config.toml"))
    }

    /// Reads the user's file, if there is one. The error is a sentence.
    pub fn load() -> Result<Config, String> {
        let Some(path) = Config::path() else { return Ok(Config::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        Config::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        for (name, format) in [("time", &config.time), ("day", &config.day)] {
            if !clock::is_format(format) {
                return Err(format!("`{name} = {format:?}` is no format of a time: see strftime(3)"));
            }
        }
        let mut taken = BTreeSet::new();
        let Keys { open, next, older, newer } = &config.keys;
        for key in open.chars().chain([*next, *older, *newer]) {
            if key.is_control() || key == ' ' || EDITING.contains(key) {
                return Err(format!("keys: Alt and {key:?} cannot be used"));
            }
            if !taken.insert(key) {
                return Err(format!("keys: Alt and {key:?} are used twice"));
            }
        }
        Ok(config)
    }

    /// The file that would have the same effect.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a table of strings and switches is TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_every_key_with_its_default() {
        let example = include_str!("../../../conf/chatclient.toml");
        assert_eq!(Config::parse(example), Ok(Config::default()));
        let keys = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            lines.map(|line| line.split(" =").next().unwrap_or(line).to_owned()).collect()
        };
        assert_eq!(keys(example), keys(&Config::default().to_toml()));
        assert_eq!(Config::parse(&Config::default().to_toml()), Ok(Config::default()));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            ("tiem = \"%H\"", "tiem"),
            ("time = \"%\"", "`time = \"%\"` is no format"),
            ("day = \"\\u001b[2J\"", "`day"),
            ("colours = \"pink\"", "pink"),
            ("[notifications]\nbell = 1", "bell"),
            ("[keys]\nnext = \"b\"", "Alt and 'b' cannot"),
            ("[keys]\nnext = \"1\"", "Alt and '1' are used twice"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert_eq!(Config::parse("colours = \"256\"").unwrap().colours, ColourChoice::Many);
    }
}
