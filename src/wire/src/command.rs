//! Requests: what a client may ask, typed and within bounds.
//!
//! A [`Command`] that exists is valid: every length, id and choice was checked while it was decoded. It carries no
//! sender; that is who logged in on the connection.

use crate::json::{self, present};
use crate::kind::request;
use crate::message::TEXT;
use crate::{ConversationId, Errno, Refusal, Seq, UnixMillis, UserId, frame, limits, name};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Log in on this connection.
    Login {
        credentials: Credentials,
        /// What the client calls the device it runs on.
        device: Option<Box<str>>,
    },
    /// End the session and revoke its token.
    Logout,
    /// Make an account.
    Register(Box<Register>),
    /// Store a message and deliver it.
    Send(Send),
    /// Make, or ask for, a friendship.
    AddFriend {
        who: Who,
        /// What to say with the request.
        message: Option<Box<str>>,
    },
    /// Make a group and be its owner.
    CreateGroup {
        name: Box<str>,
        /// Its description, maybe empty.
        desc: Box<str>,
    },
    /// Become a member of a group.
    JoinGroup { conversation: ConversationId },
    /// All up to `seq` has reached this client.
    Ack { conversation: ConversationId, seq: Seq },
    /// All up to `seq` has been read; implies [`Command::Ack`].
    Read { conversation: ConversationId, seq: Seq },
    /// A page of a timeline.
    History {
        conversation: ConversationId,
        /// From where, and which way.
        direction: Direction,
        /// At most how many messages, 1 to 200.
        limit: u32,
    },
    /// Accept or refuse a friend request.
    AnswerFriend {
        id: UserId,
        /// Whether to be friends.
        accept: bool,
        /// What to say with the answer.
        message: Option<Box<str>>,
    },
    /// A page of one's friends.
    Friends(Page),
    /// A page of a conversation's members.
    Members { conversation: ConversationId, page: Page },
    /// A page of one's conversations, latest first.
    Conversations {
        /// Below this time and, at the same time, below this id; from the latest where absent.
        before: Option<(UnixMillis, ConversationId)>,
        /// At most how many, 1 to 200.
        limit: u32,
    },
    /// A page of one's groups.
    Groups(Page),
    /// The nodes of the cluster.
    Nodes,
}

/// By what to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// An account and its password.
    Password { who: Who, password: Box<str> },
    /// A token that an earlier login gave.
    Token(Box<str>),
}

/// A user, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Id(UserId),
    /// By name, compared as [`name::key`] does.
    Name(Box<str>),
}

/// A new account.
#[derive(Clone, PartialEq, Eq)]
pub struct Register {
    pub name: Box<str>,
    pub password: Box<str>,
    /// The e-mail address to verify.
    pub email: Option<Box<str>>,
    /// The verification code that was sent there.
    pub code: Option<Box<str>>,
    /// What to show beside the name.
    pub nick: Option<Box<str>>,
}

/// A message to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub target: Target,
    pub content: Box<str>,
    /// What `content` is.
    pub content_type: Cow<'static, str>,
    /// The sender's own number for it: the same one again gives back the first message.
    pub cid: Option<Box<str>>,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The direct chat with this user, which is opened where there is none yet.
    User(UserId),
    /// The same, by name.
    Name(Box<str>),
    /// A conversation that one is a member of.
    Conversation(ConversationId),
}

/// Which way to read a timeline. The bound itself is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those after this seq, nearest first.
    After(Seq),
    /// Those before this seq, nearest to it.
    Before(Seq),
}

/// A page of a listing that is ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Ids above this one; 0 from the beginning.
    pub after: u32,
    /// At most how many, 1 to 200.
    pub limit: u32,
}

/// A well-framed request that is wrong. The connection lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// No such type.
    UnknownType(u16),
    /// Its value is wrong; the sentence names the field or the limit.
    Value(String),
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Refusal {
        match bad {
            BadRequest::UnknownType(kind) => {
                Refusal::new(Errno::UnknownType, format!("there is no request of type {kind}"))
            }
            BadRequest::Value(sentence) => Refusal::new(Errno::BadRequest, sentence),
        }
    }
}

