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

use super::codec::Bytes;
use super::column::undamaged;
use super::run::{SEQ_MAX, parts, place};
use crate::error::StoreError;
use crate::fault;
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

/// The pages of all rows, by place. Damaged ones are logged and set aside.
pub fn load(conn: &Connection) -> Result<BTreeMap<u64, Vec<u8>>, StoreError> {
    let mut select = conn.prepare("SELECT conversation_id, seq, entry FROM entry")?;
    let (rows, _) = undamaged("entry", &mut select.query([])?, |row| {
        let (conversation, seq): (u32, i64) = (row.get(0)?, row.get(1)?);
        let seq = u64::try_from(seq).ok().filter(|seq| *seq <= SEQ_MAX);
        let seq = seq.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, i64::MAX))?;
        // A value that is no blob is as damaged as one that is no entry.
        Ok((place(ConversationId(conversation), Seq(seq)), row.get::<_, Vec<u8>>(2).unwrap_or_default()))
    })?;
    let (whole, damaged): (BTreeMap<_, _>, BTreeMap<_, _>) = rows
        .into_iter()
        .partition(|(_, page)| Bytes::open(page).and_then(|mut bytes| bytes.entry().map(drop)).is_ok());
    for (place, page) in damaged {
        let (conversation, seq) = parts(place);
        set_aside(conn, conversation, seq, seq, &page)?;
        fault::report(&format!(
            "table `entry`, key ({conversation}, {seq}): the entry is damaged; it is kept in the table `message_unfiled`"
        ));
    }
    Ok(whole)
}

/// Keeps `first..=last` of a conversation, which cannot be filed, in a table of their own for a repair by hand. Their
/// seqs are never given again.
pub fn set_aside(
    conn: &Connection,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
    page: &[u8],
) -> rusqlite::Result<()> {
    delete(conn, conversation, first, last)?;
    let sql = "UPDATE conversation SET uncounted = uncounted + max(?2 - last_seq, 0), \
               last_seq = max(last_seq, ?2) WHERE id = ?1";
    conn.execute(sql, (conversation.0, last.0 as i64))?;
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS message_unfiled (id INTEGER PRIMARY KEY, page BLOB NOT NULL)",
    )?;
    let id = place(conversation, first) as i64;
    conn.execute("INSERT OR REPLACE INTO message_unfiled VALUES (?1, ?2)", (id, page))?;
    Ok(())
}

/// Deletes the rows of `first..=last` of a conversation, which the open transaction stores elsewhere.
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
