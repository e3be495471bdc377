//! What a typed line means.

use wire::command::Who;
use wire::{ConversationId, Seq, UserId};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Chat {
        who: Who,
        text: String,
    },
    AddFriend {
        who: Who,
    },
    CreateGroup {
        name: String,
        desc: String,
    },
    AddGroup {
        group: ConversationId,
    },
    GroupChat {
        group: ConversationId,
        text: String,
    },
    Loginout,
    /// Messages before this seq, the latest where there is none.
    History {
        who: Who,
        before: Option<Seq>,
    },
    GroupHistory {
        group: ConversationId,
        before: Option<Seq>,
    },
    Groups,
    Friends,
    Quit,
}

/// How a command is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// The word before the first colon.
    pub name: &'static str,
    /// The whole, with its fields in capitals.
    pub form: &'static str,
    pub example: &'static str,
    pub purpose: &'static str,
}

/// Every command there is, in the order of `help`.
pub const USAGES: [Usage; 12] = [
    usage("help", "help", "help", "show this list"),
    usage("chat", "chat:WHO:MESSAGE", "chat:2:hello", "send to a user: WHO is an id or a name"),
    usage("addfriend", "addfriend:WHO", "addfriend:2", "become friends: you see each other come and go"),
    usage(
        "creategroup",
        "creategroup:NAME:DESC",
        "creategroup:devs:those who build it",
        "make a group; its id is shown",
    ),
    usage("addgroup", "addgroup:ID", "addgroup:7", "join a group"),
    usage("groupchat", "groupchat:ID:MESSAGE", "groupchat:7:hello all", "send to a group"),
    usage("history", "history:WHO", "history:2", "the latest messages with a user; older: history:2:SEQ"),
    usage(
        "grouphistory",
        "grouphistory:ID",
        "grouphistory:7",
        "the same of a group; older: grouphistory:7:SEQ",
    ),
    usage("friends", "friends", "friends", "list your friends"),
    usage("groups", "groups", "groups", "list your groups"),
    usage("loginout", "loginout", "loginout", "log out, back to the menu"),
    usage("quit", "quit", "quit", "leave"),
];

const fn usage(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    purpose: &'static str,
) -> Usage {
    Usage { name, form, example, purpose }
}

/// Why a line is no command.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake {
    /// No such command; this one is spelled most alike.
    Unknown { word: String, nearest: &'static str },
    /// Its fields are wrong.
    Usage(&'static Usage),
}

/// Reads a line; `None` where there is nothing on it.
pub fn parse(line: &str) -> Result<Option<Command>, Mistake> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    // A message may begin and end with space, and hold colons.
    let (word, rest) = match line.split_once(':') {
        Some((word, rest)) => (word.trim(), Some(rest)),
        None => (line.trim(), None),
    };
    let Some(usage) = USAGES.iter().find(|usage| usage.name == word) else {
        return Err(Mistake::Unknown { word: word.to_owned(), nearest: nearest(word) });
    };
    fields(usage.name, rest).map(Some).ok_or(Mistake::Usage(usage))
}

fn fields(name: &str, rest: Option<&str>) -> Option<Command> {
    Some(match (name, rest) {
        ("help", None) => Command::Help,
        ("loginout", None) => Command::Loginout,
        ("groups", None) => Command::Groups,
        ("friends", None) => Command::Friends,
        ("quit", None) => Command::Quit,
        ("chat", Some(rest)) => {
            let (who, text) = rest.split_once(':')?;
            Command::Chat { who: self::who(who)?, text: some(text)? }
        }
        ("groupchat", Some(rest)) => {
            let (group, text) = rest.split_once(':')?;
            Command::GroupChat { group: self::group(group)?, text: some(text)? }
        }
        ("addfriend", Some(rest)) => Command::AddFriend { who: who(rest)? },
        ("addgroup", Some(rest)) => Command::AddGroup { group: group(rest)? },
        ("creategroup", Some(rest)) => {
            let (name, desc) = rest.split_once(':')?;
            Command::CreateGroup { name: some(name.trim())?, desc: desc.trim().to_owned() }
        }
        ("history", Some(rest)) => {
            let (who, before) = page(rest)?;
            Command::History { who: self::who(who)?, before }
        }
        ("grouphistory", Some(rest)) => {
            let (group, before) = page(rest)?;
            Command::GroupHistory { group: self::group(group)?, before }
        }
        _ => return None,
    })
}

