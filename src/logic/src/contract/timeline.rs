//! Timelines as their members see them: cursors, unread messages, pages.

use super::epoch::{Epoch, Fence};
use std::ops::Add;
use std::sync::Arc;
use wire::timeline::{ConversationSummary, ConversationView, ReadersPage, SettingsChange};
use wire::{ConversationId, ConversationKind, Direction, Message, Page, Seq, UnixMillis, UserId};

#[derive(Clone, Debug)]
pub enum Write {
    /// Moves cursors, in this order. Of who is no member any more, only `delivered` moves, within the view that it had;
    /// moves of others who are no members are ignored. Outcome:
    /// [`Written::CursorsMoved`].
    MoveCursors(Vec<CursorMove>),
    /// Changes a member's settings of a conversation. It is hidden until its next message. Outcome: `Done`, or denied
    /// with `Forbidden`.
    Set { user: UserId, conversation: ConversationId, change: SettingsChange },
    /// Ends a member's view of the timeline up to a seq, at most the end, for good, and moves its cursors there. Outcome:
    /// [`Written::Cleared`], or denied with `Forbidden`.
    Clear { user: UserId, conversation: ConversationId, upto: Seq },
}

#[derive(Clone, Debug)]
pub enum Written {
    CursorsMoved {
        /// The sessions whose moves of a cursor were ignored because they have ended.
        left_out: Vec<(ConversationId, Fence)>,
    },
    Cleared {
        /// What the member does not see any more, within the end of the timeline.
        upto: Seq,
        /// The member's standing before.
        before: Standing,
    },
}

#[derive(Clone, Debug)]
pub enum Read {
    /// A member's standing, or that of somebody who was one. Answer: [`Found::Standing`].
    Standing { user: UserId, conversation: ConversationId },
    /// How a member sees a conversation that it has read up to `read`, or further as stored. Answer: [`Found::View`].
    View { user: UserId, conversation: ConversationId, read: Seq },
    /// Conversations with undelivered messages by id, above `after`: at most [`UNREAD_MAX`], among the next
    /// [`UNREAD_SCAN`] conversations of the user. The first page is preceded by at most [`UNREAD_MAX`] groups of which
    /// the user is no member any more. Answer: [`Found::Unread`].
    Unread { user: UserId, after: ConversationId },
    /// Messages to push to a member that is behind: those above `after`, in order, until `limit` messages or about
    /// `bytes` of content; never empty while there are some. Answer: [`Found::Feed`].
    Feed {
        conversation: ConversationId,
        /// Leaves out what this user does not see, who is a member or was one; `None`: the whole timeline, for several
        /// members.
        member: Option<UserId>,
        after: Seq,
        limit: u32,
        /// Content bytes after which to stop.
        bytes: usize,
    },
    /// A page of a timeline as its member may see it, with or without the entries that tell of changes. Answer:
    /// [`Found::History`], or denied with `Forbidden`.
    History {
        user: UserId,
        conversation: ConversationId,
        direction: Direction,
        limit: u32,
        with_changes: bool,
    },
    /// A page of conversations, latest first. Answer: [`Found::Conversations`].
    Conversations {
        user: UserId,
        /// Only conversations below this time and id.
        before: Option<(UnixMillis, ConversationId)>,
        limit: u32,
        /// Whether to count what is unread; without, the rows say 0.
        with_unread: bool,
        /// Whether the rows show their last messages.
        with_last: bool,
    },
    /// How many messages of others ranges of the user's conversations have, and how many of them mention the user; of a
    /// large range in a group, in the last entries only. Answer: [`Found::Counts`].
    Count { user: UserId, ranges: Vec<CountedRange> },
    /// Who has read the user's own message in a group, with the cursors as stored. Answer: [`Found::Readers`] or
    /// [`Found::NoReaders`], or denied with `Forbidden`. Names are read only for the page.
    Readers { user: UserId, conversation: ConversationId, seq: Seq, page: Page },
}

/// Rows of one [`Read::Unread`] page.
pub const UNREAD_MAX: usize = 1000;
/// Conversations that one [`Read::Unread`] page looks at.
pub const UNREAD_SCAN: usize = 2000;

