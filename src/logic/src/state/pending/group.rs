//! Steps of requests about groups that wait.

use crate::contract::entry::Entry;
use crate::state::sessions::SessionRef;
use wire::ConversationId;
use wire::group::MembersPage;

#[derive(Debug)]
pub(crate) enum Pending {
    /// CREATE_GROUP: the group is being created.
    Create { session: SessionRef },
    /// CREATE_GROUP: the group exists, with this entry; its channel is being subscribed to.
    Created(Box<Entry>),
    /// JOIN_GROUP: the group's channel is being subscribed to, then the membership is being created.
    Join { session: SessionRef, conversation: ConversationId },
    /// LEAVE, REMOVE_MEMBER, SET_ROLE, TRANSFER: the change is being made.
    Change,
    /// GROUPS: the page is being read.
    Groups,
    /// MEMBERS: the page is being read.
    Members,
    /// MEMBERS: which members of the page are online on other nodes is being read.
    MembersOnline(Box<MembersPage>),
}
