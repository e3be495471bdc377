//! Timelines as their members see them: what is on disk, overlaid with the resident tail.

use super::column::{self, seq};
use super::former::{self, Former};
use super::pages::{self, Damage, Wanted};
use super::resident::End;
use super::store::SqliteStore;
use super::view::View;
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::overview::{Columns, Overview};
use crate::page::{is_fed, is_too_long};
use logic::contract::timeline::{self, CursorMove, CursorStep, UnreadCount};
use logic::contract::{Denial, Epoch, Fence, Found, Written};
use rusqlite::{OptionalExtension, Row};
use std::fmt::Display;
use wire::{ConversationId, ConversationKind, Direction, Seq, UserId};

/// The columns of [`overview_of`]: of a conversation and a member.
macro_rules! overview_columns {
    () => {
        "c.id, c.kind, c.low_id, c.high_id, c.last_seq, c.updated_at, \
         max(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1), m.delivered_seq, m.read_seq, \
         m.is_pinned, m.is_muted, m.hidden_seq, c.message_seq, c.has_changes"
    };
}
pub(super) use overview_columns;

/// For `?1 = user`.
macro_rules! overview {
    () => {
        concat!(
            "SELECT ",
            overview_columns!(),
            " FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ?1 AND m.device = 0"
        )
    };
}

impl SqliteStore {
    pub(super) fn write_timeline(&mut self, write: timeline::Write) -> Result<Written, StoreError> {
        match write {
            timeline::Write::MoveCursors(moves) => self.move_cursors(moves),
            timeline::Write::Set { user, conversation, change } => {
                self.set_conversation(user, conversation, change)
            }
            timeline::Write::Clear { user, conversation, upto } => self.clear(user, conversation, upto),
        }
    }

    /// See [`CursorStep::apply`]. Only updates rows, so that a user who is not a member does not become one.
    fn move_cursors(&mut self, mut moves: Vec<CursorMove>) -> Result<Written, StoreError> {
        // In key order; the sort is stable, so moves of one member keep their order.
        moves.sort_by_key(|step| (step.conversation, step.user));
        let reach = "UPDATE member SET delivered_seq = max(delivered_seq, ?3), read_seq = max(read_seq, ?4) \
                     WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0 \
                     AND (delivered_seq < ?3 OR read_seq < ?4)";
        let pass = "UPDATE member SET \
                    delivered_seq = CASE WHEN delivered_seq >= ?3 AND delivered_seq < ?4 THEN ?4 \
                                         ELSE delivered_seq END, \
                    read_seq = CASE WHEN read_seq >= ?3 AND read_seq < ?4 THEN ?4 ELSE read_seq END \
                    WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0 \
                    AND (delivered_seq >= ?3 AND delivered_seq < ?4 OR read_seq >= ?3 AND read_seq < ?4)";
        let (mut reach, mut pass) = (self.conn.prepare_cached(reach)?, self.conn.prepare_cached(pass)?);
        let mut left_out = Vec::new();
        for CursorMove { conversation, user, epoch, step } in moves {
            let fence = Fence { user, epoch };
            if epoch != Epoch::NONE && !self.is_in_force(fence)? {
                left_out.push((conversation, fence));
                continue;
            }
            let (update, a, b) = match step {
                CursorStep::Reach { delivered, read } => (&mut reach, delivered, read),
                CursorStep::Pass { first, last } => (&mut pass, first.prev(), last),
            };
            let moved = update.execute((conversation.0, user.0, a.0 as i64, b.0 as i64));
            // The cursors of a damaged row stay where they are.
            if fault::tolerate(moved.at("member", key_of(conversation, user)))? == Some(0) {
                fault::tolerate(self.move_former(conversation, user, step))?;
            }
        }
        Ok(Written::Timeline(timeline::Written::CursorsMoved { left_out }))
    }
}

/// What a member sees of a timeline.
struct Seen {
    /// The last entry that it does not see.
    above: Seq,
    /// The last entry that it sees, where it is no member any more.
    upto: Option<Seq>,
    /// Whether the timeline has entries that were changed.
    has_changes: bool,
}

