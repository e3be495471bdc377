//! A connection that is established again after it was lost.

use super::check::{self, Variables};
use super::connection::{Connection, Purpose, Server};
use super::failure::{Cause, Failure};
use super::sql::Sql;
use std::time::{Duration, Instant};

/// Pauses between tries to connect: work goes on soon after the server is back.
const PAUSE_MIN: Duration = Duration::from_millis(20);

const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A connection that is made again when it is lost.
pub struct AutoConnection {
    target: Server,
    purpose: Purpose,
    conn: Option<Connection>,
    used: Instant,
    /// When to try to connect again, and after which pause the time after that.
    again: Instant,
    pause: Duration,
    /// Why the database is away, as it was logged.
    away: Option<String>,
}

impl AutoConnection {
    /// A line that is opened when it is needed.
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
        }
    }

    /// Works on the connection, which is made where there is none. After a failure no transaction is open; after
    /// [`Cause::Lost`] there is no connection either, and the next call makes a new one if it is time.
    pub fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.conn.is_none() {
            self.connect()?;
        }
        let conn = self.conn.as_mut().expect("it was just made");
        let done = work(conn);
        self.used = Instant::now();
        if let Err(failure) = &done {
            let mut roll_back = Sql::new();
            roll_back.statement("ROLLBACK");
            if failure.cause == Cause::Lost || conn.ask(&roll_back).is_err() {
                self.conn = None;
            }
        }
        done
    }

    /// When a connection can be used or tried: now, or later.
    pub fn due(&self) -> Option<Instant> {
        (self.conn.is_none() && self.again > Instant::now()).then_some(self.again)
    }

    /// Keeps an idle connection from being taken for one that stands still.
    pub fn keep_alive(&mut self) {
        if self.used.elapsed() >= Duration::from_secs(1) && self.conn.is_some() {
            // One that is lost is made again when it is needed.
            let _ = self.with(Connection::ping);
        }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        if self.again > Instant::now() {
            return Err(Failure::lost("the database is away"));
        }
        match Connection::open(&self.target, self.purpose, true).and_then(|mut conn| {
            accept(&self.target, &conn.variables()?)?;
            Ok(conn)
        }) {
            Ok(conn) => {
                self.conn = Some(conn);
                self.pause = PAUSE_MIN;
                if self.away.take().is_some() {
                    log::info!("the database is back");
                }
                Ok(())
            }
            Err(failure) => {
                self.again = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                let why = failure.to_string();
                if self.away.as_ref() != Some(&why) {
                    log::error!("the database is away: {why}");
                    self.away = Some(why.clone());
                }
                Err(Failure::lost(why))
            }
        }
    }
}

/// Whether a server of these variables may be used; the sentence says what to change.
pub fn accept(target: &Server, variables: &Variables) -> Result<(), Failure> {
    check::fitness(variables, &target.database.name).map_err(Failure::refused)?;
    match check::weakness(variables) {
        Some(sentence) if !target.accept_weak_durability => Err(Failure::refused(format!(
            "{sentence}, or accept that: storage.accept_weak_durability = true"
        ))),
        _ => Ok(()),
    }
}
