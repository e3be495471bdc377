//! Months that are dropped while something is in the way.

use super::super::connection::{Connection, Purpose};
use super::super::record::first;
use super::super::sql::Sql;
use super::{OnServer, schema};
use crate::calendar;
use crate::conformance::{Scenario, walk};
use wire::{Target, UnixMillis, UserId};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn connect(fixture: &OnServer) -> Connection {
    Connection::open(&fixture.target, Purpose::Schema, true).unwrap()
}

fn ask(conn: &mut Connection, statement: &str) -> i64 {
    let mut sql = Sql::new();
    sql.statement(statement);
    first(&conn.rows(&sql).unwrap()).unwrap().number(0).unwrap()
}

fn run(conn: &mut Connection, statement: &str) {
    let mut sql = Sql::new();
    sql.statement(statement);
    conn.ask(&sql).unwrap();
}

/// The months before March 2026 that have a table.
fn old_tables(fixture: &OnServer) -> Vec<u32> {
    schema::months_before(&mut connect(fixture), 202_603).unwrap()
}

/// Twelve conversations of anna with a message of January and one of March, in which January is about to be dropped.
fn two_months(scenario: &mut Scenario<'_>) -> Vec<UserId> {
    let anna = scenario.user("anna");
    let peers: Vec<UserId> = (0..12).map(|n| scenario.user(&format!("peer {n}"))).collect();
    for month in [202_601, 202_603] {
        if month > 202_601 {
            let time = UnixMillis(calendar::start_of(month).0 + 24 * HOUR_MS);
            scenario.wait(time.0 - scenario.now.0);
            scenario.file();
        }
        for peer in &peers {
            scenario.say(anna, Target::User(*peer), &format!("{month} {peer}"), "x");
        }
    }
    scenario.fixture.set_retention(1);
    scenario.file();
    scenario.wait(25 * HOUR_MS);
    peers
}

fn shown(scenario: &mut Scenario<'_>, peer: UserId) -> Vec<u64> {
    let conversation = scenario.conversations(peer, None, 9).0[0].conversation;
    walk(scenario, peer, conversation, 9, true)
}

#[test]
fn a_table_in_use_is_dropped_later_and_nothing_is_compared_again() {
    let mut fixture = OnServer::new();
    let peers = two_months(&mut Scenario::on(&mut fixture));
    let mut user = connect(&fixture);
    run(&mut user, "START TRANSACTION");
    ask(&mut user, "SELECT COUNT(*) FROM message_202601");
    let rounds = |fixture: &OnServer| ask(&mut connect(fixture), "SELECT rounds FROM retention");
    let now = fixture.now();
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    assert_eq!(shown(&mut scenario, peers[0]), [2], "it is not shown any more");
    assert_eq!(old_tables(&fixture), [202_601, 202_602]);
    let told = rounds(&fixture);
    assert!(told > 0 && told % 2 == 0, "{told}");
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    assert_eq!(rounds(&fixture), told);
    run(&mut user, "ROLLBACK");
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    assert_eq!(old_tables(&fixture), [202_602]);
    assert_eq!(rounds(&fixture), told);
}

#[test]
fn a_month_whose_table_was_dropped_by_hand_is_dropped_from_its_conversations() {
    let mut fixture = OnServer::new();
    let peers = two_months(&mut Scenario::on(&mut fixture));
    run(&mut connect(&fixture), "DROP TABLE message_202601");
    let now = fixture.now();
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    for peer in &peers {
        assert_eq!(shown(&mut scenario, *peer), [2]);
    }
    assert_eq!(ask(&mut connect(&fixture), "SELECT COUNT(*) FROM segment WHERE month < 202602"), 0);
}

#[test]
fn a_damaged_conversation_keeps_its_months_until_it_is_repaired() {
    let mut fixture = OnServer::new();
    let peers = two_months(&mut Scenario::on(&mut fixture));
    run(&mut connect(&fixture), "UPDATE conversation SET first_seq = -7 WHERE id = 3");
    let now = fixture.now();
    for _ in 0..2 {
        let mut scenario = Scenario::on_at(&mut fixture, now);
        scenario.file();
        for (number, peer) in peers.iter().enumerate().filter(|(number, _)| *number != 2) {
            assert_eq!(shown(&mut scenario, *peer), [2], "{number}");
        }
        let mut conn = connect(&fixture);
        assert!(old_tables(&fixture).contains(&202_601), "its table is kept");
        assert_eq!(ask(&mut conn, "SELECT COUNT(*) FROM segment WHERE month < 202602"), 1);
        assert_eq!(ask(&mut conn, "SELECT rounds FROM retention"), 1, "it is not finished, and told once");
    }
    run(&mut connect(&fixture), "UPDATE conversation SET first_seq = 1 WHERE id = 3");
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    assert_eq!(shown(&mut scenario, peers[2]), [2]);
    assert!(!old_tables(&fixture).contains(&202_601));
    assert_eq!(ask(&mut connect(&fixture), "SELECT rounds FROM retention"), 2);
}

#[test]
fn a_kept_month_whose_segment_is_missing_is_not_taken_for_dropped() {
    let mut fixture = OnServer::new();
    let peers = two_months(&mut Scenario::on(&mut fixture));
    run(&mut connect(&fixture), "DELETE FROM segment WHERE conversation_id = 3 AND month >= 202602");
    let now = fixture.now();
    let mut scenario = Scenario::on_at(&mut fixture, now);
    scenario.file();
    assert_eq!(shown(&mut scenario, peers[4]), [2]);
    assert_eq!(ask(&mut connect(&fixture), "SELECT first_seq FROM conversation WHERE id = 3"), 1);
    assert!(old_tables(&fixture).contains(&202_601), "it waits for the repair");
}
