//! What a typed line means.

use super::complete;
use wire::account::Who;
use wire::{ConversationId, Seq, UserId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// All commands, or this one.
    Help(Option<&'static Usage>),
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
    /// Text for the conversation that is open.
    Say(String),
    /// Opens the chat with a user, whose name may be followed by a text: who knows the names tells them apart.
    Msg(String),
    /// Opens a group by id or name, and joins it if need be.
    Join(String),
    /// Of a user, of a group (`#7`), or of the conversation that is open.
    Recent(Option<String>),
    /// What comes before the page that was shown last.
    Older,
    /// Of a group, or of the one that is open.
    Members(Option<String>),
    /// Sends a text file.
    File(String),
    /// Leaves the conversation that is open.
    Close,
    /// Sends what has failed again.
    Retry,
    /// Forgets what has failed.
    Drop,
}

/// How a command is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// The word before the first colon or space.
    pub name: &'static str,
    /// The whole, with its fields in capitals.
    pub form: &'static str,
    pub example: &'static str,
    pub purpose: &'static str,
}

/// Every command there is, in the order of `help`: first the classic ones, which a colon divides.
pub const USAGES: [Usage; 29] = [
    usage("help", "help", "help", "show this list; /help COMMAND tells of one"),
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
    usage("history", "history:WHO", "history:2", "messages with a user; older: history:2:SEQ"),
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
    usage("/msg", "/msg WHO [TEXT]", "/msg \"li si\" hello", "open a chat; a name with spaces in quotes"),
    usage("/join", "/join GROUP", "/join 7", "open a group by id or name; join if need be"),
    usage("/close", "/close", "/close", "leave the open conversation; nothing is deleted"),
    usage("/history", "/history [WHO|#GROUP]", "/history #7", "the latest messages, here or there"),
    usage("/older", "/older", "/older", "the messages before those shown last"),
    usage("/friends", "/friends", "/friends", "list your friends"),
    usage("/groups", "/groups", "/groups", "list your groups"),
    usage("/members", "/members [GROUP]", "/members 7", "list the members of a group"),
    usage("/add", "/add WHO", "/add li si", "the same as addfriend:"),
    usage("/create", "/create NAME[:DESC]", "/create devs:those who build it", "the same as creategroup:"),
    usage("/file", "/file PATH", "/file notes.txt", "send a text file as a message here"),
    usage("/retry", "/retry", "/retry", "send again what failed (marked !)"),
    usage("/drop", "/drop", "/drop", "forget what failed"),
    usage("/help", "/help [COMMAND]", "/help chat", "show this list, or how a command is written"),
    usage("/logout", "/logout", "/logout", "log out, back to the menu"),
    usage("/quit", "/quit", "/quit", "leave; Ctrl-D does it, too"),
    usage("//", "//TEXT", "//etc is a folder", "send a text that begins with a slash"),
];

const fn usage(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    purpose: &'static str,
) -> Usage {
    Usage { name, form, example, purpose }
}

/// How the command of this name is written.
pub fn usage_of(name: &str) -> Option<&'static Usage> {
    USAGES.iter().find(|usage| usage.name == name)
}

/// Why a line is no command.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake {
    /// No such command; this one is spelled most alike.
    Unknown { word: String, nearest: &'static str },
    /// Its fields are wrong.
    Usage(&'static Usage),
}

/// Reads a line; `None` where there is nothing on it. What looks like a command but is none is never text.
pub fn parse(line: &str) -> Result<Option<Command>, Mistake> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    if line.starts_with('/') {
        return slash(line).map(Some);
    }
    // A message may begin and end with space, and hold colons.
    let (word, rest) = match line.split_once(':') {
        Some((word, rest)) => (word.trim(), Some(rest)),
        None => (line.trim(), None),
    };
    if let Some(usage) = usage_of(word).filter(|_| !word.starts_with('/')) {
        return classic(usage.name, rest).map(Some).ok_or(Mistake::Usage(usage));
    }
    if let Some(about) = word.strip_prefix("help ").filter(|_| rest.is_none())
        && let Some(usage) = usage_of(about.trim())
    {
        return Ok(Some(Command::Help(Some(usage))));
    }
    if let Some(usage) = complete::divided_otherwise(line) {
        return Err(Mistake::Usage(usage));
    }
    match complete::slip(word, rest) {
        Some(nearest) => Err(Mistake::Unknown { word: word.to_owned(), nearest }),
        None => Ok(Some(Command::Say(line.to_owned()))),
    }
}

