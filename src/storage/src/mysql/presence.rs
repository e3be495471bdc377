//! Online users, and what they show to their friends.

use super::claim::{sessions, status};
use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use crate::claim::set_changes_status;
use logic::contract::Written as Answer;
use logic::contract::node::node_grace;
use logic::contract::presence::{Found, Online, Read, Write, Written, of_account};
use wire::{UnixMillis, UserId};

pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Answer, Failure> {
    match write {
        Write::Set { fence, status, grace } => {
            let rows = sessions(conn, fence.user)?;
            let changes = set_changes_status(&rows, fence.epoch, status, *grace, now);
            let mut sql = Sql::new();
            sql.push(format_args!(
                "UPDATE account_session SET is_away = {}, status_at = {now}, status_text = ",
                u8::from(status.is_away)
            ))
            .maybe_text(status.text.as_deref())
            .push(format_args!(" WHERE user_id = {} AND epoch = {}", fence.user, fence.epoch.0))
            .end();
            conn.ask(&sql)?;
            Ok(Answer::Presence(Written::Set { changes }))
        }
        Write::Seen(users) => {
            let mut sql = Sql::new();
            for (user, silent) in users {
                let at = now.0.saturating_sub(*silent);
                sql.statement(format_args!(
                    "UPDATE user SET last_seen_at = GREATEST(last_seen_at, {at}) WHERE id = {user}"
                ));
            }
            conn.ask(&sql)?;
            Ok(Answer::Done)
        }
    }
}

/// The accounts whose rows a write locks before those of sessions.
pub fn accounts_of(write: &Write) -> Vec<UserId> {
    match write {
        Write::Set { fence, .. } => vec![fence.user],
        Write::Seen(users) => users.iter().map(|(user, _)| *user).collect(),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::Online { users, grace } => Ok(Found::Online(online(conn, users, *grace)?)),
    }
}

fn online(conn: &mut Connection, users: &[UserId], grace: u64) -> Result<Vec<Online>, Failure> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let now = conn.now()?.0;
    let (lost_after, seen_after) = (now.saturating_sub(grace), now.saturating_sub(node_grace(grace)));
    let mut sql = Sql::new();
    sql.push(
        "SELECT s.user_id, s.is_away, s.status_text, s.status_at FROM account_session s \
         JOIN node n ON n.name = s.node WHERE s.user_id IN ",
    )
    .set(users)
    .push(format_args!(
        " AND s.end_code IS NULL AND n.seen_at > {seen_after} AND (s.lost_at IS NULL OR s.lost_at > {lost_after}) \
         ORDER BY s.user_id, s.epoch"
    ))
    .end();
    let sessions = conn.rows(&sql)?;
    let sessions = sessions.iter().map(|row| Ok((row.user(0)?, status(row, 1)?)));
    let sessions = sessions.collect::<Result<Vec<_>, Failure>>()?;
    let of_users = sessions.chunk_by(|one, other| one.0 == other.0);
    let online = of_users.filter_map(|of_user| {
        let status = of_account(of_user.iter().map(|(_, set)| set.as_ref()))?;
        Some(Online { user: of_user.first()?.0, status })
    });
    Ok(online.collect())
}
