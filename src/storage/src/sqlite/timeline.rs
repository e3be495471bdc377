//! Timelines as their members see them: what is on disk, overlaid with the resident tail.

use super::column::{self, seq, undamaged};
use super::pages::{self, Damage};
use super::resident::End;
use super::store::SqliteStore;
use super::view::View;
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::overview::Overview;
use crate::page::{Rows, is_fed, is_too_long};
use logic::contract::timeline::{self, CursorMove, CursorStep, UNREAD_MAX, UnreadPage};
use logic::contract::{Denial, Epoch, Fence, Found, Written};
use rusqlite::{OptionalExtension, Row};
use std::cmp::Reverse;
use std::fmt::Display;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Direction, Seq, UnixMillis, UserId};

/// The columns of [`overview_of`], for `?1 = user`.
macro_rules! overview {
    () => {
        "SELECT c.id, c.kind, c.low_id, c.high_id, c.last_seq, c.updated_at, max(c.first_seq, m.joined_seq + 1), \
         m.delivered_seq, m.read_seq \
         FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ?1 AND m.device = 0"
    };
}

impl SqliteStore {
    pub(super) fn write_timeline(&mut self, write: timeline::Write) -> Result<Written, StoreError> {
        match write {
            timeline::Write::MoveCursors(moves) => self.move_cursors(moves),
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
            if epoch != Epoch::NONE && !self.is_in_force(Fence { user, epoch })? {
                left_out.push((conversation, user));
                continue;
            }
            let (update, a, b) = match step {
                CursorStep::Reach { delivered, read } => (&mut reach, delivered, read),
                CursorStep::Pass { first, last } => (&mut pass, first.prev(), last),
            };
            match update
                .execute((conversation.0, user.0, a.0 as i64, b.0 as i64))
                .at("member", key_of(conversation, user))
            {
                // A damaged row costs the others nothing; its cursors stay where they are.
                Err(StoreError::Fault(what)) => fault::report(&what),
                moved => drop(moved?),
            }
        }
        Ok(Written::Timeline(timeline::Written::CursorsMoved { left_out }))
    }
}

