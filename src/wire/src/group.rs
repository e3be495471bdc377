//! Groups: creating, joining and listing them, and their members.

use crate::fields::{Page, Value, fields, need, short};
use crate::presence::Presence;
use crate::table::{Body, requests};
use crate::{ConversationId, Seq, UserId, json, limits, name};
use serde::{Deserialize, Serialize};

requests! {
    /// Creates a group; the user becomes its creator.
    8 CREATE_GROUP Create(Create) -> Created(Created),
    /// Joins a group.
    9 JOIN_GROUP Join(Join) -> Joined(Joined),
    /// Lists the members of a conversation.
    17 MEMBERS Members(Members) -> Members(Box<MembersPage>),
    /// Lists the user's groups.
    19 GROUPS Groups(Page) -> Groups(Box<GroupsPage>),
    /// Leaves a group.
    43 LEAVE Leave(Leave),
    /// Removes a member from a group.
    44 REMOVE_MEMBER Remove(Remove),
    /// Makes a member an admin, or an admin a normal member.
    45 SET_ROLE SetRole(SetRole),
    /// Makes another member the creator of a group.
    46 TRANSFER Transfer(Transfer),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    pub conversation: ConversationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remove {
    pub conversation: ConversationId,
    pub id: UserId,
    /// Whether the user may not join again.
    pub bar: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRole {
    pub conversation: ConversationId,
    pub id: UserId,
    /// [`Role::Admin`] or [`Role::Normal`].
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub conversation: ConversationId,
    pub id: UserId,
}

fields! {
    CreateFields { name: Box<str>, desc: Box<str>, }
    JoinFields { conversation: ConversationId, }
    MembersFields { conversation: ConversationId, after: UserId, limit: Seq, }
    RemoveFields { conversation: ConversationId, id: UserId, bar: bool, }
    RoleFields { conversation: ConversationId, id: UserId, role: Role, }
    TransferFields { conversation: ConversationId, id: UserId, }
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

impl Value for Leave {
    const FIELDS: &[&str] = JoinFields::NAMES;

    fn decode(value: &[u8]) -> Result<Leave, String> {
        let f: JoinFields = json::read(value)?;
        Ok(Leave { conversation: need("conversation", f.conversation)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &JoinFields { conversation: Some(self.conversation) });
    }
}

impl Value for Remove {
    const FIELDS: &[&str] = RemoveFields::NAMES;

    fn decode(value: &[u8]) -> Result<Remove, String> {
        let f: RemoveFields = json::read(value)?;
        let conversation = need("conversation", f.conversation)?;
        Ok(Remove { conversation, id: need("id", f.id)?, bar: f.bar.unwrap_or_default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (conversation, id) = (Some(self.conversation), Some(self.id));
        json::write(out, &RemoveFields { conversation, id, bar: self.bar.then_some(true) });
    }
}

impl Value for SetRole {
    const FIELDS: &[&str] = RoleFields::NAMES;

    fn decode(value: &[u8]) -> Result<SetRole, String> {
        let f: RoleFields = json::read(value)?;
        let (conversation, id) = (need("conversation", f.conversation)?, need("id", f.id)?);
        match need("role", f.role)? {
            Role::Creator => Err("`role` must be `admin` or `normal`".to_owned()),
            role => Ok(SetRole { conversation, id, role }),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (conversation, id) = (Some(self.conversation), Some(self.id));
        json::write(out, &RoleFields { conversation, id, role: Some(self.role) });
    }
}

impl Value for Transfer {
    const FIELDS: &[&str] = TransferFields::NAMES;

    fn decode(value: &[u8]) -> Result<Transfer, String> {
        let f: TransferFields = json::read(value)?;
        Ok(Transfer { conversation: need("conversation", f.conversation)?, id: need("id", f.id)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &TransferFields { conversation: Some(self.conversation), id: Some(self.id) });
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

impl Body for Created {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub state: JoinState,
}

impl Body for Joined {}

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

impl Body for MembersPage {}

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

impl Body for GroupsPage {}

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

/// What a member may do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Creator,
    Admin,
    Normal,
}

impl Role {
    /// Its name in requests and entries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Creator => "creator",
            Role::Admin => "admin",
            Role::Normal => "normal",
        }
    }

    /// Whether a member in this role may act on one in the role `other`.
    #[must_use]
    pub fn is_above(self, other: Role) -> bool {
        match self {
            Role::Creator => other != Role::Creator,
            Role::Admin => other == Role::Normal,
            Role::Normal => false,
        }
    }
}
