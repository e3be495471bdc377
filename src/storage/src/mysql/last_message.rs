//! The last messages of a page of conversations, in one round trip.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, undamaged};
use super::sql::Sql;
use crate::calendar::{Month, month_of};
use crate::column::{Sort, Texts};
use crate::overview::Overview;
use std::collections::BTreeMap;
use wire::limits::LAST_CHARS;
use wire::timeline::LastMessage;
use wire::{ConversationId, Seq};

/// The last message that the member sees in each conversation that has one, as it is now: a statement reads it with what
/// changes have made of it.
pub fn of<'a>(
    conn: &mut Connection,
    page: impl Iterator<Item = &'a Overview>,
) -> Result<BTreeMap<ConversationId, LastMessage>, Failure> {
    let mut months: BTreeMap<Month, Vec<(ConversationId, Seq)>> = BTreeMap::new();
    for overview in page {
        // The month in which it was stored is that of the conversation's time.
        if let Some(seq) = overview.last_shown() {
            months.entry(month_of(overview.time)).or_default().push((overview.conversation, seq));
        }
    }
    if months.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut sql = Sql::new();
    for (month, entries) in &months {
        ask(&mut sql, *month, entries);
    }
    let mut all = BTreeMap::new();
    for answer in conn.ask(&sql)? {
        all.extend(undamaged(&answer.rows, last_message)?.into_iter().flatten());
    }
    Ok(all)
}

fn ask(sql: &mut Sql, month: Month, entries: &[(ConversationId, Seq)]) {
    sql.push(format_args!(
        "SELECT m.conversation_id, m.seq, m.sender_id, u.name, m.type, \
         IF(c.recalled_at IS NULL, LEFT(COALESCE(c.content, m.content), {LAST_CHARS}), ''), m.created_at, m.status \
         FROM message_{month:06} m FORCE INDEX (PRIMARY) LEFT JOIN user u ON u.id = m.sender_id \
         LEFT JOIN changed c ON c.conversation_id = m.conversation_id AND c.seq = m.seq WHERE "
    ))
    .list(" OR ", entries, |sql, (conversation, seq)| {
        sql.push(format_args!("m.conversation_id = {conversation} AND m.seq = {seq}"));
    })
    .end();
}

/// `None`: the entry is no message.
fn last_message(row: &Record) -> Result<Option<(ConversationId, LastMessage)>, Failure> {
    let (from, sort) = (row.user(2)?, row.sort(7)?);
    let texts = Texts { sort, content_type: row.text(4)?, content: row.text(5)?, references: None };
    let Some(body) = texts.body(from).filter(|_| sort == Sort::Message) else { return Ok(None) };
    let last = LastMessage {
        seq: row.seq(1)?,
        from,
        name: row.text(3)?.into(),
        content_type: body.content_type.into(),
        content: body.content,
        time: row.time(6)?,
    };
    Ok(Some((row.conversation(0)?, last)))
}