impl From<String> for BadRequest {
    fn from(sentence: String) -> BadRequest {
        BadRequest::Value(sentence)
    }
}

// ---- the fields as they stand in JSON -------------------------------------------------------------------------

macro_rules! fields {
    ($($struct:ident { $($field:ident $(as $rename:literal)?: $type:ty,)* })*) => {$(
        #[derive(Default, Serialize, Deserialize)]
        #[serde(default)]
        struct $struct {
            $(
                $(#[serde(rename = $rename)])?
                #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
                $field: Option<$type>,
            )*
        }
    )*};
}

fields! {
    LoginFields { id: UserId, name: Box<str>, password: Box<str>, token: Box<str>, device: Box<str>, }
    RegisterFields { name: Box<str>, password: Box<str>, email: Box<str>, code: Box<str>, nick: Box<str>, }
    SendFields {
        to: UserId, to_name: Box<str>, conversation: ConversationId, content: Box<str>,
        content_type as "type": Cow<'static, str>, cid: Box<str>,
    }
    AddFriendFields { id: UserId, name: Box<str>, message: Box<str>, }
    CreateGroupFields { name: Box<str>, desc: Box<str>, }
    ConversationFields { conversation: ConversationId, }
    CursorFields { conversation: ConversationId, seq: Seq, }
    HistoryFields { conversation: ConversationId, after: Seq, before: Seq, limit: Seq, }
    AnswerFriendFields { id: UserId, accept: bool, message: Box<str>, }
    PageFields { after: UserId, limit: Seq, }
    MembersFields { conversation: ConversationId, after: UserId, limit: Seq, }
    ConversationsFields { before: UnixMillis, before_id: ConversationId, limit: Seq, }
    NoFields {}
}

fn need<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("`{field}` is missing"))
}

pub(crate) fn sized(field: &str, text: Box<str>, min: usize, max: usize) -> Result<Box<str>, String> {
    if (min..=max).contains(&text.len()) {
        Ok(text)
    } else {
        Err(format!("`{field}` must be {min} to {max} bytes long"))
    }
}

fn sized_option(
    field: &str,
    text: Option<Box<str>>,
    min: usize,
    max: usize,
) -> Result<Option<Box<str>>, String> {
    text.map(|text| sized(field, text, min, max)).transpose()
}

pub(crate) fn short(field: &str, text: Box<str>, characters: usize) -> Result<Box<str>, String> {
    if text.chars().take(characters + 1).count() <= characters {
        Ok(text)
    } else {
        Err(format!("`{field}` must be at most {characters} characters long"))
    }
}

fn short_option(field: &str, text: Option<Box<str>>, characters: usize) -> Result<Option<Box<str>>, String> {
    text.map(|text| short(field, text, characters)).transpose()
}

fn limit(limit: Option<Seq>) -> Result<u32, String> {
    match limit {
        None => Ok(limits::PAGE_DEFAULT),
        Some(Seq(limit)) if (1..=u64::from(limits::PAGE_MAX)).contains(&limit) => Ok(limit as u32),
        Some(_) => Err(format!("`limit` must be from 1 to {}", limits::PAGE_MAX)),
    }
}

fn page(after: Option<UserId>, limit_field: Option<Seq>) -> Result<Page, String> {
    Ok(Page { after: after.unwrap_or_default().0, limit: limit(limit_field)? })
}

fn who(id: Option<UserId>, name: Option<Box<str>>) -> Result<Who, String> {
    match (id, name) {
        (Some(id), None) => Ok(Who::Id(id)),
        (None, Some(name)) => Ok(Who::Name(name)),
        _ => Err("exactly one of `id` and `name` is needed".to_owned()),
    }
}

