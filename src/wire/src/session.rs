//! Sessions: logging in and out, and what the server reports about the session itself.

use crate::account::Who;
use crate::contact::Friend;
use crate::fields::{Value, fields, is_false, need, sized, sized_option};
use crate::group::Group;
use crate::json::{self, count, present, put, put_number, put_text};
use crate::summary::put_rows;
use crate::table::{Body, pushes, requests};
use crate::timeline::ConversationSummary;
use crate::{DeviceId, UnixMillis, UserId, limits};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

requests! {
    /// Logs in on this connection.
    1 LOGIN Login(Login) -> LoggedIn(Box<LoggedIn>) [BeforeLogin Barrier],
    /// Ends the session and revokes its token.
    3 LOGOUT Logout [Barrier],
    /// Lists the logins of the account that are in force.
    28 DEVICES Devices -> Devices(Box<DevicesPage>),
    /// Revokes logins of the account, and ends their sessions.
    29 REVOKE Revoke(Revoke),
}

pushes! {
    /// The server ended this session; the connection closes.
    0x4003 KICKED Kicked(Box<Kicked>),
    /// To be answered with a heartbeat.
    0x4006 PROBE Probe,
    /// The server drains: connect to another node, or again.
    0x4007 GOING_AWAY GoingAway(Box<GoingAway>),
    /// Updates may have been missed: ask for the listings again.
    0x4009 CHANGED Changed(Box<Changed>),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub credentials: Credentials,
    /// The client's name for the device it runs on, at most 64 bytes.
    pub device: Option<Box<str>>,
    /// What the client is. Of a login by token without it: what its token was used by before.
    pub kind: Option<ClientKind>,
    /// Beside a password: a token from an earlier login, expired and revoked ones included. It does not log in; it shows
    /// that the account knows this client, which other people's wrong passwords then do not hold up.
    pub known: Option<Box<str>>,
    /// Whether each conversation of the reply shows its last message.
    pub with_last: bool,
    /// The value has no credentials. Then those here are the token of the cookie that the connection was upgraded to
    /// WebSocket with, which the server adds; empty: it has none.
    pub by_cookie: bool,
}

impl Login {
    /// A login that says nothing about its client.
    pub fn new(credentials: Credentials) -> Login {
        Login { credentials, device: None, kind: None, known: None, with_last: false, by_cookie: false }
    }
}

/// What a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// A person at a terminal, also one with a legacy client.
    Terminal,
    /// A page in a browser.
    Web,
    Mobile,
    /// A program that acts by itself, such as a bot.
    Script,
    #[default]
    Other,
}

impl ClientKind {
    pub const ALL: [ClientKind; 5] =
        [ClientKind::Terminal, ClientKind::Web, ClientKind::Mobile, ClientKind::Script, ClientKind::Other];
}

/// Which logins of the account are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    One(DeviceId),
    /// All but that of this session.
    Others,
}

impl Value for Revoke {
    const FIELDS: &[&str] = RevokeFields::NAMES;

