//! The tables `changed` and `reaction`: entries as changes have left them, and who reacts how.

use super::column::{self, seq};
use crate::changed::{self, Changed, Fetched, ROWS, Reactions};
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::unread::Recalled;
use logic::contract::change::Place;
use rusqlite::{Connection, OptionalExtension, Row};
use std::cmp::Ordering;
use std::sync::Arc;
use wire::limits::REACTION_IDS;
use wire::{ConversationId, Message, Seq, UserId};

/// The columns of [`changed_of`].
macro_rules! changed {
    () => {
        "SELECT seq, change_seq, reactions, content, edit_seq, edited_at, recalled_at FROM changed \
         WHERE conversation_id = ?1 AND seq "
    };
}

/// The first [`ROWS`] rows of `changed` from an entry on. `order`: `Less` where the timeline is read upwards.
pub fn rows(
    conn: &Connection,
    conversation: ConversationId,
    from: Seq,
    order: Ordering,
) -> Result<Fetched, StoreError> {
    let sql = match order {
        Ordering::Less => concat!(changed!(), ">= ?2 ORDER BY seq LIMIT ?3"),
        _ => concat!(changed!(), "<= ?2 ORDER BY seq DESC LIMIT ?3"),
    };
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query((conversation.0, from.0 as i64, ROWS as i64))?;
    let (rows, count) =
        column::undamaged("changed", &mut rows, |row| match (changed_of(row), seq(row, 0)) {
            (Err(error), Ok(at)) if error.sqlite_error_code().is_none() => {
                fault::report(&format!("table `changed`, key {conversation}: {error}"));
                Ok(Changed::withheld(at))
            }
            (changed, _) => changed,
        })?;
    Ok(Fetched { rows, is_complete: count < ROWS })
}

/// The row of an entry; `None`: it was not changed.
pub fn row(conn: &Connection, conversation: ConversationId, seq: Seq) -> Result<Option<Changed>, StoreError> {
    let mut select = conn.prepare_cached(concat!(changed!(), "= ?2"))?;
    select.query_row((conversation.0, seq.0 as i64), changed_of).optional().at("changed", conversation)
}

/// Writes the row of an entry.
pub fn write(conn: &Connection, conversation: ConversationId, row: &Changed) -> rusqlite::Result<()> {
    let sql = "INSERT INTO changed \
               (conversation_id, seq, change_seq, reactions, content, edit_seq, edited_at, recalled_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
               ON CONFLICT DO UPDATE SET change_seq = ?3, reactions = ?4, content = ?5, edit_seq = ?6, \
               edited_at = ?7, recalled_at = ?8";
    let values = (
        conversation.0,
        row.seq.0 as i64,
        row.change.0 as i64,
        row.reactions.to_text(),
        row.content.as_deref(),
        row.edited.map(|told| told.seq.0 as i64),
        row.edited.map(|told| told.time.0 as i64),
        row.recalled.map(|time| time.0 as i64),
    );
    conn.prepare_cached(sql)?.execute(values)?;
    let sql = "UPDATE conversation SET has_changes = 1 WHERE id = ?1 AND has_changes = 0";
    conn.prepare_cached(sql)?.execute([conversation.0])?;
    Ok(())
}

/// Empties the entry that tells of the last edit, if there is one: the change at `by` replaces the text.
pub fn empty_edit(
    conn: &Connection,
    conversation: ConversationId,
    row: &Changed,
    by: Seq,
) -> rusqlite::Result<()> {
    let Some(edit) = row.edited else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO changed (conversation_id, seq, change_seq, content, of_seq) \
               VALUES (?1, ?2, ?3, '', ?4)";
    let values = (conversation.0, edit.seq.0 as i64, by.0 as i64, row.seq.0 as i64);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Notes that the change at `by` recalls a message, which then does not count as unread.
pub fn note_recall(conn: &Connection, message: &Message, by: Seq) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO recalled (conversation_id, seq, change_seq, sender_id, mentions_peer) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let Recalled { seq, sender, mentions_peer } = Recalled::of(message);
    let values = (message.conversation.0, seq.0 as i64, by.0 as i64, sender.0, mentions_peer);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Has the stored text of an entry and those of all its edits, which were emptied, scrubbed.
pub fn scrub(conn: &Connection, conversation: ConversationId, seq: Seq) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO scrub (conversation_id, seq) SELECT ?1, ?2 \
               UNION SELECT conversation_id, seq FROM changed WHERE conversation_id = ?1 AND of_seq = ?2";
    conn.prepare_cached(sql)?.execute((conversation.0, seq.0 as i64))?;
    Ok(())
}

