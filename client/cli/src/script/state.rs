//! [`Script`]: the state of a running script; logging in, and waiting for results.

use super::output::Output;
use crate::args::Login;
use chatclient_connection::Client;
use chatclient_core::{Event, Failure, LogoutReason, RequestId, Session};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::search::Search;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Errno, Refusal, Reply, Target};

/// The longest wait for a result. Meanwhile a message is retried, over as many connections as it takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Script {
    pub(super) client: Client,
    pub(super) events: Receiver<Event>,
    pub(super) output: Output,
    pub(super) conversations: BTreeMap<ConversationId, ConversationSummary>,
    /// Direct chats that this script has written to.
    pub(super) opened: Vec<OpenedChat>,
    /// The next results of the last search.
    pub(super) next_search: Option<Search>,
    /// Logged out, by the script or by another login: nothing more can be done.
    pub(super) over: bool,
    pub(super) failed: bool,
}

pub struct OpenedChat {
    pub(super) target: Target,
    pub(super) conversation: ConversationId,
}

impl Script {
    pub fn new(client: Client, events: Receiver<Event>, output: Output) -> Script {
        let (conversations, opened) = (BTreeMap::new(), Vec::new());
        let next_search = None;
        Script { client, events, output, conversations, opened, next_search, over: false, failed: false }
    }

    // ---- waiting ---------------------------------------------------------------------------------------------------

    /// Waits for an event that `wanted` picks. Every event is printed meanwhile.
    pub(super) fn wait_for<T>(
        &mut self,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> io::Result<Result<T, Failure>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.handle_event(event)?;
                    if let Some(found) = found {
                        return Ok(Ok(found));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Err(Failure::TimedOut)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(Failure::Offline)),
            }
            if self.over {
                return Ok(Err(Failure::Offline));
            }
        }
    }

    pub(super) fn handle_event(&mut self, event: Event) -> io::Result<()> {
        match &event {
            Event::LoggedIn(login) => self.learn_conversations(&login.conversations),
            Event::Conversations(rows) => self.learn_conversations(rows),
            Event::LoggedOut(reason) => {
                self.over = true;
                self.failed |= *reason != LogoutReason::Asked;
            }
            _ => {}
        }
        self.output.event(&event)
    }

    fn learn_conversations(&mut self, rows: &[ConversationSummary]) {
        self.conversations.extend(rows.iter().map(|row| (row.conversation, row.clone())));
    }

    /// Makes a request and waits for its reply.
    pub(super) fn ask(
        &mut self,
        ask: impl FnOnce(&mut Session, u64) -> RequestId,
    ) -> io::Result<Result<Reply, Failure>> {
        let mine = self.client.with(ask);
        let answer = self.wait_for(|event| match event {
            Event::Reply { request, reply } if *request == mine => Some(Ok(reply.clone())),
            Event::Failed { request, failure } if *request == mine => Some(Err(failure.clone())),
            _ => None,
        })?;
        Ok(answer.and_then(|answer| answer))
    }

    // ---- logging in ------------------------------------------------------------------------------------------------

    pub(super) fn log_in(&mut self, login: &Login) -> io::Result<Result<(), Failure>> {
        let mut name_refused = None;
        if let (true, Some((Who::Name(name), password))) = (login.register, &login.password) {
            match self.ask(|session, now| session.register(now, name, password))? {
                Ok(_) => {}
                Err(Failure::Refused(refusal)) if may_exist(&refusal) => name_refused = Some(refusal),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        if let Some(token) = &login.token {
            self.client.with(|session, now| session.login_token(now, token));
            let result = self.login_result()?;
            let is_invalid =
                matches!(&result, Err(Failure::Refused(refusal)) if refusal.errno == Errno::TokenInvalid);
            if !(is_invalid && login.password.is_some()) {
                return Ok(result.map(drop));
            }
            (self.over, self.failed) = (false, false);
        }
        let Some((who, password)) = &login.password else { return Ok(Err(Failure::Offline)) };
        self.client.log_in(who.clone(), password, login.token.as_deref());
        match (self.login_result()?, name_refused) {
            (Ok(token), _) => token.map_or(Ok(()), |token| login.save_token(&token)).map(Ok),
            // Either there is no such account, and its name is why it could not be registered, or its password is another
            // one.
            (Err(Failure::Refused(login)), Some(refusal)) if login.errno == Errno::BadCredentials => {
                Ok(Err(Failure::Refused(not_registered(refusal))))
            }
            (Err(failure), _) => Ok(Err(failure)),
        }
    }

    /// Waits for the login; its token, if the reply shows one.
    fn login_result(&mut self) -> io::Result<Result<Option<Box<str>>, Failure>> {
        let result = self.wait_for(|event| match event {
            Event::LoggedIn(login) => Some(Ok(login.token.clone())),
            Event::LoginFailed(failure) => Some(Err(failure.clone())),
            Event::LoggedOut(
                LogoutReason::TokenInvalid(refusal)
                | LogoutReason::AlreadyOnline(refusal)
                | LogoutReason::Refused(refusal),
            ) => Some(Err(Failure::Refused(refusal.clone()))),
            _ => None,
        })?;
        Ok(result.and_then(|result| result))
    }
}

/// Why neither a registration nor a login with the same name and password succeeded.
fn not_registered(refusal: Box<Refusal>) -> Box<Refusal> {
    if refusal.errno != Errno::NameTaken {
        return refusal;
    }
    let errmsg = "the name is taken, by an account with another password or by one whose name looks like it";
    Box::new(Refusal { errmsg: errmsg.into(), ..*refusal })
}

/// Whether the account of a refused registration may exist: the name is taken, or no new account may have it.
fn may_exist(refusal: &Refusal) -> bool {
    let is_about_name = refusal.field.as_deref() == Some("name");
    refusal.errno == Errno::NameTaken || (refusal.errno == Errno::BadRequest && is_about_name)
}
