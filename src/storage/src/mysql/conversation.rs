//! How one member sees a conversation: its settings, and where its view of the timeline begins.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use logic::contract::timeline::{Standing, Written as TimelineWritten};
use logic::contract::{Denial, Written};
use wire::timeline::SettingsChange;
use wire::{ConversationId, Seq, UserId};

pub fn set(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
    change: SettingsChange,
) -> Result<Written, Failure> {
    let Some(standing) = lock(conn, user, conversation)? else {
        return Ok(Written::Denied(Denial::Forbidden));
    };
    let SettingsChange { pinned, muted, hidden } = change;
    let flag =
        |column: &str, value: Option<bool>| value.map(|value| format!("{column} = {}", u8::from(value)));
    let hidden = hidden.map(|hidden| match hidden {
        true => format!("hidden_seq = {}", standing.last),
        false => "hidden_seq = NULL".to_owned(),
    });
    let changes: Vec<String> =
        [flag("is_pinned", pinned), flag("is_muted", muted), hidden].into_iter().flatten().collect();
    if !changes.is_empty() {
        update(conn, user, conversation, &changes)?;
    }
    Ok(Written::Done)
}

pub fn clear(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
    upto: Seq,
) -> Result<Written, Failure> {
    let Some(before) = lock(conn, user, conversation)? else {
        return Ok(Written::Denied(Denial::Forbidden));
    };
    let upto = upto.min(before.last);
    let raise = |column: &str| format!("{column} = GREATEST({column}, {upto})");
    update(conn, user, conversation, &["cleared_seq", "delivered_seq", "read_seq"].map(raise))?;
    Ok(Written::Timeline(TimelineWritten::Cleared { upto, before }))
}

/// Locks the member's row and reads its standing; `None`: the user is no member.
fn lock(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Standing>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT delivered_seq, read_seq FROM member FORCE INDEX (PRIMARY) \
         WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0 FOR UPDATE"
    ))
    .statement(format_args!(
        "SELECT kind, NULLIF(IF(low_id = {user}, high_id, low_id), {user}), last_seq FROM conversation WHERE id = {conversation}"
    ));
    let answers = conn.ask(&sql)?;
    let [members, conversations] = &answers[..] else { unreachable!("one answer for each statement") };
    let (Some(member), Some(row)) = (members.rows.first(), conversations.rows.first()) else {
        return Ok(None);
    };
    let standing = |member: &Record, row: &Record| {
        Ok::<_, Failure>(Standing {
            kind: row.kind(0)?,
            peer: row.maybe_user(1)?,
            last: row.seq(2)?,
            has_left: false,
            delivered: member.seq(0)?,
            read: member.seq(1)?,
        })
    };
    standing(member, row).map(Some)
}

fn update(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
    changes: &[String],
) -> Result<(), Failure> {
    let mut sql = Sql::new();
    sql.push("UPDATE member FORCE INDEX (PRIMARY) SET ").list(", ", changes, |sql, change| {
        sql.push(change);
    });
    sql.push(format_args!(" WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"))
        .end();
    conn.ask(&sql).map(drop)
}
