//! Reading a timeline: its monthly tables by segments, then the resident tail.

use super::codec::{Bytes, Entry};
use super::name_cache::NameCache;
use super::resident::Resident;
use super::run::{SEQ_MAX, parts, place};
use crate::calendar::Month;
use crate::column::content_type_of;
use crate::error::StoreError;
use crate::page::Page;
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::sync::Arc;
use wire::message::is_server_cid;
use wire::{ConversationId, Message, Seq, UnixMillis};

/// Messages above `after`, in order, up to the end or the first one for which `enough` returns true (which is left
/// out).
///
/// The resident tail is read before the disk, so nothing is missed in between; a message in both is returned once.
pub fn after(
    conn: &Connection,
    resident: &Resident,
    names: &mut NameCache,
    conversation: ConversationId,
    after: Seq,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, StoreError> {
    let tail = resident.after(conversation, after, limit + 1);
    let mut page = Page::default();
    let stored_end = tail.first().map_or(Seq(SEQ_MAX + 1), |tail_message| tail_message.seq);
    if stored_end > after.next() {
        stored_after(conn, conversation, after, &mut |seq, entry| {
            if seq >= stored_end {
                return Ok(ControlFlow::Break(()));
            }
            let message = message(conn, names, conversation, seq, entry)?;
            Ok(page.take(message, limit, &mut enough))
        })?;
    }
    for tail_message in tail {
        if page.more {
            break;
        }
        let entry = Bytes::entry_of(tail_message.entry())?;
        let message = message(conn, names, conversation, tail_message.seq, entry)?;
        let _ = page.take(message, limit, &mut enough);
    }
    Ok(page)
}

/// A part of a timeline: the messages of `floor..before`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub conversation: ConversationId,
    pub floor: Seq,
    pub before: Seq,
}

/// The messages of `range`, the latest first, down to its floor or the first one for which `enough` returns true (which
/// is left out).
pub fn before(
    conn: &Connection,
    resident: &Resident,
    names: &mut NameCache,
    range: Range,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, StoreError> {
    let Range { conversation, floor, before } = range;
    let tail = resident.before(conversation, before, limit + 1);
    let stored_end = tail.first().map_or(before, |tail_message| tail_message.seq);
    let mut page = Page::default();
    for tail_message in tail.into_iter().rev() {
        if tail_message.seq < floor {
            return Ok(page);
        }
        let entry = Bytes::entry_of(tail_message.entry())?;
        let message = message(conn, names, conversation, tail_message.seq, entry)?;
        if page.take(message, limit, &mut enough).is_break() {
            return Ok(page);
        }
    }
    stored_before(conn, conversation, stored_end, &mut |seq, entry| {
        if seq < floor {
            return Ok(ControlFlow::Break(()));
        }
        let message = message(conn, names, conversation, seq, entry)?;
        Ok(page.take(message, limit, &mut enough))
    })?;
    Ok(page)
}

/// When a filed message was stored.
pub fn time_of(conn: &Connection, conversation: ConversationId, seq: Seq) -> Result<UnixMillis, StoreError> {
    let mut time = None;
    stored_after(conn, conversation, seq.prev(), &mut |found, entry| {
        time = (found == seq).then_some(entry.time);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(time.unwrap_or_default())
}

type Each<'a> = &'a mut dyn FnMut(Seq, Entry<'_>) -> Result<ControlFlow<()>, StoreError>;

/// Passes the filed messages above `after` to `each`, in order.
fn stored_after(
    conn: &Connection,
    conversation: ConversationId,
    after: Seq,
    each: Each<'_>,
) -> Result<(), StoreError> {
    let segments = segments(conn, conversation)?;
    // The last segment that begins at or below the first message wanted; if there is none, the oldest that is kept.
    let from = segments.iter().rposition(|segment| segment.first <= after.next()).unwrap_or(0);
    for segment in segments.iter().skip(from) {
        // The page that holds `after + 1` may begin below it.
        let sql = format!(
            "SELECT id, page FROM message_{0:06} WHERE id BETWEEN \
             coalesce((SELECT max(id) FROM message_{0:06} WHERE id BETWEEN ?1 AND ?2), ?2) AND ?3 ORDER BY id",
            segment.month
        );
        let bounds = [Seq(0), Seq(after.next().0.min(SEQ_MAX)), Seq(SEQ_MAX)];
        let mut select = conn.prepare_cached(&sql)?;
        let mut rows = select.query(bounds.map(|seq| place(conversation, seq) as i64))?;
        while let Some(row) = rows.next()? {
            let mut seq = page_seq(row)?;
            let mut page = Bytes::open(row.get_ref(1)?.as_blob()?)?;
            while !page.is_empty() {
                let entry = page.entry()?;
                if seq > after && each(seq, entry)?.is_break() {
                    return Ok(());
                }
                seq = seq.next();
            }
        }
    }
    Ok(())
}

/// Passes the filed messages below `before` to `each`, the last one first.
fn stored_before(
    conn: &Connection,
    conversation: ConversationId,
    before: Seq,
    each: Each<'_>,
) -> Result<(), StoreError> {
    for segment in segments(conn, conversation)?.iter().rev().filter(|segment| segment.first < before) {
        let sql = format!(
            "SELECT id, page FROM message_{:06} WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
            segment.month
        );
        let bounds = [Seq(0), Seq(before.prev().0.min(SEQ_MAX))];
        let mut select = conn.prepare_cached(&sql)?;
        let mut rows = select.query(bounds.map(|seq| place(conversation, seq) as i64))?;
        while let Some(row) = rows.next()? {
            let mut seq = page_seq(row)?;
            let mut page = Bytes::open(row.get_ref(1)?.as_blob()?)?;
            let mut entries = Vec::new();
            while !page.is_empty() && seq < before {
                entries.push((seq, page.entry()?));
                seq = seq.next();
            }
            for (seq, entry) in entries.into_iter().rev() {
                if each(seq, entry)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn page_seq(row: &rusqlite::Row<'_>) -> rusqlite::Result<Seq> {
    let key: i64 = row.get(0)?;
    Ok(parts(key as u64).1)
}

/// The start of a month in a conversation.
#[derive(Clone, Copy, Debug)]
struct Segment {
    month: Month,
    first: Seq,
}

fn segments(conn: &Connection, conversation: ConversationId) -> rusqlite::Result<Vec<Segment>> {
    let sql = "SELECT month, first_seq FROM segment WHERE conversation_id = ?1 ORDER BY month";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([conversation.0], |row| {
        let first: i64 = row.get(1)?;
        Ok(Segment { month: row.get(0)?, first: Seq(first as u64) })
    })?;
    rows.collect()
}

/// The message of a stored entry.
pub fn message(
    conn: &Connection,
    names: &mut NameCache,
    conversation: ConversationId,
    seq: Seq,
    entry: Entry<'_>,
) -> Result<Arc<Message>, StoreError> {
    Ok(Arc::new(Message {
        conversation,
        kind: entry.kind,
        seq,
        from: entry.sender,
        name: names.get(conn, entry.sender)?,
        content_type: content_type_of(entry.content_type),
        content: entry.content.into(),
        time: entry.time,
        cid: (!is_server_cid(entry.cid)).then(|| entry.cid.into()),
    }))
}
