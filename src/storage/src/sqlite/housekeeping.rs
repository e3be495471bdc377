//! Background work: filing, creating tables ahead of time, dropping expired tables, tokens and sessions.

use super::filing::{Filed, Filing, Step, file_messages, file_sent};
use super::run::Run;
use super::store::{SqliteStore, Sync};
use crate::calendar;
use crate::error::StoreError;
use crate::fault::{self, At};
use wire::UnixMillis;

/// Expired tokens or sessions deleted by one slice at most.
const PRUNE_MAX: u32 = 500;

const HOUR_MS: u64 = 60 * 60 * 1000;

impl SqliteStore {
    /// See [`Store::housekeep`](crate::store::Store::housekeep).
    pub(super) fn housekeep_slice(&mut self) -> Result<bool, StoreError> {
        self.scrubber.begin_slice();
        if self.filing.is_some() {
            self.file_slice()?;
            self.bound_log()?;
            // A new run is left to grow: filing a few messages from each of many conversations costs a page for each
            // conversation.
            let is_waited_for = self.scrubber.is_busy() || self.dropper.is_busy();
            return Ok(self.filing.is_some() || self.run.len() == 0 || is_waited_for);
        }
        let now = (self.clock)();
        if self.is_maintenance_due(now) {
            match fault::tolerate(self.maintain(now))? {
                Some(true) => return Ok(true),
                Some(false) => {}
                // Filing must not wait for what can be tried again in an hour.
                None => self.maintained_hour = Some(now.0 / HOUR_MS),
            }
        }
        // What is waited for comes first.
        if self.run.is_full() {
            self.begin_filing()?;
            return Ok(true);
        }
        // A recalled text is gone within a minute, also while months are dropped. A scrub ends; and nothing is dropped
        // while it clears the log, which then has the texts of no month that it does not know.
        if let Some(more) = self.scrub_slice(now)? {
            return Ok(more);
        }
        if let Some(more) = self.drop_slice()? {
            return Ok(more);
        }
        if self.run.len() > 0 {
            self.begin_filing()?;
            return Ok(true);
        }
        // Idle: release the memory of the last load.
        self.spare = None;
        self.run = Run::default();
        Ok(false)
    }

    /// Whether an hour has begun. It is not waited for a pause of the messages.
    pub(super) fn is_maintenance_due(&self, now: UnixMillis) -> bool {
        self.maintained_hour != Some(now.0 / HOUR_MS)
    }

    /// Hourly maintenance. Returns whether more is due.
    fn maintain(&mut self, now: UnixMillis) -> Result<bool, StoreError> {
        if !self.tables.are_ahead_of(now) {
            self.tables.make_ahead(&self.conn, now)?;
            return Ok(true);
        }
        if let Some(day) = self.tables.outlived_day(now) {
            self.tables.drop_day(&self.conn, day)?;
            return Ok(true);
        }
        if self.prune_tokens(now, PRUNE_MAX)? == PRUNE_MAX as usize {
            return Ok(true);
        }
        if self.prune_sessions(now, PRUNE_MAX)? == PRUNE_MAX as usize {
            return Ok(true);
        }
        self.look_at_retention(now)?;
        self.maintained_hour = Some(now.0 / HOUR_MS);
        Ok(false)
    }

    /// Freezes the current run. Creates its tables if they were not created ahead of time.
    pub(super) fn begin_filing(&mut self) -> Result<(), StoreError> {
        let today = calendar::day_of((self.clock)());
        let mut months: Vec<_> = self.run.slots().iter().map(|slot| slot.month).collect();
        months.dedup();
        for month in months {
            self.tables.need_month(&self.conn, month)?;
        }
        self.tables.need_day(&self.conn, today)?;
        if let Some(file) = &self.file {
            self.journal.release(file.checkpointer.synced());
        }
        self.journal.rotate();
        let mut next = self.spare.take().unwrap_or_default();
        next.clear();
        self.filing = Some(Filing::new(std::mem::replace(&mut self.run, next), today));
        Ok(())
    }

    /// Files one slice of the frozen run.
    pub(super) fn file_slice(&mut self) -> Result<(), StoreError> {
        let Some(mut filing) = self.filing.take() else { return Ok(()) };
        let filed = match self.commit_slice(&mut filing) {
            Ok(filed) => filed,
            Err(error) => {
                self.roll_back()?;
                // What follows is filed part by part, until the fault is passed.
                let is_known =
                    std::mem::replace(&mut filing.is_careful, matches!(error, StoreError::Fault(_)));
                let may_go_on = filing.is_careful && !is_known;
                self.filing = Some(filing);
                return if may_go_on { Ok(()) } else { Err(error) };
            }
        };
        self.resident.evict(&filed.ends);
        if std::mem::take(&mut filing.is_careful) {
            // What was set aside is not shown any more.
            self.logins.generations.count_all();
        }
        if filing.advance(&filed) {
            if filing.is_recorded {
                self.release_records(filing.run.last())?;
            }
            self.spare = Some(filing.run);
        } else {
            self.filing = Some(filing);
        }
        Ok(())
    }

    /// Files a slice in its own transaction.
    fn commit_slice(&mut self, filing: &mut Filing) -> Result<Filed, StoreError> {
        // Without a checkpoint thread that syncs the log later, the end of a run is synced here.
        let is_end = filing.step == Step::Journal && self.file.is_none();
        self.begin(if is_end { Sync::Now } else { Sync::Later })?;
        let filed = match filing.step {
            Step::Messages => file_messages(&self.conn, filing)?,
            Step::Sent => file_sent(&self.conn, filing)?,
            Step::Journal => {
                filing.is_recorded = self.record_filed(filing.run.last())?;
                Filed::default()
            }
        };
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(filed)
    }

    /// Records up to which journal record messages are filed. Returns whether that worked: otherwise the records are
    /// kept, and the next start files them again.
    fn record_filed(&self, last: u64) -> Result<bool, StoreError> {
        let record = || {
            let mut update = self.conn.prepare_cached("UPDATE journal_filed SET number = ?1")?;
            if update.execute([last as i64])? == 0 {
                self.conn.execute("INSERT INTO journal_filed VALUES (?1)", [last as i64])?;
            }
            Ok::<_, rusqlite::Error>(())
        };
        Ok(fault::tolerate(record().at("journal_filed", "number"))?.is_some())
    }

    /// The journal's records up to `last` are filed; their space is reused once that is on the disk.
    fn release_records(&mut self, last: u64) -> Result<(), StoreError> {
        match &self.file {
            Some(file) => self.journal.filed(last, file.checkpointer.ask()?),
            None => {
                self.journal.filed(last, 0);
                self.journal.release(0);
            }
        }
        Ok(())
    }
}
