//! Rows of CONVERSATIONS and of the reply to LOGIN.

use super::column::{self, undamaged};
use super::pages::{self, Damage, Wanted};
use super::resident::End;
use super::snapshot::Snapshot;
use super::timeline::{is_published, overlay, overview_columns, overview_of};
use super::view::View;
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::listing::{Activity, Part, Place, Scan};
use crate::overview::{Columns, Overview};
use crate::page::Rows;
use logic::contract::session::LOGIN_LIST_MAX;
use logic::contract::timeline::{UNREAD_MAX, UNREAD_SCAN, Unread, UnreadCount, UnreadPage};
use rusqlite::{OptionalExtension, Row};
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// The columns of [`row_of`]: those of [`overview_of`], the name of a group, and the cursors of a peer.
macro_rules! row {
    () => {
        concat!(
            "SELECT ",
            overview_columns!(),
            ", c.name, p.delivered_seq, p.read_seq \
         FROM member m JOIN conversation c ON c.id = m.conversation_id \
         LEFT JOIN member p ON p.conversation_id = m.conversation_id AND p.device = 0 \
         AND p.user_id = iif(c.low_id = ?1, c.high_id, c.low_id) WHERE m.user_id = ?1 AND m.device = 0"
        )
    };
}

/// A row of CONVERSATIONS, whose unread messages are not counted yet.
pub struct ConversationRow {
    pub overview: Overview,
    /// An error where this is damaged, which costs nothing but the row of the list.
    shown: rusqlite::Result<Shown>,
}

/// What only a list shows.
struct Shown {
    /// Of a group.
    name: Option<Box<str>>,
    /// The peer's cursors `[delivered, read]` in a direct conversation.
    peer_cursors: [Option<Seq>; 2],
}

impl Activity for ConversationRow {
    fn place(&self) -> Place {
        self.overview.place()
    }
}

/// Memberships of a user, with the ends of their timelines in the resident tail.
pub struct Memberships {
    /// Ordered by the ids.
    ends: Vec<(ConversationId, Option<End>)>,
    after: ConversationId,
    /// The id above which there may be others; `None`: there are none.
    next: Option<ConversationId>,
}

impl Memberships {
    /// Whether these are all.
    pub fn are_complete(&self) -> bool {
        self.next.is_none()
    }
}

