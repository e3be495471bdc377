//! Groups: creating, joining and listing them, and their members.

use crate::fields::{Page, Value, fields, need, short};
use crate::presence::Presence;
use crate::table::requests;
use crate::{ConversationId, Seq, UserId, json, limits, name};
use serde::{Deserialize, Serialize};

requests! {
    /// Creates a group; the user becomes its owner.
    8 CREATE_GROUP Create(Create) -> Created(Created),
    /// Joins a group.
    9 JOIN_GROUP Join(Join) -> Joined(Joined),
    /// Lists the members of a conversation.
    17 MEMBERS Members(Members) -> Members(Box<MembersPage>),
    /// Lists the user's groups.
    19 GROUPS Groups(Page) -> Groups(Box<GroupsPage>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// 1 to 50 characters.
    pub name: Box<str>,
    /// At most 200 characters; may be empty.
    pub desc: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    pub conversation: ConversationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    pub conversation: ConversationId,
    pub page: Page,
}

fields! {
    CreateFields { name: Box<str>, desc: Box<str>, }
    JoinFields { conversation: ConversationId, }
    MembersFields { conversation: ConversationId, after: UserId, limit: Seq, }
}

impl Value for Create {
    const FIELDS: &[&str] = CreateFields::NAMES;

    fn decode(value: &[u8]) -> Result<Create, String> {
        let f: CreateFields = json::read(value)?;
        let name = need("name", f.name)?;
        name::check("name", &name, limits::GROUP_NAME_CHARS)?;
        let desc = short("desc", f.desc.unwrap_or_default(), limits::GROUP_DESC_CHARS)?;
        Ok(Create { name, desc })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let desc = (!self.desc.is_empty()).then(|| self.desc.clone());
        json::write(out, &CreateFields { name: Some(self.name.clone()), desc });
    }
}

impl Value for Join {
    const FIELDS: &[&str] = JoinFields::NAMES;

    fn decode(value: &[u8]) -> Result<Join, String> {
        let f: JoinFields = json::read(value)?;
        Ok(Join { conversation: need("conversation", f.conversation)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &JoinFields { conversation: Some(self.conversation) });
    }
}

impl Value for Members {
    const FIELDS: &[&str] = MembersFields::NAMES;

    fn decode(value: &[u8]) -> Result<Members, String> {
        let f: MembersFields = json::read(value)?;
        let conversation = need("conversation", f.conversation)?;
        Ok(Members { conversation, page: Page::from_fields(f.after, f.limit)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (after, limit) = self.page.to_fields();
        json::write(out, &MembersFields { conversation: Some(self.conversation), after, limit });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub conversation: ConversationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub state: JoinState,
}

/// The result of JOIN_GROUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinState {
    Joined,
    /// The group has yet to accept.
    Requested,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersPage {
    /// In the order of ids.
    pub members: Vec<Member>,
    /// Whether there are members after this page.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: UserId,
    pub name: Box<str>,
    pub state: Presence,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsPage {
    /// In the order of ids.
    pub groups: Vec<Group>,
    /// Whether there are groups after this page.
    pub more: bool,
}

/// A group that the user is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub conversation: ConversationId,
    pub name: Box<str>,
    /// May be empty.
    pub desc: Box<str>,
    /// The user's own role.
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Owner,
    Admin,
    Member,
}
