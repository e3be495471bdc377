//! Reads a typed line.

use super::suggest;
use super::table::{Command, Row, row_of};
use super::{message, session};

/// A line that was understood.
#[derive(Debug)]
pub struct Typed {
    pub command: Command,
    /// `None`: plain text for the open conversation.
    pub row: Option<&'static Row>,
}

/// Why a line is not a command.
#[derive(Debug)]
pub enum Mistake {
    /// There is no such command; `nearest` has the most similar spelling.
    Unknown { word: String, nearest: &'static str },
    /// The fields are wrong.
    Usage(&'static Row),
}

/// Reads a line; `None` if it is empty. A line that looks like a misspelt command is a mistake, never plain text.
pub fn parse(line: &str) -> Result<Option<Typed>, Mistake> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    if line.starts_with('/') {
        return slash(line).map(Some);
    }
    // Spaces around a message and colons in it belong to it.
    let (word, rest) = match line.split_once(':') {
        Some((word, rest)) => (word.trim(), Some(rest)),
        None => (line.trim(), None),
    };
    if let Some(row) = row_of(word).filter(|_| !word.starts_with('/')) {
        return by_row(row, rest).map(Some);
    }
    if let Some(about) = word.strip_prefix("help ").filter(|_| rest.is_none())
        && row_of(about.trim()).is_some()
    {
        return help_on(about).map(Some);
    }
    if let Some(row) = suggest::divided_otherwise(line) {
        return Err(Mistake::Usage(row));
    }
    match suggest::misspelt(word, rest) {
        Some(nearest) => Err(Mistake::Unknown { word: word.to_owned(), nearest }),
        None => {
            let command = Command::Message(message::Command::Here(line.to_owned()));
            Ok(Some(Typed { command, row: None }))
        }
    }
}

fn slash(line: &str) -> Result<Typed, Mistake> {
    if let (Some(text), Some(row)) = (line.strip_prefix("//"), row_of("//")) {
        return by_row(row, Some(text));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    match (row_of(word), rest) {
        (Some(row), Some(about)) if row.name == "/help" => help_on(about),
        (Some(row), rest) => by_row(row, rest),
        (None, _) => Err(Mistake::Unknown { word: word.to_owned(), nearest: suggest::nearest(word) }),
    }
}

fn by_row(row: &'static Row, rest: Option<&str>) -> Result<Typed, Mistake> {
    match (row.parse)(rest) {
        Some(command) => Ok(Typed { command, row: Some(row) }),
        None => Err(Mistake::Usage(row)),
    }
}

/// Help on one command, with or without its slash.
fn help_on(word: &str) -> Result<Typed, Mistake> {
    let word = word.trim();
    match row_of(word).or_else(|| row_of(&format!("/{word}"))) {
        Some(row) => {
            let command = Command::Session(session::Command::Help(Some(row.name)));
            Ok(Typed { command, row: row_of("/help") })
        }
        None => Err(Mistake::Unknown { word: word.to_owned(), nearest: suggest::nearest(word) }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::TABLE;
    use super::super::{group, timeline};
    use super::*;
    use wire::account::Who;
    use wire::{ConversationId, Seq, UserId};

    fn ok(line: &str) -> Command {
        parse(line).unwrap().unwrap().command
    }

    fn chat(who: Who, text: &str) -> Command {
        Command::Message(message::Command::ToUser { who, text: text.to_owned() })
    }

    #[test]
    fn a_message_is_everything_after_the_second_colon() {
        assert_eq!(ok("chat:2:a:b:c"), chat(Who::Id(UserId(2)), "a:b:c"));
        assert_eq!(ok("chat:2: spaced "), chat(Who::Id(UserId(2)), " spaced "));
        assert_eq!(ok("chat:zhang san:hi"), chat(Who::Name("zhang san".into()), "hi"));
        assert_eq!(ok("chat:张三:你好"), chat(Who::Name("张三".into()), "你好"));
        let to_group = message::Command::ToGroup { group: ConversationId(7), text: "12:30 is fine".into() };
        assert_eq!(ok("groupchat:7:12:30 is fine"), Command::Message(to_group));
        let devs = group::Command::Create { name: "devs".into(), desc: "we: build".into() };
        assert_eq!(ok("creategroup:devs:we: build"), Command::Group(devs.clone()));
        assert_eq!(ok("/create devs:we: build"), Command::Group(devs));
    }

    #[test]
    fn every_example_parses_by_its_own_row_and_every_row_fits_a_page_of_73_columns() {
        for row in TABLE {
            let typed = parse(row.example).unwrap().unwrap();
            assert_eq!(typed.row.map(|row| row.name), Some(row.name), "{}", row.example);
            assert!(row.form.starts_with(row.name));
            assert!(row.form.len() <= 22 && row.purpose.len() <= 47, "{} is too wide", row.form);
        }
        assert!(parse("   ").unwrap().is_none());
        let older = timeline::Command::WithUser { who: Who::Name("li si".into()), before: Some(Seq(40)) };
        assert_eq!(ok("history:li si:40"), Command::Timeline(older));
        let group = timeline::Command::OfGroup { group: ConversationId(7), before: None };
        assert_eq!(ok("grouphistory:#7"), Command::Timeline(group));
    }

    #[test]
    fn plain_text_goes_to_the_open_conversation() {
        for text in [
            "hello everybody",
            "that: was it",
            "12:30:00",
            "see http://a.b:80/x",
            "嗨",
            " chat is fine",
            "ok",
            "chat with me",
            "history repeats itself",
            "help me with this",
            "groups of 7",
        ] {
            assert_eq!(ok(text), Command::Message(message::Command::Here(text.to_owned())), "{text}");
        }
        assert_eq!(ok("//etc"), Command::Message(message::Command::Here("/etc".to_owned())));
        assert_eq!(
            ok("/msg li si hello"),
            Command::Message(message::Command::Open("li si hello".to_owned()))
        );
        assert_eq!(ok("/history"), Command::Timeline(timeline::Command::Latest(None)));
        assert_eq!(ok("/older"), Command::Timeline(timeline::Command::Older));
        assert_eq!(ok("help chat"), ok("/help chat"));
    }

    #[test]
    fn wrong_fields_are_answered_with_the_usage() {
        for (line, name) in [
            ("chat", "chat"),
            ("chat:2", "chat"),
            ("chat::x", "chat"),
            ("chat:2:", "chat"),
            ("addgroup:x", "addgroup"),
            ("groupchat:x:y", "groupchat"),
            ("history:2:x", "history"),
            ("quit:now", "quit"),
            ("creategroup:x", "creategroup"),
            ("addfriend 2", "addfriend"),
            ("addfriend li si", "addfriend"),
            ("history 2", "history"),
            ("chat 2 hi: there", "chat"),
            ("groupchat 7 hi", "groupchat"),
            ("chat：2：hello", "chat"),
            ("chat:2：hello", "chat"),
            ("addgroup：7", "addgroup"),
            ("/msg", "/msg"),
            ("/quit now", "/quit"),
        ] {
            let Err(Mistake::Usage(row)) = parse(line) else { panic!("{line} was accepted") };
            assert_eq!(row.name, name);
        }
    }

    #[test]
    fn a_misspelt_command_is_never_sent_as_text() {
        for (line, nearest) in [
            ("caht:2:x", "chat"),
            ("hlep", "help"),
            ("logout", "loginout"),
            ("friend", "friends"),
            ("exit", "quit"),
            ("gruopchat:7:hi", "groupchat"),
            ("frobnicate:7:hi", "creategroup"),
            ("/mgs li si hello", "/msg"),
            ("/exit", "/quit"),
            ("/help caht", "chat"),
        ] {
            let Err(Mistake::Unknown { nearest: found, .. }) = parse(line) else {
                panic!("{line} was accepted")
            };
            assert!(found == nearest || line.starts_with("frob"), "{line}: {found}");
        }
    }
}
