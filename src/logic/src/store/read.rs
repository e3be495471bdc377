//! What storage is asked, and what it finds.

use super::Epoch;
use std::sync::Arc;
use wire::account::Who;
use wire::group::{Group, Role};
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Direction, Message, Page, Seq, UnixMillis, UserId};

/// A question to storage.
#[derive(Clone, Debug)]
pub enum Read {
    /// Answer: [`Found::Account`], with `None` where there is none.
    Account(Who),
    /// What a session needs to begin. Answer: [`Found::Login`].
    Login { user: UserId },
    /// Conversations with undelivered messages, by id, above `after`, at most [`UNREAD_MAX`]. Answer:
    /// [`Found::Unread`].
    Unread { user: UserId, after: ConversationId },
    /// Ids of all friends. Answer: [`Found::FriendIds`].
    FriendIds { user: UserId },
    /// A member's standing. Answer: [`Found::Standing`], with `None` for who is no member.
    Standing { user: UserId, conversation: ConversationId },
    /// Messages to push to a member who is behind: those above `after`, in order, until `limit` or about `bytes` of
    /// content, never empty while there are some. Answer: [`Found::Feed`].
    Feed {
        conversation: ConversationId,
        after: Seq,
        /// At most how many.
        limit: u32,
        /// Content bytes after which to stop.
        bytes: usize,
    },
    /// A page of a timeline as its member may see it. Answer: [`Found::History`] or [`Found::Forbidden`].
    History {
        user: UserId,
        conversation: ConversationId,
        /// From where, which way.
        direction: Direction,
        /// At most how many.
        limit: u32,
    },
    /// A page of friends by id. Answer: [`Found::Friends`].
    Friends { user: UserId, page: Page },
    /// A page of members by id. Answer: [`Found::Members`] or [`Found::Forbidden`].
    Members { user: UserId, conversation: ConversationId, page: Page },
    /// A page of conversations, latest first. Answer: [`Found::Conversations`].
    Conversations {
        user: UserId,
        /// Below this time and id.
        before: Option<(UnixMillis, ConversationId)>,
        /// At most how many.
        limit: u32,
    },
    /// A page of groups by id. Answer: [`Found::Groups`].
    Groups { user: UserId, page: Page },
    /// Ids of all groups. Answer: [`Found::GroupIds`].
    GroupIds { user: UserId },
    /// Which of these users are online: their session is connected, or lost its connection less than `grace` ago, and
    /// its node was seen less than [`super::node_grace`] ago. Answer: [`Found::Online`].
    Online {
        users: Vec<UserId>,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
    },
    /// Sessions that other nodes claimed at or after a time, and whether these were heard. Answer: [`Found::Claims`].
    Claims {
        /// Not by this node.
        node: Arc<str>,
        /// Since when; [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// Conversations that got messages at or after a time and of which a member whose session this node holds has
    /// undelivered messages, by that time, at most [`CHANGES_MAX`]. Answer: [`Found::Changes`].
    Changes {
        node: Arc<str>,
        /// Since when; [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// A conversation's members and how far each is. Answer: [`Found::Roster`], with `None` where there is no such
    /// conversation.
    Roster { conversation: ConversationId },
}

/// Rows of one [`Read::Changes`] page.
pub const CHANGES_MAX: usize = 10_000;
/// Rows of one [`Read::Unread`] page.
pub const UNREAD_MAX: usize = 1000;
/// Rows of each list of the reply to LOGIN.
pub const LOGIN_LIST_MAX: usize = 200;

/// The answer to a [`Read`].
#[derive(Clone, Debug)]
pub enum Found {
    /// An account, if there is one.
    Account(Option<Account>),
    /// What a session needs to begin.
    Login(Box<LoginView>),
    /// Conversations with undelivered messages.
    Unread(UnreadPage),
    /// Ids of all friends.
    FriendIds(Vec<UserId>),
    /// A member's standing, if a member.
    Standing(Option<Standing>),
    /// Messages to push. `more`: there are others above them.
    Feed {
        /// In seq order, contiguous, the first one right above the bound or above what retention dropped.
        messages: Vec<Arc<Message>>,
        /// Whether there were others at that moment.
        more: bool,
    },
    /// A page of a timeline.
    History {
        messages: Vec<Arc<Message>>,
        /// Whether there are others in the direction asked.
        more: bool,
        /// The first message that this member can see.
        first_seq: Seq,
    },
    /// Friends by id.
    Friends {
        /// Id and name.
        friends: Vec<(UserId, Box<str>)>,
        /// Whether there are others.
        more: bool,
    },
    /// Members by id.
    Members {
        /// Id, name, role.
        members: Vec<(UserId, Box<str>, Role)>,
        /// Whether there are others.
        more: bool,
    },
    /// Conversations, latest first.
    Conversations {
        /// Cursors as stored: logic lays what it has not written yet over them.
        entries: Vec<ConversationSummary>,
        /// Whether there are others.
        more: bool,
    },
    /// Groups by id.
    Groups {
        groups: Vec<Group>,
        /// Whether there are others.
        more: bool,
    },
    /// Ids of all groups.
    GroupIds(Vec<ConversationId>),
    /// Those of the users that are online, by id.
    Online(Vec<UserId>),
    /// Sessions that other nodes claimed.
    Claims {
        /// The time now. A claim that takes effect later may have begun earlier, by as long as a transaction may take.
        now: UnixMillis,
        /// Whose, and the number of the latest.
        claims: Vec<(UserId, Epoch)>,
        /// When another node said last that it may not have been heard; 0: never.
        unheard: UnixMillis,
    },
    /// Conversations that got messages.
    Changes {
        /// The time now, or that of the last row where there are others. What holds for claims holds here.
        upto: UnixMillis,
        /// Whether there are others.
        more: bool,
        /// Which, and where they end.
        ends: Vec<End>,
    },
    /// A conversation's members.
    Roster(Option<Box<Roster>>),
    /// Not a member.
    Forbidden,
    /// Storage could not be reached.
    Unavailable,
}

/// Where a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub conversation: ConversationId,
    pub last: Seq,
    pub member_version: u32,
}

/// A conversation's members and how far each is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    pub kind: ConversationKind,
    pub last: Seq,
    pub member_version: u32,
    /// All members by id, each with what was delivered.
    pub members: Vec<(UserId, Seq)>,
}

