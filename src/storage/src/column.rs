//! The meaning of columns that both databases share.

use std::borrow::Cow;
use wire::change::{EDIT, REACTION, RECALL};
use wire::entry::{SYSTEM, is_reserved};
use wire::group::Role;
use wire::message::{Extra, TEXT};
use wire::session::{ClientKind, KickCode};
use wire::{Change, ChangeKind, ConversationKind, References, Seq, System, UserId};

/// The value of the column `role`.
pub fn role_number(role: Role) -> u8 {
    match role {
        Role::Normal => 0,
        Role::Admin => 1,
        Role::Creator => 2,
    }
}

/// What an entry is, whatever type it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Message,
    /// It tells what happened in the conversation.
    System,
    /// It tells of a change of another entry.
    Change,
}

impl Sort {
    /// The value of the column `status`.
    pub fn status(self) -> u8 {
        match self {
            Sort::Message => 0,
            Sort::System => 1,
            Sort::Change => 2,
        }
    }

    /// The sort of a column `status`; `None`: the value is damaged.
    pub fn of_status(status: i64) -> Option<Sort> {
        [Sort::Message, Sort::System, Sort::Change]
            .into_iter()
            .find(|sort| i64::from(sort.status()) == status)
    }
}

/// The kind of a column `kind`; `None`: the value is damaged.
pub fn kind_of(kind: i64) -> Option<ConversationKind> {
    match kind {
        0 => Some(ConversationKind::Direct),
        1 => Some(ConversationKind::Group),
        _ => None,
    }
}

/// The value of the column `kind` of a token.
pub fn client_kind_number(kind: ClientKind) -> u8 {
    match kind {
        ClientKind::Other => 0,
        ClientKind::Terminal => 1,
        ClientKind::Web => 2,
        ClientKind::Mobile => 3,
        ClientKind::Script => 4,
    }
}

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself: what it sent before is still stored.
    Left,
    /// It was ended: it writes nothing more.
    Kicked(KickCode),
}

/// The column `end_code` of a session that has ended by itself.
pub const LEFT: u8 = 100;

impl End {
    /// The column `end_code`.
    pub fn of(number: i64) -> End {
        if number == i64::from(LEFT) { End::Left } else { End::Kicked(kick_code_of(number)) }
    }

    /// What to tell a client that may still be connected.
    pub fn why(self) -> KickCode {
        match self {
            End::Left => KickCode::Login,
            End::Kicked(code) => code,
        }
    }
}

/// The value of the column `end_code` of a session that was ended.
pub fn kick_code_number(code: KickCode) -> u8 {
    match code {
        KickCode::Login => 0,
        KickCode::Revoked => 1,
        KickCode::Password => 2,
        KickCode::Disabled => 3,
        KickCode::Deleted => 4,
        KickCode::Admin => 5,
        KickCode::Limit => 6,
        KickCode::Other => 7,
    }
}

/// The reason of a column `end_code`. One that this version does not know is like one from a newer server.
fn kick_code_of(number: i64) -> KickCode {
    match number {
        0 => KickCode::Login,
        1 => KickCode::Revoked,
        2 => KickCode::Password,
        3 => KickCode::Disabled,
        4 => KickCode::Deleted,
        5 => KickCode::Admin,
        6 => KickCode::Limit,
        _ => KickCode::Other,
    }
}

/// The client of a column `kind` of a token; `None`: the value is damaged.
pub fn client_kind_of(number: i64) -> Option<ClientKind> {
    ClientKind::ALL.into_iter().find(|kind| i64::from(client_kind_number(*kind)) == number)
}

/// The texts of an entry as they are stored: the columns `type` and `content`, or the same fields of a page.
///
/// The sort of the entry is stored beside them. The first line of `content` lists for a system entry, whose `type` is the
/// event, the ids of the users concerned, and behind them as a JSON string what the event set, if it set something; for a
/// change it is the seq of the entry that is changed, and `+` or `-` where a reaction is added or taken back. What a
/// message refers to is a text of its own.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    pub sort: Sort,
    pub content_type: &'a str,
    pub content: &'a str,
    /// What a message refers to, as JSON; `None`: nothing.
    pub references: Option<&'a str>,
}

/// The texts of an entry as members receive them.
#[derive(Debug)]
pub struct Body {
    pub content_type: Cow<'static, str>,
    pub content: Box<str>,
    /// The further fields of an entry that has such.
    pub extra: Option<Box<Extra>>,
}

impl Texts<'_> {
    /// `None`: they are damaged. `sender` is the user who acted.
    pub fn body(self, sender: UserId) -> Option<Body> {
        let Texts { sort, content_type, content, references } = self;
        match sort {
            Sort::Message => {
                let extra = match references {
                    Some(references) => Some(References::from_json(references)?.into()),
                    None => None,
                };
                Some(Body { content_type: content_type_of(content_type), content: content.into(), extra })
            }
            Sort::System => {
                let (line, content) = content.split_once('\n')?;
                let (ids, value) = match line.find('"') {
                    Some(at) => (&line[..at], Some(serde_json::from_str(&line[at..]).ok()?)),
                    None => (line, None),
                };
                let who = ids.split_ascii_whitespace().map(|id| id.parse().map(UserId));
                let who = who.collect::<Result<_, _>>().ok()?;
                let system = System { event: content_type.into(), who, by: sender, value };
                let extra = Some(system.into());
                Some(Body { content_type: SYSTEM.into(), content: content.into(), extra })
            }
            Sort::Change => {
                let (line, content) = content.split_once('\n')?;
                let (of, sign) = line.split_once(' ').unwrap_or((line, ""));
                let of = of.parse().map(Seq).ok()?;
                let (content_type, kind) = match (content_type, sign) {
                    (EDIT, "") => (EDIT, ChangeKind::Edit),
                    (RECALL, "") => (RECALL, ChangeKind::Recall),
                    (REACTION, "+") => (REACTION, ChangeKind::Reaction { on: true }),
                    (REACTION, "-") => (REACTION, ChangeKind::Reaction { on: false }),
                    _ => return None,
                };
                let extra = Some(Change { of, kind }.into());
                Some(Body { content_type: content_type.into(), content: content.into(), extra })
            }
        }
    }
}

