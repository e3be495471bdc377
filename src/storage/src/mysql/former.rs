//! The table `former_member`: who was a member of a group and is not any more, and what it saw.

use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::record::{Record, undamaged};
use super::sql::Sql;
use logic::contract::message::Stored;
use logic::contract::timeline::{CursorStep, Standing, UNREAD_MAX, Unread};
use wire::{ConversationId, ConversationKind, Seq, UserId};

/// Adds the statements that end a membership by the entry `left`: the member's row is gone, and so is its place in the
/// listing.
pub fn end_membership(sql: &mut Sql, user: UserId, left: Stored) {
    let Stored { conversation, seq, time } = left;
    sql.statement(format_args!(
        "INSERT INTO former_member (conversation_id, user_id, joined_seq, left_seq, delivered_seq, left_at) \
         SELECT conversation_id, user_id, GREATEST(joined_seq, cleared_seq), {seq}, delivered_seq, {time} FROM member \
         WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
    ))
    .statement(format_args!("DELETE FROM member WHERE conversation_id = {conversation} AND user_id = {user}"))
    .statement(format_args!(
        "DELETE FROM listing WHERE user_id = {user} AND conversation_id = {conversation} \
         AND slack = (SELECT slack FROM conversation WHERE id = {conversation}) \
         AND listed_until = (SELECT listed_until FROM conversation WHERE id = {conversation})"
    ));
}

/// The standing of a user who has left; `None`: it is a member, or never was one.
pub fn standing(
    conn: &mut Connection,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Standing>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT left_seq, delivered_seq FROM former_member \
             WHERE conversation_id = {conversation} AND user_id = {user}"
        ));
    })?;
    let standing = |row: &Record| {
        let (last, delivered) = (row.seq(0)?, row.seq(1)?);
        let kind = ConversationKind::Group;
        Ok(Standing { kind, peer: None, last, has_left: true, delivered, read: last })
    };
    rows.first().map(standing).transpose()
}

/// Moves the cursor of a user who has left.
pub fn move_cursor(
    conn: &mut Connection,
    conversation: ConversationId,
    user: UserId,
    steps: impl Iterator<Item = CursorStep>,
) -> Result<(), Failure> {
    let Some(Standing { last, delivered: before, .. }) = standing(conn, conversation, user)? else {
        return Ok(());
    };
    let delivered = steps.fold(before, |delivered, step| step.apply(delivered, Seq(0)).0.min(last));
    if delivered <= before {
        return Ok(());
    }
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "UPDATE former_member SET delivered_seq = GREATEST(delivered_seq, {delivered}) \
         WHERE conversation_id = {conversation} AND user_id = {user}"
    ));
    conn.ask(&sql).map(drop)
}

/// Asks for the groups that a user has left and of whose entries it has not received all.
pub fn ask_behind(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!(
        "SELECT conversation_id, left_seq, delivered_seq FROM former_member FORCE INDEX (former_member_behind) \
         WHERE user_id = {user} AND is_behind = 1 ORDER BY conversation_id LIMIT {UNREAD_MAX}"
    ));
}

pub fn behind(rows: &[Record]) -> Result<Vec<Unread>, Failure> {
    undamaged(rows, |row| {
        let (conversation, last, delivered) = (row.conversation(0)?, row.seq(1)?, row.seq(2)?);
        Ok(Unread { conversation, peer: None, delivered, last, has_left: true })
    })
}
