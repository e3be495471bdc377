//! A node's membership in its deployment.
//!
//! As long as it runs, a node holds a lock of the database server that is named after the node. The server releases it
//! when the connection ends, however that happens. The lock shows other starts that the node lives, and that its name
//! is taken. A node whose machine stands still or is cut off loses its lock after
//! [`LOCK_IDLE_S`](super::connection::LOCK_IDLE_S) seconds.

use super::connection::{Connection, Purpose, Server};
use super::deployment::{self, KEYS, id_of};
use super::failure::{Cause, Failure};
use super::reconnect::AutoConnection;
use super::record::{Record, first};
use super::schema::{self, KNOWN};
use super::sql::Sql;
use crate::clock_watch::ClockWatch;
use crate::deployment::{Deployment, Joining};
use crate::error::StoreError;
use crate::hex::Hex;
use crate::layout::VERSION_TABLE;
use crate::machine::Random;
use crate::outcome::Outcome;
use crate::peers::{PeerView, Peers, node_of};
use logic::contract::node::SILENT_MS;
use runtime::queue::Outbox;
use runtime::worker::Control;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wire::UnixMillis;

/// How often the other nodes are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a start waits for the lock of a node of the same name that has just ended, seconds.
const NAME_WAIT_S: u32 = 5;
/// How long a start waits for a node that was seen lately to take its lock again, as all nodes lose theirs when the
/// database server restarts.
const RETURN_TIME: Duration = Duration::from_secs(2);
const RETURN_PAUSE: Duration = Duration::from_millis(100);

/// The state of the membership thread.
pub struct Membership {
    connection: AutoConnection,
    joining: Joining,
    deployment: Deployment,
    peers: Arc<PeerView>,
    clocks: ClockWatch,
}

/// Joins the deployment: takes the node's name, registers this run, and begins a new history unless another node lives.
pub fn join(
    target: &Server,
    joining: Joining,
    random: &mut Random,
) -> Result<(Deployment, Membership), StoreError> {
    let mut conn = Connection::open(target, Purpose::Membership, true)?;
    if !take_name(&mut conn, &joining.node, NAME_WAIT_S)? {
        return Err(StoreError::Unsuitable(taken(&joining.node)));
    }
    // One start at a time, so that of two nodes that start together only one begins a history.
    schema::with_lock(&mut conn, |conn| {
        // Where the start that migrated the schema was cut off.
        deployment::make_once(conn, random)?;
        register(conn, &joining.run)?;
        if !finds_another(conn, &joining)? {
            deployment::renew_history(conn, random)?;
        }
        Ok(())
    })?;
    let (server, history) = deployment::ids(&mut conn)?;
    let Look { peers, .. } = look(&mut conn, &joining.node)?;
    let peers = Arc::new(PeerView::new(peers));
    let deployment = Deployment { server, history, peers: Some(Arc::clone(&peers)) };
    let connection = AutoConnection::continuing(target, Purpose::Membership, conn);
    let clocks = ClockWatch::new("the database's clock");
    Ok((deployment.clone(), Membership { connection, joining, deployment, peers, clocks }))
}

impl Membership {
    /// Runs until it is stopped, then records that this run has ended. If the node cannot go on, sends
    /// [`Outcome::Fatal`].
    pub fn serve(mut self, control: &Control, outcomes: &Outbox<Outcome>) {
        let mut due = Instant::now() + LOOK_EVERY;
        while !control.is_stopping() {
            control.wait(Some(due.saturating_duration_since(Instant::now())), || control.is_stopping());
            if Instant::now() < due {
                continue;
            }
            due = Instant::now() + LOOK_EVERY;
            if let Err(sentence) = self.turn() {
                log::error!("{sentence}");
                let _ = outcomes.send(Outcome::Fatal(sentence));
                return;
            }
        }
        let run = &self.joining.run;
        let left = self.connection.with(|conn| {
            let now = conn.now()?;
            let mut sql = Sql::new();
            sql.push(format_args!("UPDATE node SET left_at = {now} WHERE name = "))
                .bytes(run.as_bytes())
                .end();
            conn.ask(&sql)
        });
        if let Err(failure) = left {
            log::debug!("the end of this node could not be recorded: {failure}");
        }
    }

