//! [`SharedSession`]: the session and its store, shared by the connection's thread and the callers.

use chatclient_core::{Event, Options, Session};
use chatclient_store::{ActiveStore, Folder, StoreError};
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use std::time::Instant;

/// The state behind both locks. The store's lock is taken before the session's, so that events are saved in the order
/// in which they are reported.
#[derive(Debug)]
pub(crate) struct SharedSession {
    pub(crate) session: Mutex<Session>,
    pub(crate) store: Mutex<ActiveStore>,
    pub(crate) events: Sender<Event>,
    started: Instant,
}

impl SharedSession {
    pub(crate) fn new(options: Options, folder: Option<Folder>, events: Sender<Event>) -> SharedSession {
        let session = Session::new(Options { persistent: folder.is_some(), ..options });
        let store = ActiveStore::new(folder);
        SharedSession {
            session: Mutex::new(session),
            store: Mutex::new(store),
            events,
            started: Instant::now(),
        }
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Saves the changes and events of the session, then passes the events on. The bytes for the server, which must not
    /// be written before this returns, are appended to `out`.
    pub(crate) fn commit(&self, mut out: Option<&mut Vec<u8>>) {
        let mut store = self.store.lock();
        loop {
            let mut events = Vec::new();
            let (changes, load, look) = {
                let (mut session, now) = (self.session.lock(), self.now());
                if let Some(out) = &mut out {
                    session.poll_transmit(out);
                }
                events.extend(std::iter::from_fn(|| session.poll_event()));
                (session.poll_changes(now), session.poll_load(), session.poll_look())
            };
            let failure = store.save(changes.as_ref(), &events).err();
            // A caller that dropped the receiver wants no events.
            events.into_iter().for_each(|event| drop(self.events.send(event)));
            self.report_failure(failure);
            if let Some((conversation, below)) = look {
                let looked = store.store().map(|store| store.kept_below(conversation, below)).transpose();
                let (kept, failure) = match looked {
                    Ok(kept) => (kept.flatten(), None),
                    Err(error) => (None, Some(error)),
                };
                self.report_failure(failure);
                self.session.lock().handle_looked(self.now(), conversation, kept);
                continue;
            }
            let Some((account, server)) = load else { return };
            let (snapshot, failure) = match store.switch_to(account, server.as_deref()) {
                Ok(snapshot) => (snapshot, None),
                Err(error) => (None, Some(error)),
            };
            self.report_failure(failure);
            self.session.lock().handle_loaded(self.now(), snapshot);
        }
    }

    pub(crate) fn report_failure(&self, why: Option<StoreError>) {
        if let Some(why) = why {
            let _ = self.events.send(Event::StoreFailed(why.to_string()));
        }
    }
}