/// The stored content of a system entry.
pub fn system_content(system: &System, content: &str) -> String {
    let ids: Vec<String> = system.who.iter().map(UserId::to_string).collect();
    let value = system.value.as_deref().map(|value| format!(" {}", serde_json::Value::from(value)));
    format!("{}{}\n{content}", ids.join(" "), value.unwrap_or_default())
}

/// The stored content of an entry that tells of a change.
pub fn change_content(change: Change, content: &str) -> String {
    let sign = match change.kind {
        ChangeKind::Edit | ChangeKind::Recall => "",
        ChangeKind::Reaction { on: true } => " +",
        ChangeKind::Reaction { on: false } => " -",
    };
    format!("{}{sign}\n{content}", change.of)
}

/// The stored content of an entry that tells of a change, without what it tells besides the entry that is changed.
pub fn emptied_change(content: &str) -> &str {
    content.find('\n').map_or("", |end| &content[..=end])
}

/// The content type of a stored message; the usual one is not allocated. Earlier versions accepted any type from
/// clients, also those that now belong to the server's entries.
fn content_type_of(text: &str) -> Cow<'static, str> {
    match text {
        TEXT => TEXT.into(),
        reserved if is_reserved(reserved) => TEXT.into(),
        other => other.to_owned().into(),
    }
}

/// The role of a column `role`; `None`: the value is damaged.
pub fn role_of(role: i64) -> Option<Role> {
    [Role::Normal, Role::Admin, Role::Creator].into_iter().find(|of| i64::from(role_number(*of)) == role)
}

/// How long a dead node stays in the table, milliseconds.
pub const NODE_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use wire::entry::Event;

    fn body(sort: Sort, content_type: &str, content: &str) -> Option<Body> {
        Texts { sort, content_type, content, references: None }.body(UserId(9))
    }

    #[test]
    fn a_system_entry_is_read_as_it_was_stored() {
        for (who, event, value, content) in [
            (vec![9], "joined", None, "ann\njoined"),
            (vec![1, 2], "renamed", Some("a \"b\"\nc"), ""),
            (vec![3], "role", Some("admin"), "ann made ben an admin"),
            (vec![], "x", Some(""), "y"),
        ] {
            let who = who.into_iter().map(UserId).collect();
            let value = value.map(Into::into);
            let system = System { event: Event::from(event), who, by: UserId(9), value };
            let read = body(Sort::System, system.event.as_str(), &system_content(&system, content)).unwrap();
            assert_eq!((&*read.content_type, &*read.content), ("system", content));
            assert_eq!(read.extra, Some(system.into()));
        }
        assert!(
            body(Sort::System, "joined", "no line of ids").is_none()
                && body(Sort::System, "joined", "a b\n").is_none()
                && body(Sort::System, "role", "1 \"admin\n").is_none()
        );
    }

    #[test]
    fn a_change_is_read_as_it_was_stored() {
        for on in [true, false] {
            let change = Change { of: Seq(12), kind: ChangeKind::Reaction { on } };
            let read = body(Sort::Change, "reaction", &change_content(change, "👍")).unwrap();
            assert_eq!((&*read.content_type, &*read.content), ("reaction", "👍"));
            assert_eq!(read.extra, Some(change.into()));
        }
        for (kind, content_type, content) in [
            (ChangeKind::Edit, "edit", "two\nlines"),
            (ChangeKind::Edit, "edit", ""),
            (ChangeKind::Recall, "recall", ""),
        ] {
            let change = Change { of: Seq(12), kind };
            let read = body(Sort::Change, content_type, &change_content(change, content)).unwrap();
            assert_eq!((&*read.content_type, &*read.content), (content_type, content));
            assert_eq!(read.extra, Some(change.into()));
        }
        for damaged in ["12 +", "x +\n👍", "12\n👍", "12 *\n👍"] {
            assert!(body(Sort::Change, "reaction", damaged).is_none(), "{damaged}");
        }
        assert!(body(Sort::Change, "unheard of", "12 +\n👍").is_none());
    }

    #[test]
    fn a_message_never_reads_as_an_entry_of_the_server() {
        for reserved in ["system", "edit", "recall", "reaction", "meeting"] {
            let read = body(Sort::Message, reserved, "7\nhello").unwrap();
            assert_eq!((&*read.content_type, &*read.content, read.extra), ("text", "7\nhello", None));
        }
        assert_eq!(body(Sort::Message, "image", "x").unwrap().content_type, "image");
    }
}