impl View<'_> {
    pub(super) fn read_timeline(&mut self, read: &timeline::Read) -> Result<Found, StoreError> {
        let found = match *read {
            timeline::Read::Standing { user, conversation } => {
                let overview = self.overview(user, conversation).at("conversation", conversation)?;
                let standing = match overview {
                    Some(overview) => Some(overview.standing()),
                    None => {
                        let former = former::former(self.conn, conversation, user);
                        former.at("former_member", key_of(conversation, user))?.map(Former::standing)
                    }
                };
                timeline::Found::Standing(standing)
            }
            timeline::Read::View { user, conversation, read } => {
                let overview = self.overview(user, conversation).at("conversation", conversation)?;
                let view = overview.map(|overview| {
                    let overview = overview.read_upto(read);
                    Ok::<_, StoreError>(Box::new(overview.view(self.unread_of(&overview, user)?)))
                });
                timeline::Found::View(view.transpose()?)
            }
            timeline::Read::Unread { user, after } => {
                let page = self.unread_page(user, after).at("member", key_of("any", user))?;
                timeline::Found::Unread(page)
            }
            timeline::Read::Feed { conversation, member, after, limit, bytes } => {
                let seen = match member {
                    Some(user) => {
                        self.seen_by(conversation, user).at("member", key_of(conversation, user))?
                    }
                    None => self.seen_by_all(conversation).at("conversation", conversation)?,
                };
                match seen {
                    Some(Seen { above, upto, has_changes }) => {
                        let reader = member;
                        let wanted = Wanted { conversation, has_changes, with_changes: true, reader, upto };
                        self.feed(wanted, (after, above), limit as usize, bytes)
                            .at("segment", conversation)?
                    }
                    None => timeline::Found::Feed { messages: Vec::new(), more: false, first: Seq(0) },
                }
            }
            timeline::Read::History { user, conversation, direction, limit, with_changes } => {
                match self.overview(user, conversation).at("conversation", conversation)? {
                    Some(overview) => {
                        let has_changes = overview.has_changes;
                        let wanted = Wanted {
                            conversation,
                            has_changes,
                            with_changes,
                            reader: Some(user),
                            upto: None,
                        };
                        self.history(wanted, overview.first, direction, limit as usize)
                            .at("segment", conversation)?
                    }
                    None => return Ok(Found::Denied(Denial::Forbidden)),
                }
            }
            timeline::Read::Conversations { user, before, limit, with_unread, with_last } => {
                let columns = Columns { unread: with_unread, last: with_last };
                let found = self.conversations(user, before, limit as usize, columns);
                let (entries, more) = found.at("listing", key_of("any", user))?;
                timeline::Found::Conversations { entries, more }
            }
            timeline::Read::Count { user, ref ranges } => {
                let counts = self.unread_in(user, ranges)?;
                timeline::Found::Counts(counts)
            }
            timeline::Read::Readers { user, conversation, seq, page } => {
                match self.overview(user, conversation).at("conversation", conversation)? {
                    Some(overview) => self.readers(user, &overview, seq, page)?,
                    None => return Ok(Found::Denied(Denial::Forbidden)),
                }
            }
        };
        Ok(Found::Timeline(found))
    }

    /// `None`: the user is no member, and never was.
    fn seen_by(&self, conversation: ConversationId, user: UserId) -> rusqlite::Result<Option<Seen>> {
        let sql = "SELECT max(m.joined_seq, m.cleared_seq, c.first_seq - 1), c.has_changes \
                   FROM member m JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.conversation_id = ?1 AND m.user_id = ?2 AND m.device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let seen = |row: &Row<'_>| Ok(Seen { above: seq(row, 0)?, upto: None, has_changes: row.get(1)? });
        if let Some(seen) = select.query_row((conversation.0, user.0), seen).optional()? {
            return Ok(Some(seen));
        }
        let Some(Former { above, left, .. }) = former::former(self.conn, conversation, user)? else {
            return Ok(None);
        };
        let seen = self.seen_by_all(conversation)?;
        Ok(seen.map(|seen| Seen { above: seen.above.max(above), upto: Some(left), ..seen }))
    }

    /// What a member sees that has been one from the beginning.
    fn seen_by_all(&self, conversation: ConversationId) -> rusqlite::Result<Option<Seen>> {
        let sql = "SELECT max(first_seq - 1, 0), has_changes FROM conversation WHERE id = ?1";
        let mut select = self.conn.prepare_cached(sql)?;
        let seen = |row: &Row<'_>| Ok(Seen { above: seq(row, 0)?, upto: None, has_changes: row.get(1)? });
        select.query_row([conversation.0], seen).optional()
    }

    /// What `user` has not read; nothing where that is damaged.
    pub(super) fn unread_of(&self, overview: &Overview, user: UserId) -> Result<UnreadCount, StoreError> {
        match overview.unread_question(user) {
            Some(question) => Ok(fault::tolerate(self.unread(&question))?.unwrap_or_default()),
            None => Ok(UnreadCount::default()),
        }
    }

    pub(super) fn overview(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Overview>, StoreError> {
        let end = self.resident.end(conversation);
        let sql = concat!(overview!(), " AND m.conversation_id = ?2");
        let mut select = self.conn.prepare_cached(sql)?;
        let overview = select.query_row((user.0, conversation.0), |row| overview_of(row, user)).optional()?;
        Ok(overview.map(|mut overview| {
            overlay(&mut overview, end);
            overview
        }))
    }

    fn feed(
        &mut self,
        wanted: Wanted,
        (after, above): (Seq, Seq),
        limit: usize,
        bytes: usize,
    ) -> Result<timeline::Found, StoreError> {
        let (limit, is_fed) = (limit.max(1), is_fed(bytes));
        let mut page = pages::after(self, wanted, after.max(above), limit, Damage::IsPassed, is_fed)?;
        wanted.upto.into_iter().for_each(|last| page.end_at(last));
        Ok(timeline::Found::Feed { messages: page.messages, more: page.more, first: above.next() })
    }

    fn history(
        &mut self,
        wanted: Wanted,
        first_seq: Seq,
        direction: Direction,
        limit: usize,
    ) -> Result<timeline::Found, StoreError> {
        let page = match direction {
            Direction::After(bound) => {
                let after = bound.max(first_seq.prev());
                pages::after(self, wanted, after, limit, Damage::Ends, is_too_long())?
            }
            Direction::Before(bound) => {
                let range = pages::Range { wanted, floor: first_seq, before: bound };
                let mut page = pages::before(self, range, limit, is_too_long())?;
                page.messages.reverse();
                page
            }
        };
        Ok(timeline::Found::History { messages: page.messages, more: page.more, first_seq })
    }
}

