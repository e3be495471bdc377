//! The tables `changed` and `reaction`: entries as changes have left them, and who reacts how.

use super::connection::{Connection, rows_of};
use super::failure::{Cause, Failure};
use super::record::{Record, undamaged};
use super::sql::Sql;
use crate::calendar;
use crate::changed::{self, Changed, Reactions};
use crate::column::change_content;
use crate::fault;
use crate::unread::Recalled;
use logic::contract::change::Place;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::limits::REACTION_IDS;
use wire::{Change, ChangeKind, ConversationId, Message, Seq, UserId};

/// The columns of [`changed_of`].
const COLUMNS: &str = "seq, change_seq, reactions, content, edit_seq, edited_at, recalled_at";

/// The rows of `changed` of some entries.
pub fn rows(
    conn: &mut Connection,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
) -> Result<BTreeMap<Seq, Changed>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT {COLUMNS} FROM changed \
             WHERE conversation_id = {conversation} AND seq BETWEEN {first} AND {last}"
        ));
    })?;
    let rows = undamaged(&rows, |row| match (changed_of(row), row.seq(0)) {
        (Err(failure), Ok(seq)) if failure.cause == Cause::Damaged => {
            fault::report(&failure.to_string());
            Ok(Changed::withheld(seq))
        }
        (changed, _) => changed,
    })?;
    Ok(rows.into_iter().map(|changed| (changed.seq, changed)).collect())
}

/// The row of an entry; `None`: it was not changed.
pub fn row(
    conn: &mut Connection,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Changed>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT {COLUMNS} FROM changed WHERE conversation_id = {conversation} AND seq = {seq}"
        ));
    })?;
    rows.first().map(changed_of).transpose()
}

fn changed_of(row: &Record) -> Result<Changed, Failure> {
    let damaged =
        || Failure::damaged("the table `changed`: the reactions of an entry are damaged".to_owned());
    let reactions = Reactions::read(row.text(2)?).ok_or_else(damaged)?;
    let edited = match (row.maybe_seq(4)?, row.maybe_time(5)?) {
        (Some(seq), Some(time)) => Some(Place { seq, time }),
        _ => None,
    };
    let (content, recalled) = (row.maybe_text(3)?.map(Into::into), row.maybe_time(6)?);
    Ok(Changed { seq: row.seq(0)?, change: row.seq(1)?, content, edited, recalled, reactions })
}

/// Adds the statements that write a row.
pub fn write(sql: &mut Sql, conversation: ConversationId, row: &Changed) {
    let Changed { seq, change, content, edited, recalled, reactions } = row;
    let number = |number: Option<u64>| number.map_or("NULL".to_owned(), |number| number.to_string());
    sql.push(format_args!(
        "INSERT INTO changed (conversation_id, seq, change_seq, edit_seq, edited_at, recalled_at, reactions, content) \
         VALUES ({conversation},{seq},{change},{},{},{},",
        number(edited.map(|told| told.seq.0)),
        number(edited.map(|told| told.time.0)),
        number(recalled.map(|time| time.0)),
    ))
    .text(&reactions.to_text())
    .push(",")
    .maybe_text(content.as_deref())
    .push(
        ") ON DUPLICATE KEY UPDATE change_seq = VALUES(change_seq), reactions = VALUES(reactions), \
         content = VALUES(content), edit_seq = VALUES(edit_seq), edited_at = VALUES(edited_at), \
         recalled_at = VALUES(recalled_at)",
    )
    .end();
}

/// Adds the statement that empties the entry which tells of the last edit, if there is one.
pub fn empty_edit(sql: &mut Sql, conversation: ConversationId, row: &Changed) {
    let Some(edit) = row.edited else { return };
    let change = Change { of: row.seq, kind: ChangeKind::Edit };
    sql.push(format_args!("UPDATE message_{:06} SET content = ", calendar::month_of(edit.time)))
        .text(&change_content(change, ""))
        .push(format_args!(" WHERE conversation_id = {conversation} AND seq = {}", edit.seq))
        .end();
}

