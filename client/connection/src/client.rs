//! [`Client`]: the handle of the callers.

use crate::server::Server;
use crate::shared_session::SharedSession;
use crate::thread;
use chatclient_core::{Event, LocalId, Options, SendError, Session};
use chatclient_store::{Folder, Store, StoreError};
use crossbeam_channel::Receiver;
use mio::Waker;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::account::Who;
use wire::{References, Target, UserId};

/// A session and the thread that drives it. Commands return at once; their results arrive as events.
#[derive(Debug)]
pub struct Client {
    shared: Arc<SharedSession>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    /// Disconnects when the thread ends.
    ended: Receiver<Infallible>,
}

impl Client {
    /// Starts the thread, without a store and without connecting yet. An address instead of a [`Server`] is that of one
    /// without TLS.
    pub fn start(server: impl Into<Server>, options: Options) -> io::Result<(Client, Receiver<Event>)> {
        Client::start_with_store(server, options, None)
    }

    /// Starts the thread; every account that logs in gets a store in this folder.
    pub fn start_with_store(
        server: impl Into<Server>,
        options: Options,
        folder: Option<Folder>,
    ) -> io::Result<(Client, Receiver<Event>)> {
        let (events, receiver) = crossbeam_channel::unbounded();
        let (alive, ended) = crossbeam_channel::bounded(0);
        let shared = Arc::new(SharedSession::new(options, folder, events));
        let stop = Arc::<AtomicBool>::default();
        let waker = thread::spawn(server.into(), shared.clone(), stop.clone(), alive)?;
        let client = Client { shared, waker, stop, ended };
        Ok((client, receiver))
    }

    /// Calls a command or a getter of the session with the present time, and wakes the thread.
    ///
    /// ```no_run
    /// # use chatclient_connection::Client;
    /// # use chatclient_core::Options;
    /// let (client, events) = Client::start("127.0.0.1:6000", Options::new(1)).unwrap();
    /// client.with(|session, now| session.login_token(now, "a token"));
    /// ```
    pub fn with<T>(&self, command: impl FnOnce(&mut Session, u64) -> T) -> T {
        let result = command(&mut self.shared.session.lock(), self.shared.now());
        // The waker is an eventfd: writing fails only when the kernel is temporarily out of memory.
        let _ = self.waker.wake();
        result
    }

    /// Logs in by password, as [`Session::login_password`] does. `token`: the last one of the account, where the caller
    /// has it; else it comes from the store.
    pub fn log_in(&self, who: Who, password: &str, token: Option<&str>) {
        let known = token.map(Into::into).or_else(|| self.shared.store.lock().known_token(&who));
        self.with(|session, now| session.login_known(now, who, password, known.as_deref()));
    }

    /// Adds a message to the outbox, as [`Session::send`] does. It is in the store when this returns.
    pub fn send(&self, target: Target, text: &str) -> Result<LocalId, SendError> {
        self.send_referring(target, text, None)
    }

    /// The same with a message that refers to others or to members.
    pub fn send_referring(
        &self,
        target: Target,
        text: &str,
        references: Option<Box<References>>,
    ) -> Result<LocalId, SendError> {
        let now = self.shared.now();
        let sent = self.shared.session.lock().send_referring(now, target, text, references);
        self.shared.commit(None);
        let _ = self.waker.wake();
        sent
    }

    /// Continues as an account of the store, offline at first. Returns its token; `None` if it has none, if there is no
    /// store, or if an account is logged in.
    pub fn continue_as(&self, account: UserId) -> Result<Option<Box<str>>, StoreError> {
        let mut store = self.shared.store.lock();
        let Some(snapshot) = store.switch_to(account, None)? else { return Ok(None) };
        let token = snapshot.token.clone();
        let adopted = self.shared.session.lock().adopt(self.shared.now(), snapshot);
        Ok(token.filter(|_| adopted))
    }

    /// Reads or writes the open store; `None` if there is none or if it fails.
    pub fn store<T>(&self, ask: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Option<T> {
        let mut store = self.shared.store.lock();
        ask(store.store()?).map_err(|error| self.shared.report_failure(Some(error))).ok()
    }

    /// Sends pending ACKs and READs, stops the thread and waits for its end, at most `within`.
    pub fn close(self, within: Duration) {
        self.with(|session, _| session.flush_cursor_updates());
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        let _ = self.ended.recv_timeout(within);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The thread may be in a name lookup, which cannot be interrupted: it ends when it sees the flag.
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }
}
