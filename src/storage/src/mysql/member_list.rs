//! Reading the members of locked groups: all of them once, from then on those who have come and gone since.

use super::connection::Connection;
use super::end::End;
use super::failure::Failure;
use super::member_cache::{MemberCache, Members};
use super::record::{Record, undamaged};
use super::sql::Sql;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, Seq, UserId};

/// A locked group.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub conversation: ConversationId,
    /// Of its member list.
    pub version: i64,
    /// Its last entry that is committed.
    pub last: Seq,
}

impl Group {
    pub fn of(end: &End) -> Group {
        Group { conversation: end.conversation, version: end.version, last: end.before }
    }
}

/// Reads the members of locked groups into the cache, which has none of them at its version.
pub fn read(conn: &mut Connection, cache: &mut MemberCache, groups: &[Group]) -> Result<(), Failure> {
    let (known, unknown): (Vec<Group>, Vec<Group>) =
        groups.iter().copied().partition(|group| cache.get(group.conversation).is_some());
    read_all(conn, cache, &unknown)?;
    read_changes(conn, cache, &known)
}

fn read_all(conn: &mut Connection, cache: &mut MemberCache, groups: &[Group]) -> Result<(), Failure> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new();
    sql.push("SELECT conversation_id, user_id FROM member WHERE conversation_id IN ")
        .set(groups.iter().map(|group| group.conversation))
        .push(" AND device = 0 ORDER BY conversation_id, user_id")
        .end();
    let rows = conn.rows(&sql)?;
    let mut members = undamaged(&rows, |row| Ok((row.conversation(0)?, row.user(1)?)))?;
    members.sort_unstable();
    for &group in groups {
        let from = members.partition_point(|(other, _)| *other < group.conversation);
        let of_one = members[from..].iter().take_while(|(other, _)| *other == group.conversation);
        put(cache, group, of_one.map(|(_, user)| *user).collect());
    }
    Ok(())
}

/// Another node has changed the members. Whoever has joined since has a view that begins there; whoever has left since and has
/// not joined again is in `former_member`.
fn read_changes(conn: &mut Connection, cache: &mut MemberCache, groups: &[Group]) -> Result<(), Failure> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new();
    for Group { conversation, .. } in groups {
        let as_of = cache.get(*conversation).map_or(Seq(0), |known| known.as_of);
        sql.statement(format_args!(
            "SELECT user_id, 1 FROM member FORCE INDEX (member_joined) \
             WHERE conversation_id = {conversation} AND joined_seq >= {as_of} AND device = 0 UNION ALL \
             SELECT user_id, 0 FROM former_member FORCE INDEX (former_member_left) \
             WHERE conversation_id = {conversation} AND left_seq > {as_of}"
        ));
    }
    let answers = conn.ask(&sql)?;
    for (group, answer) in groups.iter().zip(&answers) {
        let changed = |row: &Record| Ok((row.user(0)?, row.number(1)? == 1));
        let known =
            cache.get(group.conversation).map_or_else(Arc::default, |known| Arc::clone(&known.members));
        let mut members: BTreeSet<UserId> = known.iter().copied().collect();
        for (user, has_joined) in undamaged(&answer.rows, changed)? {
            if has_joined {
                members.insert(user);
            } else {
                members.remove(&user);
            }
        }
        put(cache, *group, members.into_iter().collect());
    }
    Ok(())
}

fn put(cache: &mut MemberCache, group: Group, members: Arc<[UserId]>) {
    let Group { conversation, version, last } = group;
    cache.put(conversation, Members { kind: ConversationKind::Group, version, as_of: last, members });
}