/// Marks the reader's own reactions in a page.
pub fn mark_own(
    conn: &Connection,
    conversation: ConversationId,
    reader: UserId,
    page: &mut [Arc<Message>],
) -> Result<(), StoreError> {
    let reacted =
        |message: &&Arc<Message>| message.changes().is_some_and(|changes| !changes.reactions.is_empty());
    let seqs = || page.iter().filter(reacted).map(|message| message.seq);
    let (Some(first), Some(last)) = (seqs().min(), seqs().max()) else { return Ok(()) };
    let sql = "SELECT seq, reaction FROM reaction \
               WHERE conversation_id = ?1 AND user_id = ?2 AND seq BETWEEN ?3 AND ?4";
    let mut select = conn.prepare_cached(sql)?;
    let values = (conversation.0, reader.0, first.0 as i64, last.0 as i64);
    let own = select.query_map(values, |row| Ok((seq(row, 0)?, row.get(1)?)))?;
    let own = own.collect::<rusqlite::Result<Vec<(Seq, Box<str>)>>>().at("reaction", conversation)?;
    changed::mark_own(page.iter_mut().filter_map(Arc::get_mut), &own);
    Ok(())
}

/// A user's reaction to an entry.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub conversation: ConversationId,
    pub seq: Seq,
    pub user: UserId,
    pub reaction: &'a str,
}

/// The entry that tells of a reaction; `None`: the user does not react so.
pub fn reaction(conn: &Connection, key: Key<'_>) -> rusqlite::Result<Option<Place>> {
    let sql = "SELECT change_seq, created_at FROM reaction \
               WHERE conversation_id = ?1 AND user_id = ?2 AND seq = ?3 AND reaction = ?4";
    let mut select = conn.prepare_cached(sql)?;
    let values = (key.conversation.0, key.user.0, key.seq.0 as i64, key.reaction);
    select.query_row(values, |row| Ok(Place { seq: seq(row, 0)?, time: column::time(row, 1)? })).optional()
}

pub fn add_reaction(conn: &Connection, key: Key<'_>, told: Place) -> rusqlite::Result<()> {
    let sql = "INSERT INTO reaction (conversation_id, user_id, seq, reaction, change_seq, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let place = (told.seq.0 as i64, told.time.0 as i64);
    let values = (key.conversation.0, key.user.0, key.seq.0 as i64, key.reaction, place.0, place.1);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Deletes a reaction. Returns the first users who still react so.
pub fn delete_reaction(conn: &Connection, key: Key<'_>) -> rusqlite::Result<Vec<UserId>> {
    let sql =
        "DELETE FROM reaction WHERE conversation_id = ?1 AND user_id = ?2 AND seq = ?3 AND reaction = ?4";
    let (conversation, at) = (key.conversation.0, key.seq.0 as i64);
    conn.prepare_cached(sql)?.execute((conversation, key.user.0, at, key.reaction))?;
    let sql = "SELECT user_id FROM reaction INDEXED BY reaction_kind \
               WHERE conversation_id = ?1 AND seq = ?2 AND reaction = ?3 ORDER BY change_seq LIMIT ?4";
    let mut select = conn.prepare_cached(sql)?;
    let values = (conversation, at, key.reaction, REACTION_IDS as i64);
    select.query_map(values, |row| row.get(0).map(UserId))?.collect()
}

fn changed_of(row: &Row<'_>) -> rusqlite::Result<Changed> {
    let reactions: String = row.get(2)?;
    let reactions = Reactions::read(&reactions).ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(2, "reactions".to_owned(), rusqlite::types::Type::Text)
    })?;
    let edited = match (column::maybe_seq(row, 4)?, column::maybe_time(row, 5)?) {
        (Some(seq), Some(time)) => Some(Place { seq, time }),
        _ => None,
    };
    let (content, recalled) = (row.get::<_, Option<Box<str>>>(3)?, column::maybe_time(row, 6)?);
    Ok(Changed { seq: seq(row, 0)?, change: seq(row, 1)?, content, edited, recalled, reactions })
}
