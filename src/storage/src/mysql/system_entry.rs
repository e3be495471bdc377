//! System entries of a timeline, which tell of changes that are committed with them.

use super::end::End;
use super::sql::Sql;
use crate::calendar;
use crate::column::{Sort, system_content};
use logic::contract::entry::{Actor, Announcement, Entry};
use logic::contract::message::Stored;
use std::sync::Arc;
use wire::{UnixMillis, UserId};

/// An entry that was stored.
pub fn made(by: &Actor, told: Announcement, stored: Stored, members: Arc<[UserId]>) -> Entry {
    Entry { message: by.entry(told, stored), members }
}

/// Adds the statements that append an entry to the timeline of a group, of which `end` is the end with it. `members`:
/// whether the members change by it.
pub fn append_entry(
    sql: &mut Sql,
    end: &End,
    by: &Actor,
    told: &Announcement,
    stored: Stored,
    members: bool,
    now: UnixMillis,
) {
    let Stored { conversation, seq, time } = stored;
    sql.statement(format_args!(
        "UPDATE conversation SET last_seq = {seq}, month = {}, changed_at = {time}, \
         member_version = member_version + {} WHERE id = {conversation}",
        end.month,
        u8::from(members)
    ));
    if end.entered.is_some() {
        sql.statement(format_args!(
            "INSERT INTO segment (conversation_id, month, first_seq) VALUES ({conversation},{},{seq})",
            end.month
        ));
    }
    insert_entry(sql, by, told, stored, &conversation.to_string(), now);
}

/// Adds the statements that store an entry; `id` is an expression for the id of its conversation.
pub fn insert_entry(
    sql: &mut Sql,
    by: &Actor,
    told: &Announcement,
    stored: Stored,
    id: &str,
    now: UnixMillis,
) {
    let Stored { seq, time, .. } = stored;
    let message = by.entry(told.clone(), stored);
    let content = message.system().map(|system| system_content(system, &message.content));
    sql.push(format_args!(
        "INSERT INTO message_{:06} (conversation_id, seq, sender_id, cid, type, content, status, created_at) \
         VALUES ({id},{seq},{},",
        calendar::month_of(time),
        by.user
    ))
    .bytes(by.cid.as_bytes())
    .push(",")
    .text(told.event.as_str())
    .push(",")
    .text(&content.unwrap_or_default())
    .push(format_args!(",{},{time})", Sort::System.status()))
    .end()
    .push(format_args!(
        "INSERT INTO sent_{:08} (sender_id, cid, conversation_id, seq, created_at) VALUES ({},",
        calendar::day_of(now),
        by.user
    ))
    .bytes(by.cid.as_bytes())
    .push(format_args!(",{id},{seq},{time})"))
    .end();
}
