//! Timelines as their members see them: what is on disk, overlaid with the resident tail.

use super::changed;
use super::column::{self, seq, undamaged};
use super::former::{self, Former};
use super::pages::{self, Damage, Wanted};
use super::resident::End;
use super::store::SqliteStore;
use super::view::View;
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::listing::{Part, Place, Scan};
use crate::overview::{Columns, Overview};
use crate::page::{Rows, is_fed, is_too_long};
use logic::contract::timeline::{
    self, CursorMove, CursorStep, UNREAD_MAX, UNREAD_SCAN, Unread, UnreadCount, UnreadPage,
};
use logic::contract::{Denial, Epoch, Fence, Found, Written};
use rusqlite::{OptionalExtension, Row};
use std::fmt::Display;
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ConversationId, ConversationKind, Direction, Seq, UnixMillis, UserId};

/// The columns of [`overview_of`], for `?1 = user`.
macro_rules! overview {
    () => {
        "SELECT c.id, c.kind, c.low_id, c.high_id, c.last_seq, c.updated_at, \
         max(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1), m.delivered_seq, m.read_seq, \
         m.is_pinned, m.is_muted, m.hidden_seq, c.message_seq, c.has_changes \
         FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ?1 AND m.device = 0"
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
                let (all, next) =
                    self.overviews(user, after, UNREAD_SCAN).at("member", key_of("any", user))?;
                let mut page = undelivered(&all, next);
                if after == ConversationId(0) {
                    page.rows.splice(0..0, self.left_behind(user)?);
                }
                timeline::Found::Unread(page)
            }
            timeline::Read::Feed { conversation, member, after, limit, bytes } => {
                let seen = match member {
                    Some(user) => {
                        self.seen_by(conversation, user).at("member", key_of(conversation, user))?
                    }
                    None => {
                        let has_changes = changed::has_changes(self.conn, conversation);
                        let has_changes = has_changes.at("conversation", conversation)?;
                        Some(Seen { above: Seq(0), upto: None, has_changes })
                    }
                };
                match seen {
                    Some(Seen { above, upto, has_changes }) => {
                        let reader = member;
                        let wanted = Wanted { conversation, has_changes, with_changes: true, reader, upto };
                        self.feed(wanted, after.max(above), limit as usize, bytes)
                            .at("segment", conversation)?
                    }
                    None => timeline::Found::Feed { messages: Vec::new(), more: false },
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
        let sql = "SELECT max(m.joined_seq, m.cleared_seq), c.has_changes \
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
        let has_changes = changed::has_changes(self.conn, conversation)?;
        Ok(Some(Seen { above, upto: Some(left), has_changes }))
    }

    /// Conversations of a user with ids above `after`, by id: those of at most `rows` memberships. Also returns the id
    /// above which there may be others; `None`: there are none.
    ///
    /// Their ends are read from the resident tail before the disk, so that a message that is filed in between is seen
    /// in one of the two. (A conversation that was created after the ids were read is left for the next read.)
    pub(super) fn overviews(
        &self,
        user: UserId,
        after: ConversationId,
        rows: usize,
    ) -> Result<(Vec<Overview>, Option<ConversationId>), StoreError> {
        let sql = "SELECT conversation_id FROM member INDEXED BY member_user \
                   WHERE user_id = ?1 AND conversation_id > ?2 AND device = 0 ORDER BY conversation_id LIMIT ?3";
        let mut select = self.conn.prepare_cached(sql)?;
        let most = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut found = select.query((user.0, after.0, most))?;
        let (ids, count) = undamaged("member", &mut found, |row| row.get(0).map(ConversationId))?;
        let Some(upto) = ids.last().copied() else { return Ok((Vec::new(), None)) };
        let next = (count >= rows).then_some(upto);
        let ends = self.resident.ends(ids.iter().copied());
        let sql = concat!(
            overview!(),
            " AND m.conversation_id > ?2 AND m.conversation_id <= ?3 ORDER BY m.conversation_id"
        );
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, after.0, upto.0))?;
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
        Ok((all, next))
    }

    /// The latest conversations below a bound.
    fn conversations(
        &mut self,
        user: UserId,
        before: Option<Place>,
        limit: usize,
        columns: Columns,
    ) -> Result<Rows<ConversationSummary>, StoreError> {
        let mut scan = Scan::new(before, limit);
        // Before the listing, so that a conversation that is relisted in between is seen in one of the two.
        let unlisted = self.resident.unlisted(user, before, limit + 1);
        self.add_to(&mut scan, user, &unlisted)?;
        while let Some(part) = scan.next() {
            let ids = self.listing(user, part, &mut scan)?;
            self.add_to(&mut scan, user, &ids)?;
        }
        let (page, more) = scan.finish();
        Ok((self.summaries(user, &page, columns)?, more))
    }

    /// Reads a part of the listing.
    fn listing(
        &self,
        user: UserId,
        part: Part,
        scan: &mut Scan<Overview>,
    ) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT listed_until, conversation_id FROM listing WHERE user_id = ?1 AND slack = ?2 \
                   AND (listed_until, conversation_id) < (?3, ?4) \
                   ORDER BY listed_until DESC, conversation_id DESC LIMIT ?5";
        let mut select = self.conn.prepare_cached(sql)?;
        let (until, id) = part.below;
        let values = (user.0, part.slack as i64, until.0 as i64, id.0, part.rows as i64);
        let place =
            |row: &Row<'_>| Ok((UnixMillis(row.get::<_, i64>(0)? as u64), ConversationId(row.get(1)?)));
        let rows = select.query_map(values, place)?.collect::<rusqlite::Result<Vec<Place>>>()?;
        scan.read(part, rows.last().filter(|_| rows.len() == part.rows).copied());
        Ok(rows.into_iter().map(|(_, id)| id).collect())
    }

    fn add_to(
        &self,
        scan: &mut Scan<Overview>,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<(), StoreError> {
        for conversation in conversations {
            let overview = self.overview(user, *conversation).at("conversation", *conversation);
            if let Some(overview) = fault::tolerate(overview)?.flatten().filter(is_published) {
                scan.add(overview);
            }
        }
        Ok(())
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

    /// The latest conversations of a new session and those in which it is behind, both limited to a page.
    pub(super) fn of_login(
        &mut self,
        user: UserId,
        limit: usize,
        with_last: bool,
    ) -> Result<(Rows<ConversationSummary>, UnreadPage), StoreError> {
        let columns = Columns { unread: true, last: with_last };
        let (all, next) = self.overviews(user, ConversationId(0), UNREAD_SCAN)?;
        let mut unread = undelivered(&all, next);
        unread.rows.splice(0..0, self.left_behind(user)?);
        if next.is_some() {
            return Ok((self.conversations(user, None, limit, columns)?, unread));
        }
        let mut scan = Scan::new(None, limit);
        all.into_iter().for_each(|overview| scan.add(overview));
        let (page, more) = scan.finish();
        Ok(((self.summaries(user, &page, columns)?, more), unread))
    }

    fn summaries(
        &mut self,
        user: UserId,
        page: &[Overview],
        columns: Columns,
    ) -> Result<Vec<ConversationSummary>, StoreError> {
        let mut summaries = Vec::with_capacity(page.len());
        for overview in page {
            let count = if columns.unread { self.unread_of(overview, user)? } else { UnreadCount::default() };
            let last = match columns.last {
                true => fault::tolerate(self.last_message(overview))?.flatten(),
                false => None,
            };
            let summary = self.entry(overview, count, last).at("conversation", overview.conversation);
            summaries.extend(fault::tolerate(summary)?);
        }
        Ok(summaries)
    }

    /// What `user` has not read; nothing where that is damaged.
    fn unread_of(&self, overview: &Overview, user: UserId) -> Result<UnreadCount, StoreError> {
        match overview.unread_question(user) {
            Some(question) => Ok(fault::tolerate(self.unread(&question))?.unwrap_or_default()),
            None => Ok(UnreadCount::default()),
        }
    }

    /// The last message that the member sees, as it is now.
    fn last_message(&mut self, overview: &Overview) -> Result<Option<LastMessage>, StoreError> {
        let Some(seq) = overview.last_shown() else { return Ok(None) };
        let Overview { conversation, has_changes, .. } = *overview;
        let wanted = Wanted { conversation, has_changes, with_changes: true, reader: None, upto: None };
        let page = pages::after(self, wanted, seq.prev(), 1, Damage::Ends, |_| false);
        let page = page.at("segment", conversation)?;
        let found = page.messages.first().filter(|message| message.seq == seq && message.is_message());
        Ok(found.map(|message| LastMessage::from(&**message)))
    }

    fn entry(
        &mut self,
        overview: &Overview,
        count: UnreadCount,
        last: Option<LastMessage>,
    ) -> Result<ConversationSummary, StoreError> {
        let id = overview.conversation.0;
        let (name, peer_cursors) = match (overview.peer, overview.notes_of) {
            (_, Some(user)) => (Box::from(&*self.names.get(self.conn, user)?), [None; 2]),
            (Some(peer), None) => {
                let sql = "SELECT delivered_seq, read_seq FROM member \
                           WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
                let mut select = self.conn.prepare_cached(sql)?;
                let cursors =
                    select.query_row((id, peer.0), |row| Ok([Some(seq(row, 0)?), Some(seq(row, 1)?)]));
                (Box::from(&*self.names.get(self.conn, peer)?), cursors.optional()?.unwrap_or_default())
            }
            (None, None) => {
                let mut select = self.conn.prepare_cached("SELECT name FROM conversation WHERE id = ?1")?;
                let name: Option<Box<str>> = select.query_row([id], |row| row.get(0))?;
                (name.unwrap_or_default(), [None; 2])
            }
        };
        Ok(overview.entry(name, peer_cursors, count, last))
    }

    fn feed(
        &mut self,
        wanted: Wanted,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<timeline::Found, StoreError> {
        let (limit, is_fed) = (limit.max(1), is_fed(bytes));
        let mut page = pages::after(self, wanted, after, limit, Damage::IsPassed, is_fed)?;
        wanted.upto.into_iter().for_each(|last| page.end_at(last));
        Ok(timeline::Found::Feed { messages: page.messages, more: page.more })
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
fn overlay(overview: &mut Overview, end: Option<End>) {
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
fn is_published(overview: &Overview) -> bool {
    overview.kind == ConversationKind::Group || overview.last > Seq(0)
}

fn overview_of(row: &Row<'_>, user: UserId) -> rusqlite::Result<Overview> {
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

/// A page of conversations in which the member is behind. `next`: where the memberships continue.
fn undelivered(all: &[Overview], next: Option<ConversationId>) -> UnreadPage {
    let mut behind = all.iter().filter(|overview| overview.last > overview.delivered);
    let rows: Vec<Unread> = behind.by_ref().take(UNREAD_MAX).map(|overview| overview.unread()).collect();
    let next = match behind.next() {
        Some(_) => rows.last().map(|last| last.conversation),
        None => next,
    };
    UnreadPage { rows, next }
}

/// The key of a member's row, for the log.
pub(super) fn key_of(conversation: impl Display, user: UserId) -> String {
    format!("({conversation}, {user})")
}
