//! Reading a timeline: its monthly tables by segments, then the resident tail.

use super::changed;
use super::codec::{Bytes, Entry, open_page};
use super::column;
use super::dropper::{first_kept, leave_out_dropped};
use super::name_cache::NameCache;
use super::run::{SEQ_MAX, parts, place};
use super::view::View;
use crate::calendar::Month;
use crate::changed::Overlay;
use crate::column::{Sort, Texts};
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::page::Page;
use rusqlite::{Connection, OptionalExtension, Row};
use std::cmp::Ordering;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::Arc;
use wire::message::is_server_cid;
use wire::{ConversationId, Message, Seq, UserId};

/// What is wanted of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub conversation: ConversationId,
    /// Whether it has entries that were changed.
    pub has_changes: bool,
    /// Whether the entries that tell of changes are wanted.
    pub with_changes: bool,
    /// The member for whom it is read; `None`: several.
    pub reader: Option<UserId>,
    /// The last entry that the reader sees, where it is no member any more.
    pub upto: Option<Seq>,
}

/// What to do about messages that are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The page ends before them; if they are the first that are wanted, that is a fault.
    Ends,
    /// They are passed over, for a session that waits for later messages.
    IsPassed,
}

impl Wanted {
    fn includes(&self, entry: &Entry<'_>) -> bool {
        self.with_changes || entry.sort != Sort::Change
    }

    /// How many resident entries a page of `limit` needs.
    fn resident(&self, limit: usize) -> usize {
        if self.with_changes { limit + 1 } else { usize::MAX }
    }

    fn finish(&self, conn: &Connection, page: &mut Page) -> Result<(), StoreError> {
        if self.has_changes {
            leave_out_dropped(conn, self.conversation, &mut page.messages)?;
        }
        match self.reader {
            Some(reader) => changed::mark_own(conn, self.conversation, reader, &mut page.messages),
            None => Ok(()),
        }
    }

    /// A stored entry as changes have left it.
    fn as_it_is(
        &self,
        conn: &Connection,
        overlay: &mut Overlay,
        mut message: Arc<Message>,
    ) -> Result<Arc<Message>, StoreError> {
        let order = overlay.order();
        let row = overlay.row(message.seq, |from| changed::rows(conn, self.conversation, from, order))?;
        if let Some(row) = row {
            let row = match self.upto {
                Some(last) => row.known_at(last),
                None => row,
            };
            row.lay_over(Arc::make_mut(&mut message), self.reader);
        }
        Ok(message)
    }
}

impl Page {
    /// Handles messages that are damaged.
    fn pass(&mut self, what: String, damage: Damage) -> Result<ControlFlow<()>, StoreError> {
        match damage {
            Damage::IsPassed => {
                fault::report(&what);
                Ok(ControlFlow::Continue(()))
            }
            Damage::Ends if self.messages.is_empty() => Err(StoreError::Fault(what)),
            Damage::Ends => {
                self.more = true;
                Ok(ControlFlow::Break(()))
            }
        }
    }
}

/// Messages above `after`, in order, up to the end or the first one for which `enough` returns true (which is left
/// out).
///
/// The resident tail is read before the disk, so nothing is missed in between; a message in both is returned once.
pub fn after(
    view: &mut View<'_>,
    wanted: Wanted,
    after: Seq,
    limit: usize,
    damage: Damage,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, StoreError> {
    let View { conn, resident, names, .. } = view;
    let conversation = wanted.conversation;
    let tail = resident.after(conversation, after, wanted.resident(limit));
    let (mut page, mut overlay) = (Page::default(), Overlay::new(Ordering::Less, wanted.has_changes));
    let stored_end = tail.first().map_or(Seq(SEQ_MAX + 1), |tail_message| tail_message.seq);
    if stored_end > after.next() {
        stored_after(conn, conversation, after, &mut |item| {
            let (seq, entry) = match item {
                Stored::Message(seq, entry) => (seq, entry),
                Stored::Missing(what) => return page.pass(what, damage),
            };
            if seq >= stored_end {
                return Ok(ControlFlow::Break(()));
            }
            if !wanted.includes(&entry) {
                return Ok(ControlFlow::Continue(()));
            }
            match message(conn, names, conversation, seq, entry)? {
                Ok(message) => {
                    Ok(page.take(wanted.as_it_is(conn, &mut overlay, message)?, limit, &mut enough))
                }
                Err(what) => page.pass(what, damage),
            }
        })?;
    }
    for tail_message in tail {
        if page.more {
            break;
        }
        let entry = Bytes::entry_of(tail_message.entry())?;
        if !wanted.includes(&entry) {
            continue;
        }
        let message =
            message(conn, names, conversation, tail_message.seq, entry)?.map_err(StoreError::Fault)?;
        let _ = page.take(wanted.as_it_is(conn, &mut overlay, message)?, limit, &mut enough);
    }
    wanted.finish(conn, &mut page)?;
    Ok(page)
}

/// A part of a timeline: the messages of `floor..before`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub wanted: Wanted,
    pub floor: Seq,
    pub before: Seq,
}

