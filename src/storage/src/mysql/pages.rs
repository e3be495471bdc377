//! Reading a timeline: its monthly tables by segments.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::calendar::Month;
use crate::column::{STATUS_SYSTEM, Texts};
use crate::page::Page;
use std::ops::ControlFlow;
use std::sync::Arc;
use wire::message::is_server_cid;
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

/// Rows of the first and of later round trips: messages may be long, and a few of them fill a page.
const SLICE_FIRST: usize = 32;
const SLICE_MAX: usize = 256;

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub struct From {
    pub conversation: ConversationId,
    /// Leaves out what this member does not see.
    pub member: Option<UserId>,
    pub after: Seq,
}

/// Messages above `after`, in order, up to the end or the first one for which `enough` returns true (which is left
/// out).
pub fn after(
    conn: &mut Connection,
    from: From,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(conn, from.conversation, from.member)? else { return Ok(page) };
    let mut after = from.after.max(outline.unseen);
    // The last segment that begins at or below the first message wanted; if there is none, the oldest that is kept.
    let from = outline.segments.iter().rposition(|segment| segment.first <= after.next()).unwrap_or(0);
    let mut take = |message: Message| page.take(Arc::new(message), limit, &mut enough);
    for segment in &outline.segments[from..] {
        let rest = |after| Some(format!("m.seq > {after} ORDER BY m.seq"));
        if outline.read_month(conn, segment.month, limit, &mut after, rest, &mut take)?.is_break() {
            break;
        }
    }
    Ok(page)
}

/// Messages below `before`, the nearest first, down to `floor` or the first one for which `enough` returns true (which
/// is left out).
pub fn before(
    conn: &mut Connection,
    conversation: ConversationId,
    mut before: Seq,
    floor: Seq,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(conn, conversation, None)? else { return Ok(page) };
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
    conversation: ConversationId,
    kind: ConversationKind,
    segments: Vec<Segment>,
    /// The last entry that the member does not see.
    unseen: Seq,
}

impl Outline {
    /// `None`: there is no such conversation, or the user is no member.
    fn read(
        conn: &mut Connection,
        conversation: ConversationId,
        member: Option<UserId>,
    ) -> Result<Option<Outline>, Failure> {
        let mut sql = Sql::new();
        sql.statement(format_args!("SELECT kind FROM conversation WHERE id = {conversation}")).statement(
            format_args!(
                "SELECT month, first_seq FROM segment WHERE conversation_id = {conversation} ORDER BY month"
            ),
        );
        if let Some(user) = member {
            sql.statement(format_args!(
                "SELECT GREATEST(joined_seq, cleared_seq) FROM member \
                 WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
            ));
        }
        let answers = conn.ask(&sql)?;
        let [kind, segments, view @ ..] = &answers[..] else { unreachable!("one answer for each statement") };
        let unseen = match view {
            [] => Seq(0),
            [view, ..] => match view.rows.first() {
                Some(row) => row.seq(0)?,
                None => return Ok(None),
            },
        };
        let Some(kind) = kind.rows.first() else { return Ok(None) };
        let segment = |row: &Record| Ok(Segment { month: row.month(0)?, first: row.seq(1)? });
        let segments = segments.rows.iter().map(segment).collect::<Result<_, Failure>>()?;
        Ok(Some(Outline { conversation, kind: kind.kind(0)?, segments, unseen }))
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
            for row in &rows {
                let message = self.message(row)?;
                *place = message.seq;
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

    fn slice(
        &self,
        conn: &mut Connection,
        month: Month,
        which: &str,
        limit: usize,
    ) -> Result<Vec<Record>, Failure> {
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT m.seq, m.sender_id, u.name, m.cid, m.type, m.content, m.created_at, m.status, m.refs FROM message_{month:06} m \
             LEFT JOIN user u ON u.id = m.sender_id WHERE m.conversation_id = {} AND {which} LIMIT {limit}",
            self.conversation
        ));
        conn.rows(&sql)
    }

    /// The message of a row.
    fn message(&self, row: &Record) -> Result<Message, Failure> {
        let (from, cid) = (row.user(1)?, row.text(3)?);
        let is_system = row.number(7)? == i64::from(STATUS_SYSTEM);
        let references = row.maybe_text(8)?;
        let texts = Texts { is_system, content_type: row.text(4)?, content: row.text(5)?, references };
        let damaged = || Failure::refused("the further fields of a stored entry are damaged");
        let body = texts.body(from).ok_or_else(damaged)?;
        Ok(Message {
            conversation: self.conversation,
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
