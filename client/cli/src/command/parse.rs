//! Reads a typed line.

use super::argument::DIVIDERS;
use super::suggest;
use super::table::{Command, Row, row_of};
use super::{message, session};

const SLASHES: [char; 2] = ['/', '／'];

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
    /// There is no such command; `nearest` has a similar spelling.
    Unknown { word: String, nearest: Option<&'static str> },
    /// Another program has such a command; what to do here instead.
    Elsewhere { word: String, advice: &'static str },
    /// The fields are wrong.
    Usage(&'static Row),
}

/// Reads a line; `None` if it is empty. A line that looks like a misspelt command is a mistake, never plain text. The
/// slash, the colon and letters of a Chinese keyboard are understood.
pub fn parse(line: &str) -> Result<Option<Typed>, Mistake> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    if let Some(rest) = line.strip_prefix(SLASHES) {
        return slash(rest).map(Some);
    }
    // Spaces around a message and colons in it belong to it.
    let (word, rest) = match line.find(DIVIDERS) {
        Some(at) => (
            &line[..at],
            line[at..].chars().next().map(|divider| (divider, &line[at + divider.len_utf8()..])),
        ),
        None => (line, None),
    };
    let (typed, word) = (word.trim(), narrow(word.trim()));
    // A colon of a Chinese keyboard is also one of Chinese text.
    let is_command = |row: &&Row| rest.is_none_or(|(divider, _)| divider == ':' || row.form.contains(':'));
    if let Some(row) = row_of(&word).filter(|_| !word.starts_with('/')).filter(is_command) {
        return by_row(row, rest.map(|(_, rest)| rest)).map(Some);
    }
    let rest = rest.filter(|(divider, _)| *divider == ':').map(|(_, rest)| rest);
    if let Some(about) = word.strip_prefix("help ").filter(|_| rest.is_none())
        && row_of(about.trim()).is_some()
    {
        return help_on(about).map(Some);
    }
    if let Some(row) = suggest::divided_by_space(line) {
        return Err(Mistake::Usage(row));
    }
    if suggest::is_misspelt(typed, rest) {
        return Err(unknown(typed));
    }
    Ok(Some(Typed { command: Command::Message(message::Command::Here(line.to_owned())), row: None }))
}

/// Reads what follows the first slash.
fn slash(line: &str) -> Result<Typed, Mistake> {
    if let (Some(text), Some(row)) = (line.strip_prefix(SLASHES), row_of("//")) {
        return by_row(row, Some(text));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = format!("/{}", narrow(word));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    match (suggest::row_or_alias(&word), rest) {
        (Some(row), Some(about)) if row.name == "/help" => help_on(about),
        (Some(row), rest) => by_row(row, rest),
        (None, _) => Err(unknown(&word)),
    }
}

fn unknown(word: &str) -> Mistake {
    let (word, advice) = (word.to_owned(), suggest::advice(word));
    match advice {
        Some(advice) => Mistake::Elsewhere { word, advice },
        None => Mistake::Unknown { nearest: suggest::nearest(&word), word },
    }
}

/// A word with the fullwidth forms of a Chinese keyboard replaced by ASCII.
fn narrow(word: &str) -> String {
    let narrow = |c: char| match c {
        '！'..='～' => char::from_u32(u32::from(c) - u32::from('！') + u32::from('!')).unwrap_or(c),
        _ => c,
    };
    word.chars().map(narrow).collect()
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
    if matches!(word, "keys" | "marks") {
        return Ok(Typed { command: Command::Session(session::Command::Keys), row: row_of("/help") });
    }
    match suggest::row_or_alias(word).or_else(|| suggest::row_or_alias(&format!("/{word}"))) {
        Some(row) => {
            let command = Command::Session(session::Command::Help(Some(row.name)));
            Ok(Typed { command, row: row_of("/help") })
        }
        None => Err(unknown(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::argument::WhichGroup;
    use super::super::table::TABLE;
    use super::super::{contact, group, timeline};
    use super::*;
    use wire::account::Who;
    use wire::{ConversationId, Seq, UserId};

    fn ok(line: &str) -> Command {
        parse(line).unwrap().unwrap().command
    }

    fn chat(who: Who, text: &str) -> Command {
        Command::Message(message::Command::ToUser { who, text: text.to_owned(), typed: String::new() })
    }

    /// A message to a user, without how it was typed.
    fn sent(line: &str) -> Command {
        match ok(line) {
            Command::Message(message::Command::ToUser { who, text, .. }) => chat(who, &text),
            other => panic!("{line} gives {other:?}"),
        }
    }

    fn to_group(line: &str, group: WhichGroup, text: &str) -> Command {
        let typed = line.strip_prefix("groupchat:").unwrap().to_owned();
        Command::Message(message::Command::ToGroup { group, text: text.to_owned(), typed })
    }

    fn name(name: &str) -> Who {
        Who::Name(name.into())
    }

    #[test]
    fn quotes_mean_a_name_and_digits_an_id() {
        assert_eq!(sent("chat:1:hi"), chat(Who::Id(UserId(1)), "hi"));
        assert_eq!(sent("chat:\"1\":hi"), chat(name("1"), "hi"));
        assert_eq!(sent("chat:\"alice:bob\":hi: you"), chat(name("alice:bob"), "hi: you"));
        assert_eq!(sent("chat:alice:bob:hi"), chat(name("alice"), "bob:hi"));
        let add = contact::Command::Add { who: name("1") };
        assert_eq!(
            (ok("addfriend:\"1\""), ok("/add “1”")),
            (Command::Contact(add.clone()), Command::Contact(add))
        );
        for (line, group) in [
            ("groupchat:7:hi", WhichGroup::Id(ConversationId(7))),
            ("groupchat:\"7\":hi", WhichGroup::Name("7".to_owned())),
            ("groupchat:night shift:hi", WhichGroup::Name("night shift".to_owned())),
        ] {
            assert_eq!(ok(line), to_group(line, group, "hi"));
        }
    }

    #[test]
    fn fullwidth_forms_are_understood_and_never_sent() {
        assert_eq!(sent("chat：1：你好"), chat(Who::Id(UserId(1)), "你好"));
        assert_eq!(sent("chat：１：你好"), chat(Who::Id(UserId(1)), "你好"));
        assert_eq!(sent("ｃｈａｔ：张三：你好：再见"), chat(name("张三"), "你好：再见"));
        assert_eq!(sent("chat:2：hello"), chat(Who::Id(UserId(2)), "hello"));
        assert_eq!(ok("addgroup：7"), Command::Group(group::Command::Join { group: ConversationId(7) }));
        for help in ["／help", "／ｈｅｌｐ", "/help"] {
            assert_eq!(ok(help), Command::Session(session::Command::Help(None)));
        }
        assert_eq!(ok("／／etc"), Command::Message(message::Command::Here("/etc".to_owned())));
        for text in ["你好：世界", "help：我要", "注意：12:30 开会"] {
            assert_eq!(ok(text), Command::Message(message::Command::Here(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_commands_of_other_clients_work_or_are_answered() {
        for (other, own) in [
            ("/query ann", "/msg ann"),
            ("/w ann hi", "/msg ann hi"),
            ("/names 7", "/members 7"),
            ("/exit", "/quit"),
            ("/j 7", "/join 7"),
            ("/whois ann", "/profile ann"),
            ("/part 7", "/leave 7"),
            ("/remove ann", "/kick ann"),
        ] {
            assert_eq!(ok(other), ok(own), "{other}");
        }
        assert_eq!(ok("/me waves"), Command::Message(message::Command::Here("* waves".to_owned())));
        assert_eq!(ok("/clear"), Command::Session(session::Command::Clear));
        for word in ["/invite ann", "/nick bob"] {
            assert!(matches!(parse(word), Err(Mistake::Elsewhere { .. })), "{word}");
        }
    }

    #[test]
    fn only_near_commands_are_suggested() {
        let nearest = |line: &str| match parse(line) {
            Err(Mistake::Unknown { nearest, .. }) => nearest,
            other => panic!("{line}: {other:?}"),
        };
        for (line, near) in [("/hlep", Some("/help")), ("/upload", None), ("/x", None), ("/frobnicate", None)]
        {
            assert_eq!(nearest(line), near, "{line}");
        }
    }

    #[test]
    fn a_message_is_everything_after_the_second_colon() {
        assert_eq!(sent("chat:2:a:b:c"), chat(Who::Id(UserId(2)), "a:b:c"));
        assert_eq!(sent("chat:2: spaced "), chat(Who::Id(UserId(2)), " spaced "));
        assert_eq!(sent("chat:zhang san:hi"), chat(Who::Name("zhang san".into()), "hi"));
        assert_eq!(sent("chat:张三:你好"), chat(Who::Name("张三".into()), "你好"));
        let line = "groupchat:7:12:30 is fine";
        assert_eq!(ok(line), to_group(line, WhichGroup::Id(ConversationId(7)), "12:30 is fine"));
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
        let (who, typed) = (Who::Name("li si".into()), "li si:40".to_owned());
        let older = timeline::Command::WithUser { who, before: Some(Seq(40)), typed };
        assert_eq!(ok("history:li si:40"), Command::Timeline(older));
        let (group, typed) = (WhichGroup::Id(ConversationId(7)), "#7".to_owned());
        let group = timeline::Command::OfGroup { group, before: None, typed };
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
            ("groupchat::y", "groupchat"),
            ("history:2:x", "history"),
            ("quit:now", "quit"),
            ("creategroup:x", "creategroup"),
            ("addfriend 2", "addfriend"),
            ("addfriend li si", "addfriend"),
            ("history 2", "history"),
            ("chat 2 hi: there", "chat"),
            ("groupchat 7 hi", "groupchat"),
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
            ("/help caht", "chat"),
        ] {
            let Err(Mistake::Unknown { nearest: found, .. }) = parse(line) else {
                panic!("{line} was accepted")
            };
            assert!(found == Some(nearest) || line.starts_with("frob"), "{line}: {found:?}");
        }
    }
}