/// An account, to check a password against.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: UserId,
    /// Its password's hash, a PHC string.
    pub password: Box<str>,
}

/// What a session needs to begin: the first page of each listing, and where it is behind.
#[derive(Clone, Debug, Default)]
pub struct LoginView {
    /// The first [`LOGIN_LIST_MAX`] friends by id.
    pub friends: Vec<(UserId, Box<str>)>,
    /// Whether there are others.
    pub friends_more: bool,
    /// Ids of all friends, for presence.
    pub friend_ids: Vec<UserId>,
    /// The first [`LOGIN_LIST_MAX`] groups by id.
    pub groups: Vec<Group>,
    /// Whether there are others.
    pub groups_more: bool,
    /// The latest [`LOGIN_LIST_MAX`] conversations.
    pub conversations: Vec<ConversationSummary>,
    /// Whether there are others.
    pub conversations_more: bool,
    /// The first page of conversations with undelivered messages.
    pub unread: UnreadPage,
}

/// Conversations with undelivered messages, by id.
#[derive(Clone, Debug, Default)]
pub struct UnreadPage {
    /// Where, and from where on.
    pub rows: Vec<Unread>,
    /// Whether there are others above the last one's id.
    pub more: bool,
}

/// A conversation in which a member is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    pub conversation: ConversationId,
    /// The peer of a direct chat.
    pub peer: Option<UserId>,
    /// Where the member's cursor stands.
    pub delivered: Seq,
    /// Where the timeline ends.
    pub last: Seq,
}

/// A member's standing in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub kind: ConversationKind,
    /// The peer of a direct chat.
    pub peer: Option<UserId>,
    /// Where the timeline ends.
    pub last: Seq,
    /// Where the member's cursor stands, as stored.
    pub delivered: Seq,
    /// Where the member's other cursor stands, as stored.
    pub read: Seq,
}
