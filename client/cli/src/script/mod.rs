//! The client in a script: commands in, one after another, results out, an exit code.

mod report;

use crate::args::Entry;
use crate::terminal::chat;
use crate::terminal::command::{self, Command};
use chatclient_connection::Client;
use chatclient_core::{Event, Failure, LogoutReason, Options, RequestId, SendFailure, Session};
use crossbeam_channel::{Receiver, RecvTimeoutError, after, never, select};
use report::{Outcome, Report};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::contact::FriendsPage;
use wire::group::{GroupsPage, MembersPage};
use wire::timeline::{ConversationSummary, HistoryPage};
use wire::{ConversationId, ConversationKind, Direction, Errno, Refusal, Reply, Seq, Target, name};
use wire::{contact, group, timeline};

/// How long anything may take: a message is sent again meanwhile, over as many connections as it takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long leaving may wait for the last bytes.
const CLOSE: Duration = Duration::from_millis(500);
/// Messages of a page of history.
const HISTORY: u32 = 20;

/// What is to be done.
pub struct Plan<'e> {
    pub address: String,
    pub options: Options,
    pub entry: &'e Entry,
    /// Empty: lines come from stdin.
    pub commands: Vec<(String, Command)>,
    pub json: bool,
    pub wait: Duration,
}

/// Reads the commands of the command line; the error says what is wrong with one.
pub fn read_commands(lines: &[String]) -> Result<Vec<(String, Command)>, String> {
    lines.iter().map(|line| read_command(line).map(|command| (line.clone(), command))).collect()
}

fn read_command(line: &str) -> Result<Command, String> {
    let command = match command::parse(line) {
        Ok(Some(command)) => command,
        Ok(None) => return Err("an empty command".to_owned()),
        Err(mistake) => return Err(chat::explain(&mistake)),
    };
    match command {
        Command::Say(_) => Err(format!("`{line}` is no command; chat:WHO:MESSAGE sends one")),
        Command::Msg(_)
        | Command::Join(_)
        | Command::Recent(_)
        | Command::Older
        | Command::Members(None)
        | Command::File(_)
        | Command::Close
        | Command::Retry
        | Command::Drop => Err(format!("`{line}` is for a person at a terminal")),
        command => Ok(command),
    }
}

/// Runs a script. Whether everything succeeded; an error is one of stdout.
pub fn run(plan: Plan<'_>) -> io::Result<bool> {
    let (client, events) = Client::start(&*plan.address, plan.options)?;
    let mut script = Script {
        client,
        events,
        report: Report::new(plan.json),
        conversations: BTreeMap::new(),
        opened: Vec::new(),
        over: false,
        failed: false,
    };
    let done = script.work(plan.entry, plan.commands, plan.wait);
    script.client.close(CLOSE);
    match done {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(!script.failed),
        Err(error) => Err(error),
        Ok(()) => Ok(!script.failed),
    }
}

struct Script {
    client: Client,
    events: Receiver<Event>,
    report: Report,
    conversations: BTreeMap<ConversationId, ConversationSummary>,
    /// Direct chats that this script has opened.
    opened: Vec<(Target, ConversationId)>,
    /// Logged out, by the script or by somebody else: nothing more can be done.
    over: bool,
    failed: bool,
}

/// How a command went: what to report, or why it failed.
type Done = Result<Outcome, Failure>;

impl Script {
    fn work(&mut self, entry: &Entry, commands: Vec<(String, Command)>, wait: Duration) -> io::Result<()> {
        if let Err(failure) = self.enter(entry)? {
            self.failed = true;
            return self.report.login_failed(&failure);
        }
        let from_stdin = commands.is_empty();
        for (line, command) in commands {
            if !self.do_command(&line, command)? {
                return Ok(());
            }
        }
        if from_stdin && !self.do_lines(&stdin_lines()?)? {
            return Ok(());
        }
        self.listen(wait)
    }

    fn do_lines(&mut self, lines: &Receiver<io::Result<Vec<u8>>>) -> io::Result<bool> {
        while !self.over {
            select! {
                recv(lines) -> line => {
                    let Ok(line) = line else { return Ok(true) };
                    let line = line.map_err(|error| io::Error::other(format!("stdin: {error}")))?;
                    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
                    if line.trim().is_empty() {
                        continue;
                    }
                    let command = match &line {
                        Cow::Borrowed(line) => read_command(line),
                        Cow::Owned(_) => Err("the line is not UTF-8".to_owned()),
                    };
                    match command {
                        Ok(command) => if !self.do_command(&line, command)? {
                            return Ok(false);
                        },
                        Err(sentence) => {
                            self.failed = true;
                            self.report.wrong(&line, &sentence)?;
                        }
                    }
                }
                recv(self.events) -> event => self.take(event.map_err(io::Error::other)?)?,
            }
        }
        Ok(false)
    }

