//! The writer: batches of writes, their commits, and the publication of their outcomes.

use super::commit_group::{CommitGroup, HintedWrite};
use super::name_cache::NameCache;
use super::reader::SqliteReader;
use super::sent::CidHint;
use super::store::{Batch, SqliteStore, Sync};
use super::view::View;
use crate::calendar;
use crate::error::StoreError;
use crate::fault;
use crate::retention;
use crate::store::{Publish, Reader, Store};
use logic::contract::{Found, Read, Ticket, Write, Written, presence, session, timeline};
use std::sync::Arc;
use std::time::Duration;
use wire::UnixMillis;

impl Store for SqliteStore {
    fn write(&mut self, writes: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
        let now = self.resident.begin_batch(&mut self.clock);
        let written = self.write_batch(now, writes, publish);
        self.resident.end_batch();
        written
    }

    fn read(&mut self, read: &Read) -> Found {
        let now = (self.clock)();
        let SqliteStore { conn, resident, names, headers, logins, .. } = self;
        View { conn, resident, names, headers, logins, now }.answer(read)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match &self.file {
            Some(file) => {
                let (resident, headers) = (Arc::clone(&self.resident), Arc::clone(&self.headers));
                let logins = Arc::clone(&self.logins);
                Ok(Box::new(SqliteReader::open(&file.path, resident, headers, logins)?))
            }
            None => {
                Err(StoreError::Unavailable("a database without a file has one connection only".to_owned()))
            }
        }
    }

    fn housekeep(&mut self) -> Result<bool, StoreError> {
        self.housekeep_slice()
    }

    fn is_behind(&self) -> bool {
        if self.scrubber.has_turn() {
            return true;
        }
        match &self.filing {
            Some(filing) => filing.progress() < self.run.fullness() * 1.25,
            None => self.run.is_full(),
        }
    }

    fn urgency(&self) -> Option<Duration> {
        [self.scrubber.urgency(), self.dropper.urgency()].into_iter().flatten().min()
    }

    fn close(&mut self) {
        self.put_off_drop();
    }

    fn unfiled(&self) -> usize {
        self.run.len() + self.filing.as_ref().map_or(0, |filing| filing.run().len())
    }
}

