//! A database that nodes of two versions meet on.

use super::*;
use crate::deployment::Joining;
use logic::contract::node::SILENT_MS;
use std::sync::atomic::AtomicBool;
use std::thread;

/// A database as version 3 left it, with a node that was last seen at [`BEGIN`].
fn with_a_node_of_version_3(target: &Server) -> Connection {
    Mysql::prepare(target.clone()).unwrap();
    let mut conn = Connection::open(target, Purpose::Schema, true).unwrap();
    let mut sql = Sql::new();
    sql.statement("DELETE FROM schema_version WHERE version > 3")
        .statement("ALTER TABLE node DROP COLUMN left_at")
        .statement(format_args!("INSERT INTO node (name, seen_at) VALUES ('old~1', {BEGIN})"));
    conn.ask(&sql).unwrap();
    conn
}

fn version(conn: &mut Connection) -> i64 {
    let mut sql = Sql::new();
    sql.statement("SELECT MAX(version) FROM schema_version");
    first(&conn.rows(&sql).unwrap()).unwrap().number(0).unwrap()
}

#[test]
fn nothing_is_migrated_while_a_node_of_an_older_version_runs() {
    let time = Arc::new(AtomicU64::new(BEGIN.0));
    let target = target(&time);
    let mut conn = with_a_node_of_version_3(&target);
    let over = AtomicBool::new(false);
    let refused = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let now = time.fetch_add(100, Ordering::Relaxed);
                let mut sql = Sql::new();
                sql.statement(format_args!("UPDATE node SET seen_at = {now}"));
                conn.ask(&sql).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let refused = Mysql::prepare(target.clone()).err();
        over.store(true, Ordering::Relaxed);
        refused
    });
    let refused = refused.expect("the node gives signs of life").to_string();
    assert!(refused.starts_with("the node `old` runs an older version"), "{refused}");
    assert_eq!(version(&mut conn), 3, "nothing was changed");
}

#[test]
fn a_migration_waits_until_the_nodes_of_older_versions_are_silent() {
    let time = Arc::new(AtomicU64::new(BEGIN.0));
    let target = target(&time);
    let mut conn = with_a_node_of_version_3(&target);
    thread::scope(|scope| {
        let prepared = scope.spawn(|| Mysql::prepare(target.clone()).map(drop));
        time.fetch_add(SILENT_MS - 1, Ordering::Relaxed);
        thread::sleep(Duration::from_secs(1));
        assert!(!prepared.is_finished(), "the node may still run");
        assert_eq!(version(&mut conn), 3);
        time.fetch_add(1, Ordering::Relaxed);
        prepared.join().unwrap().unwrap();
    });
    assert_eq!(version(&mut conn), i64::from(schema::KNOWN));
}

#[test]
fn a_node_of_an_older_version_claims_and_writes_nothing_after_the_migration() {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0 + SILENT_MS)));
    let mut conn = with_a_node_of_version_3(&target);
    // Its statements.
    let claim = "INSERT INTO session (user_id, epoch, node, token_hash, changed_at) VALUES (1, 1, 'old~1', 'x', 5) \
                 ON DUPLICATE KEY UPDATE epoch = epoch + 1, node = VALUES(node), token_hash = VALUES(token_hash)";
    let fence = "SELECT user_id, epoch FROM session FORCE INDEX (PRIMARY) WHERE user_id IN (1) ORDER BY user_id \
                 LOCK IN SHARE MODE";
    let release = "UPDATE session SET lost_at = COALESCE(lost_at, 6) WHERE user_id = 1 AND epoch <= 1";
    let mut sql = Sql::new();
    sql.statement(
        "CREATE TABLE session (user_id INT NOT NULL PRIMARY KEY, epoch INT NOT NULL, node VARBINARY(128), \
         token_hash VARBINARY(32) NOT NULL, lost_at BIGINT, changed_at BIGINT NOT NULL, KEY session_node (node), \
         KEY session_changed (changed_at)) ENGINE = InnoDB",
    );
    for statement in [claim, fence, release] {
        sql.statement(statement);
    }
    conn.ask(&sql).expect("these are statements of version 3");
    Mysql::prepare(target.clone()).unwrap();
    for statement in [claim, fence, release] {
        let mut sql = Sql::new();
        sql.statement(statement);
        assert!(conn.ask(&sql).is_err(), "{statement}");
    }
    let mut sql = Sql::new();
    sql.statement("SELECT COUNT(*) FROM account_session");
    assert_eq!(
        first(&conn.rows(&sql).unwrap()).unwrap().number(0).unwrap(),
        0,
        "nobody goes on with its session"
    );
}

#[test]
fn a_node_ends_when_a_newer_version_has_migrated_the_database() {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    let mut mysql = Mysql::prepare(target.clone()).unwrap();
    mysql.join(Joining { node: "n1".into(), run: "n1~1".into() }).unwrap();
    let bell = Arc::new(Bell::new());
    let (outbox, outcomes) = queue(16, &bell);
    let threads = mysql.start(&outbox, Instant::now()).unwrap();
    let mut conn = Connection::open(&target, Purpose::Schema, true).unwrap();
    let mut sql = Sql::new();
    sql.statement("INSERT INTO schema_version (version) VALUES (900)");
    conn.ask(&sql).unwrap();
    match next_outcome(&outcomes, &bell) {
        Outcome::Fatal(sentence) => assert!(sentence.contains("schema version 900"), "{sentence}"),
        _ => panic!("the node goes on"),
    }
    threads.stop();
}