/// Checks a `cid`. One that begins with U+0000 can only be the server's own ([`server_cid`]), given back for a retry.
fn cid(cid: Option<Box<str>>) -> Result<Option<Box<str>>, String> {
    let cid = sized_option("cid", cid, 1, limits::CID_BYTES)?;
    match cid.as_deref().and_then(|cid| cid.strip_prefix('\0')) {
        Some(rest) if rest.len() != 32 || !rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            Err("`cid` may not begin with U+0000".to_owned())
        }
        _ => Ok(cid),
    }
}

/// The `cid` that the server gives a message that came without one: U+0000 and 32 hexadecimal digits.
///
/// `boot` must differ between any two runs of any node, `count` between any two messages of one run.
pub fn server_cid(boot: u64, count: u64) -> Box<str> {
    format!("\0{boot:016x}{count:016x}").into_boxed_str()
}

/// Whether the server made this `cid`.
pub fn is_server_cid(cid: &str) -> bool {
    cid.starts_with('\0')
}

impl Command {
    /// Reads the value of a request of type `kind`, HEARTBEAT excepted ([`crate::Heartbeat`]).
    pub fn decode(kind: u16, value: &[u8]) -> Result<Command, BadRequest> {
        match kind {
            request::LOGIN => {
                let f: LoginFields = json::read(value)?;
                let device = sized_option("device", f.device, 0, limits::DEVICE_BYTES)?;
                let credentials = match (f.token, f.id, f.name, f.password) {
                    (Some(token), None, None, None) => {
                        Credentials::Token(sized("token", token, 1, limits::TOKEN_BYTES)?)
                    }
                    (Some(_), ..) => {
                        return Err("`token` stands alone, without `id`, `name` and `password`"
                            .to_owned()
                            .into());
                    }
                    (None, id, name, password) => {
                        let who = who(id, name)?;
                        // A password that no account can have is wrong, not malformed: it must not be told apart.
                        let password = need("password", password)?;
                        Credentials::Password {
                            who,
                            password: sized("password", password, 0, limits::PASSWORD_TRIED_BYTES)?,
                        }
                    }
                };
                Ok(Command::Login { credentials, device })
            }
            request::LOGOUT => json::read::<NoFields>(value).map(|_| Command::Logout).map_err(Into::into),
            request::REGISTER => {
                let f: RegisterFields = json::read(value)?;
                let name = need("name", f.name)?;
                name::check("name", &name, limits::NAME_CHARS)?;
                let password = need("password", f.password)?;
                let password =
                    sized("password", password, limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX)?;
                let email = sized_option("email", f.email, 3, limits::EMAIL_BYTES)?;
                let code = sized_option("code", f.code, 1, limits::CODE_BYTES)?;
                if let Some(nick) = &f.nick {
                    name::check("nick", nick, limits::NAME_CHARS)?;
                }
                Ok(Command::Register(Box::new(Register { name, password, email, code, nick: f.nick })))
            }
            request::SEND => {
                let f: SendFields = json::read(value)?;
                let target = match (f.to, f.to_name, f.conversation) {
                    (Some(id), None, None) => Target::User(id),
                    (None, Some(name), None) => Target::Name(name),
                    (None, None, Some(id)) => Target::Conversation(id),
                    _ => {
                        let sentence = "exactly one of `to`, `to_name` and `conversation` is needed";
                        return Err(sentence.to_owned().into());
                    }
                };
                let content = sized("content", need("content", f.content)?, 1, limits::CONTENT_BYTES)?;
                let content_type = match f.content_type {
                    None => Cow::Borrowed(TEXT),
                    Some(t) if t == TEXT => Cow::Borrowed(TEXT),
                    Some(t) if t.is_empty() || t.len() > limits::TYPE_BYTES => {
                        return Err(format!("`type` must be 1 to {} bytes long", limits::TYPE_BYTES).into());
                    }
                    Some(t) if t.chars().any(name::is_hidden) => {
                        return Err("`type` may not hold control characters".to_owned().into());
                    }
                    Some(t) => t,
                };
                Ok(Command::Send(Send { target, content, content_type, cid: cid(f.cid)? }))
            }
            request::ADD_FRIEND => {
                let f: AddFriendFields = json::read(value)?;
                let message = short_option("message", f.message, limits::FRIEND_MESSAGE_CHARS)?;
                Ok(Command::AddFriend { who: who(f.id, f.name)?, message })
            }
            request::CREATE_GROUP => {
                let f: CreateGroupFields = json::read(value)?;
                let name = need("name", f.name)?;
                name::check("name", &name, limits::GROUP_NAME_CHARS)?;
                let desc = short("desc", f.desc.unwrap_or_default(), limits::GROUP_DESC_CHARS)?;
                Ok(Command::CreateGroup { name, desc })
            }
            request::JOIN_GROUP => {
                let f: ConversationFields = json::read(value)?;
                Ok(Command::JoinGroup { conversation: need("conversation", f.conversation)? })
            }
            request::ACK | request::READ => {
                let f: CursorFields = json::read(value)?;
                let conversation = need("conversation", f.conversation)?;
                let seq = need("seq", f.seq)?;
                Ok(if kind == request::ACK {
                    Command::Ack { conversation, seq }
                } else {
                    Command::Read { conversation, seq }
                })
            }
            request::HISTORY => {
                let f: HistoryFields = json::read(value)?;
                let direction = match (f.after, f.before) {
                    (Some(seq), None) => Direction::After(seq),
                    (None, Some(seq)) => Direction::Before(seq),
                    _ => return Err("exactly one of `after` and `before` is needed".to_owned().into()),
                };
                let conversation = need("conversation", f.conversation)?;
                Ok(Command::History { conversation, direction, limit: limit(f.limit)? })
            }
            request::ANSWER_FRIEND => {
                let f: AnswerFriendFields = json::read(value)?;
                let message = short_option("message", f.message, limits::FRIEND_MESSAGE_CHARS)?;
                Ok(Command::AnswerFriend {
                    id: need("id", f.id)?,
                    accept: need("accept", f.accept)?,
                    message,
                })
            }
            request::FRIENDS => {
                let f: PageFields = json::read(value)?;
                Ok(Command::Friends(page(f.after, f.limit)?))
            }
            request::MEMBERS => {
                let f: MembersFields = json::read(value)?;
                let conversation = need("conversation", f.conversation)?;
                Ok(Command::Members { conversation, page: page(f.after, f.limit)? })
            }
            request::CONVERSATIONS => {
                let f: ConversationsFields = json::read(value)?;
                let before = match (f.before, f.before_id) {
                    (Some(time), Some(id)) => Some((time, id)),
                    (None, None) => None,
                    _ => return Err("`before` and `before_id` come together".to_owned().into()),
                };
                Ok(Command::Conversations { before, limit: limit(f.limit)? })
            }
            request::GROUPS => {
                let f: PageFields = json::read(value)?;
                Ok(Command::Groups(page(f.after, f.limit)?))
            }
            request::NODES => json::read::<NoFields>(value).map(|_| Command::Nodes).map_err(Into::into),
            _ => Err(BadRequest::UnknownType(kind)),
        }
    }