/// Adds the statement that takes the text of a stored message away.
pub fn empty(sql: &mut Sql, message: &Message) {
    let Message { conversation, seq, time, .. } = message;
    sql.statement(format_args!(
        "UPDATE message_{:06} SET content = '', refs = NULL WHERE conversation_id = {conversation} AND seq = {seq}",
        calendar::month_of(*time)
    ));
}

/// Notes that the change at `by` recalls a message, which then does not count as unread.
pub fn note_recall(sql: &mut Sql, message: &Message, by: Seq) {
    let Recalled { seq, sender, mentions_peer } = Recalled::of(message);
    sql.statement(format_args!(
        "INSERT INTO recalled (conversation_id, seq, change_seq, sender_id, mentions_peer) \
         VALUES ({},{seq},{by},{sender},{})",
        message.conversation,
        u8::from(mentions_peer)
    ));
}

/// Marks the reader's own reactions in a page.
pub fn mark_own(
    conn: &mut Connection,
    conversation: ConversationId,
    reader: UserId,
    page: &mut [Arc<Message>],
) -> Result<(), Failure> {
    let reacted =
        |message: &&Arc<Message>| message.changes().is_some_and(|changes| !changes.reactions.is_empty());
    let seqs = || page.iter().filter(reacted).map(|message| message.seq);
    let (Some(first), Some(last)) = (seqs().min(), seqs().max()) else { return Ok(()) };
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT seq, reaction FROM reaction FORCE INDEX (PRIMARY) WHERE conversation_id = {conversation} \
             AND user_id = {reader} AND seq BETWEEN {first} AND {last}"
        ));
    })?;
    let own = rows.iter().map(|row| Ok((row.seq(0)?, row.text(1)?.into())));
    let own = own.collect::<Result<Vec<(Seq, Box<str>)>, Failure>>()?;
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

/// Adds the statement that asks for the entry that tells of a reaction.
pub fn ask_reaction(sql: &mut Sql, key: Key<'_>) {
    sql.push("SELECT change_seq, created_at FROM reaction FORCE INDEX (PRIMARY) ");
    of_key(sql, key);
    sql.end();
}

/// The answer; `None`: the user does not react so.
pub fn reaction(rows: &[Record]) -> Result<Option<Place>, Failure> {
    rows.first().map(|row| Ok(Place { seq: row.seq(0)?, time: row.time(1)? })).transpose()
}

pub fn add_reaction(sql: &mut Sql, key: Key<'_>, told: Place) {
    let Key { conversation, seq, user, reaction } = key;
    sql.push(format_args!(
        "INSERT INTO reaction (conversation_id, user_id, seq, reaction, change_seq, created_at) \
         VALUES ({conversation},{user},{seq},"
    ))
    .bytes(reaction.as_bytes())
    .push(format_args!(",{},{})", told.seq, told.time))
    .end();
}

pub fn delete_reaction(sql: &mut Sql, key: Key<'_>) {
    sql.push("DELETE FROM reaction ");
    of_key(sql, key);
    sql.end();
}

fn of_key(sql: &mut Sql, key: Key<'_>) {
    let Key { conversation, seq, user, reaction } = key;
    sql.push(format_args!(
        "WHERE conversation_id = {conversation} AND user_id = {user} AND seq = {seq} AND reaction = "
    ))
    .bytes(reaction.as_bytes());
}

/// The first users who react so, without the user of the key.
pub fn first_others(conn: &mut Connection, key: Key<'_>) -> Result<Vec<UserId>, Failure> {
    let Key { conversation, seq, user, reaction } = key;
    let rows = rows_of(conn, |sql| {
        sql.push(format_args!(
            "SELECT user_id FROM reaction FORCE INDEX (reaction_kind) WHERE conversation_id = {conversation} \
             AND seq = {seq} AND reaction = "
        ))
        .bytes(reaction.as_bytes())
        .push(format_args!(" AND user_id <> {user} ORDER BY change_seq LIMIT {REACTION_IDS}"))
        .end();
    })?;
    rows.iter().map(|row| row.user(0)).collect()
}