impl View<'_> {
    pub(super) fn read_timeline(&mut self, read: &timeline::Read) -> Result<Found, StoreError> {
        let found = match *read {
            timeline::Read::Standing { user, conversation } => {
                let overview = self.overview(user, conversation).at("conversation", conversation)?;
                timeline::Found::Standing(overview.map(Overview::standing))
            }
            timeline::Read::Unread { user, after } => timeline::Found::Unread(unread(
                &self.overviews(user, after).at("member", key_of("any", user))?,
            )),
            timeline::Read::Feed { conversation, after, limit, bytes } => {
                self.feed(conversation, after, limit as usize, bytes).at("segment", conversation)?
            }
            timeline::Read::History { user, conversation, direction, limit } => {
                match self.overview(user, conversation).at("conversation", conversation)? {
                    Some(overview) => {
                        self.history(&overview, direction, limit as usize).at("segment", conversation)?
                    }
                    None => return Ok(Found::Denied(Denial::Forbidden)),
                }
            }
            timeline::Read::Conversations { user, before, limit } => {
                let all = self.overviews(user, ConversationId(0)).at("member", key_of("any", user))?;
                let (entries, more) = self.entries(all, before, limit as usize)?;
                timeline::Found::Conversations { entries, more }
            }
        };
        Ok(Found::Timeline(found))
    }

    /// All conversations of a user with ids above `after`, by id.
    ///
    /// Their ends are read from the resident tail before the disk, so that a message that is filed in between is seen
    /// in one of the two. (A conversation that was created after the ids were read is left for the next read.)
    pub(super) fn overviews(&self, user: UserId, after: ConversationId) -> Result<Vec<Overview>, StoreError> {
        let sql = "SELECT conversation_id FROM member WHERE user_id = ?1 AND conversation_id > ?2 AND device = 0 \
                   ORDER BY conversation_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, after.0))?;
        let (ids, _) = undamaged("member", &mut rows, |row| row.get(0).map(ConversationId))?;
        let ends = self.resident.ends(ids.iter().copied());
        let sql = concat!(overview!(), " AND m.conversation_id > ?2 ORDER BY m.conversation_id");
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, after.0))?;
        let (overviews, _) = undamaged("conversation", &mut rows, |row| overview_of(row, user))?;
        let mut known = ids.into_iter().zip(ends).peekable();
        let mut all = Vec::new();
        for mut overview in overviews {
            while known.next_if(|(id, _)| *id < overview.conversation).is_some() {}
            let Some((_, end)) = known.next_if(|(id, _)| *id == overview.conversation) else { continue };
            overlay(&mut overview, end);
            if is_published(&overview) {
                all.push(overview);
            }
        }
        Ok(all)
    }

    fn overview(&self, user: UserId, conversation: ConversationId) -> Result<Option<Overview>, StoreError> {
        let end = self.resident.end(conversation);
        let sql = concat!(overview!(), " AND m.conversation_id = ?2");
        let mut select = self.conn.prepare_cached(sql)?;
        let overview = select.query_row((user.0, conversation.0), |row| overview_of(row, user)).optional()?;
        Ok(overview.map(|mut overview| {
            overlay(&mut overview, end);
            overview
        }))
    }

    /// The latest conversations below a bound.
    pub(super) fn entries(
        &mut self,
        mut all: Vec<Overview>,
        before: Option<(UnixMillis, ConversationId)>,
        limit: usize,
    ) -> Result<Rows<ConversationSummary>, StoreError> {
        let place = |overview: &Overview| (overview.time, overview.conversation);
        if let Some(before) = before {
            all.retain(|overview| place(overview) < before);
        }
        let latest_first = |overview: &Overview| Reverse(place(overview));
        let more = all.len() > limit;
        if more {
            all.select_nth_unstable_by_key(limit, latest_first);
            all.truncate(limit);
        }
        all.sort_unstable_by_key(latest_first);
        let mut entries = Vec::with_capacity(all.len());
        for overview in &all {
            match self.entry(overview).at("conversation", overview.conversation) {
                Err(StoreError::Fault(what)) => fault::report(&what),
                entry => entries.push(entry?),
            }
        }
        Ok((entries, more))
    }

    fn entry(&mut self, overview: &Overview) -> Result<ConversationSummary, StoreError> {
        let id = overview.conversation.0;
        let (name, peer_cursors) = match overview.peer {
            Some(peer) => {
                let sql = "SELECT delivered_seq, read_seq FROM member \
                           WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
                let mut select = self.conn.prepare_cached(sql)?;
                let cursors =
                    select.query_row((id, peer.0), |row| Ok([Some(seq(row, 0)?), Some(seq(row, 1)?)]));
                (Box::from(&*self.names.get(self.conn, peer)?), cursors.optional()?.unwrap_or_default())
            }
            None => {
                let mut select = self.conn.prepare_cached("SELECT name FROM conversation WHERE id = ?1")?;
                let name: Option<Box<str>> = select.query_row([id], |row| row.get(0))?;
                (name.unwrap_or_default(), [None; 2])
            }
        };
        Ok(overview.entry(name, peer_cursors))
    }

    fn feed(
        &mut self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<timeline::Found, StoreError> {
        let (limit, is_fed) = (limit.max(1), is_fed(bytes));
        let page = pages::after(self, conversation, after, limit, Damage::IsPassed, is_fed)?;
        Ok(timeline::Found::Feed { messages: page.messages, more: page.more })
    }

    fn history(
        &mut self,
        overview: &Overview,
        direction: Direction,
        limit: usize,
    ) -> Result<timeline::Found, StoreError> {
        let first_seq = overview.first;
        let id = overview.conversation;
        let page = match direction {
            Direction::After(bound) => {
                let after = bound.max(first_seq.prev());
                pages::after(self, id, after, limit, Damage::Ends, is_too_long())?
            }
            Direction::Before(bound) => {
                let range = pages::Range { conversation: id, floor: first_seq, before: bound };
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
fn overlay(overview: &mut Overview, end: Option<End>) {
    if let Some(end) = end
        && end.last >= overview.last
    {
        (overview.last, overview.time) = (end.last, end.time);
    }
    overview.last = overview.last.max(overview.delivered).max(overview.read);
}

/// A direct conversation is created with its first message and is hidden until the outcome of that is published.
fn is_published(overview: &Overview) -> bool {
    overview.kind == ConversationKind::Group || overview.last > Seq(0)
}

fn overview_of(row: &Row<'_>, user: UserId) -> rusqlite::Result<Overview> {
    let kind = column::kind(row, 1)?;
    let (low, high): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
    let peer = match (kind, low, high) {
        (ConversationKind::Group, None, None) => None,
        (ConversationKind::Direct, Some(low), Some(high)) if low == user.0 && high != low => Some(high),
        (ConversationKind::Direct, Some(low), Some(high)) if high == user.0 && high != low => Some(low),
        // Not a conversation of this member.
        _ => return Err(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(low.unwrap_or_default()))),
    };
    Ok(Overview {
        conversation: ConversationId(row.get(0)?),
        kind,
        peer: peer.map(UserId),
        last: seq(row, 4)?,
        time: column::time(row, 5)?,
        first: seq(row, 6)?,
        delivered: seq(row, 7)?,
        read: seq(row, 8)?,
    })
}

/// The first page of conversations in which the member is behind.
pub(super) fn unread(all: &[Overview]) -> UnreadPage {
    let mut behind = all.iter().filter(|overview| overview.last > overview.delivered);
    let rows = behind.by_ref().take(UNREAD_MAX).map(|overview| overview.unread());
    UnreadPage { rows: rows.collect(), more: behind.next().is_some() }
}

/// The key of a member's row, for the log.
fn key_of(conversation: impl Display, user: UserId) -> String {
    format!("({conversation}, {user})")
}