impl SqliteStore {
    fn write_batch(
        &mut self,
        now: UnixMillis,
        writes: Vec<(Ticket, Write)>,
        publish: Publish<'_>,
    ) -> Result<(), StoreError> {
        let dated = retention::dated(now, self.kept_from);
        let batch = Batch { now, dated, month: calendar::month_of(dated), today: calendar::day_of(now) };
        let mut outcomes = Vec::with_capacity(writes.len());
        let is_due = self.dropper.is_due() || self.scrubber.is_due(now) || self.is_maintenance_due(now);
        self.scrubber.begin_turn(is_due);
        let mut done = self.free_memory();
        // All at once, so that the cache misses of these look-ups overlap.
        let hints: Vec<CidHint> = writes.iter().map(|(_, write)| self.hint(&batch, write)).collect();
        let mut writes = writes.into_iter().zip(hints).peekable();
        while done.is_ok() && writes.peek().is_some() {
            done = self.commit(&batch, CommitGroup::of(&mut writes), &mut outcomes, &mut *publish);
        }
        match done {
            Ok(()) => self.bound_log(),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.roll_back()?;
                let undone = || match &error {
                    StoreError::Fault(_) => Written::Failed,
                    _ => Written::Unavailable,
                };
                for outcome in &mut outcomes {
                    outcome.1 = undone();
                }
                outcomes.extend(writes.map(|((ticket, _), _)| (ticket, undone())));
                publish(outcomes);
                Err(error)
            }
        }
    }

    /// Executes the writes of one group, commits, and publishes their outcomes. After an error a transaction may still
    /// be open, and `outcomes` has one outcome for each write taken from the group.
    fn commit(
        &mut self,
        batch: &Batch,
        mut writes: CommitGroup<'_, impl Iterator<Item = HintedWrite>>,
        outcomes: &mut Vec<(Ticket, Written)>,
        publish: Publish<'_>,
    ) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.checkpointer.check()?;
        }
        let mark = self.run.begin();
        let mut done = Ok(());
        while let Some(((ticket, write), hint)) =
            writes.next(|conversation| self.run.has_message_since(mark, conversation))
        {
            // Replaced by the actual outcome, unless the write fails.
            outcomes.push((ticket, Written::Unavailable));
            let outcome = &mut outcomes.last_mut().expect("it was just pushed").1;
            self.touched.add_write(&write);
            match self.execute_apart(batch, write, hint) {
                Ok(Some(written)) => {
                    self.touched.add_outcome(&written);
                    *outcome = written;
                }
                // The cache was dropped. What replaces it does not have this group until it is published.
                Ok(None) => {
                    *outcome = Written::Failed;
                    break;
                }
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        // The tables first: messages need their conversations, and what follows an entry that is a row needs the entry.
        if let Err(error) = done.and_then(|()| self.commit_tables()) {
            self.run.truncate(mark);
            return Err(error);
        }
        let journalled = match self.run.open_batch() {
            Some(bytes) => self.journal.append(bytes, &mut self.random),
            None => Ok(()),
        };
        match &journalled {
            Ok(()) => self.run.committed(self.journal.last()),
            Err(error) if error.is_fatal() => return journalled,
            // The tables are committed, so their outcomes stand.
            Err(_) => {
                self.run.remove_messages(mark);
                self.unlisted.clear();
                self.run.committed(self.journal.last());
                let is_message = |written: &Written| matches!(written, Written::Message(_));
                for (_, written) in outcomes.iter_mut().filter(|(_, written)| is_message(written)) {
                    *written = Written::Unavailable;
                }
            }
        }
        let outcomes = std::mem::take(outcomes);
        // Before the outcomes, and for messages while no reader sees the tail: whoever reads later notes the new counters
        // or finds what it notes outdated.
        let (generations, touched) = (&self.logins.generations, &mut self.touched);
        let announce = || {
            generations.count(touched.drain());
            publish(outcomes);
        };
        match self.run.since(mark) {
            [] => announce(),
            slots => self.resident.publish(&self.run, slots, self.unlisted.drain(..), announce),
        }
        journalled
    }

    /// Executes one write. `None`: a fault of its own, which leaves nothing of it behind and does not concern the other
    /// writes.
    fn execute_apart(
        &mut self,
        batch: &Batch,
        write: Write,
        hint: CidHint,
    ) -> Result<Option<Written>, StoreError> {
        let written = fault::tolerate(self.execute(batch, write, hint))?;
        if written.is_none() {
            // They may hold what was undone.
            self.cache.clear();
            self.names = NameCache::default();
        }
        Ok(written)
    }

    /// Does some work, or undoes what it has done.
    pub(super) fn whole_or_nothing<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.conn.prepare_cached("SAVEPOINT one")?.execute([])?;
        let done = work(self);
        if let Err(error) = &done {
            if self.conn.is_autocommit() {
                // SQLite has rolled back the whole transaction, and with it other writes.
                return Err(StoreError::Unavailable(error.to_string()));
            }
            self.conn.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        self.conn.prepare_cached("RELEASE one")?.execute([])?;
        done
    }

    fn execute(&mut self, batch: &Batch, write: Write, hint: CidHint) -> Result<Written, StoreError> {
        match &write {
            // Begins a transaction itself if it has to write to a table.
            Write::Message(_) => {}
            // Its outcome is published behind those of the writes before it.
            Write::Session(session::Write::Settle) => return Ok(Written::Done),
            // Losing a cursor only repeats a push.
            Write::Timeline(timeline::Write::MoveCursors(_)) => self.begin(Sync::Later)?,
            // A time that is lost is only less exact.
            Write::Presence(presence::Write::Seen(_)) => self.begin(Sync::Later)?,
            _ => self.begin(Sync::Now)?,
        }
        match write {
            Write::Message(write) => self.write_message(batch, write, hint),
            Write::Timeline(write @ timeline::Write::MoveCursors(_)) => self.write_timeline(write),
            other => self.whole_or_nothing(|store| store.execute_on_tables(batch, other)),
        }
    }

    /// Executes a write that may consist of several statements.
    fn execute_on_tables(&mut self, batch: &Batch, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Account(write) => self.write_account(batch, write),
            Write::Session(write) => self.write_session(batch, write),
            Write::Contact(write) => self.write_contact(batch, write),
            Write::Group(write) => self.write_group(batch, write),
            Write::Message(write) => {
                let hint = self.hint_of(batch, &write);
                self.write_message(batch, write, hint)
            }
            Write::Change(write) => self.write_change(batch, &write),
            Write::Timeline(write) => self.write_timeline(write),
            Write::Presence(write) => self.write_presence(batch, write),
            Write::Node(write) => self.write_node(batch, write),
            Write::Fenced(fence, write) => match self.is_in_force(fence)? {
                true => self.execute_on_tables(batch, *write),
                false => Ok(Written::Superseded),
            },
        }
    }

    /// Makes the executed writes to tables durable.
    fn commit_tables(&mut self) -> Result<(), StoreError> {
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    /// Frees memory: there are never more than two runs.
    fn free_memory(&mut self) -> Result<(), StoreError> {
        while self.run.is_full() && self.is_behind() {
            self.housekeep()?;
        }
        self.cache.bound();
        Ok(())
    }
}
