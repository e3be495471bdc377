//! Several nodes at once: what they lock, and in which order.

use super::super::Mysql;
use super::super::connection::{Connection, Purpose, Server};
use super::super::reconnect::AutoConnection;
use super::super::record::first;
use super::super::sql::Sql;
use super::super::write::execute;
use super::super::writer::Writer;
use super::mariadb::MariaDb;
use super::{PATIENCE, target};
use crate::conformance::BEGIN;
use crate::machine::system_random;
use logic::contract::session::Which;
use logic::contract::{Client, Epoch, Fence, Ticket, Token, TokenHash, Write, Written, account, session};
use logic::{Conflict, Policy};
use runtime::queue::{Bell, queue};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};
use wire::session::ClientKind;
use wire::{UnixMillis, UserId};

/// A node's connection, in a transaction.
fn begin(target: &Server) -> Connection {
    let mut conn = Connection::open(target, Purpose::Writing, true).unwrap();
    let mut sql = conn.begin();
    conn.ask(sql.statement("SELECT 1")).unwrap();
    conn
}

fn ask(conn: &mut Connection, sql: &str) {
    conn.ask(Sql::new().statement(sql)).unwrap();
}

fn write(conn: &mut Connection, now: UnixMillis, write: Write) -> Written {
    execute(conn, now, &mut system_random(), &write).unwrap()
}

fn register(target: &Server) -> (UserId, Token) {
    let mut conn = begin(target);
    let (name, password) = ("anna".into(), "$hash".into());
    let created =
        write(&mut conn, BEGIN, Write::Account(account::Write::Create { name, password, nick: None }));
    ask(&mut conn, "COMMIT");
    match created {
        Written::Account(account::Written::Created { user, token }) => (user, token),
        other => panic!("{other:?}"),
    }
}

/// Waits until a connection to this database executes such a statement, which waits for a lock.
fn wait_for(target: &Server, statement: &str) {
    let mut watch = MariaDb::shared().connect().unwrap();
    let executing = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}' AND command = 'Query' AND info LIKE '{}'",
        target.database.name, statement
    );
    let until = Instant::now() + PATIENCE;
    while mysql::prelude::Queryable::query_first(&mut watch, &executing).unwrap() != Some(1) {
        assert!(Instant::now() < until, "nobody executes {statement}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn prepared() -> Server {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    Mysql::prepare(target.clone()).unwrap();
    target
}

#[test]
fn two_nodes_extend_a_token_in_the_same_millisecond() {
    let target = prepared();
    let (_, token) = register(&target);
    let now = UnixMillis(BEGIN.0 + 1);
    let client = Client { device: None, kind: None, address: [127, 0, 0, 1].into() };
    let extend = Write::Session(session::Write::ExtendToken { token: token.text, client });
    let mut one = begin(&target);
    let written = write(&mut one, now, extend.clone());
    assert!(matches!(written, Written::Session(session::Written::TokenReady(_))), "{written:?}");
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut other = begin(&target);
            let written = write(&mut other, now, extend);
            ask(&mut other, "COMMIT");
            written
        });
        wait_for(&target, "UPDATE user SET last_login%");
        ask(&mut one, "COMMIT");
        let written = other.join().unwrap();
        assert!(matches!(written, Written::Session(session::Written::TokenReady(_))), "{written:?}");
    });
}

/// A claim locks the account, then the session; no other write must hold the session while it waits for the account, or
/// sessions of several accounts in an order of its own.
fn waits_for_a_claim_without_locks_of_its_own(make: impl FnOnce(Fence, TokenHash) -> Write) -> Written {
    let target = prepared();
    let (user, token) = register(&target);
    let mut claim = begin(&target);
    let claimed = session::Claim {
        user,
        node: "n1".into(),
        id: session::ClaimId(1),
        token: token.hash,
        device: None,
        kind: ClientKind::Other,
        grace: 60_000,
        policy: Policy { conflict: Conflict::Kind, sessions_max: 10 },
    };
    write(&mut claim, BEGIN, Write::Session(session::Write::Claim(Box::new(claimed))));
    ask(&mut claim, "COMMIT");
    let batch = vec![(Ticket(1), make(Fence { user, epoch: Epoch(1) }, token.hash))];
    let mut claim = begin(&target);
    ask(&mut claim, &format!("SELECT 1 FROM user WHERE id = {user} FOR UPDATE"));
    thread::scope(|scope| {
        let node = scope.spawn(|| {
            let (outcomes, _inbox) = queue(1, &Arc::new(Bell::new()));
            let connection = AutoConnection::new(&target, Purpose::Writing);
            Writer::new(connection, system_random(), outcomes).write(&batch)
        });
        wait_for(&target, "%FROM user%FOR UPDATE%");
        let session = format!("SELECT epoch FROM account_session WHERE user_id = {user} FOR UPDATE NOWAIT");
        let rows = claim.rows(Sql::new().statement(&session)).expect("nobody holds the session");
        assert_eq!(first(&rows).unwrap().number(0).unwrap(), 1);
        ask(&mut claim, "COMMIT");
        node.join().unwrap().remove(0).1
    })
}

#[test]
fn revoking_waits_for_a_claim_of_another_node_without_locks_of_its_own() {
    let written = waits_for_a_claim_without_locks_of_its_own(|fence, token| {
        let revoke = session::Write::Revoke { user: fence.user, which: Which::AllBut(token) };
        Write::Fenced(fence, Box::new(Write::Session(revoke)))
    });
    assert!(matches!(written, Written::Session(session::Written::Revoked(_))), "{written:?}");
}

#[test]
fn what_is_noted_of_sessions_waits_for_a_claim_of_another_node_without_locks_of_its_own() {
    let written = waits_for_a_claim_without_locks_of_its_own(|fence, _| {
        Write::Session(session::Write::Lose { fence, silent: 0 })
    });
    assert!(matches!(written, Written::Done), "{written:?}");
    let written = waits_for_a_claim_without_locks_of_its_own(|fence, _| {
        Write::Session(session::Write::Touch(vec![(fence, 0)]))
    });
    assert!(matches!(written, Written::Done), "{written:?}");
}