impl View<'_> {
    /// Conversations of a user with ids above `after`, by id: those of at most `rows` memberships. Also returns the id
    /// above which there may be others; `None`: there are none.
    pub(super) fn rows(
        &self,
        user: UserId,
        after: ConversationId,
        rows: usize,
    ) -> Result<(Vec<ConversationRow>, Option<ConversationId>), StoreError> {
        let memberships = self.memberships(user, after, rows, |_| {})?;
        Ok((self.rows_of(user, &memberships)?, memberships.next))
    }

    /// The ends are read before the rows, so that a message that is filed in between is seen in one of the two. (A
    /// conversation that was created after the ids were read is left for the next read.) `known` is called with the ids
    /// before anything else is read.
    fn memberships(
        &self,
        user: UserId,
        after: ConversationId,
        rows: usize,
        known: impl FnOnce(&[ConversationId]),
    ) -> Result<Memberships, StoreError> {
        let sql = "SELECT conversation_id FROM member INDEXED BY member_user \
                   WHERE user_id = ?1 AND conversation_id > ?2 AND device = 0 ORDER BY conversation_id LIMIT ?3";
        let mut select = self.conn.prepare_cached(sql)?;
        let most = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut found = select.query((user.0, after.0, most))?;
        let (ids, count) = undamaged("member", &mut found, |row| row.get(0).map(ConversationId))?;
        let next = ids.last().copied().filter(|_| count >= rows);
        known(&ids);
        let ends = self.resident.ends(ids.iter().copied());
        Ok(Memberships { ends: ids.into_iter().zip(ends).collect(), after, next })
    }

    fn rows_of(&self, user: UserId, memberships: &Memberships) -> Result<Vec<ConversationRow>, StoreError> {
        let Memberships { ends, after, .. } = memberships;
        let Some((upto, _)) = ends.last() else { return Ok(Vec::new()) };
        let sql = concat!(
            row!(),
            " AND m.conversation_id > ?2 AND m.conversation_id <= ?3 ORDER BY m.conversation_id"
        );
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, after.0, upto.0))?;
        let (rows, _) = undamaged("conversation", &mut rows, |row| row_of(row, user))?;
        let mut known = ends.iter().peekable();
        let mut all = Vec::with_capacity(rows.len());
        for mut row in rows {
            let overview = &mut row.overview;
            while known.next_if(|(id, _)| *id < overview.conversation).is_some() {}
            let Some((_, end)) = known.next_if(|(id, _)| *id == overview.conversation) else { continue };
            overlay(overview, *end);
            if is_published(overview) {
                all.push(row);
            }
        }
        Ok(all)
    }

    /// The latest conversations below a bound.
    pub(super) fn conversations(
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
        Ok((self.summaries(user, page, columns)?, more))
    }

    /// Reads a part of the listing.
    fn listing(
        &self,
        user: UserId,
        part: Part,
        scan: &mut Scan<ConversationRow>,
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
        scan: &mut Scan<ConversationRow>,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<(), StoreError> {
        for conversation in conversations {
            let row = self.row(user, *conversation).at("conversation", *conversation);
            if let Some(row) = fault::tolerate(row)?.flatten().filter(|row| is_published(&row.overview)) {
                scan.add(row);
            }
        }
        Ok(())
    }

    fn row(&self, user: UserId, conversation: ConversationId) -> rusqlite::Result<Option<ConversationRow>> {
        let end = self.resident.end(conversation);
        let mut select = self.conn.prepare_cached(concat!(row!(), " AND m.conversation_id = ?2"))?;
        let row = select.query_row((user.0, conversation.0), |row| row_of(row, user)).optional()?;
        Ok(row.map(|mut row| {
            overlay(&mut row.overview, end);
            row
        }))
    }

    /// Conversations in which the member is behind, by id.
    pub(super) fn unread_page(&self, user: UserId, after: ConversationId) -> Result<UnreadPage, StoreError> {
        let (rows, next) = self.rows(user, after, UNREAD_SCAN)?;
        let mut page = undelivered(&rows, next);
        if after == ConversationId(0) {
            page.rows.splice(0..0, self.left_behind(user)?);
        }
        Ok(page)
    }

    /// What a login reads first, before its snapshot begins.
    pub(super) fn memberships_of_login(
        &self,
        user: UserId,
        known: impl FnOnce(&[ConversationId]),
    ) -> Result<Memberships, StoreError> {
        self.memberships(user, ConversationId(0), UNREAD_SCAN, known)
    }

    /// The latest conversations of a new session and those in which it is behind, both limited to a page.
    pub(super) fn of_login(
        &mut self,
        user: UserId,
        memberships: &Memberships,
        snapshot: Snapshot<'_>,
        with_last: bool,
    ) -> Result<(Rows<ConversationSummary>, UnreadPage), StoreError> {
        let columns = Columns { unread: true, last: with_last };
        let all = self.rows_of(user, memberships)?;
        let mut unread = undelivered(&all, memberships.next);
        unread.rows.splice(0..0, self.left_behind(user)?);
        if memberships.next.is_some() {
            // This reads the ends anew.
            drop(snapshot);
            return Ok((self.conversations(user, None, LOGIN_LIST_MAX, columns)?, unread));
        }
        let mut scan = Scan::new(None, LOGIN_LIST_MAX);
        all.into_iter().for_each(|row| scan.add(row));
        let (page, more) = scan.finish();
        Ok(((self.summaries(user, page, columns)?, more), unread))
    }

    fn summaries(
        &mut self,
        user: UserId,
        page: Vec<ConversationRow>,
        columns: Columns,
    ) -> Result<Vec<ConversationSummary>, StoreError> {
        let mut summaries = Vec::with_capacity(page.len());
        for row in page {
            let overview = &row.overview;
            let count = if columns.unread { self.unread_of(overview, user)? } else { UnreadCount::default() };
            let last = match columns.last {
                true => fault::tolerate(self.last_message(overview))?.flatten(),
                false => None,
            };
            let conversation = overview.conversation;
            let summary = self.summary(row, count, last).at("conversation", conversation);
            summaries.extend(fault::tolerate(summary)?);
        }
        Ok(summaries)
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

    fn summary(
        &mut self,
        row: ConversationRow,
        count: UnreadCount,
        last: Option<LastMessage>,
    ) -> Result<ConversationSummary, StoreError> {
        let ConversationRow { overview, shown } = row;
        let Shown { name, peer_cursors } = shown?;
        let (name, peer_cursors) = match (overview.notes_of, overview.peer) {
            (Some(user), _) => (Box::from(&*self.names.get(self.conn, user)?), [None; 2]),
            (None, Some(peer)) => (Box::from(&*self.names.get(self.conn, peer)?), peer_cursors),
            (None, None) => (name.unwrap_or_default(), [None; 2]),
        };
        Ok(overview.entry(name, peer_cursors, count, last))
    }
}

fn row_of(row: &Row<'_>, user: UserId) -> rusqlite::Result<ConversationRow> {
    let overview = overview_of(row, user)?;
    let is_group = overview.kind == ConversationKind::Group;
    let shown = || {
        let name = if is_group { row.get(14)? } else { None };
        Ok(Shown { name, peer_cursors: [column::maybe_seq(row, 15)?, column::maybe_seq(row, 16)?] })
    };
    Ok(ConversationRow { overview, shown: shown() })
}

/// A page of conversations in which the member is behind. `next`: where the memberships continue.
fn undelivered(all: &[ConversationRow], next: Option<ConversationId>) -> UnreadPage {
    let mut behind = all.iter().map(|row| row.overview).filter(|overview| overview.last > overview.delivered);
    let rows: Vec<Unread> = behind.by_ref().take(UNREAD_MAX).map(Overview::unread).collect();
    let next = match behind.next() {
        Some(_) => rows.last().map(|last| last.conversation),
        None => next,
    };
    UnreadPage { rows, next }
}