    /// Looks once. An error is a sentence that says why the node cannot go on.
    fn turn(&mut self) -> Result<(), String> {
        let node = &self.joining.node;
        let looked = self.connection.with(|conn| {
            let seen = look(conn, node)?;
            Ok((seen.is_ours || take_name(conn, node, 0)?, seen))
        });
        // While the database cannot be reached, the last reading stays in use.
        let Ok((has_name, Look { peers, history, version, .. })) = looked.inspect_err(|failure| {
            if failure.cause != Cause::Lost {
                log::error!("cannot look up the other nodes: {failure}");
            }
        }) else {
            return Ok(());
        };
        if !has_name {
            return Err(taken(node));
        }
        if version > KNOWN {
            return Err(format!(
                "a newer version of chatserver has migrated the database to schema version {version}, and this one knows only \
                 version {KNOWN}: this node ends, start it with the newer version"
            ));
        }
        if history != self.deployment.history {
            return Err(
                "the database was restored, or other nodes started on it while this node was cut off: what \
                        this node keeps in memory may be wrong, so it ends and has to be started again"
                    .to_owned(),
            );
        }
        self.clocks.check(peers.clock, peers.read_at);
        self.peers.publish(peers);
        Ok(())
    }
}

fn taken(node: &str) -> String {
    format!("another node named `{node}` uses this database: give each node a name of its own (cluster.node)")
}

/// One reading of the database.
struct Look {
    peers: Peers,
    history: crate::deployment::RandomId,
    /// The version of the schema.
    version: u32,
    /// Whether this connection holds the lock of the node's name.
    is_ours: bool,
}

fn look(conn: &mut Connection, node: &str) -> Result<Look, Failure> {
    let clock = conn.now()?;
    let read_at = Instant::now();
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT COALESCE(IS_USED_LOCK('{}') = CONNECTION_ID(), 0)",
        lock_name(conn.database(), node)
    ))
    .end()
    .statement(format_args!("SELECT history, (SELECT MAX(version) FROM {VERSION_TABLE}) FROM deployment"))
    .statement(KEYS)
    .statement(format_args!(
        "SELECT name FROM node WHERE left_at IS NULL AND seen_at > {}",
        clock.0.saturating_sub(SILENT_MS)
    ));
    let answers = conn.ask(&sql)?;
    let [is_ours, history, keys, runs] = &answers[..] else { unreachable!("one answer for each statement") };
    let run = |row: &Record| Ok(row.text(0)?.into());
    Ok(Look {
        peers: Peers {
            keys: deployment::keys(&keys.rows)?,
            runs: runs.rows.iter().map(run).collect::<Result<_, Failure>>()?,
            clock,
            read_at,
        },
        history: id_of(first(&history.rows)?, 0)?,
        version: first(&history.rows)?.unsigned(1)?,
        is_ours: first(&is_ours.rows)?.number(0)? == 1,
    })
}

/// Takes the lock of a node's name. Returns whether it was free.
fn take_name(conn: &mut Connection, node: &str, wait_s: u32) -> Result<bool, Failure> {
    let name = lock_name(conn.database(), node);
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT GET_LOCK('{name}', {wait_s})"));
    Ok(first(&conn.rows(&sql)?)?.maybe_number(0)? == Some(1))
}

/// The name of a node's lock: at most 64 characters, and unique to the database, as locks are the server's.
fn lock_name(database: &str, node: &str) -> String {
    let digest = Sha256::digest(format!("{database}/{node}"));
    format!("chatserver node {}", Hex(&digest[..20]))
}

/// Records this run, so that other nodes know it before it publishes anything.
fn register(conn: &mut Connection, run: &str) -> Result<(), Failure> {
    let now = conn.now()?;
    let mut sql = Sql::new();
    sql.push("INSERT INTO node (name, seen_at) VALUES (")
        .bytes(run.as_bytes())
        .push(format_args!(", {now}) ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at)"))
        .end();
    conn.ask(&sql).map(drop)
}

/// Whether another node lives.
fn finds_another(conn: &mut Connection, joining: &Joining) -> Result<bool, Failure> {
    let until = Instant::now() + RETURN_TIME;
    loop {
        let now = conn.now()?;
        let others = others(conn, joining)?;
        let mut sql = Sql::new();
        for (other, _) in &others {
            let name = lock_name(conn.database(), other);
            sql.statement(format_args!("SELECT IS_USED_LOCK('{name}') IS NOT NULL"));
        }
        if sql.statements() == 0 {
            return Ok(false);
        }
        for answer in conn.ask(&sql)? {
            if first(&answer.rows)?.number(0)? == 1 {
                return Ok(true);
            }
        }
        let is_fresh = others.iter().any(|(_, seen)| seen.0 + SILENT_MS > now.0);
        if !is_fresh || Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(RETURN_PAUSE);
    }
}

/// The names of other nodes that have not stopped, and when each was last seen.
fn others(conn: &mut Connection, joining: &Joining) -> Result<BTreeSet<(Box<str>, UnixMillis)>, Failure> {
    let mut sql = Sql::new();
    sql.statement("SELECT name, seen_at FROM node WHERE left_at IS NULL");
    let mut others = BTreeSet::new();
    for row in conn.rows(&sql)? {
        let node = node_of(row.text(0)?);
        if node != &*joining.node {
            others.insert((node.into(), row.time(1)?));
        }
    }
    Ok(others)
}