    /// Prints what comes, for this long.
    fn listen(&mut self, wait: Duration) -> io::Result<()> {
        let (until, never) = (after(wait), never::<Event>());
        while !self.over {
            // What stands in the queue already comes first, also where there is no time at all.
            if let Ok(event) = self.events.try_recv() {
                self.take(event)?;
                continue;
            }
            let events = if wait.is_zero() { &never } else { &self.events };
            select! {
                recv(events) -> event => { let event = event.map_err(io::Error::other)?; self.take(event)?; }
                recv(until) -> _ => return Ok(()),
            }
        }
        Ok(())
    }

    // ---- events ----------------------------------------------------------------------------------------------------------

    /// Waits for what `wanted` picks; everything is reported meanwhile.
    fn wait_for<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> io::Result<Result<T, Failure>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.take(event)?;
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

    fn take(&mut self, event: Event) -> io::Result<()> {
        match &event {
            Event::LoggedIn(login) => self.learn(&login.conversations),
            Event::Conversations(entries) => self.learn(entries),
            Event::LoggedOut(reason) => {
                self.over = true;
                self.failed |= *reason != LogoutReason::Asked;
            }
            _ => {}
        }
        self.report.event(&event)
    }

    fn learn(&mut self, entries: &[ConversationSummary]) {
        self.conversations.extend(entries.iter().map(|entry| (entry.conversation, entry.clone())));
    }

    // ---- logging in ------------------------------------------------------------------------------------------------------

