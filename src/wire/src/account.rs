//! Accounts: registration and profiles, and how a request names a user.

use crate::fields::{Value, fields, need, sized, sized_option, sought_name};
use crate::json::{self, present};
use crate::table::{Body, requests};
use crate::{Seq, UnixMillis, UserId, limits, name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

requests! {
    /// Creates an account.
    4 REGISTER Register(Box<Register>) -> Registered(Box<Registered>) [BeforeLogin],
    /// Reads the profile of a user; the user's own where none is named.
    21 PROFILE Profile(Option<Who>) -> Profile(Box<Profile>),
    /// Finds users by id or by the beginning of their names.
    23 FIND_USERS Find(Find) -> Found(Box<FoundUsers>),
    /// Changes the password, and ends all other sessions of the account.
    26 CHANGE_PASSWORD ChangePassword(Box<ChangePassword>),
}

/// A user, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Id(UserId),
    /// Names are compared as [`name::key`] defines.
    Name(Box<str>),
}

impl Who {
    pub(crate) fn from_fields(id: Option<UserId>, name: Option<Box<str>>) -> Result<Who, String> {
        match (id, name) {
            (Some(id), None) => Ok(Who::Id(id)),
            (None, Some(name)) => sought_name("name", name).map(Who::Name),
            _ => Err("exactly one of `id` and `name` is needed".to_owned()),
        }
    }

    pub(crate) fn to_fields(&self) -> (Option<UserId>, Option<Box<str>>) {
        match self {
            Who::Id(id) => (Some(*id), None),
            Who::Name(name) => (None, Some(name.clone())),
        }
    }
}

impl Value for Option<Who> {
    const FIELDS: &[&str] = WhoFields::NAMES;

    fn decode(value: &[u8]) -> Result<Option<Who>, String> {
        let f: WhoFields = json::read(value)?;
        match (f.id, f.name) {
            (None, None) => Ok(None),
            (id, name) => Who::from_fields(id, name).map(Some),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (id, name) = self.as_ref().map_or((None, None), Who::to_fields);
        json::write(out, &WhoFields { id, name });
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Register {
    /// As [`name::check_new_user`] allows.
    pub name: Box<str>,
    /// 6 to 128 bytes.
    pub password: Box<str>,
    /// The e-mail address to verify, 3 to 254 bytes.
    pub email: Option<Box<str>>,
    /// The verification code sent to that address, 1 to 16 bytes.
    pub code: Option<Box<str>>,
    /// The name to display, 1 to 50 characters.
    pub nick: Option<Box<str>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct ChangePassword {
    /// The password until now.
    pub old: Box<str>,
    /// 6 to 128 bytes.
    pub new: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// An id, or at least two characters that names begin with, compared as [`name::key`] defines.
    pub query: Box<str>,
    /// At most this many users, 1 to 20.
    pub limit: u32,
}

impl Find {
    /// The id that the query may be.
    #[must_use]
    pub fn id(&self) -> Option<UserId> {
        let is_number = self.query.bytes().all(|byte| byte.is_ascii_digit());
        self.query.parse().ok().filter(|_| is_number).map(UserId)
    }

    /// The range of the keys of names that begin so, as bytes; `None`: too little to look for.
    #[must_use]
    pub fn keys(&self) -> Option<Range<Vec<u8>>> {
        let key = name::key(&self.query);
        let is_enough = key.chars().count() >= limits::FIND_CHARS_MIN;
        let first = key.into_bytes();
        // Above all of them, as no UTF-8 text has this byte.
        let end = [&*first, &[0xff]].concat();
        is_enough.then_some(first..end)
    }
}

impl Value for Find {
    const FIELDS: &[&str] = FindFields::NAMES;

    fn decode(value: &[u8]) -> Result<Find, String> {
        let f: FindFields = json::read(value)?;
        let query = sought_name("query", need("query", f.query)?)?;
        let limit = match f.limit {
            None => limits::FIND_MAX,
            Some(Seq(limit)) if (1..=u64::from(limits::FIND_MAX)).contains(&limit) => limit as u32,
            Some(_) => return Err(format!("`limit` must be from 1 to {}", limits::FIND_MAX)),
        };
        let find = Find { query, limit };
        match (find.id(), find.keys()) {
            (None, None) => Err("`query` must be an id or at least 2 characters long".to_owned()),
            _ => Ok(find),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (query, limit) = (Some(self.query.clone()), Some(Seq(self.limit.into())));
        json::write(out, &FindFields { query, limit });
    }
}

impl Value for ChangePassword {
    const FIELDS: &[&str] = ChangePasswordFields::NAMES;

    fn decode(value: &[u8]) -> Result<ChangePassword, String> {
        let f: ChangePasswordFields = json::read(value)?;
        // As in LOGIN: one outside the bounds of REGISTER is answered like any other wrong one.
        let old = sized("old", need("old", f.old)?, 0, limits::PASSWORD_TRIED_BYTES)?;
        let new = sized("new", need("new", f.new)?, limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX)?;
        Ok(ChangePassword { old, new })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let ChangePassword { old, new } = self.clone();
        json::write(out, &ChangePasswordFields { old: Some(old), new: Some(new) });
    }
}

fields! {
    WhoFields { id: UserId, name: Box<str>, }
    RegisterFields { name: Box<str>, password: Box<str>, email: Box<str>, code: Box<str>, nick: Box<str>, }
    FindFields { query: Box<str>, limit: Seq, }
    ChangePasswordFields { old: Box<str>, new: Box<str>, }
}

impl Value for Register {
    const FIELDS: &[&str] = RegisterFields::NAMES;

    fn decode(value: &[u8]) -> Result<Register, String> {
        let f: RegisterFields = json::read(value)?;
        let name = need("name", f.name)?;
        name::check_new_user(&name)?;
        let password = need("password", f.password)?;
        let password = sized("password", password, limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX)?;
        let email = sized_option("email", f.email, 3, limits::EMAIL_BYTES)?;
        let code = sized_option("code", f.code, 1, limits::CODE_BYTES)?;
        if let Some(nick) = &f.nick {
            name::check("nick", nick, limits::NAME_CHARS)?;
        }
        Ok(Register { name, password, email, code, nick: f.nick })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Register { name, password, email, code, nick } = self.clone();
        let (name, password) = (Some(name), Some(password));
        json::write(out, &RegisterFields { name, password, email, code, nick });
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub id: UserId,
    /// Credentials for a login.
    pub token: Box<str>,
    /// When the token expires, unless it is used before.
    pub token_expires: UnixMillis,
}

impl Body for Registered {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub id: UserId,
    pub name: Box<str>,
    /// The name to display, where the user has chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub nick: Option<Box<str>>,
    /// When the account was created.
    pub created: UnixMillis,
    pub relation: Relation,
    /// What the user notes about a friend; nobody else sees it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub remark: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub tag: Option<Box<str>>,
}

impl Body for Profile {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundUsers {
    /// The one with this id first, then the others in the order of their names.
    pub users: Vec<FoundUser>,
    /// Whether there are others.
    pub more: bool,
}

impl Body for FoundUsers {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundUser {
    pub id: UserId,
    pub name: Box<str>,
    /// As in [`Profile`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub nick: Option<Box<str>>,
}

/// The relation of a user to the asking user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The same user.
    #[serde(rename = "self")]
    Oneself,
    Friend,
    None,
}

// Passwords and tokens must not reach a log.
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({:?})", self.name)
    }
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangePassword")
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).finish_non_exhaustive()
    }
}
