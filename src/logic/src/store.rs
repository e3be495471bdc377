//! What logic asks of storage, and what storage answers: plain data, no SQL.
//!
//! **Writes** are carried out many in one transaction, their outcomes come back after the commit: those of one
//! conversation in the order in which they were issued, and so those that are about no conversation; between these
//! there may be no order. **Reads** run beside them, in any order, and see everything whose outcome was
//! delivered before the read was issued.
//!
//! One more promise holds the delivery rules together: outcomes and read results come back through *one* queue, and a
//! read can never show a message that this node wrote whose own outcome is not already in that queue before it.
//!
//! **Several nodes** may share a database. It is then the truth of who is logged in where: a login *claims* the
//! account's session and raises its [`Epoch`], and a write that carries a lower one is refused in the transaction itself
//! ([`Written::Superseded`]). All times in these questions and answers are the database's own.

use std::sync::Arc;
use wire::command::Who;
use wire::reply::{Entry, Group, Role};
use wire::{ConversationId, ConversationKind, Direction, Message, Page, Seq, Target, UnixMillis, UserId};

/// Ties an answer of the outside (storage, passwords) to the request that is parked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// SHA-256 of a token: all that is kept of one.
pub type TokenHash = [u8; 32];

/// The number of a session in its account's life: each claim raises it. [`Epoch::NONE`] fences nothing: what a node
/// that is alone with its database sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Below that of every session.
    pub const NONE: Epoch = Epoch(0);
}

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
    /// One of the three before, or [`Write::RevokeToken`], on behalf of a session. Answer: that write's own, or
    /// [`Written::Superseded`] where the account's epoch is above this one; then nothing is done.
    Fenced {
        /// Whose session.
        user: UserId,
        /// Its number.
        epoch: Epoch,
        /// What it wants.
        write: Box<Write>,
    },
    /// Take over the account's session for a login: its epoch is raised, it is connected, and it is held by this node.
    /// Answer: [`Written::Claimed`] or, with `unless_held`, [`Written::Conflict`].
    Claim {
        /// Whose.
        user: UserId,
        /// By which node.
        node: Arc<str>,
        /// Of the token that the login came with.
        token: TokenHash,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
        /// Whether to leave it where another token's session is connected to a node that was seen within
        /// [`NODE_SILENT_MS`].
        unless_held: bool,
    },
    /// The session lost its connection: from now on it is within its grace. With `ended`: it is over. Answer:
    /// [`Written::Done`], or [`Written::Superseded`] where the account's epoch is above this one.
    Release {
        /// Whose.
        user: UserId,
        /// Which.
        epoch: Epoch,
        /// Whether for good.
        ended: bool,
    },
    /// This node lives. Answer: [`Written::Done`].
    SeeNode {
        /// Which.
        node: Arc<str>,
        /// Whether something that it published may not have been heard.
        unheard: bool,
    },
}

/// A node that was not seen for so long is not connected to anybody.
pub const NODE_SILENT_MS: u64 = 30_000;

/// How long the sessions of a node that is not seen any more go on: they are within their grace, but a node says only now
/// and then that it lives.
#[must_use]
pub fn node_grace(grace: u64) -> u64 {
    grace.max(NODE_SILENT_MS)
}

/// Messages of one connection that keep their order also where storage gives some of them back: after one was answered
/// [`Written::Unavailable`], so is every later one of its flight that goes to the same conversation. Each flight has a higher
/// number than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flight(pub u64);

/// A message to store.
#[derive(Clone, Debug)]
pub struct Append {
    /// Who sends it.
    pub sender: UserId,
    /// In which session: answered [`Written::Superseded`] where the sender's epoch is above this one.
    pub epoch: Epoch,
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
    /// With which others it keeps its order.
    pub flight: Option<Flight>,
}

/// One step of a member's two cursors. Neither ever goes down; logic keeps them within the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// Where.
    pub conversation: ConversationId,
    /// Whose.
    pub user: UserId,
    /// By which session: ignored where the user's epoch is above this one.
    pub epoch: Epoch,
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
        /// Raised by every change of the members; a higher one belongs to a newer list.
        member_version: u32,
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
    /// The session is this node's.
    Claimed {
        /// Its number, above all before it.
        epoch: Epoch,
        /// The session before, if it was still in force: connected, or within its grace.
        before: Option<Holder>,
    },
    /// A newer login has taken over: nothing was done.
    Superseded,
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

/// Who held a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which node.
    pub node: Box<str>,
    /// Of the token that it began with.
    pub token: TokenHash,
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
    /// Ids of all groups. Answer: [`Found::GroupIds`].
    GroupIds {
        /// Whose.
        user: UserId,
    },
    /// Which of these users are online: their session is connected, or lost its connection less than `grace` ago, and
    /// its node was seen less than [`node_grace`] ago. Answer: [`Found::Online`].
    Online {
        /// Of whom.
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
        /// Which node.
        node: Arc<str>,
        /// Since when; [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// A conversation's members and how far each is. Answer: [`Found::Roster`], with `None` where there is no such
    /// conversation.
    Roster {
        /// Of which.
        conversation: ConversationId,
    },
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
    /// Which.
    pub conversation: ConversationId,
    /// Its last message.
    pub last: Seq,
    /// See [`Written::Appended`].
    pub member_version: u32,
}

/// A conversation's members and how far each is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// What it is.
    pub kind: ConversationKind,
    /// Where it ends.
    pub last: Seq,
    /// See [`Written::Appended`].
    pub member_version: u32,
    /// All members by id, each with what was delivered.
    pub members: Vec<(UserId, Seq)>,
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
