//! The table `entry`: entries of timelines that are committed with a change of another table, each as a row, until they
//! are filed like the journalled messages around them.
//!
//! ```text
//!   one transaction:  member, conversation, ...  +  entry(conversation, seq)
//!                                                      |--> run --> filing: a page of message_YYYYMM, and the row is deleted
//!                                                      +--> resident tail, with the outcome
//! ```
//!
//! Readers find it in the resident tail or in a page, never in the row.

use super::run::place;
use rusqlite::Connection;
use std::collections::BTreeMap;
use wire::{ConversationId, Seq};

/// Inserts a row; `page` holds the entry alone.
pub fn insert(
    conn: &Connection,
    conversation: ConversationId,
    seq: Seq,
    page: &[u8],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entry (conversation_id, seq, entry) VALUES (?1, ?2, ?3)";
    conn.prepare_cached(sql)?.execute((conversation.0, seq.0 as i64, page))?;
    Ok(())
}

/// The pages of all rows, by place.
pub fn load(conn: &Connection) -> rusqlite::Result<BTreeMap<u64, Vec<u8>>> {
    let mut select = conn.prepare("SELECT conversation_id, seq, entry FROM entry")?;
    let rows = select.query_map([], |row| {
        let (conversation, seq): (u32, i64) = (row.get(0)?, row.get(1)?);
        Ok((place(ConversationId(conversation), Seq(seq as u64)), row.get(2)?))
    })?;
    rows.collect()
}

/// Deletes the rows of `first..=last` of a conversation: they are filed by the open transaction.
pub fn delete(
    conn: &Connection,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM entry WHERE conversation_id = ?1 AND seq BETWEEN ?2 AND ?3";
    conn.prepare_cached(sql)?.execute((conversation.0, first.0 as i64, last.0 as i64))?;
    Ok(())
}
