//! [`Style`]: the colours and characters that the terminal can show.

use chatclient_core::sanitize;
use std::env;
use std::io::{self, IsTerminal};
use wire::{UserId, name};

/// The state of an own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Failed,
    Sending,
    Stored,
    Delivered,
    Read,
}

/// How many members of a group have read an own message, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub count: u32,
    pub of: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colours: Colours,
    /// Whether the locale is UTF-8. Decides only what the program draws; the text of messages never changes.
    pub unicode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    None,
    Eight,
    Sixteen,
    /// 256 of them.
    Many,
}

/// Colours of names, readable on dark and light backgrounds; first those that every terminal has.
const NAME_COLOURS: [u8; 9] = [32, 33, 35, 36, 31, 92, 94, 95, 96];
const EIGHT: usize = 5;
/// The same on a terminal with 256 colours: neither pale nor dark ones of its colour cube.
const MANY_COLOURS: [u8; 40] = [
    25, 27, 29, 31, 33, 36, 38, 61, 63, 65, 67, 69, 71, 72, 91, 93, 95, 97, 98, 99, 101, 103, 124, 125, 127,
    129, 130, 131, 133, 134, 135, 136, 137, 160, 161, 163, 166, 168, 170, 172,
];

impl Style {
    /// What the user chose, else from the environment (no-color.org, POSIX locale(7)).
    pub fn from_environment(chosen: Option<Colours>) -> Style {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        Style {
            colours: if terminal { chosen.unwrap_or_else(|| colours(variable)) } else { Colours::None },
            unicode: is_utf8(variable),
        }
    }

    pub fn mark(self, mark: Mark) -> &'static str {
        match (mark, self.unicode) {
            (Mark::Sending, true) => " …",
            (Mark::Stored, true) => " ✓",
            (Mark::Delivered, true) => "✓✓",
            (Mark::Sending, false) => " .",
            (Mark::Stored, false) => " +",
            (Mark::Delivered, false) => "++",
            (Mark::Read, _) => " R",
            (Mark::Failed, _) => " !",
        }
    }

    /// A label in the colour of the name of `who`, which is the same everywhere.
    pub fn name(self, label: &str, who: &str) -> String {
        let hash = hash(who) as usize;
        match self.colours {
            Colours::None => label.to_owned(),
            Colours::Eight => format!("\x1b[{}m{label}\x1b[39m", NAME_COLOURS[hash % EIGHT]),
            Colours::Sixteen => format!("\x1b[{}m{label}\x1b[39m", NAME_COLOURS[hash % NAME_COLOURS.len()]),
            Colours::Many => format!("\x1b[38;5;{}m{label}\x1b[39m", MANY_COLOURS[hash % MANY_COLOURS.len()]),
        }
    }

    /// Text of the program, dimmed.
    pub fn notice(self, text: &str) -> String {
        self.each_line(text, "2", "22")
    }

    /// Text that must not be overlooked.
    pub fn alarm(self, text: &str) -> String {
        self.each_line(text, "31", "39")
    }

    /// Lines may be drawn one without the other, so each begins and ends its colour.
    fn each_line(self, text: &str, begin: &str, end: &str) -> String {
        if self.colours == Colours::None {
            return text.to_owned();
        }
        let lines: Vec<_> = text.split('\n').map(|line| format!("\x1b[{begin}m{line}\x1b[{end}m")).collect();
        lines.join("\n")
    }

    /// Between the sender and the receiver of a message.
    pub fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// The character of a horizontal line.
    pub fn rule(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    /// The character before the rows of a text.
    pub fn gutter(self) -> &'static str {
        if self.unicode { "│" } else { "|" }
    }

    /// Something was left out here.
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// The character of large digits.
    pub fn ink(self) -> &'static str {
        if self.unicode { "█" } else { "#" }
    }
}

fn colours(variable: impl Fn(&str) -> Option<String>) -> Colours {
    let terminal = variable("TERM").unwrap_or_default();
    if variable("NO_COLOR").is_some()
        || terminal == "dumb"
        || terminal.starts_with("vt")
        || terminal.is_empty()
    {
        return Colours::None;
    }
    let many = ["256", "direct", "truecolor", "kitty", "alacritty"];
    if variable("COLORTERM").is_some() || many.iter().any(|word| terminal.contains(word)) {
        Colours::Many
    } else if terminal.contains("16color") {
        Colours::Sixteen
    } else {
        Colours::Eight
    }
}

/// FNV-1a of a name as names are compared.
fn hash(name: &str) -> u32 {
    name::key(name).bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// `zhang san (1)`.
pub fn person(name: &str, id: UserId) -> String {
    format!("{} ({id})", sanitize::name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
    }

    #[test]
    fn colours_follow_the_terminal_and_no_color() {
        assert_eq!(colours(of(&[("TERM", "xterm-256color")])), Colours::Many);
        assert_eq!(colours(of(&[("TERM", "xterm-16color")])), Colours::Sixteen);
        assert_eq!(colours(of(&[("TERM", "xterm")])), Colours::Eight);
        assert_eq!(colours(of(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")])), Colours::None);
        assert_eq!(colours(of(&[("TERM", "dumb")])), Colours::None);
        assert_eq!(colours(of(&[])), Colours::None);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        assert!(is_utf8(of(&[("LANG", "zh_CN.UTF-8")])));
        assert!(is_utf8(of(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")])));
        assert!(!is_utf8(of(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])));
        assert!(!is_utf8(of(&[])));
    }

    #[test]
    fn a_name_keeps_its_colour_and_a_group_of_people_has_many() {
        let people: Vec<String> = (0..40).map(|number| format!("user {number}")).collect();
        for (colours, least) in [(Colours::Eight, 5), (Colours::Sixteen, 9), (Colours::Many, 20)] {
            let style = Style { colours, unicode: true };
            assert_eq!(style.name("x", "Li Si"), style.name("x", "li si"));
            let different: std::collections::BTreeSet<_> =
                people.iter().map(|who| style.name("", who)).collect();
            assert!(different.len() >= least, "{different:?}");
        }
        let eight = Style { colours: Colours::Eight, unicode: true };
        assert!(people.iter().all(|who| !eight.name("x", who).contains("[9")));
    }

    #[test]
    fn every_mark_has_two_columns() {
        use unicode_width::UnicodeWidthStr;
        for unicode in [true, false] {
            let style = Style { colours: Colours::None, unicode };
            for mark in [Mark::Sending, Mark::Stored, Mark::Delivered, Mark::Read, Mark::Failed] {
                assert_eq!(style.mark(mark).width(), 2);
                assert!(unicode || style.mark(mark).is_ascii());
            }
        }
    }
}
