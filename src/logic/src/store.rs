//! What logic asks of storage, and what storage answers: plain data, no SQL.
//!
//! **Writes** are carried out many in one transaction, their outcomes come back after the commit: those of one
//! conversation in the order in which they were issued, and so those that are about no conversation; between these
//! there may be no order. **Reads** run beside them, in any order, and see everything whose outcome was
//! delivered before the read was issued.
//!
//! One more promise holds the delivery rules together: outcomes and read results come back through *one* queue, and a
//! read can never show a message whose own outcome is not already in that queue before it.

use std::sync::Arc;
use wire::command::Who;
use wire::reply::{Entry, Group, Role};
use wire::{ConversationId, ConversationKind, Direction, Message, Page, Seq, Target, UnixMillis, UserId};

/// Ties an answer of the outside (storage, passwords) to the request that is parked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// SHA-256 of a token: all that is kept of one.
pub type TokenHash = [u8; 32];

/// A change to storage.
#[derive(Clone, Debug)]
pub enum Write {
    /// Store a message. Answer: [`Written::Appended`], [`Written::Duplicate`], or a refusal.
    Append(Append),
    /// Move cursors, in this order. Those of who is not (any more) a member are ignored. Answer: [`Written::Done`].
    MoveCursors(Vec<CursorMove>),
    /// Make an account and a first token. Answer: [`Written::AccountCreated`] or [`Written::NameTaken`].
    CreateAccount {
        /// The name as it is shown; unique by [`wire::name::key`].
        name: Box<str>,
        /// The password's hash, a PHC string.
        password: Box<str>,
        /// What to show beside the name.
        nick: Option<Box<str>>,
    },
    /// Make a token for a password login. Answer: [`Written::TokenReady`].
    CreateToken {
        /// Whose.
        user: UserId,
        /// On which device.
        device: Option<Box<str>>,
    },
    /// Log in by token: look it up and extend it. Answer: [`Written::TokenReady`] or [`Written::TokenInvalid`].
    ExtendToken {
        /// As the client sent it.
        token: Box<str>,
    },
    /// Revoke a token. Answer: [`Written::Done`], also where there is none.
    RevokeToken(TokenHash),
    /// Make two users friends. Answer: [`Written::Friends`], [`Written::NotFound`], [`Written::Conflict`] (they are
    /// already) or [`Written::Oneself`].
    AddFriend {
        /// Who asks.
        user: UserId,
        /// Whom.
        who: Who,
    },
    /// Make a group. Answer: [`Written::GroupCreated`].
    CreateGroup {
        /// Its first member.
        owner: UserId,
        /// Its name.
        name: Box<str>,
        /// Its description.
        desc: Box<str>,
    },
    /// Become a member of a group. Answer: [`Written::Done`], [`Written::NotFound`] (also for a direct chat) or
    /// [`Written::Conflict`] (is already).
    JoinGroup {
        /// Who.
        user: UserId,
        /// Of which.
        conversation: ConversationId,
    },
}

/// A message to store.
#[derive(Clone, Debug)]
pub struct Append {
    /// Who sends it.
    pub sender: UserId,
    /// The sender's name, for the message as it is delivered.
    pub sender_name: Arc<str>,
    /// Where to; a direct chat that does not exist is made.
    pub target: Target,
    /// Idempotency key, unique to the sender; made by the server where the client gave none.
    pub cid: Box<str>,
    /// What `content` is.
    pub content_type: std::borrow::Cow<'static, str>,
    /// The text.
    pub content: Box<str>,
}

/// One step of a member's two cursors. Neither ever goes down; logic keeps them within the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// Where.
    pub conversation: ConversationId,
    /// Whose.
    pub user: UserId,
    /// How.
    pub step: CursorStep,
}

/// How cursors move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorStep {
    /// Each up to at least this.
    Reach {
        /// For `delivered_seq`.
        delivered: Seq,
        /// For `read_seq`.
        read: Seq,
    },
    /// The member sent all of `first..=last`: a cursor that stands in `first - 1 .. last` goes to `last`, others stay.
    Pass {
        /// The first of the run.
        first: Seq,
        /// The last of the run.
        last: Seq,
    },
}

impl CursorStep {
    /// Where a pair `(delivered, read)` stands after this step.
    #[must_use]
    pub fn apply(self, (delivered, read): (Seq, Seq)) -> (Seq, Seq) {
        match self {
            CursorStep::Reach { delivered: d, read: r } => (delivered.max(d), read.max(r)),
            CursorStep::Pass { first, last } => {
                let pass = |cursor: Seq| if cursor >= first.prev() && cursor < last { last } else { cursor };
                (pass(delivered), pass(read))
            }
        }
    }
}