/// The messages of `range`, the latest first, down to its floor or the first one for which `enough` returns true (which
/// is left out).
pub fn before(
    view: &mut View<'_>,
    range: Range,
    limit: usize,
    mut enough: impl FnMut(&Message) -> bool,
) -> Result<Page, StoreError> {
    let Range { wanted, floor, before } = range;
    let View { conn, resident, names, .. } = view;
    let conversation = wanted.conversation;
    let tail = resident.before(conversation, before, wanted.resident(limit));
    let stored_end = tail.first().map_or(before, |tail_message| tail_message.seq);
    let (mut page, mut overlay) = (Page::default(), Overlay::new(Ordering::Greater, wanted.has_changes));
    let mut is_complete = false;
    for tail_message in tail.into_iter().rev() {
        if tail_message.seq < floor {
            is_complete = true;
            break;
        }
        let entry = Bytes::entry_of(tail_message.entry())?;
        if !wanted.includes(&entry) {
            continue;
        }
        let message =
            message(conn, names, conversation, tail_message.seq, entry)?.map_err(StoreError::Fault)?;
        let message = wanted.as_it_is(conn, &mut overlay, message)?;
        if page.take(message, limit, &mut enough).is_break() {
            is_complete = true;
            break;
        }
    }
    if !is_complete {
        stored_before(conn, conversation, stored_end, &mut |item| {
            let (seq, entry) = match item {
                Stored::Message(seq, entry) => (seq, entry),
                Stored::Missing(what) => return page.pass(what, Damage::Ends),
            };
            if seq < floor {
                return Ok(ControlFlow::Break(()));
            }
            if !wanted.includes(&entry) {
                return Ok(ControlFlow::Continue(()));
            }
            match message(conn, names, conversation, seq, entry)? {
                Ok(message) => {
                    Ok(page.take(wanted.as_it_is(conn, &mut overlay, message)?, limit, &mut enough))
                }
                Err(what) => page.pass(what, Damage::Ends),
            }
        })?;
    }
    wanted.finish(conn, &mut page)?;
    Ok(page)
}

