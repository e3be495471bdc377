//! How far members have come: many cursors in two round trips.

use super::failure::Failure;
use super::link::Link;
use super::session;
use super::sql::{CASE_MAX, Sql};
use logic::contract::timeline::CursorMove;
use logic::contract::{Epoch, Written, timeline};
use std::collections::{BTreeMap, HashMap};
use wire::{ConversationId, Seq, UserId};

/// Where a member stands, `(delivered, read)`.
type Stand = (Seq, Seq);

/// Carries out [`logic::contract::timeline::Write::MoveCursors`]: see [`logic::contract::CursorStep::apply`]. Updates only, so that who
/// is no member stays none; in key order, so that two nodes never wait for each other; and never past the end.
pub fn move_all(link: &mut Link, moves: &[CursorMove]) -> Result<Written, Failure> {
    let fenced = moves.iter().filter(|step| step.epoch != Epoch::NONE).map(|step| step.user);
    let mut fenced = fenced.peekable();
    let mut latest = HashMap::new();
    if fenced.peek().is_some() {
        let mut sql = Sql::new();
        sql.push(session::epochs(fenced)).end();
        latest = session::latest(&link.rows(&sql)?)?;
    }
    let in_force = |step: &&CursorMove| latest.get(&step.user).is_none_or(|latest| *latest <= step.epoch);
    let (mut sorted, left_out): (Vec<&CursorMove>, Vec<_>) = moves.iter().partition(in_force);
    // Moves of one member stay in their order.
    sorted.sort_by_key(|step| (step.conversation, step.user));
    for of_some in
        sorted.chunk_by(|a, b| a.conversation == b.conversation).collect::<Vec<_>>().chunks(CASE_MAX)
    {
        move_some(link, of_some)?;
    }
    let left_out = left_out.into_iter().map(|step| (step.conversation, step.user)).collect();
    Ok(Written::Timeline(timeline::Written::CursorsMoved { left_out }))
}

fn move_some(link: &mut Link, moves: &[&[&CursorMove]]) -> Result<(), Failure> {
    let mut sql = Sql::new();
    sql.push(
        "SELECT conversation_id, user_id, delivered_seq, read_seq FROM member FORCE INDEX (PRIMARY) WHERE ",
    );
    let users = |of_one: &&[&CursorMove]| of_one.iter().map(|step| step.user).collect::<Vec<_>>();
    sql.push(of_members(moves.iter().map(|of_one| (of_one[0].conversation, users(of_one)))));
    sql.push(" ORDER BY conversation_id, user_id FOR UPDATE").end();
    sql.push("SELECT id, last_seq FROM conversation WHERE id IN ")
        .set(moves.iter().map(|of_one| of_one[0].conversation));
    sql.end();
    let answers = link.ask(&sql)?;
    let [members, ends] = &answers[..] else { unreachable!("an answer a statement") };
    let ends: BTreeMap<ConversationId, Seq> = ends
        .rows
        .iter()
        .map(|row| Ok((row.conversation(0)?, row.seq(1)?)))
        .collect::<Result<_, Failure>>()?;
    let mut stands: BTreeMap<(ConversationId, UserId), (Stand, Stand)> = BTreeMap::new();
    for row in &members.rows {
        let stand = (row.seq(2)?, row.seq(3)?);
        stands.insert((row.conversation(0)?, row.user(1)?), (stand, stand));
    }
    for step in moves.iter().copied().flatten() {
        if let Some((_, stand)) = stands.get_mut(&(step.conversation, step.user)) {
            let end = ends.get(&step.conversation).copied().unwrap_or_default();
            let (delivered, read) = step.step.apply(*stand);
            *stand = (delivered.min(end).max(stand.0), read.min(end).max(stand.1));
        }
    }
    stands.retain(|_, (before, after)| before != after);
    let moved: Vec<_> = stands.into_iter().map(|(key, (_, stand))| (key, stand)).collect();
    let mut sql = Sql::new();
    for moved in moved.chunks(CASE_MAX) {
        update(&mut sql, moved);
    }
    if sql.statements() > 0 { link.ask(&sql).map(drop) } else { Ok(()) }
}

fn update(sql: &mut Sql, moved: &[((ConversationId, UserId), Stand)]) {
    let case = |sql: &mut Sql, column: &str, value: &dyn Fn(&Stand) -> Seq| {
        // The two ids as one number.
        sql.push(column).push(" = CASE conversation_id * 4294967296 + user_id");
        for ((conversation, user), stand) in moved {
            let key = u64::from(conversation.0) << 32 | u64::from(user.0);
            sql.push(format_args!(" WHEN {key} THEN {}", value(stand)));
        }
        sql.push(" END");
    };
    sql.push("UPDATE member FORCE INDEX (PRIMARY) SET ");
    case(sql, "delivered_seq", &|stand| stand.0);
    sql.push(", ");
    case(sql, "read_seq", &|stand| stand.1);
    let of_one = moved.chunk_by(|a, b| a.0.0 == b.0.0);
    let members = of_one.map(|of_one| (of_one[0].0.0, of_one.iter().map(|((_, user), _)| *user).collect()));
    sql.push(" WHERE ").push(of_members(members)).end();
}

/// The condition of being one of these members, for all their devices together.
fn of_members(members: impl Iterator<Item = (ConversationId, Vec<UserId>)>) -> Sql {
    let mut sql = Sql::new();
    sql.push("device = 0 AND (").list(" OR ", members, |sql, (conversation, mut users)| {
        users.dedup();
        sql.push(format_args!("conversation_id = {conversation} AND user_id IN ")).set(users);
    });
    sql.push(")");
    sql
}
