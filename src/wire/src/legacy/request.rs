//! Decodes one object to a command: the same commands, with the same bounds, as frames give.

use super::style::MsgIds;
use crate::account::{self, Register, Who};
use crate::fields::{short, sized};
use crate::message::{self, Send};
use crate::session::{self, ClientKind, Login};
use crate::{Command, ConversationId, Credentials, Target, UserId, contact, group, limits, name};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// Why an object gives no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The object is not JSON, so that the rest of the stream cannot be trusted. Closes the connection.
    #[error("the object is not valid JSON: {0}")]
    Broken(String),
    /// The login is invalid. The client waits for an answer.
    #[error("the login is invalid: {0}")]
    Login(String),
    /// The registration is invalid. The client waits for an answer.
    #[error("the registration is invalid: {0}")]
    Register(String),
    /// Any other object that cannot be served. The protocol has no answer for it.
    #[error("{0}")]
    Ignored(String),
}

/// A field's value. A field that its message does not use may hold anything.
#[derive(Debug, Default)]
enum Field<'a> {
    #[default]
    Absent,
    Number(i64),
    Text(Cow<'a, str>),
    Other,
}

/// The fields of all messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    msgid: Field<'a>,
    id: Field<'a>,
    name: Field<'a>,
    password: Field<'a>,
    toid: Field<'a>,
    friendid: Field<'a>,
    groupid: Field<'a>,
    groupname: Field<'a>,
    groupdesc: Field<'a>,
    msg: Field<'a>,
}

/// Decodes one object with its braces.
pub fn decode(object: &[u8], msgids: &MsgIds) -> Result<Command, Fault> {
    let text = std::str::from_utf8(object).map_err(|_| Fault::Broken("not UTF-8".to_owned()))?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| fault(text, &error))?;
    let msgid = match fields.msgid {
        Field::Number(msgid) => msgid,
        Field::Absent => return Err(Fault::Ignored("the object has no `msgid`".to_owned())),
        _ => return Err(Fault::Ignored("the `msgid` of the object is not an integer".to_owned())),
    };
    if msgid == msgids.one_chat {
        chat(fields.toid.user("toid").map(Target::User), fields.msg)
    } else if msgid == msgids.group_chat {
        chat(fields.groupid.conversation("groupid").map(Target::Group), fields.msg)
    } else if msgid == msgids.login {
        login(fields).map_err(Fault::Login)
    } else if msgid == msgids.register {
        register(fields).map_err(Fault::Register)
    } else if msgid == msgids.logout {
        Ok(session::Request::Logout.into())
    } else if msgid == msgids.add_friend {
        let id = fields.friendid.user("friendid");
        id.map(|id| contact::Request::Add(contact::Add { who: Who::Id(id), message: None }).into())
            .map_err(Fault::Ignored)
    } else if msgid == msgids.create_group {
        create_group(fields).map_err(Fault::Ignored)
    } else if msgid == msgids.add_group {
        let group = fields.groupid.conversation("groupid");
        group
            .map(|conversation| group::Request::Join(group::Join { conversation }).into())
            .map_err(Fault::Ignored)
    } else {
        Err(Fault::Ignored(format!("msgid {msgid} is unknown")))
    }
}

fn chat(target: Result<Target, String>, msg: Field<'_>) -> Result<Command, Fault> {
    let read = || {
        let content = sized("msg", msg.text("msg")?, 1, limits::CONTENT_BYTES)?;
        Ok(message::Request::Send(Send::text(target?, content)).into())
    };
    read().map_err(Fault::Ignored)
}

fn login(fields: Fields<'_>) -> Result<Command, String> {
    let who = Who::Id(fields.id.user("id")?);
    // As in LOGIN: a password outside the bounds of a registration is answered like any other wrong one.
    let password = sized("password", fields.password.text("password")?, 0, limits::PASSWORD_TRIED_BYTES)?;
    let credentials = Credentials::Password { who, password };
    let login = Login { kind: Some(ClientKind::Terminal), ..Login::new(credentials) };
    Ok(session::Request::Login(login).into())
}

fn register(fields: Fields<'_>) -> Result<Command, String> {
    let name = fields.name.text("name")?;
    name::check_new_user(&name)?;
    let password = fields.password.text("password")?;
    let password = sized("password", password, limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX)?;
    let register = Register { name, password, email: None, code: None, nick: None };
    Ok(account::Request::Register(Box::new(register)).into())
}

fn create_group(fields: Fields<'_>) -> Result<Command, String> {
    let name = fields.groupname.text("groupname")?;
    name::check("groupname", &name, limits::GROUP_NAME_CHARS)?;
    let desc = match fields.groupdesc {
        Field::Absent => "".into(),
        desc => short("groupdesc", desc.text("groupdesc")?, limits::GROUP_DESC_CHARS)?,
    };
    Ok(group::Request::Create(group::Create { name, desc }).into())
}

/// Tells JSON with invalid fields from text that is not JSON.
fn fault(text: &str, error: &serde_json::Error) -> Fault {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Fault::Ignored(format!("the object is invalid: {error}")),
        Err(error) => Fault::Broken(error.to_string()),
    }
}