    /// The type of the request's frame.
    pub fn kind(&self) -> u16 {
        match self {
            Command::Login { .. } => request::LOGIN,
            Command::Logout => request::LOGOUT,
            Command::Register(_) => request::REGISTER,
            Command::Send(_) => request::SEND,
            Command::AddFriend { .. } => request::ADD_FRIEND,
            Command::CreateGroup { .. } => request::CREATE_GROUP,
            Command::JoinGroup { .. } => request::JOIN_GROUP,
            Command::Ack { .. } => request::ACK,
            Command::Read { .. } => request::READ,
            Command::History { .. } => request::HISTORY,
            Command::AnswerFriend { .. } => request::ANSWER_FRIEND,
            Command::Friends(_) => request::FRIENDS,
            Command::Members { .. } => request::MEMBERS,
            Command::Conversations { .. } => request::CONVERSATIONS,
            Command::Groups(_) => request::GROUPS,
            Command::Nodes => request::NODES,
        }
    }

    /// Appends the request as one frame to `out`.
    pub fn encode(&self, request: u32, out: &mut Vec<u8>) {
        frame::put_frame(out, self.kind(), request, |out| self.encode_value(out));
    }

    fn encode_value(&self, out: &mut Vec<u8>) {
        let split = |who: &Who| match who {
            Who::Id(id) => (Some(*id), None),
            Who::Name(name) => (None, Some(name.clone())),
        };
        let rows = |limit: u32| Some(Seq(u64::from(limit)));
        match self {
            Command::Login { credentials, device } => {
                let mut f = LoginFields { device: device.clone(), ..Default::default() };
                match credentials {
                    Credentials::Password { who, password } => {
                        (f.id, f.name) = split(who);
                        f.password = Some(password.clone());
                    }
                    Credentials::Token(token) => f.token = Some(token.clone()),
                }
                json::write(out, &f);
            }
            Command::Logout | Command::Nodes => json::write(out, &NoFields {}),
            Command::Register(r) => {
                let Register { name, password, email, code, nick } = (**r).clone();
                let (name, password) = (Some(name), Some(password));
                json::write(out, &RegisterFields { name, password, email, code, nick });
            }
            Command::Send(send) => {
                let content_type = (send.content_type != TEXT).then(|| send.content_type.clone());
                let (content, cid) = (Some(send.content.clone()), send.cid.clone());
                let mut f = SendFields { content, content_type, cid, ..Default::default() };
                match &send.target {
                    Target::User(id) => f.to = Some(*id),
                    Target::Name(name) => f.to_name = Some(name.clone()),
                    Target::Conversation(id) => f.conversation = Some(*id),
                }
                json::write(out, &f);
            }
            Command::AddFriend { who, message } => {
                let (id, name) = split(who);
                json::write(out, &AddFriendFields { id, name, message: message.clone() });
            }
            Command::CreateGroup { name, desc } => {
                let desc = (!desc.is_empty()).then(|| desc.clone());
                json::write(out, &CreateGroupFields { name: Some(name.clone()), desc });
            }
            Command::JoinGroup { conversation } => {
                json::write(out, &ConversationFields { conversation: Some(*conversation) });
            }
            Command::Ack { conversation, seq } | Command::Read { conversation, seq } => {
                json::write(out, &CursorFields { conversation: Some(*conversation), seq: Some(*seq) });
            }
            Command::History { conversation, direction, limit } => {
                let (after, before) = match *direction {
                    Direction::After(seq) => (Some(seq), None),
                    Direction::Before(seq) => (None, Some(seq)),
                };
                let conversation = Some(*conversation);
                json::write(out, &HistoryFields { conversation, after, before, limit: rows(*limit) });
            }
            Command::AnswerFriend { id, accept, message } => {
                let (id, accept) = (Some(*id), Some(*accept));
                json::write(out, &AnswerFriendFields { id, accept, message: message.clone() });
            }
            Command::Friends(page) | Command::Groups(page) => {
                json::write(out, &PageFields { after: Some(UserId(page.after)), limit: rows(page.limit) });
            }
            Command::Members { conversation, page } => {
                let (after, limit) = (Some(UserId(page.after)), rows(page.limit));
                json::write(out, &MembersFields { conversation: Some(*conversation), after, limit });
            }
            Command::Conversations { before, limit } => {
                let (before, before_id) = (before.map(|b| b.0), before.map(|b| b.1));
                json::write(out, &ConversationsFields { before, before_id, limit: rows(*limit) });
            }
        }
    }
}

// Passwords and tokens never reach a log.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command(type {})", self.kind())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Password { who, .. } => write!(f, "Password({who:?})"),
            Credentials::Token(_) => f.write_str("Token"),
        }
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({:?})", self.name)
    }
}
