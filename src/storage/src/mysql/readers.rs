//! Who has read a message.

use super::connection::Connection;
use super::failure::Failure;
use super::pages::{self, Wanted};
use super::record::{Record, first, page_of};
use super::sql::Sql;
use crate::overview::Overview;
use logic::contract::timeline::{Found, NoReaders};
use wire::timeline::{Reader, ReadersPage};
use wire::{Page, Seq, UserId};

/// The members who have read the message of `user` at `seq`, as far as cursors are written. Reads the row of each member,
/// and the names of a page.
pub fn readers(
    conn: &mut Connection,
    user: UserId,
    overview: &Overview,
    seq: Seq,
    page: Page,
) -> Result<Found, Failure> {
    let id = overview.conversation;
    let is_in_view = (overview.first..=overview.last).contains(&seq);
    let found = match is_in_view {
        true => pages::after(conn, Wanted::as_stored(id), seq.prev(), 1, |_| false)?.messages,
        false => Vec::new(),
    };
    let entry = found.first().filter(|entry| entry.seq == seq);
    if let Err(why) = NoReaders::check(user, overview.kind, entry.map(|entry| &**entry)) {
        return Ok(Found::NoReaders(why));
    }
    // The members now who were members at that seq, without its sender.
    let recipients =
        format!("m.conversation_id = {id} AND m.device = 0 AND m.joined_seq < {seq} AND m.user_id <> {user}");
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT COUNT(IF(m.read_seq >= {seq}, 1, NULL)), COUNT(*) FROM member m FORCE INDEX (PRIMARY) \
         WHERE {recipients}"
    ))
    .statement(format_args!(
        "SELECT u.id, u.name FROM member m FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = m.user_id \
         WHERE {recipients} AND m.read_seq >= {seq} AND m.user_id > {} ORDER BY m.user_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
    let answers = conn.ask(&sql)?;
    let [counts, rows] = &answers[..] else { unreachable!("one answer for each statement") };
    let counts = first(&counts.rows)?;
    let reader = |row: &Record| Ok(Reader { id: row.user(0)?, name: row.text(1)?.into() });
    let (readers, more) = page_of(&rows.rows, page.limit as usize, reader)?;
    let (count, of) = (counts.unsigned(0)?, counts.unsigned(1)?);
    Ok(Found::Readers(Box::new(ReadersPage { readers, count, of, more })))
}