/// A filed entry as it was stored.
pub fn filed(
    conn: &Connection,
    names: &mut NameCache,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Arc<Message>, StoreError> {
    let found = find(conn, conversation, seq, |entry| message(conn, names, conversation, seq, entry))?;
    match found.transpose()? {
        Some(message) => message.map_err(StoreError::Fault),
        None => Err(StoreError::Fault(format!("message {seq} is missing"))),
    }
}

/// Passes a filed entry to `each`; `None`: it is not there.
pub fn find<T>(
    conn: &Connection,
    conversation: ConversationId,
    seq: Seq,
    mut each: impl FnMut(Entry<'_>) -> T,
) -> Result<Option<T>, StoreError> {
    let mut found = None;
    stored_after(conn, conversation, seq.prev(), &mut |item| {
        match item {
            Stored::Message(at, entry) if at == seq => found = Some(each(entry)),
            Stored::Message(..) => {}
            Stored::Missing(what) => return Err(StoreError::Fault(what)),
        }
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Whether a filed message can be read.
pub fn is_stored(conn: &Connection, conversation: ConversationId, seq: Seq) -> Result<bool, StoreError> {
    match filed(conn, &mut NameCache::default(), conversation, seq) {
        Ok(_) => Ok(true),
        Err(StoreError::Fault(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The stored page that holds a filed entry, with its month and its key; `None`: it is not filed.
pub fn page_of(
    conn: &Connection,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<(Month, i64, Vec<u8>)>, StoreError> {
    let segments = segments(conn, conversation)?;
    let Some(segment) = segments.iter().rfind(|segment| segment.first <= seq) else { return Ok(None) };
    let sql = format!(
        "SELECT id, page FROM message_{:06} WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        segment.month
    );
    let mut select = conn.prepare_cached(&sql)?;
    let bounds = [Seq(0), seq].map(|seq| place(conversation, seq) as i64);
    let found = select.query_row(bounds, |row| Ok((segment.month, row.get(0)?, row.get(1)?))).optional()?;
    Ok(found)
}

/// The last filed message of a month.
pub fn end(conn: &Connection, conversation: ConversationId, month: Month) -> Result<Seq, StoreError> {
    if month == 0 {
        return Ok(Seq(0));
    }
    let sql = format!(
        "SELECT id, page FROM message_{month:06} WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query([Seq(0), Seq(SEQ_MAX)].map(|seq| place(conversation, seq) as i64))?;
    let Some(row) = rows.next()? else { return Ok(Seq(0)) };
    let (first, entries) = page(row).at(&format!("message_{month:06}"), conversation)?;
    Ok(Seq(first.0 + entries.len() as u64).prev())
}

/// What a timeline has on the disk.
pub enum Stored<'a> {
    Message(Seq, Entry<'a>),
    /// Messages that are damaged or not there; the sentence names their place.
    Missing(String),
}

pub type Each<'a> = &'a mut dyn FnMut(Stored<'_>) -> Result<ControlFlow<()>, StoreError>;

/// Passes the filed messages above `after` to `each`, in order.
pub fn stored_after(
    conn: &Connection,
    conversation: ConversationId,
    after: Seq,
    each: Each<'_>,
) -> Result<(), StoreError> {
    let segments = segments(conn, conversation)?;
    // The last segment that begins at or below the first message wanted; if there is none, the oldest that is kept.
    let from = segments.iter().rposition(|segment| segment.first <= after.next()).unwrap_or(0);
    let mut expected = after.next();
    for segment in segments.iter().skip(from) {
        // The page that holds `after + 1` may begin below it.
        let sql = format!(
            "SELECT id, page FROM message_{0:06} WHERE id BETWEEN \
             coalesce((SELECT max(id) FROM message_{0:06} WHERE id BETWEEN ?1 AND ?2), ?2) AND ?3 ORDER BY id",
            segment.month
        );
        let bounds = [Seq(0), Seq(after.next().0.min(SEQ_MAX)), Seq(SEQ_MAX)];
        let Some(mut select) = segment.present(conn, conversation, conn.prepare_cached(&sql))? else {
            continue;
        };
        let mut rows = select.query(bounds.map(|seq| place(conversation, seq) as i64))?;
        while let Some(row) = segment.present(conn, conversation, rows.next())?.flatten() {
            let (mut seq, entries) = match page(row) {
                Ok(page) => page,
                Err(error) => {
                    let missing = missing(segment.month, conversation, page_seq(row)?, &error);
                    if each(Stored::Missing(missing))?.is_break() {
                        return Ok(());
                    }
                    // Said; the next page shows how far it reached.
                    expected = Seq(SEQ_MAX + 1);
                    continue;
                }
            };
            // What was dropped since the segments were read is not missing.
            if seq > expected && seq > first_kept(conn, conversation)? {
                let missing = missing(segment.month, conversation, expected, "not there");
                if each(Stored::Missing(missing))?.is_break() {
                    return Ok(());
                }
            }
            for entry in entries {
                if seq > after && each(Stored::Message(seq, entry))?.is_break() {
                    return Ok(());
                }
                seq = seq.next();
            }
            expected = seq;
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
    // The first message of the page above, if that is known.
    let mut above: Option<Seq> = None;
    for segment in segments(conn, conversation)?.iter().rev().filter(|segment| segment.first < before) {
        let sql = format!(
            "SELECT id, page FROM message_{:06} WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
            segment.month
        );
        let bounds = [Seq(0), Seq(before.prev().0.min(SEQ_MAX))];
        let Some(mut select) = segment.present(conn, conversation, conn.prepare_cached(&sql))? else {
            continue;
        };
        let mut rows = select.query(bounds.map(|seq| place(conversation, seq) as i64))?;
        while let Some(row) = segment.present(conn, conversation, rows.next())?.flatten() {
            let (first, entries) = match page(row) {
                Ok(page) => page,
                Err(error) => {
                    let missing = missing(segment.month, conversation, page_seq(row)?, &error);
                    if each(Stored::Missing(missing))?.is_break() {
                        return Ok(());
                    }
                    above = None;
                    continue;
                }
            };
            let end = Seq(first.0 + entries.len() as u64);
            if let Some(above) = above.filter(|above| *above > end)
                && above > first_kept(conn, conversation)?
            {
                let missing =
                    missing(segment.month, conversation, end, format_args!("not there, up to {above}"));
                if each(Stored::Missing(missing))?.is_break() {
                    return Ok(());
                }
            }
            let below = (first.0..).map(Seq).zip(entries).take_while(|(seq, _)| *seq < before);
            for (seq, entry) in below.collect::<Vec<_>>().into_iter().rev() {
                if each(Stored::Message(seq, entry))?.is_break() {
                    return Ok(());
                }
            }
            above = Some(first);
        }
    }
    Ok(())
}

/// The first seq and the entries of a page, all of them whole.
fn page<'a>(row: &'a Row<'_>) -> Result<(Seq, Vec<Entry<'a>>), StoreError> {
    let key: i64 = row.get(0)?;
    Ok((parts(key as u64).1, entries(key, row.get_ref(1)?.as_blob()?)?))
}

/// The entries of a stored page, all of them whole.
pub fn entries(key: i64, stored: &[u8]) -> Result<Vec<Entry<'_>>, StoreError> {
    let mut bytes = open_page(stored, &[&key.to_le_bytes()])?;
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        entries.push(bytes.entry()?);
    }
    Ok(entries)
}

fn missing(month: Month, conversation: ConversationId, from: Seq, why: impl Display) -> String {
    format!("table `message_{month:06}`, key {conversation}: the messages from {from} on are damaged: {why}")
}

fn page_seq(row: &Row<'_>) -> rusqlite::Result<Seq> {
    let key: i64 = row.get(0)?;
    Ok(parts(key as u64).1)
}

/// The start of a month in a conversation.
#[derive(Clone, Copy, Debug)]
struct Segment {
    month: Month,
    first: Seq,
}

impl Segment {
    /// `None`: the month's table is gone, because the month was dropped since the segments were read.
    fn present<T>(
        &self,
        conn: &Connection,
        conversation: ConversationId,
        found: rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        match found {
            Err(error)
                if error.to_string().contains("no such table")
                    && first_kept(conn, conversation)? > self.first =>
            {
                Ok(None)
            }
            found => found.map(Some),
        }
    }
}

fn segments(conn: &Connection, conversation: ConversationId) -> rusqlite::Result<Vec<Segment>> {
    let sql = "SELECT month, first_seq FROM segment WHERE conversation_id = ?1 ORDER BY month";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([conversation.0], |row| {
        Ok(Segment { month: column::month(row, 0)?, first: column::seq(row, 1)? })
    })?;
    rows.collect()
}

/// The message of a stored entry; the error is a sentence that names an entry which is damaged.
pub fn message(
    conn: &Connection,
    names: &mut NameCache,
    conversation: ConversationId,
    seq: Seq,
    entry: Entry<'_>,
) -> Result<Result<Arc<Message>, String>, StoreError> {
    let Entry { sort, content_type, content, references, .. } = entry;
    let Some(body) = (Texts { sort, content_type, content, references }).body(entry.sender) else {
        return Ok(Err(format!(
            "the timeline of {conversation}: the further fields of entry {seq} are damaged"
        )));
    };
    Ok(Ok(Arc::new(Message {
        conversation,
        kind: entry.kind,
        seq,
        from: entry.sender,
        name: names.get(conn, entry.sender)?,
        content_type: body.content_type,
        content: body.content,
        extra: body.extra,
        time: entry.time,
        cid: (!is_server_cid(entry.cid)).then(|| entry.cid.into()),
    })))
}
