//! Saving and loading a session: one transaction per turn, one row per noun.

use crate::database::{Store, StoreError};
use crate::{account, contact, conversation, group, message, timeline};
use chatclient_core::{Event, Snapshot};
use rusqlite::Transaction;
use wire::session::LoggedIn;
use wire::{Push, Reply, UserId};

impl Store {
    /// Writes the changes and the events of a turn, all or nothing.
    pub fn save(&mut self, changes: Option<&Snapshot>, events: &[Event]) -> Result<(), StoreError> {
        let account = self.account;
        let write = |transaction: &Transaction<'_>| {
            if let Some(changes) = changes {
                write_changes(transaction, changes)?;
            }
            events.iter().try_for_each(|event| write_event(transaction, account, event))
        };
        let done = self
            .db
            .transaction()
            .and_then(|transaction| write(&transaction).and_then(|()| transaction.commit()))
            .and_then(|()| match events.iter().any(message::is_recall) {
                true => self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
                false => Ok(()),
            });
        done.map_err(|error| self.failure(&error))
    }

    /// The state from which a session continues.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let row = self.db.query_row("SELECT token, next_number, server, history FROM account", [], |row| {
            let text = |at| row.get::<_, Option<String>>(at).map(|text| text.map(Into::into));
            Ok((text(0)?, row.get::<_, i64>(1)?, text(2)?, text(3)?))
        });
        let (token, next_number, server, history) = row.map_err(|error| self.failure(&error))?;
        Ok(Snapshot {
            account: Some(self.account),
            server,
            history,
            token,
            next_number: next_number as u64,
            conversations: self.conversation_snapshots()?,
            unsent: self.unsent()?,
        })
    }
}

fn write_changes(t: &Transaction<'_>, changes: &Snapshot) -> rusqlite::Result<()> {
    account::write_changes(t, changes)?;
    changes.conversations.iter().try_for_each(|snapshot| timeline::write_snapshot(t, snapshot))?;
    changes.unsent.iter().try_for_each(|unsent| message::write_unsent(t, unsent))
}

fn write_event(t: &Transaction<'_>, account: UserId, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::LoggedIn(login) => write_login(t, login),
        Event::Conversations(rows) => rows.iter().try_for_each(|row| timeline::write_summary(t, row)),
        Event::Message(message) => {
            message::write_message(t, account, message)?;
            group::write_message(t, account, message)?;
            timeline::write_kind(t, account, message)
        }
        Event::Sent { local, conversation, seq, time } => {
            message::write_sent(t, *local, *conversation, *seq, *time)
        }
        Event::Forgotten { conversation, after } => {
            message::forget_above(t, *conversation, *after)?;
            timeline::forget_above(t, *conversation, *after)
        }
        Event::SettingsChanged { conversation, change } => {
            conversation::write_settings(t, *conversation, *change)
        }
        Event::Cleared { conversation, upto } => conversation::write_cleared(t, *conversation, *upto),
        Event::SendFailed { local, failure } => message::write_failed(t, *local, &failure.to_string()),
        Event::Reply { reply, .. } => write_reply(t, account, reply),
        Event::Push(push) => write_push(t, push),
        _ => Ok(()),
    }
}

fn write_login(t: &Transaction<'_>, login: &LoggedIn) -> rusqlite::Result<()> {
    account::write_login(t, login)?;
    contact::write_login(t, login)?;
    group::write_login(t, login)?;
    login.conversations.iter().try_for_each(|row| timeline::write_summary(t, row))
}

fn write_reply(t: &Transaction<'_>, account: UserId, reply: &Reply) -> rusqlite::Result<()> {
    match reply {
        Reply::Contact(reply) => contact::write_reply(t, reply),
        Reply::Group(reply) => group::write_reply(t, reply),
        Reply::Timeline(reply) => timeline::write_reply(t, account, reply),
        _ => Ok(()),
    }
}

fn write_push(t: &Transaction<'_>, push: &Push) -> rusqlite::Result<()> {
    match push {
        Push::Contact(push) => contact::write_push(t, push),
        Push::Timeline(push) => timeline::write_push(t, push),
        _ => Ok(()),
    }
}