    fn enter(&mut self, entry: &Entry) -> io::Result<Result<(), Failure>> {
        if let (true, Some((Who::Name(name), password))) = (entry.register, &entry.password) {
            match self.ask(|session, now| session.register(now, name, password))? {
                Ok(_) => {}
                Err(Failure::Refused(refusal)) if refusal.errno == Errno::NameTaken => {}
                Err(failure) => return Ok(Err(failure)),
            }
        }
        if let Some(token) = &entry.token {
            self.client.with(|session, now| session.login_token(now, token));
            let entered = self.entered()?;
            let is_invalid =
                matches!(&entered, Err(Failure::Refused(refusal)) if refusal.errno == Errno::TokenInvalid);
            if !(is_invalid && entry.password.is_some()) {
                return Ok(entered.map(drop));
            }
            (self.over, self.failed) = (false, false);
        }
        let Some((who, password)) = &entry.password else { return Ok(Err(Failure::Offline)) };
        self.client.with(|session, now| session.login_password(now, who.clone(), password));
        match self.entered()? {
            Ok(token) => entry.keep_token(&token).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The token of the login that succeeds.
    fn entered(&mut self) -> io::Result<Result<Box<str>, Failure>> {
        let entered = self.wait_for(|event| match event {
            Event::LoggedIn(login) => Some(Ok(login.token.clone())),
            Event::LoginFailed(failure) => Some(Err(failure.clone())),
            Event::LoggedOut(
                LogoutReason::TokenInvalid(refusal)
                | LogoutReason::AlreadyOnline(refusal)
                | LogoutReason::Refused(refusal),
            ) => Some(Err(Failure::Refused(refusal.clone()))),
            _ => None,
        })?;
        Ok(entered.and_then(|entered| entered))
    }

    // ---- commands --------------------------------------------------------------------------------------------------------

    /// Does one command; `false`: it was the last.
    fn do_command(&mut self, line: &str, command: Command) -> io::Result<bool> {
        let done = match command {
            Command::Quit => return Ok(false),
            Command::Loginout => {
                self.client.with(Session::logout);
                self.wait_for(|event| matches!(event, Event::LoggedOut(_)).then_some(()))?.ok();
                return Ok(false);
            }
            Command::Help(_) => Ok(Outcome::Help),
            Command::Chat { who: Who::Id(id), text } => self.send(Target::User(id), &text)?,
            Command::Chat { who: Who::Name(name), text } => self.send(Target::Name(name), &text)?,
            Command::GroupChat { group, text } => self.send(Target::Conversation(group), &text)?,
            Command::AddFriend { who } => outcome(self.ask(|session, now| session.add_friend(now, who))?),
            Command::CreateGroup { name, desc } => {
                outcome(self.ask(|session, now| session.create_group(now, &name, &desc))?)
            }
            Command::AddGroup { group } => outcome(self.ask(|session, now| session.join_group(now, group))?),
            Command::GroupHistory { group, before } => self.history(group, before)?,
            Command::History { who, before } => match self.direct(&who) {
                Some(conversation) => self.history(conversation, before)?,
                None => {
                    Ok(Outcome::Reply(Reply::Timeline(timeline::Reply::History(Box::new(HistoryPage {
                        messages: vec![],
                        more: false,
                        first_seq: Seq(1),
                    })))))
                }
            },
            Command::Friends => self.all_friends()?,
            Command::Groups => self.all_groups()?,
            Command::Members(Some(group)) => self.all_members(&group)?,
            _ => Err(refused("this is for a person at a terminal")),
        };
        self.failed |= done.is_err();
        self.report.result(line, &done)?;
        Ok(!self.over)
    }

    fn send(&mut self, to: Target, text: &str) -> io::Result<Done> {
        let sent = self.client.send(to.clone(), text);
        let mine = match sent {
            Ok(local) => local,
            Err(error) => return Ok(Err(refused(error.to_string()))),
        };
        let done = self.wait_for(|event| match event {
            Event::Sent { local, conversation, seq, time } if *local == mine => {
                Some(Ok(Outcome::Sent { conversation: *conversation, seq: *seq, time: *time }))
            }
            Event::SendFailed { local, failure } if *local == mine => Some(Err(match failure {
                SendFailure::Refused(refusal) => Failure::Refused(refusal.clone()),
                SendFailure::Expired | SendFailure::OtherAccount => refused(failure.to_string()),
            })),
            _ => None,
        })?;
        if let Ok(Ok(Outcome::Sent { conversation, .. })) = &done {
            self.opened.push((to, *conversation));
        }
        Ok(done.and_then(|done| done))
    }

    fn ask(
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

    fn history(&mut self, of: ConversationId, before: Option<Seq>) -> io::Result<Done> {
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        Ok(outcome(self.ask(|session, now| session.history(now, of, direction, HISTORY))?))
    }

    fn all_friends(&mut self) -> io::Result<Done> {
        let mut all = FriendsPage { friends: vec![], requests: vec![], more: false };
        loop {
            let last = all.friends.last().map_or(0, |friend| friend.id.0);
            match self.ask(|session, now| session.friends(now, last))? {
                Ok(Reply::Contact(contact::Reply::Friends(page))) => {
                    let more = page.more && !page.friends.is_empty();
                    all.friends.extend(page.friends);
                    if last == 0 {
                        all.requests = page.requests;
                    }
                    if !more {
                        return Ok(Ok(Outcome::Reply(Reply::Contact(contact::Reply::Friends(Box::new(
                            all,
                        ))))));
                    }
                }
                other => return Ok(outcome(other)),
            }
        }
    }

    fn all_groups(&mut self) -> io::Result<Done> {
        let mut all = GroupsPage { groups: vec![], more: false };
        loop {
            let last = all.groups.last().map_or(0, |group| group.conversation.0);
            match self.ask(|session, now| session.groups(now, last))? {
                Ok(Reply::Group(group::Reply::Groups(page))) => {
                    let more = page.more && !page.groups.is_empty();
                    all.groups.extend(page.groups);
                    if !more {
                        return Ok(Ok(Outcome::Reply(Reply::Group(group::Reply::Groups(Box::new(all))))));
                    }
                }
                other => return Ok(outcome(other)),
            }
        }
    }

    fn all_members(&mut self, group: &str) -> io::Result<Done> {
        let Some(conversation) = command::group(group) else {
            return Ok(Err(refused("a group's id is a number")));
        };
        let mut all = MembersPage { members: vec![], more: false };
        loop {
            let after = all.members.last().map_or(0, |member| member.id.0);
            match self.ask(|session, now| session.members(now, conversation, after))? {
                Ok(Reply::Group(group::Reply::Members(page))) => {
                    let more = page.more && !page.members.is_empty();
                    all.members.extend(page.members);
                    if !more {
                        return Ok(Ok(Outcome::Reply(Reply::Group(group::Reply::Members(Box::new(all))))));
                    }
                }
                other => return Ok(outcome(other)),
            }
        }
    }

    /// The direct chat with somebody, if there is one.
    fn direct(&self, who: &Who) -> Option<ConversationId> {
        let direct = self.conversations.values().filter(|entry| entry.kind == ConversationKind::Direct);
        let mut found = direct.filter(|entry| match who {
            Who::Id(id) => entry.peer == Some(*id),
            Who::Name(wanted) => name::key(&entry.name) == name::key(wanted),
        });
        let opened = self.opened.iter().find(|(to, _)| match (to, who) {
            (Target::User(opened), Who::Id(id)) => opened == id,
            (Target::Name(opened), Who::Name(wanted)) => name::key(opened) == name::key(wanted),
            _ => false,
        });
        found.next().map(|entry| entry.conversation).or(opened.map(|(_, conversation)| *conversation))
    }
}

fn outcome(answer: Result<Reply, Failure>) -> Done {
    answer.map(Outcome::Reply)
}

fn refused(sentence: impl Into<Cow<'static, str>>) -> Failure {
    Failure::Refused(Box::new(Refusal::new(Errno::BadRequest, sentence)))
}

/// Lines of stdin, whatever is in them; the next is read while one is worked on.
fn stdin_lines() -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (lines, received) = crossbeam_channel::bounded(1);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let is_over = line.is_err();
            if lines.send(line).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(received)
}
