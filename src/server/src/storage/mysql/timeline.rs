//! Reading a timeline: its monthly tables, through the segments.

use super::failure::Failure;
use super::link::Link;
use super::record::Record;
use super::sql::Sql;
use crate::storage::calendar::Month;
use crate::storage::column::kind_of;
use crate::storage::page::Page;
use std::sync::Arc;
use wire::command::is_server_cid;
use wire::{ConversationId, ConversationKind, Message, Seq};

/// Messages that are read at first, and at most, in one round trip: they may be long, and few of them enough.
const SLICE_FIRST: usize = 32;
const SLICE_MAX: usize = 256;

/// Messages above `after`, in order, until `enough` says so of one (which is left out) or the end.
pub fn after(
    link: &mut Link,
    (conversation, after): (ConversationId, Seq),
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(link, conversation)? else { return Ok(page) };
    // The last segment that begins at or below the first message wanted; none: the oldest that is kept.
    let from = outline.segments.iter().rposition(|segment| segment.first <= after.next()).unwrap_or(0);
    let mut after = after;
    for segment in &outline.segments[from..] {
        let mut slice = SLICE_FIRST.min(limit + 1);
        loop {
            let rows =
                outline.slice(link, segment.month, format_args!("m.seq > {after} ORDER BY m.seq"), slice)?;
            for row in &rows {
                let message = outline.message(row)?;
                after = message.seq;
                if page.take(Arc::new(message), limit, &mut enough).is_break() {
                    return Ok(page);
                }
            }
            if rows.len() < slice {
                break;
            }
            slice = SLICE_MAX;
        }
    }
    Ok(page)
}

/// Messages below `before`, the nearest first, down to `floor`, until `enough` says so of one or the beginning.
pub fn before(
    link: &mut Link,
    (conversation, before): (ConversationId, Seq),
    floor: Seq,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let Some(outline) = Outline::read(link, conversation)? else { return Ok(page) };
    let mut before = before;
    for segment in outline.segments.iter().rev() {
        let mut slice = SLICE_FIRST.min(limit + 1);
        while segment.first < before && before > floor {
            let bounds = format_args!("m.seq < {before} AND m.seq >= {floor} ORDER BY m.seq DESC");
            let rows = outline.slice(link, segment.month, bounds, slice)?;
            for row in &rows {
                let message = outline.message(row)?;
                before = message.seq;
                if page.take(Arc::new(message), limit, &mut enough).is_break() {
                    return Ok(page);
                }
            }
            if rows.len() < slice {
                break;
            }
            slice = SLICE_MAX;
        }
    }
    Ok(page)
}

/// Where a month of a conversation begins.
#[derive(Clone, Copy, Debug)]
struct Segment {
    month: Month,
    first: Seq,
}

/// What must be known of a conversation to read it.
struct Outline {
    conversation: ConversationId,
    kind: ConversationKind,
    segments: Vec<Segment>,
}

impl Outline {
    fn read(link: &mut Link, conversation: ConversationId) -> Result<Option<Outline>, Failure> {
        let mut sql = Sql::new();
        sql.statement(format_args!("SELECT kind FROM conversation WHERE id = {conversation}")).statement(
            format_args!(
                "SELECT month, first_seq FROM segment WHERE conversation_id = {conversation} ORDER BY month"
            ),
        );
        let answers = link.ask(&sql)?;
        let [kind, segments] = &answers[..] else { unreachable!("an answer a statement") };
        let Some(kind) = kind.rows.first() else { return Ok(None) };
        let segment = |row: &Record| Ok(Segment { month: row.number(0)? as Month, first: row.seq(1)? });
        let segments = segments.rows.iter().map(segment).collect::<Result<_, Failure>>()?;
        Ok(Some(Outline { conversation, kind: kind_of(kind.number(0)? as u8), segments }))
    }

    fn slice(
        &self,
        link: &mut Link,
        month: Month,
        which: std::fmt::Arguments<'_>,
        limit: usize,
    ) -> Result<Vec<Record>, Failure> {
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT m.seq, m.sender_id, u.name, m.cid, m.type, m.content, m.created_at FROM message_{month:06} m \
             LEFT JOIN user u ON u.id = m.sender_id WHERE m.conversation_id = {} AND {which} LIMIT {limit}",
            self.conversation
        ));
        link.rows(&sql)
    }

    /// A row as everybody gets it.
    fn message(&self, row: &Record) -> Result<Message, Failure> {
        let cid = row.text(3)?;
        let content_type = match row.text(4)? {
            wire::message::TEXT => wire::message::TEXT.into(),
            other => other.to_owned().into(),
        };
        Ok(Message {
            conversation: self.conversation,
            kind: self.kind,
            seq: row.seq(0)?,
            from: row.user(1)?,
            name: row.text(2)?.into(),
            content_type,
            content: row.text(5)?.into(),
            time: row.time(6)?,
            cid: (!is_server_cid(cid)).then(|| cid.into()),
        })
    }
}