impl Field<'_> {
    fn text(self, name: &str) -> Result<Box<str>, String> {
        match self {
            Field::Text(text) => Ok(text.into()),
            Field::Absent => Err(format!("`{name}` is missing")),
            Field::Number(_) | Field::Other => Err(format!("`{name}` must be a string")),
        }
    }

    fn user(self, name: &str) -> Result<UserId, String> {
        self.id(name).map(UserId)
    }

    fn conversation(self, name: &str) -> Result<ConversationId, String> {
        self.id(name).map(ConversationId)
    }

    fn id(self, name: &str) -> Result<u32, String> {
        match self {
            Field::Number(id) if (0..=limits::ID_MAX as i64).contains(&id) => Ok(id as u32),
            Field::Absent => Err(format!("`{name}` is missing")),
            _ => Err(format!("`{name}` must be an integer from 0 to {}", limits::ID_MAX)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<'a>, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Field<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Field<'de>, E> {
                Ok(Field::Number(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Field<'de>, E> {
                Ok(i64::try_from(value).map_or(Field::Other, Field::Number))
            }

            fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Field<'de>, E> {
                Ok(Field::Text(Cow::Borrowed(value)))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Field<'de>, E> {
                Ok(Field::Text(Cow::Owned(value.to_owned())))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Field<'de>, E> {
                Ok(Field::Other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Field<'de>, E> {
                Ok(Field::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Field<'de>, E> {
                Ok(Field::Other)
            }

            // The content is skipped without recursion.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &str) -> Result<Command, Fault> {
        decode(object.as_bytes(), &MsgIds::default())
    }

    fn ignored(object: &str) -> String {
        match read(object) {
            Err(Fault::Ignored(sentence)) => sentence,
            other => panic!("{object} gives {other:?}"),
        }
    }

    #[test]
    fn every_message_gives_its_command() {
        let text = |target, content: &str| Command::from(message::Request::Send(Send::text(target, content)));
        let password = Credentials::Password { who: Who::Id(UserId(1)), password: "123456".into() };
        let (email, code, nick) = (None, None, None);
        let register = Register { name: "zhang".into(), password: "123456".into(), email, code, nick };
        for (object, command) in [
            (
                r#"{"id":1,"msgid":1,"password":"123456"}"#,
                session::Request::Login(Login { kind: Some(ClientKind::Terminal), ..Login::new(password) })
                    .into(),
            ),
            (r#"{"id":1,"msgid":3}"#, session::Request::Logout.into()),
            (
                r#"{"msgid":4,"name":"zhang","password":"123456"}"#,
                account::Request::Register(Box::new(register)).into(),
            ),
            (
                r#"{"id":"who cares","msg":"a\"\\\u5bbd\u0000","msgid":6,"name":7,"time":"2021-01-01 12:00:00","toid":2}"#,
                text(Target::User(UserId(2)), "a\"\\宽\0"),
            ),
            (
                r#"{"friendid":2,"id":1,"msgid":7}"#,
                contact::Request::Add(contact::Add { who: Who::Id(UserId(2)), message: None }).into(),
            ),
            (
                r#"{"groupdesc":"d","groupname":"g","id":1,"msgid":8}"#,
                group::Request::Create(group::Create { name: "g".into(), desc: "d".into() }).into(),
            ),
            (
                r#"{"groupid":5,"id":1,"msgid":9}"#,
                group::Request::Join(group::Join { conversation: ConversationId(5) }).into(),
            ),
            (r#"{"groupid":5,"msg":"b","msgid":10}"#, text(Target::Group(ConversationId(5)), "b")),
        ] {
            assert!(read(object).unwrap() == command, "{object}");
        }
    }

    #[test]
    fn message_numbers_can_be_configured() {
        let msgids = MsgIds::from_array([1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010]);
        assert_eq!(
            decode(br#"{"msgid":1003}"#, &msgids).map_err(|e| e.to_string()),
            Ok(session::Request::Logout.into())
        );
        assert!(matches!(decode(br#"{"msgid":3}"#, &msgids), Err(Fault::Ignored(_))));
    }

    #[test]
    fn json_that_is_no_valid_message_is_ignored() {
        assert_eq!(ignored("{}"), "the object has no `msgid`");
        assert_eq!(ignored(r#"{"msgid":"1"}"#), "the `msgid` of the object is not an integer");
        assert_eq!(ignored(r#"{"msgid":[{"a":[]}]}"#), "the `msgid` of the object is not an integer");
        assert_eq!(ignored(r#"{"msgid":11}"#), "msgid 11 is unknown");
        assert_eq!(ignored(r#"{"msgid":6,"msg":"a"}"#), "`toid` is missing");
        assert_eq!(
            ignored(r#"{"msgid":6,"msg":"a","toid":"2"}"#),
            "`toid` must be an integer from 0 to 2147483647"
        );
        assert_eq!(ignored(r#"{"msgid":6,"msg":"","toid":2}"#), "`msg` must be 1 to 32768 bytes long");
        assert_eq!(ignored(r#"{"msgid":6,"toid":2}"#), "`msg` is missing");
        assert_eq!(
            ignored(r#"{"msgid":7,"friendid":-1}"#),
            "`friendid` must be an integer from 0 to 2147483647"
        );
        assert!(ignored(r#"{"msgid":3,"msgid":3}"#).contains("duplicate field `msgid`"));
        assert_eq!(read(r#"{"msgid":1,"id":1}"#), Err(Fault::Login("`password` is missing".to_owned())));
        assert!(matches!(read(r#"{"msgid":4,"name":"a","password":"12345"}"#), Err(Fault::Register(_))));
    }

    #[test]
    fn text_that_is_not_json_is_broken() {
        for object in [
            &b"{msgid:1}"[..],
            b"{\"msgid\":1,}",
            b"{]",
            b"{\"a\":\"\xff\"}",
            b"{\"msg\":\"\n\",\"msgid\":3}",
        ] {
            let read = decode(object, &MsgIds::default());
            assert!(matches!(read, Err(Fault::Broken(_))), "{} gives {read:?}", object.escape_ascii());
        }
        let deep = format!("{{\"msgid\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(&deep), Err(Fault::Ignored(_))));
    }
}
