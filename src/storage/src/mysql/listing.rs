//! The table `listing`: the conversations of each member by their latest activity (see [`crate::listing`]).

use super::sql::Sql;
use crate::listing::Listed;
use std::sync::Arc;
use wire::{ConversationId, UserId};

/// Rows that one statement moves.
const ROWS_MAX: usize = 512;

/// A conversation whose rows move. Its row in `conversation` is locked, so its members and their rows do not change.
#[derive(Debug)]
pub struct Relisted {
    pub conversation: ConversationId,
    pub from: Listed,
    pub to: Listed,
    pub members: Arc<[UserId]>,
}

/// Moves the rows of all members. Locks no row of a conversation that is not locked already.
pub fn relist(sql: &mut Sql, all: &[Relisted]) {
    // All conversations of a batch nearly always move to the same place.
    let mut sorted: Vec<&Relisted> = all.iter().collect();
    sorted.sort_by_key(|one| (one.to.slack, one.to.until, one.conversation));
    for of_one in sorted.chunk_by(|a, b| a.to == b.to) {
        let Listed { slack, until } = of_one[0].to;
        let rows = of_one.iter().flat_map(|one| one.members.iter().map(|member| (*member, *one)));
        for rows in rows.collect::<Vec<_>>().chunks(ROWS_MAX) {
            sql.push(format_args!(
                "UPDATE listing FORCE INDEX (PRIMARY) SET slack = {slack}, listed_until = {until} WHERE "
            ))
            .list(" OR ", rows, |sql, (member, one)| {
                sql.push(format_args!(
                    "user_id = {member} AND slack = {} AND listed_until = {} AND conversation_id = {}",
                    one.from.slack, one.from.until, one.conversation
                ));
            })
            .end();
        }
        sql.push(format_args!(
            "UPDATE conversation FORCE INDEX (PRIMARY) SET slack = {slack}, listed_until = {until} WHERE id IN "
        ))
        .set(of_one.iter().map(|one| one.conversation))
        .end();
    }
}