/// What came of a [`Write`].
#[derive(Clone, Debug)]
pub enum Written {
    /// It is done.
    Done,
    /// The message is durable and has its place.
    Appended {
        /// As everybody gets it.
        message: Arc<Message>,
        /// All members of the conversation, the sender too, as of this commit; shared while nothing changes.
        members: Arc<[UserId]>,
    },
    /// The sender stored this `cid` before.
    Duplicate {
        /// Where that message is.
        conversation: ConversationId,
        /// Its place there.
        seq: Seq,
        /// When it was stored.
        time: UnixMillis,
    },
    /// The account exists.
    AccountCreated {
        /// Its id.
        user: UserId,
        /// Its first token.
        token: Token,
    },
    /// The token may be used.
    TokenReady {
        /// Whose it is.
        user: UserId,
        /// That account's name.
        name: Arc<str>,
        /// The token.
        token: Token,
    },
    /// Two users are friends now.
    Friends {
        /// The other one.
        peer: UserId,
        /// That account's name.
        name: Box<str>,
    },
    /// The group exists.
    GroupCreated(ConversationId),
    /// No such user or group.
    NotFound,
    /// Not a member.
    Forbidden,
    /// The name is taken.
    NameTaken,
    /// The token is expired, revoked or unknown.
    TokenInvalid,
    /// Already so.
    Conflict,
    /// The other one would be the same user.
    Oneself,
    /// Storage could not be reached or is full. Nothing is known to be done; what it is may still be found done.
    Unavailable,
}

/// A token as its owner gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret: 256 random bits as text.
    pub text: Box<str>,
    /// What storage knows it by.
    pub hash: TokenHash,
    /// Until when it is valid.
    pub expires: UnixMillis,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(until {})", self.expires)
    }
}

/// A question to storage.
#[derive(Clone, Debug)]
pub enum Read {
    /// Answer: [`Found::Account`], with `None` where there is none.
    Account(Who),
    /// What a session needs to begin. Answer: [`Found::Login`].
    Login {
        /// Whose.
        user: UserId,
    },
    /// Conversations with undelivered messages, by id, above `after`, at most [`UNREAD_MAX`]. Answer:
    /// [`Found::Unread`].
    Unread {
        /// Whose.
        user: UserId,
        /// From where on.
        after: ConversationId,
    },
    /// Ids of all friends. Answer: [`Found::FriendIds`].
    FriendIds {
        /// Whose.
        user: UserId,
    },
    /// A member's standing. Answer: [`Found::Standing`], with `None` for who is no member.
    Standing {
        /// Whose.
        user: UserId,
        /// Where.
        conversation: ConversationId,
    },
    /// Messages to push to a member who is behind: those above `after`, in order, until `limit` or about `bytes` of
    /// content, never empty while there are some. Answer: [`Found::Feed`].
    Feed {
        /// Where.
        conversation: ConversationId,
        /// Above which.
        after: Seq,
        /// At most how many.
        limit: u32,
        /// Content bytes after which to stop.
        bytes: usize,
    },
    /// A page of a timeline as its member may see it. Answer: [`Found::History`] or [`Found::Forbidden`].
    History {
        /// For whom.
        user: UserId,
        /// Where.
        conversation: ConversationId,
        /// From where, which way.
        direction: Direction,
        /// At most how many.
        limit: u32,
    },
    /// A page of friends by id. Answer: [`Found::Friends`].
    Friends {
        /// Whose.
        user: UserId,
        /// Which page.
        page: Page,
    },
    /// A page of members by id. Answer: [`Found::Members`] or [`Found::Forbidden`].
    Members {
        /// For whom.
        user: UserId,
        /// Of which.
        conversation: ConversationId,
        /// Which page.
        page: Page,
    },
    /// A page of conversations, latest first. Answer: [`Found::Conversations`].
    Conversations {
        /// Whose.
        user: UserId,
        /// Below this time and id.
        before: Option<(UnixMillis, ConversationId)>,
        /// At most how many.
        limit: u32,
    },
    /// A page of groups by id. Answer: [`Found::Groups`].
    Groups {
        /// Whose.
        user: UserId,
        /// Which page.
        page: Page,
    },
}

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
        /// In seq order.
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
        entries: Vec<Entry>,
        /// Whether there are others.
        more: bool,
    },
    /// Groups by id.
    Groups {
        /// The groups.
        groups: Vec<Group>,
        /// Whether there are others.
        more: bool,
    },
    /// Not a member.
    Forbidden,
    /// Storage could not be reached.
    Unavailable,
}

/// An account, to check a password against.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
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
    pub conversations: Vec<Entry>,
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
    /// Which.
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
    /// What it is.
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