/// Digits alone are an id; everything else is a name.
pub fn who(text: &str) -> Option<Who> {
    let text = text.trim();
    match id(text) {
        Some(id) => Some(Who::Id(UserId(id))),
        None => some(text).map(|name| Who::Name(name.into())),
    }
}

fn group(text: &str) -> Option<ConversationId> {
    // `#7` is how a group is shown.
    let text = text.trim();
    id(text.strip_prefix('#').unwrap_or(text)).map(ConversationId)
}

fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && (1..=UserId::MAX.0).contains(id))
}

fn page(rest: &str) -> Option<(&str, Option<Seq>)> {
    match rest.split_once(':') {
        None => Some((rest, None)),
        Some((who, seq)) => {
            let seq = Seq(seq.trim().parse().ok()?);
            (seq <= Seq::MAX).then_some((who, Some(seq)))
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn nearest(word: &str) -> &'static str {
    let distance = |usage: &&Usage| strsim::damerau_levenshtein(usage.name, &word.to_lowercase());
    USAGES.iter().min_by_key(distance).map_or("help", |usage| usage.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    fn chat(who: Who, text: &str) -> Command {
        Command::Chat { who, text: text.to_owned() }
    }

    #[test]
    fn a_message_is_all_that_follows_the_second_colon() {
        assert_eq!(ok("chat:2:a:b:c"), chat(Who::Id(UserId(2)), "a:b:c"));
        assert_eq!(ok("chat:2: spaced "), chat(Who::Id(UserId(2)), " spaced "));
        assert_eq!(ok("chat:zhang san:hi"), chat(Who::Name("zhang san".into()), "hi"));
        assert_eq!(ok("chat:张三:你好"), chat(Who::Name("张三".into()), "你好"));
        assert_eq!(
            ok("groupchat:7:12:30 is fine"),
            Command::GroupChat { group: ConversationId(7), text: "12:30 is fine".into() }
        );
        assert_eq!(
            ok("creategroup:devs:we: build"),
            Command::CreateGroup { name: "devs".into(), desc: "we: build".into() }
        );
    }

    #[test]
    fn who_is_an_id_only_if_it_can_be_one() {
        assert_eq!(who("007"), Some(Who::Id(UserId(7))));
        for name in ["+7", "0", "2147483648", "7a"] {
            assert_eq!(who(name), Some(Who::Name(name.into())));
        }
        assert_eq!(who("  "), None);
    }

    #[test]
    fn every_example_is_the_command_it_explains() {
        for usage in &USAGES {
            assert!(matches!(parse(usage.example), Ok(Some(_))), "{}", usage.example);
            assert!(usage.form.starts_with(usage.name));
        }
        assert_eq!(parse("   "), Ok(None));
        assert_eq!(
            ok("history:li si:40"),
            Command::History { who: Who::Name("li si".into()), before: Some(Seq(40)) }
        );
        assert_eq!(ok("grouphistory:#7"), Command::GroupHistory { group: ConversationId(7), before: None });
    }

    #[test]
    fn wrong_fields_show_the_usage_and_wrong_words_the_nearest_command() {
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
        ] {
            let Err(Mistake::Usage(usage)) = parse(line) else { panic!("{line} was taken") };
            assert_eq!(usage.name, name);
        }
        for (line, nearest) in [
            ("caht:2:x", "chat"),
            ("hlep", "help"),
            ("logout", "loginout"),
            ("friend", "friends"),
            ("exit", "quit"),
        ] {
            let Err(Mistake::Unknown { nearest: found, .. }) = parse(line) else {
                panic!("{line} was taken")
            };
            assert_eq!(found, nearest, "{line}");
        }
        assert!(matches!(parse("hello everybody"), Err(Mistake::Unknown { .. })));
    }
}