/// The end in the resident tail is newer. The end is also at least at each cursor, because a cursor points at a message
/// that its member has seen.
pub(super) fn overlay(overview: &mut Overview, end: Option<End>) {
    if let Some(end) = end
        && end.last >= overview.last
    {
        overview.last = end.last;
        if let Some(message) = end.message {
            (overview.last_message, overview.time) = (message.seq, message.time);
        }
    }
    overview.last = overview.last.max(overview.delivered).max(overview.read);
}

/// A direct conversation is created with its first message and is hidden until the outcome of that is published.
pub(super) fn is_published(overview: &Overview) -> bool {
    overview.kind == ConversationKind::Group || overview.last > Seq(0)
}

pub(super) fn overview_of(row: &Row<'_>, user: UserId) -> rusqlite::Result<Overview> {
    let kind = column::kind(row, 1)?;
    let (low, high): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
    let is_notes = kind == ConversationKind::Direct && (low, high) == (Some(user.0), Some(user.0));
    let peer = match (kind, low, high) {
        (ConversationKind::Group, None, None) => None,
        _ if is_notes => None,
        (ConversationKind::Direct, Some(low), Some(high)) if low == user.0 && high != low => Some(high),
        (ConversationKind::Direct, Some(low), Some(high)) if high == user.0 && high != low => Some(low),
        // Not a conversation of this member.
        _ => return Err(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(low.unwrap_or_default()))),
    };
    Ok(Overview {
        conversation: ConversationId(row.get(0)?),
        kind,
        peer: peer.map(UserId),
        notes_of: is_notes.then_some(user),
        last: seq(row, 4)?,
        time: column::time(row, 5)?,
        first: seq(row, 6)?,
        delivered: seq(row, 7)?,
        read: seq(row, 8)?,
        is_pinned: row.get(9)?,
        is_muted: row.get(10)?,
        hidden_at: column::maybe_seq(row, 11)?,
        last_message: seq(row, 12)?,
        has_changes: row.get(13)?,
    })
}

/// The key of a member's row, for the log.
pub(super) fn key_of(conversation: impl Display, user: UserId) -> String {
    format!("({conversation}, {user})")
}
