//! What the index of SEARCH reads.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, undamaged};
use super::retention;
use super::sql::Sql;
use logic::contract::search::{Appended, End, Extent, Found, Mark, Read};
use wire::{ConversationId, UnixMillis};

/// Conversations in one answer.
const APPENDED_MAX: usize = 10_000;
/// How far the times of entries may lie before their commits, milliseconds: as long as a transaction may last.
const OVERLAP_MS: u64 = 5_000;

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    Ok(match *read {
        Read::Ends { after, limit } => Found::Ends(ends(conn, after, limit)?),
        Read::Appended { since } => Found::Appended(Box::new(appended(conn, since)?)),
    })
}

fn ends(conn: &mut Connection, after: ConversationId, limit: u32) -> Result<Vec<End>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT id, first_seq, last_seq FROM conversation WHERE id > {after} ORDER BY id LIMIT {limit}"
    ));
    undamaged(&conn.rows(&sql)?, end)
}

fn end(row: &Record) -> Result<End, Failure> {
    Ok(End { conversation: row.conversation(0)?, first: row.seq(1)?, last: row.seq(2)? })
}

/// A mark is a time. As entries may become visible later than their time says, answers overlap.
fn appended(conn: &mut Connection, since: Mark) -> Result<Appended, Failure> {
    let now = conn.now()?;
    let settled = UnixMillis(now.0.saturating_sub(OVERLAP_MS));
    let settled_mark = Mark(settled.0);
    let dropped = retention::rounds(conn)?;
    if since == Mark::default() {
        let (extent, mark) = (Extent::Unknown, settled_mark);
        return Ok(Appended { ends: Vec::new(), extent, mark, dropped, settled });
    }
    let limit = APPENDED_MAX + 1;
    let mut sql = Sql::new();
    // Each part walks its index and stops at the limit. A conversation is in the part of its later time.
    sql.list(" UNION ALL ", [("updated", ">="), ("changed", ">")], |sql, (column, order)| {
        let other = if column == "updated" { "changed" } else { "updated" };
        sql.push(format_args!(
            "(SELECT id, first_seq, last_seq, {column}_at AS latest FROM conversation \
             FORCE INDEX (conversation_{column}) WHERE {column}_at >= {} AND {column}_at {order} {other}_at \
             ORDER BY {column}_at, id LIMIT {limit})",
            since.0
        ));
    })
    .push(format_args!(" ORDER BY latest, id LIMIT {limit}"))
    .end();
    let rows = conn.rows(&sql)?;
    let more = rows.len() > APPENDED_MAX;
    let rows = &rows[..rows.len().min(APPENDED_MAX)];
    let latest = rows
        .last()
        .map(|row| row.time(3))
        .transpose()?
        .filter(|latest: &UnixMillis| more && latest.0 > since.0);
    let (extent, mark) = match latest {
        Some(latest) => (Extent::Part, Mark(latest.0)),
        // More conversations have one time than an answer holds.
        None if more => (Extent::Unknown, settled_mark),
        None => (Extent::All, settled_mark),
    };
    Ok(Appended { ends: undamaged(rows, end)?, extent, mark: Mark(mark.0.max(1)), dropped, settled })
}
