//! The writer: batches of writes, their commits, and the publication of their outcomes.

use super::commit_group::{CommitGroup, WriteMet};
use super::reader::SqliteReader;
use super::sent::Met;
use super::store::{Batch, SqliteStore, Sync};
use super::view::View;
use crate::calendar;
use crate::error::StoreError;
use crate::store::{Publish, Reader, Store};
use logic::contract::{Found, Read, Ticket, Write, Written};
use std::sync::Arc;

impl Store for SqliteStore {
    fn write(&mut self, writes: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
        let now = (self.clock)();
        let batch = Batch { now, month: calendar::month_of(now), today: calendar::day_of(now) };
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut done = self.make_room();
        // All at once: the memory that this looks at is large, and each alone would wait for it.
        let met: Vec<Met> = writes.iter().map(|(_, write)| self.meet(&batch, write)).collect();
        let mut writes = writes.into_iter().zip(met).peekable();
        while done.is_ok() && writes.peek().is_some() {
            done = self.commit(&batch, &mut CommitGroup::of(&mut writes), &mut outcomes, &mut *publish);
        }
        match done {
            Ok(()) => self.bound_log(),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.roll_back()?;
                for outcome in &mut outcomes {
                    outcome.1 = Written::Unavailable;
                }
                outcomes.extend(writes.map(|((ticket, _), _)| (ticket, Written::Unavailable)));
                publish(outcomes);
                Err(error)
            }
        }
    }

    fn read(&mut self, read: &Read) -> Found {
        let now = (self.clock)();
        View { conn: &self.conn, resident: &self.resident, names: &mut self.names, now }.answer(read)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match &self.file {
            Some(file) => Ok(Box::new(SqliteReader::open(&file.path, Arc::clone(&self.resident))?)),
            None => {
                Err(StoreError::Unavailable("a database without a file has one connection only".to_owned()))
            }
        }
    }

    fn housekeep(&mut self) -> Result<bool, StoreError> {
        self.housekeep_slice()
    }

    fn is_behind(&self) -> bool {
        match &self.filing {
            Some(filing) => filing.progress() < self.run.fullness() * 1.25,
            None => self.run.is_full(),
        }
    }

    fn backlog(&self) -> usize {
        self.run.len() + self.filing.as_ref().map_or(0, |filing| filing.run().len())
    }
}

impl SqliteStore {
    /// Carries out the writes of one group, commits and publishes their outcomes. After an error a transaction may still
    /// be open, and `outcomes` has one for each write that was taken.
    fn commit(
        &mut self,
        batch: &Batch,
        writes: &mut dyn Iterator<Item = WriteMet>,
        outcomes: &mut Vec<(Ticket, Written)>,
        publish: Publish<'_>,
    ) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.checkpointer.check()?;
        }
        let mark = self.run.begin();
        let mut done = Ok(());
        for ((ticket, write), met) in writes {
            // Its outcome replaces this one, unless the group ends here.
            outcomes.push((ticket, Written::Unavailable));
            match self.execute(batch, write, met) {
                Ok(written) => outcomes.last_mut().expect("it was just pushed").1 = written,
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        if let Err(error) = done.and_then(|()| self.promise()) {
            self.run.truncate(mark);
            return Err(error);
        }
        let outcomes = std::mem::take(outcomes);
        match self.run.committed(mark, self.journal.last()) {
            Some((bytes, slots)) => self.resident.publish(&bytes, slots, || publish(outcomes)),
            None => publish(outcomes),
        }
        Ok(())
    }

    fn execute(&mut self, batch: &Batch, write: Write, met: Met) -> Result<Written, StoreError> {
        match &write {
            // What has an effect beyond the journal begins a transaction itself.
            Write::Message(_) => {}
            // A cursor that is lost only repeats a push.
            Write::Timeline(_) => self.begin(Sync::Later)?,
            _ => self.begin(Sync::Now)?,
        }
        match write {
            Write::Account(write) => self.write_account(batch, write),
            Write::Session(write) => self.write_session(batch, write),
            Write::Contact(write) => self.write_contact(write),
            Write::Group(write) => self.write_group(batch, write),
            Write::Message(write) => self.write_message(batch, write, met),
            Write::Timeline(write) => self.write_timeline(write),
            Write::Node(write) => self.write_node(batch, write),
            Write::Fenced(fence, write) => match self.is_in_force(fence)? {
                true => {
                    let met = self.meet(batch, &write);
                    self.execute(batch, *write, met)
                }
                false => Ok(Written::Superseded),
            },
        }
    }

    /// Makes what was carried out durable: the tables first, as messages need their conversations and nothing in the
    /// tables needs the messages that follow it.
    fn promise(&mut self) -> Result<(), StoreError> {
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
        }
        match self.run.open_batch() {
            Some(bytes) => self.journal.append(bytes, &mut self.random),
            None => Ok(()),
        }
    }

    /// Makes room in memory: no more than two runs are ever there.
    fn make_room(&mut self) -> Result<(), StoreError> {
        while self.run.is_full() && self.is_behind() {
            self.housekeep()?;
        }
        self.cache.bound();
        Ok(())
    }
}
