//! What storage changes, and what comes of it.

use super::{Epoch, Holder, Token, TokenHash};
use std::sync::Arc;
use wire::account::Who;
use wire::message::is_server_cid;
use wire::{ConversationId, ConversationKind, Message, Seq, Target, UnixMillis, UserId};

/// A change to storage.
#[derive(Clone, Debug)]
pub enum Write {
    /// Store a message. Answer: [`Written::Appended`], [`Written::Duplicate`], or a refusal.
    Append(Append),
    /// Move cursors, in this order. Those of who is not (any more) a member are ignored. Answer:
    /// [`Written::CursorsMoved`].
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
    CreateToken { user: UserId, device: Option<Box<str>> },
    /// Log in by token: look it up and extend it. Answer: [`Written::TokenReady`] or [`Written::TokenInvalid`].
    ExtendToken {
        /// As the client sent it.
        token: Box<str>,
    },
    /// Revoke a token. Answer: [`Written::Done`], also where there is none.
    RevokeToken(TokenHash),
    /// Make two users friends. Answer: [`Written::Friends`], [`Written::NotFound`], [`Written::Conflict`] (they are
    /// already) or [`Written::Oneself`].
    AddFriend { user: UserId, who: Who },
    /// Make a group. Answer: [`Written::GroupCreated`].
    CreateGroup { owner: UserId, name: Box<str>, desc: Box<str> },
    /// Become a member of a group. Answer: [`Written::Done`], [`Written::NotFound`] (also for a direct chat) or
    /// [`Written::Conflict`] (is already).
    JoinGroup { user: UserId, conversation: ConversationId },
    /// One of the three before, or [`Write::RevokeToken`], on behalf of a session. Answer: that write's own, or
    /// [`Written::Superseded`] where the account's epoch is above this one; then nothing is done.
    Fenced { user: UserId, epoch: Epoch, write: Box<Write> },
    /// Take over the account's session for a login: its epoch is raised, it is connected, and it is held by this node.
    /// Answer: [`Written::Claimed`] or, with `unless_held`, [`Written::Conflict`].
    Claim {
        user: UserId,
        node: Arc<str>,
        /// Of the token that the login came with.
        token: TokenHash,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
        /// Whether to leave it where another token's session is connected to a node that was seen within
        /// [`super::NODE_SILENT_MS`].
        unless_held: bool,
    },
    /// The session lost its connection: from now on it is within its grace. With `ended`: it is over. Answer:
    /// [`Written::Done`], or [`Written::Superseded`] where the account's epoch is above this one.
    Release { user: UserId, epoch: Epoch, ended: bool },
    /// This node lives. Answer: [`Written::Done`].
    SeeNode {
        node: Arc<str>,
        /// Whether something that it published may not have been heard.
        unheard: bool,
    },
}

/// Messages of one connection that keep their order also where storage gives some of them back: after one was answered
/// [`Written::Unavailable`], so is every later one of its flight that goes to the same conversation. Each flight has a higher
/// number than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flight(pub u64);

/// A message to store.
#[derive(Clone, Debug)]
pub struct Append {
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
    pub content: Box<str>,
    /// With which others it keeps its order.
    pub flight: Option<Flight>,
}

impl Append {
    /// The message as everybody gets it from its place.
    #[must_use]
    pub fn stored_at(
        self,
        (conversation, kind): (ConversationId, ConversationKind),
        seq: Seq,
        time: UnixMillis,
    ) -> Arc<Message> {
        Arc::new(Message {
            conversation,
            kind,
            seq,
            from: self.sender,
            name: self.sender_name,
            content_type: self.content_type,
            content: self.content,
            time,
            cid: (!is_server_cid(&self.cid)).then_some(self.cid),
        })
    }
}

/// One step of a member's two cursors. Neither ever goes down; logic keeps them within the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorMove {
    pub conversation: ConversationId,
    pub user: UserId,
    /// By which session: ignored where the user's epoch is above this one.
    pub epoch: Epoch,
    pub step: CursorStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorStep {
    /// Each up to at least this.
    Reach { delivered: Seq, read: Seq },
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
        seq: Seq,
        /// When it was stored.
        time: UnixMillis,
    },
    /// The cursors are where they were moved to.
    CursorsMoved {
        /// But these, at least one of whose moves came from a session that is over.
        left_out: Vec<(ConversationId, UserId)>,
    },
    /// The account exists.
    AccountCreated {
        user: UserId,
        token: Token,
    },
    /// The token may be used.
    TokenReady {
        user: UserId,
        name: Arc<str>,
        token: Token,
    },
    /// Two users are friends now.
    Friends {
        /// The other one.
        peer: UserId,
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
    Conflict,
    /// The other one would be the same user.
    Oneself,
    /// Storage could not be reached or is full. Nothing is known to be done; what it is may still be found done.
    Unavailable,
}