#[derive(Clone, Debug)]
pub enum Found {
    /// `None`: not a member, and never was.
    Standing(Option<Standing>),
    /// `None`: not a member.
    View(Option<Box<ConversationView>>),
    Unread(UnreadPage),
    Feed {
        /// As they are now, in seq order, contiguous, the first directly above the bound, or above what the member does
        /// not see. Who reacted is left out where they are for several members.
        messages: Vec<Arc<Message>>,
        /// Whether the timeline had messages above these.
        more: bool,
        /// The first entry that the member sees; with several, the first that is kept.
        first: Seq,
    },
    History {
        messages: Vec<Arc<Message>>,
        /// Whether there are others in the requested direction.
        more: bool,
        /// The first message that this member may see.
        first_seq: Seq,
    },
    /// Conversations, latest first.
    Conversations {
        /// With cursors as stored: logic overlays the moves that are not written yet.
        entries: Vec<ConversationSummary>,
        /// Whether there are earlier ones.
        more: bool,
    },
    /// One for each range; `None`: the user is no member.
    Counts(Vec<Option<Counted>>),
    Readers(Box<ReadersPage>),
    NoReaders(NoReaders),
}

/// What a [`CountedRange`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The first entry that the member sees. What the range has below it does not count.
    pub first: Seq,
    pub count: UnreadCount,
}

/// Entries of a conversation above `after`, up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedRange {
    pub conversation: ConversationId,
    pub after: Seq,
    pub last: Seq,
}

/// Messages that a member has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadCount {
    pub unread: u64,
    /// How many of them mention the member.
    pub mentions: u64,
    /// Whether both are lower bounds.
    pub more: bool,
}

/// Why a member is not told who has read an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReaders {
    /// The conversation is a direct one, which has receipts.
    Direct,
    /// There is no such entry, or the member's view begins after it.
    Absent,
    /// The entry is not a message.
    NoMessage,
    /// Somebody else sent the message.
    NotOwn,
}

impl NoReaders {
    /// Decides whether a member may know who has read an entry. `entry`: what the member's view has at that seq.
    pub fn check(user: UserId, kind: ConversationKind, entry: Option<&Message>) -> Result<(), NoReaders> {
        match (kind, entry) {
            (ConversationKind::Direct, _) => Err(NoReaders::Direct),
            (ConversationKind::Group, None) => Err(NoReaders::Absent),
            (ConversationKind::Group, Some(entry)) if !entry.is_message() => Err(NoReaders::NoMessage),
            (ConversationKind::Group, Some(entry)) if entry.from != user => Err(NoReaders::NotOwn),
            (ConversationKind::Group, Some(_)) => Ok(()),
        }
    }
}

impl Add for UnreadCount {
    type Output = UnreadCount;

    fn add(self, other: UnreadCount) -> UnreadCount {
        UnreadCount {
            unread: self.unread + other.unread,
            mentions: self.mentions + other.mentions,
            more: self.more || other.more,
        }
    }
}

/// One step of a member's two cursors. Neither ever decreases; logic keeps them within the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorMove {
    pub conversation: ConversationId,
    pub user: UserId,
    /// Of the session that moves them: the move is ignored once that has ended.
    pub epoch: Epoch,
    pub step: CursorStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorStep {
    /// Raises each cursor to at least this value.
    Reach { delivered: Seq, read: Seq },
    /// The member sent all of `first..=last`: a cursor in `first - 1 .. last` moves to `last`, others stay.
    Pass { first: Seq, last: Seq },
}

impl CursorStep {
    /// The pair `(delivered, read)` after this step.
    #[must_use]
    pub fn apply(self, delivered: Seq, read: Seq) -> (Seq, Seq) {
        match self {
            CursorStep::Reach { delivered: d, read: r } => (delivered.max(d), read.max(r)),
            CursorStep::Pass { first, last } => {
                let pass = |cursor: Seq| if cursor >= first.prev() && cursor < last { last } else { cursor };
                (pass(delivered), pass(read))
            }
        }
    }
}

/// Conversations with undelivered messages, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadPage {
    pub rows: Vec<Unread>,
    /// There may be others above this id. `None`: there are none.
    pub next: Option<ConversationId>,
}

/// A conversation in which a member is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    pub conversation: ConversationId,
    /// The peer of a direct conversation.
    pub peer: Option<UserId>,
    /// The member's cursor.
    pub delivered: Seq,
    /// The end of the timeline, or of what the user saw of it.
    pub last: Seq,
    /// Whether the user is no member any more.
    pub has_left: bool,
}

/// A member's standing in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub kind: ConversationKind,
    /// The peer of a direct conversation.
    pub peer: Option<UserId>,
    /// The end of the timeline, or of what the user saw of it.
    pub last: Seq,
    /// Whether the user is no member any more.
    pub has_left: bool,
    /// The member's cursors, as stored.
    pub delivered: Seq,
    pub read: Seq,
}
