//! What the members of a group cost after another node has changed them.

use super::super::end::{END_COLUMNS, End};
use super::super::member_cache::MemberCache;
use super::super::member_list::{self, Group};
use super::super::message::members_at;
use super::*;
use crate::conformance::{change_members, changed, join, users};
use logic::contract::group::What;
use wire::{ConversationId, Seq};

fn group(conn: &mut Connection, conversation: ConversationId) -> Group {
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT {END_COLUMNS} FROM conversation WHERE id = {conversation}"));
    Group::of(&End::read(conversation, first(&conn.rows(&sql).unwrap()).unwrap(), 0).unwrap())
}

/// Checks the list and returns how many rows it took.
fn read(conn: &mut Connection, cache: &mut MemberCache, conversation: ConversationId) -> u64 {
    let group = group(conn, conversation);
    let before = rows_read(conn);
    let of_status = rows_read(conn) - before;
    let before = rows_read(conn);
    member_list::read(conn, cache, &[group]).unwrap();
    let cost = rows_read(conn) - before - of_status;
    let known = cache.at(conversation, group.version).unwrap();
    assert_eq!(known.members, members_at(conn, conversation, Seq::MAX).unwrap());
    cost
}

#[test]
fn changes_of_another_node_are_read_without_the_members() {
    let mut fixture = OnServer::new();
    let mut conn = Connection::open(&fixture.target, Purpose::Reading, true).unwrap();
    let mut cache = MemberCache::default();
    let mut scenario = Scenario::on(&mut fixture);
    let owner = scenario.user("owner");
    let conversation = scenario.group(owner, "climbing");
    let members = users(&mut scenario, "member", 300);
    scenario.all(members.iter().map(|user| join(*user, conversation)).collect());
    assert!(read(&mut conn, &mut cache, conversation) >= 300, "the first time all are read");
    let leave = |scenario: &mut Scenario<'_>, user| {
        changed(&scenario.one(change_members(user, conversation, What::Leave)));
    };
    let late = scenario.user("late");
    scenario.join(late, conversation);
    leave(&mut scenario, members[7]);
    let costs = [read(&mut conn, &mut cache, conversation)];
    // Back again, and away again since.
    scenario.join(members[7], conversation);
    leave(&mut scenario, members[8]);
    scenario.join(members[8], conversation);
    leave(&mut scenario, members[8]);
    leave(&mut scenario, late);
    let costs = [costs[0], read(&mut conn, &mut cache, conversation)];
    assert!(costs.iter().all(|cost| *cost < 30), "{costs:?} rows were read");
}