    fn decode(value: &[u8]) -> Result<Revoke, String> {
        let f: RevokeFields = json::read(value)?;
        match (f.id, f.all) {
            (Some(id), None) => Ok(Revoke::One(id)),
            (None, Some(true)) => Ok(Revoke::Others),
            (None, Some(false)) => Err("`all` must be true".to_owned()),
            _ => Err("exactly one of `id` and `all` is needed".to_owned()),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let f = match self {
            Revoke::One(id) => RevokeFields { id: Some(*id), all: None },
            Revoke::Others => RevokeFields { id: None, all: Some(true) },
        };
        json::write(out, &f);
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Password {
        who: Who,
        password: Box<str>,
    },
    /// A token from an earlier login.
    Token(Box<str>),
}

/// A token from an earlier login that a browser keeps for its pages.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieToken(pub Box<str>);

fields! {
    LoginFields {
        id: UserId, name: Box<str>, password: Box<str>, token: Box<str>, device: Box<str>, kind: ClientKind,
        known: Box<str>, last: bool,
    }
    RevokeFields { id: DeviceId, all: bool, }
}

impl Value for Login {
    const FIELDS: &[&str] = LoginFields::NAMES;

    fn decode(value: &[u8]) -> Result<Login, String> {
        let f: LoginFields = json::read(value)?;
        let device = sized_option("device", f.device, 0, limits::DEVICE_BYTES)?;
        let known = sized_option("known", f.known, 1, limits::TOKEN_BYTES)?;
        let by_cookie =
            (&f.token, &f.id, &f.name, &f.password, &known) == (&None, &None, &None, &None, &None);
        let credentials = match (f.token, f.id, f.name, f.password) {
            _ if by_cookie => Credentials::Token(Box::default()),
            (Some(_), None, None, None) if known.is_some() => {
                return Err("`known` goes with a password".to_owned());
            }
            (Some(token), None, None, None) => {
                Credentials::Token(sized("token", token, 1, limits::TOKEN_BYTES)?)
            }
            (Some(_), ..) => {
                return Err("`token` stands alone, without `id`, `name` and `password`".to_owned());
            }
            (None, id, name, password) => {
                let who = Who::from_fields(id, name)?;
                let password = need("password", password)?;
                // A password outside the bounds of REGISTER is answered like any other wrong one.
                let password = sized("password", password, 0, limits::PASSWORD_TRIED_BYTES)?;
                Credentials::Password { who, password }
            }
        };
        let with_last = f.last.unwrap_or(false);
        Ok(Login { credentials, device, kind: f.kind, known, with_last, by_cookie })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (device, known) = (self.device.clone(), self.known.clone());
        let last = self.with_last.then_some(true);
        let mut f = LoginFields { device, kind: self.kind, known, last, ..Default::default() };
        match &self.credentials {
            Credentials::Password { who, password } => {
                (f.id, f.name) = who.to_fields();
                f.password = Some(password.clone());
            }
            Credentials::Token(_) if self.by_cookie => {}
            Credentials::Token(token) => f.token = Some(token.clone()),
        }
        json::write(out, &f);
    }
}

/// The reply to LOGIN. Each list holds at most 200 rows; its `*_more` says whether there are others.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    pub id: UserId,
    pub name: Box<str>,
    /// Credentials for the next login. `None`: the browser keeps them, in its cookie.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub token: Option<Box<str>>,
    /// When the token expires, unless it is used before.
    pub token_expires: UnixMillis,
    /// The node that serves the connection.
    pub node: Box<str>,
    /// The identity of the server's database, the same for ever; absent from older servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub server: Option<Box<str>>,
    /// Another one after the database may have been restored; absent from older servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub history: Option<Box<str>>,
    /// The URL of the server's HTTP listener, where the operator has set one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub http: Option<Box<str>>,
    /// Whether this login continues an interrupted session.
    pub resumed: bool,
    /// In the order of ids.
    pub friends: Vec<Friend>,
    /// In the order of ids.
    pub groups: Vec<Group>,
    /// The latest one first.
    pub conversations: Arc<Vec<ConversationSummary>>,
    /// FRIENDS lists the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub friends_more: bool,
    /// GROUPS lists the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub groups_more: bool,
    /// CONVERSATIONS lists the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conversations_more: bool,
}

impl Body for LoggedIn {
    /// Writes the same bytes as `Serialize`.
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, b"{\"id\":", u64::from(self.id.0));
        put_text(out, b",\"name\":", &self.name);
        if let Some(token) = &self.token {
            put_text(out, b",\"token\":", token);
        }
        put_number(out, b",\"token_expires\":", self.token_expires.0);
        put_text(out, b",\"node\":", &self.node);
        if let Some(server) = &self.server {
            put_text(out, b",\"server\":", server);
        }
        if let Some(history) = &self.history {
            put_text(out, b",\"history\":", history);
        }
        if let Some(http) = &self.http {
            put_text(out, b",\"http\":", http);
        }
        put(out, b",\"resumed\":", &self.resumed);
        put(out, b",\"friends\":", &self.friends);
        put(out, b",\"groups\":", &self.groups);
        put_rows(out, b",\"conversations\":", &self.conversations);
        let more = [
            (self.friends_more, &b",\"friends_more\":true"[..]),
            (self.groups_more, b",\"groups_more\":true"),
            (self.conversations_more, b",\"conversations_more\":true"),
        ];
        more.iter().filter(|(more, _)| *more).for_each(|(_, field)| out.extend_from_slice(field));
        out.push(b'}');
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesPage {
    /// The one that was used last first.
    pub devices: Vec<Device>,
}

impl Body for DevicesPage {}

/// A login of the account that is in force: its token, and the client that uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    /// The client's name for the device it runs on; empty where it said none.
    pub device: Box<str>,
    pub kind: ClientKind,
    /// The address of the last login; empty where it is not known.
    pub address: Box<str>,
    pub created: UnixMillis,
    /// When a client last logged in by it, within an hour.
    pub last_used: UnixMillis,
    /// Whether the asking session lives by it.
    pub current: bool,
    /// Whether a session that lives by it is connected.
    pub online: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    pub reason: Box<str>,
    /// Absent from older servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub code: Option<KickCode>,
    /// The device of the login that ended this session.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub device: Option<Box<str>>,
    pub time: UnixMillis,
}

impl Body for Kicked {}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KickCode {
    /// Another login of the account ended it.
    Login,
    /// Its login was revoked.
    Revoked,
    /// The password was changed.
    Password,
    /// The account was disabled.
    Disabled,
    /// The account was deleted.
    Deleted,
    /// An administrator ended it.
    Admin,
    /// The account has as many sessions as it may have.
    Limit,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoingAway {
    pub reason: Box<str>,
    /// How long to wait before connecting again.
    #[serde(deserialize_with = "count")]
    pub retry_after_ms: u64,
    /// The node to connect to, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub node: Option<Box<str>>,
}

impl Body for GoingAway {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub what: Vec<Listing>,
}

impl Body for Changed {}

/// A listing that may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    Friends,
    Groups,
    Conversations,
}

// Passwords and tokens must not reach a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Login { credentials, device, kind, known, with_last, by_cookie } = self;
        let known = known.as_ref().map(|_| "Token");
        f.debug_struct("Login")
            .field("credentials", credentials)
            .field("device", device)
            .field("kind", kind)
            .field("known", &known)
            .field("with_last", with_last)
            .field("by_cookie", by_cookie)
            .finish()
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

impl fmt::Debug for CookieToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = (self.friends.len(), self.groups.len(), self.conversations.len());
        f.debug_struct("LoggedIn").field("id", &self.id).field("lists", &lists).finish_non_exhaustive()
    }
}
