//! A connection that is established again after it was lost.

use super::check::{self, Variables};
use super::connection::{Connection, Purpose, Server};
use super::failure::{Cause, Failure};
use std::time::{Duration, Instant};

/// The pauses between attempts to connect, doubled after each; short, so that work resumes soon after the server is
/// back.
const PAUSE_MIN: Duration = Duration::from_millis(20);

const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long there must be no connection until the database counts as unreachable.
const OUTAGE: Duration = Duration::from_secs(2);
/// How often an idle connection is used, so that the server does not close it.
pub const IDLE: Duration = Duration::from_secs(1);

/// A connection that is opened when it is needed and again after it was lost.
pub struct AutoConnection {
    target: Server,
    purpose: Purpose,
    conn: Option<Connection>,
    used: Instant,
    /// When the next attempt to connect is allowed, and the pause after it.
    again: Instant,
    pause: Duration,
    /// Why the database is unreachable, as it was logged.
    away: Option<String>,
    /// Whether it refuses this server, which no waiting changes: a wrong password, for instance.
    is_refused: bool,
    /// Since when there is no connection, after there was one or an attempt to connect.
    lost_since: Option<Instant>,
}

impl AutoConnection {
    /// Opens nothing yet.
    pub fn new(target: &Server, purpose: Purpose) -> AutoConnection {
        let now = Instant::now();
        AutoConnection {
            target: target.clone(),
            purpose,
            conn: None,
            used: now,
            again: now,
            pause: PAUSE_MIN,
            away: None,
            is_refused: false,
            lost_since: None,
        }
    }

    /// Uses this connection first.
    pub fn continuing(target: &Server, purpose: Purpose, conn: Connection) -> AutoConnection {
        AutoConnection { conn: Some(conn), ..AutoConnection::new(target, purpose) }
    }

    /// Runs `work` on the connection, which is opened if there is none. After a failure no transaction is open; after
    /// [`Cause::Lost`] the connection is closed, and the next call opens another one if an attempt is due.
    pub fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.conn.is_none() {
            self.connect()?;
        }
        let conn = self.conn.as_mut().expect("it was just opened");
        let done = work(conn);
        self.used = Instant::now();
        if let Err(failure) = &done
            && (failure.cause == Cause::Lost || conn.roll_back().is_err())
        {
            self.conn = None;
            self.lost_since.get_or_insert_with(Instant::now);
        }
        done
    }

    /// Whether the last attempt to connect was refused for a reason that waiting does not change.
    pub fn is_refused(&self) -> bool {
        self.conn.is_none() && self.is_refused
    }

    /// Whether the database has been unreachable for a while. That one connection was lost says nothing about that.
    pub fn is_lost(&self) -> bool {
        self.lost_since.is_some_and(|since| since.elapsed() >= OUTAGE)
    }

    /// When the next attempt to connect is allowed; `None`: there is a connection, or an attempt may be made now.
    pub fn due(&self) -> Option<Instant> {
        (self.conn.is_none() && self.again > Instant::now()).then_some(self.again)
    }

    /// Pings the server if the connection is idle, so that the server does not close it.
    pub fn keep_alive(&mut self) {
        if self.used.elapsed() >= Duration::from_secs(1) && self.conn.is_some() {
            // If it is lost, it is opened again when it is needed.
            let _ = self.with(Connection::ping);
        }
    }

    /// Has a connection that works, so that [`AutoConnection::is_lost`] is known while nothing is written.
    pub fn keep_open(&mut self) {
        if self.conn.is_some() && self.used.elapsed() < IDLE {
            return;
        }
        // The server may have closed an idle connection, which says nothing about whether it can be reached.
        if self.with(Connection::ping).is_err() && self.due().is_none() {
            let _ = self.with(Connection::ping);
        }
    }

    /// The failure of whoever needs a connection while there is none.
    fn absence(&self, why: String) -> Failure {
        if self.is_refused { Failure::refused(why) } else { Failure::lost(why) }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        if self.again > Instant::now() {
            let why = self.away.clone().unwrap_or_else(|| "the database is unreachable".to_owned());
            return Err(self.absence(why));
        }
        match Connection::open(&self.target, self.purpose, true).and_then(|mut conn| {
            accept(&self.target, &conn.variables()?)?;
            Ok(conn)
        }) {
            Ok(conn) => {
                self.conn = Some(conn);
                self.pause = PAUSE_MIN;
                self.is_refused = false;
                self.lost_since = None;
                if self.away.take().is_some() {
                    log::info!("the database is reachable again");
                }
                Ok(())
            }
            Err(failure) => {
                self.lost_since.get_or_insert_with(Instant::now);
                self.again = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                let why = failure.to_string();
                if self.away.as_ref() != Some(&why) {
                    self.is_refused = failure.cause.is_permanent();
                    if self.is_refused {
                        log::error!("the database refuses this server until something is changed: {why}");
                    } else {
                        log::error!("the database is unreachable: {why}");
                    }
                    self.away = Some(why.clone());
                }
                Err(self.absence(why))
            }
        }
    }
}

/// Checks whether a server with these variables may be used; the error says what to change.
pub fn accept(target: &Server, variables: &Variables) -> Result<(), Failure> {
    check::fitness(variables, &target.database.name).map_err(Failure::refused)?;
    match check::weakness(variables) {
        Some(sentence) if !target.accept_weak_durability => Err(Failure::refused(format!(
            "{sentence}, or accept the risk with storage.accept_weak_durability = true"
        ))),
        _ => Ok(()),
    }
}
