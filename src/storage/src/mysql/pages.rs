//! Reading a timeline: its monthly tables by segments.

use super::changed;
use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::calendar::Month;
use crate::changed::Changed;
use crate::column::{Sort, Texts};
use crate::page::Page;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use wire::message::is_server_cid;
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

/// Rows of the first and of later round trips: messages may be long, and a few of them fill a page.
const SLICE_FIRST: usize = 32;
const SLICE_MAX: usize = 256;

/// What is wanted of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub conversation: ConversationId,
    /// Leaves out what this user does not see, who is a member or was one.
    pub member: Option<UserId>,
    /// The member for whom it is read; `None`: several.
    pub reader: Option<UserId>,
    /// Whether entries are wanted as changes have left them, not as they were stored.
    pub as_they_are: bool,
    /// Whether the entries that tell of changes are wanted.
    pub with_changes: bool,
}

impl Wanted {
    /// All entries as they were stored.
    pub fn as_stored(conversation: ConversationId) -> Wanted {
        Wanted { conversation, member: None, reader: None, as_they_are: false, with_changes: true }
    }
}

/// Messages above `after`, in order, up to the end or the first one for which `enough` returns true (which is left
/// out).
pub fn after(
    conn: &mut Connection,
    wanted: Wanted,
    after: Seq,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(conn, wanted)? else { return Ok(page) };
    page.first = outline.unseen.next();
    let mut after = after.max(outline.unseen);
    // The last segment that begins at or below the first message wanted; if there is none, the oldest that is kept.
    let from = outline.segments.iter().rposition(|segment| segment.first <= after.next()).unwrap_or(0);
    let mut take = |message: Message| page.take(Arc::new(message), limit, &mut enough);
    for segment in &outline.segments[from..] {
        let rest = |after| Some(format!("m.seq > {after} ORDER BY m.seq"));
        if outline.read_month(conn, segment.month, limit, &mut after, rest, &mut take)?.is_break() {
            break;
        }
    }
    outline.mark_own(conn, &mut page)?;
    outline.upto.into_iter().for_each(|last| page.end_at(last));
    Ok(page)
}

/// Messages below `before`, the nearest first, down to `floor` or the first one for which `enough` returns true (which
/// is left out).
pub fn before(
    conn: &mut Connection,
    wanted: Wanted,
    mut before: Seq,
    floor: Seq,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(conn, wanted)? else { return Ok(page) };
    let mut take = |message: Message| page.take(Arc::new(message), limit, &mut enough);
    for segment in outline.segments.iter().rev() {
        let rest = |before| {
            let has_more = segment.first < before && before > floor;
            has_more.then(|| format!("m.seq < {before} AND m.seq >= {floor} ORDER BY m.seq DESC"))
        };
        if outline.read_month(conn, segment.month, limit, &mut before, rest, &mut take)?.is_break() {
            break;
        }
    }
    outline.mark_own(conn, &mut page)?;
    Ok(page)
}

/// The start of a month in a conversation.
#[derive(Clone, Copy, Debug)]
struct Segment {
    month: Month,
    first: Seq,
}

/// The data needed to read a conversation's messages.
struct Outline {
    wanted: Wanted,
    kind: ConversationKind,
    /// Whether the timeline has entries that were changed.
    has_changes: bool,
    segments: Vec<Segment>,
    /// The last entry that the member does not see.
    unseen: Seq,
    /// The last entry that it sees, where it is no member any more.
    upto: Option<Seq>,
}