fn classic(name: &str, rest: Option<&str>) -> Option<Command> {
    Some(match (name, rest) {
        ("help", None) => Command::Help(None),
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

fn slash(line: &str) -> Result<Command, Mistake> {
    if let Some(text) = line.strip_prefix("//") {
        return Ok(Command::Say(format!("/{text}")));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let Some(usage) = usage_of(word) else {
        return Err(Mistake::Unknown { word: word.to_owned(), nearest: complete::nearest(word) });
    };
    let command = match (word, some(rest)) {
        ("/msg", Some(rest)) => Some(Command::Msg(rest)),
        ("/join", Some(rest)) => Some(Command::Join(rest)),
        ("/history", rest) => Some(Command::Recent(rest)),
        ("/members", rest) => Some(Command::Members(rest)),
        ("/add", Some(rest)) => who(&rest).map(|who| Command::AddFriend { who }),
        ("/create", Some(rest)) => {
            let (name, desc) = rest.split_once(':').unwrap_or((&rest, ""));
            some(name.trim()).map(|name| Command::CreateGroup { name, desc: desc.trim().to_owned() })
        }
        ("/file", Some(rest)) => Some(Command::File(rest)),
        ("/help", None) => Some(Command::Help(None)),
        ("/help", Some(word)) => {
            let usage = usage_of(&word).or_else(|| usage_of(&format!("/{word}")));
            Some(Command::Help(Some(usage.ok_or_else(|| {
                let nearest = complete::nearest(&word);
                Mistake::Unknown { word, nearest }
            })?)))
        }
        ("/older", None) => Some(Command::Older),
        ("/friends", None) => Some(Command::Friends),
        ("/groups", None) => Some(Command::Groups),
        ("/close", None) => Some(Command::Close),
        ("/retry", None) => Some(Command::Retry),
        ("/drop", None) => Some(Command::Drop),
        ("/logout", None) => Some(Command::Loginout),
        ("/quit", None) => Some(Command::Quit),
        _ => None,
    };
    command.ok_or(Mistake::Usage(usage))
}

/// Digits alone are an id; everything else is a name.
pub fn who(text: &str) -> Option<Who> {
    let text = text.trim();
    match id(text) {
        Some(id) => Some(Who::Id(UserId(id))),
        None => some(text).map(|name| Who::Name(name.into())),
    }
}

/// A group's id, with or without the `#` with which it is shown.
pub fn group(text: &str) -> Option<ConversationId> {
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
        let devs = Command::CreateGroup { name: "devs".into(), desc: "we: build".into() };
        assert_eq!((ok("creategroup:devs:we: build"), ok("/create devs:we: build")), (devs.clone(), devs));
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
            assert!(
                usage.form.len() <= 22 && usage.purpose.len() <= 47,
                "{} is wider than a page of 73 columns",
                usage.form
            );
        }
        assert_eq!(parse("   "), Ok(None));
        assert_eq!(
            ok("history:li si:40"),
            Command::History { who: Who::Name("li si".into()), before: Some(Seq(40)) }
        );
        assert_eq!(ok("grouphistory:#7"), Command::GroupHistory { group: ConversationId(7), before: None });
    }

    #[test]
    fn plain_text_is_said_where_one_is() {
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
            assert_eq!(ok(text), Command::Say(text.to_owned()), "{text}");
        }
        assert_eq!(ok("//etc"), Command::Say("/etc".to_owned()));
        assert_eq!(ok("/msg li si hello"), Command::Msg("li si hello".to_owned()));
        assert_eq!((ok("/history"), ok("/older")), (Command::Recent(None), Command::Older));
        assert_eq!(ok("help chat"), ok("/help chat"));
    }

    #[test]
    fn wrong_fields_show_the_usage() {
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
            let Err(Mistake::Usage(usage)) = parse(line) else { panic!("{line} was taken") };
            assert_eq!(usage.name, name);
        }
    }

    #[test]
    fn a_slip_of_the_fingers_is_never_text() {
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
                panic!("{line} was taken")
            };
            assert!(found == nearest || line.starts_with("frob"), "{line}: {found}");
        }
    }
}
