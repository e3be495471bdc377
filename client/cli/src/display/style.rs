//! [`Style`]: the colours and characters that the terminal can show.

use chatclient_core::sanitize;
use std::env;
use std::io::{self, IsTerminal};
use wire::UserId;

/// The state of an own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Failed,
    Sending,
    Stored,
    Delivered,
    Read,
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
}

/// Colours of names, readable on dark and light backgrounds; first those that every terminal has.
const NAME_COLOURS: [u8; 9] = [32, 33, 35, 36, 31, 92, 94, 95, 96];
const EIGHT: usize = 5;

impl Style {
    /// From the environment (no-color.org, POSIX locale(7)).
    pub fn from_environment() -> Style {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        Style {
            colours: if terminal { colours(variable) } else { Colours::None },
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

    /// A name in the fixed colour of its account.
    pub fn name(self, name: &str, id: UserId) -> String {
        let known = match self.colours {
            Colours::None => return name.to_owned(),
            Colours::Eight => EIGHT,
            Colours::Sixteen => NAME_COLOURS.len(),
        };
        format!("\x1b[{}m{name}\x1b[39m", NAME_COLOURS[id.0 as usize % known])
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
    let many = ["256", "16color", "direct", "truecolor", "kitty", "alacritty"];
    if variable("COLORTERM").is_some() || many.iter().any(|word| terminal.contains(word)) {
        Colours::Sixteen
    } else {
        Colours::Eight
    }
}

fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// `zhang san (1)`.
pub fn person(name: &str, id: UserId) -> String {
    format!("{} ({id})", sanitize::line(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
    }

    #[test]
    fn colours_follow_the_terminal_and_no_color() {
        assert_eq!(colours(of(&[("TERM", "xterm-256color")])), Colours::Sixteen);
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
    fn a_name_keeps_its_colour_and_neighbouring_ids_differ() {
        let style = Style { colours: Colours::Sixteen, unicode: true };
        let colour = |id| style.name("", UserId(id));
        assert_eq!(colour(7), colour(7));
        let different: std::collections::BTreeSet<_> = (1..=9).map(colour).collect();
        assert!(different.len() == 9, "{different:?}");
        let eight = Style { colours: Colours::Eight, unicode: true };
        assert!((1..100).all(|id| !eight.name("x", UserId(id)).contains("[9")));
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