impl Outline {
    /// `None`: there is no such conversation, or the user is no member and never was.
    fn read(conn: &mut Connection, wanted: Wanted) -> Result<Option<Outline>, Failure> {
        let Wanted { conversation, member, .. } = wanted;
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT kind, has_changes, GREATEST(first_seq - 1, 0) FROM conversation WHERE id = {conversation}"
        ))
        .statement(format_args!(
            "SELECT month, first_seq FROM segment WHERE conversation_id = {conversation} ORDER BY month"
        ));
        if let Some(user) = member {
            sql.statement(format_args!(
                "SELECT GREATEST(joined_seq, cleared_seq), NULL FROM member \
                 WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0 UNION ALL \
                 SELECT joined_seq, left_seq FROM former_member \
                 WHERE conversation_id = {conversation} AND user_id = {user}"
            ));
        }
        let answers = conn.ask(&sql)?;
        let [kind, segments, view @ ..] = &answers[..] else { unreachable!("one answer for each statement") };
        let (unseen, upto) = match view {
            [] => (Seq(0), None),
            [view, ..] => match view.rows.first() {
                Some(row) => (row.seq(0)?, row.maybe_seq(1)?),
                None => return Ok(None),
            },
        };
        let Some(kind) = kind.rows.first() else { return Ok(None) };
        let segment = |row: &Record| Ok(Segment { month: row.month(0)?, first: row.seq(1)? });
        let segments = segments.rows.iter().map(segment).collect::<Result<_, Failure>>()?;
        // What was dropped is seen by nobody.
        let unseen = unseen.max(kind.seq(2)?);
        let (kind, has_changes) = (kind.kind(0)?, kind.number(1)? != 0);
        Ok(Some(Outline { wanted, kind, has_changes, segments, unseen, upto }))
    }

    /// Passes the messages of a month to `take`, slice by slice, until it breaks. `limit` is the size of a page. `rest`
    /// returns the condition and order for the rows beyond `place`, or `None` if no more are needed.
    fn read_month(
        &self,
        conn: &mut Connection,
        month: Month,
        limit: usize,
        place: &mut Seq,
        rest: impl Fn(Seq) -> Option<String>,
        take: &mut impl FnMut(Message) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        let mut slice = SLICE_FIRST.min(limit + 1);
        while let Some(which) = rest(*place) {
            let rows = self.slice(conn, month, &which, slice)?;
            let mut changed = self.changed(conn, &rows)?;
            for row in &rows {
                let mut message = self.message(row)?;
                *place = message.seq;
                if let Some(changed) = changed.remove(&message.seq) {
                    let changed = match self.upto {
                        Some(last) => changed.known_at(last),
                        None => changed,
                    };
                    changed.lay_over(&mut message, self.wanted.reader);
                }
                if take(message).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if rows.len() < slice {
                break;
            }
            slice = SLICE_MAX;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The rows of `changed` of these entries.
    fn changed(&self, conn: &mut Connection, rows: &[Record]) -> Result<BTreeMap<Seq, Changed>, Failure> {
        let (Some(one), Some(other)) = (rows.first(), rows.last()) else { return Ok(BTreeMap::new()) };
        if !self.has_changes || !self.wanted.as_they_are {
            return Ok(BTreeMap::new());
        }
        let (one, other) = (one.seq(0)?, other.seq(0)?);
        changed::rows(conn, self.wanted.conversation, one.min(other), one.max(other))
    }

    fn mark_own(&self, conn: &mut Connection, page: &mut Page) -> Result<(), Failure> {
        match self.wanted.reader {
            Some(reader) => changed::mark_own(conn, self.wanted.conversation, reader, &mut page.messages),
            None => Ok(()),
        }
    }

    fn slice(
        &self,
        conn: &mut Connection,
        month: Month,
        which: &str,
        limit: usize,
    ) -> Result<Vec<Record>, Failure> {
        let sorts = match self.wanted.with_changes {
            true => String::new(),
            false => format!(" AND m.status <> {}", Sort::Change.status()),
        };
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT m.seq, m.sender_id, u.name, m.cid, m.type, m.content, m.created_at, m.status, m.refs FROM message_{month:06} m \
             LEFT JOIN user u ON u.id = m.sender_id WHERE m.conversation_id = {}{sorts} AND {which} LIMIT {limit}",
            self.wanted.conversation
        ));
        conn.rows(&sql)
    }

    /// The message of a row.
    fn message(&self, row: &Record) -> Result<Message, Failure> {
        let (from, cid) = (row.user(1)?, row.text(3)?);
        let (sort, references) = (row.sort(7)?, row.maybe_text(8)?);
        let texts = Texts { sort, content_type: row.text(4)?, content: row.text(5)?, references };
        let damaged = || Failure::refused("the further fields of a stored entry are damaged");
        let body = texts.body(from).ok_or_else(damaged)?;
        Ok(Message {
            conversation: self.wanted.conversation,
            kind: self.kind,
            seq: row.seq(0)?,
            from,
            name: row.text(2)?.into(),
            content_type: body.content_type,
            content: body.content,
            extra: body.extra,
            time: row.time(6)?,
            cid: (!is_server_cid(cid)).then(|| cid.into()),
        })
    }
}
