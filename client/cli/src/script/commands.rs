//! Carries out the commands of a script, one row a noun.

use super::output::Outcome;
use super::state::{OpenedChat, Script};
use crate::command::ambiguity::Ambiguity;
use crate::command::{Command, argument, change, contact, message, presence, session, timeline};
use crate::display::mention::{may_mention, mentioned};
use chatclient_core::{Event, Failure, SendFailure, Session};
use std::borrow::Cow;
use std::io;
use wire::account::Who;
use wire::contact::FriendsPage;
use wire::group::Role;
use wire::limits::{PAGE_MAX, SEARCH_MAX};
use wire::presence::SessionState;
use wire::search::Search;
use wire::session::Revoke;
use wire::timeline::{HistoryPage, ReadersPage};
use wire::words::Sought;
use wire::{
    ConversationId, ConversationKind, Direction, Errno, Mentions, Page, References, Refusal, Reply, Seq,
    Target, name,
};

/// Messages on a page of history.
const PAGE: u32 = 20;

/// The outer error is one of stdout.
pub(super) type Done = io::Result<Result<Outcome, Failure>>;

impl Script {
    /// Carries out one command and prints its result; `false`: it was the last one.
    pub(super) fn do_command(&mut self, line: &str, command: Command) -> io::Result<bool> {
        let done = match command {
            Command::Session(session::Command::Quit) => return Ok(false),
            Command::Session(command) => self.do_session_command(command)?,
            Command::Contact(command) => self.do_contact_command(command)?,
            Command::Group(command) => self.do_group_command(command)?,
            Command::Message(command) => self.do_message_command(command)?,
            Command::Change(command) => self.do_change_command(command)?,
            Command::Timeline(command) => self.do_timeline_command(command)?,
            Command::Presence(command) => self.do_presence_command(&command)?,
        };
        self.failed |= done.is_err();
        self.output.result(line, &done)?;
        Ok(!self.over)
    }

    fn do_session_command(&mut self, command: session::Command) -> Done {
        match command {
            session::Command::Help(_) | session::Command::Keys => Ok(Ok(Outcome::Help)),
            session::Command::Clear | session::Command::Password => Ok(Err(at_terminal_only())),
            session::Command::Devices => reply(self.ask(Session::devices)),
            session::Command::Revoke(which) => self.revoke(which),
            session::Command::Quit => Ok(Ok(Outcome::Reply(Reply::Done))),
            session::Command::Logout => self.log_out(),
        }
    }

    fn log_out(&mut self) -> Done {
        self.client.with(Session::logout);
        self.wait_for(|event| matches!(event, Event::LoggedOut(_)).then_some(()))?.ok();
        Ok(Ok(Outcome::Reply(Reply::Done)))
    }

    /// Ends other logins; the own one ends by logging out.
    fn revoke(&mut self, which: Revoke) -> Done {
        if let Revoke::One(id) = which {
            match self.ask(Session::devices)? {
                Ok(Reply::Session(wire::session::Reply::Devices(page)))
                    if page.devices.iter().any(|device| device.id == id && device.current) =>
                {
                    return self.log_out();
                }
                Ok(_) => {}
                Err(failure) => return Ok(Err(failure)),
            }
        }
        reply(self.ask(|session, now| session.revoke(now, which)))
    }

    fn do_presence_command(&mut self, command: &presence::Command) -> Done {
        let (state, text) = match command {
            presence::Command::Away(text) => (SessionState::Away, text.as_deref()),
            presence::Command::Back => (SessionState::Online, None),
        };
        reply(self.ask(|session, now| session.set_presence(now, state, text)))
    }

    // ---- contacts --------------------------------------------------------------------------------------------------

    fn do_contact_command(&mut self, command: contact::Command) -> Done {
        match command {
            contact::Command::Add { who } => reply(self.ask(|session, now| session.add_friend(now, who))),
            contact::Command::List => self.all_friends(),
            contact::Command::Find(find) => {
                reply(self.ask(|session, now| session.ask(now, wire::account::Request::Find(find))))
            }
            contact::Command::Remove { who } => match self.user_meant(who)? {
                Ok(id) => reply(self.ask(|session, now| session.remove_friend(now, id))),
                Err(failure) => Ok(Err(failure)),
            },
            contact::Command::Note { who, what, text } => match self.user_meant(who)? {
                Ok(id) => reply(self.ask(|session, now| session.set_friend(now, what.set(id, &text)))),
                Err(failure) => Ok(Err(failure)),
            },
            contact::Command::Profile { who } => {
                reply(self.ask(|session, now| session.ask(now, wire::account::Request::Profile(who))))
            }
        }
    }

    /// The id of a user.
    pub(super) fn user_meant(&mut self, who: Who) -> io::Result<Result<wire::UserId, Failure>> {
        if let Who::Id(id) = who {
            return Ok(Ok(id));
        }
        let profile = wire::account::Request::Profile(Some(who));
        Ok(match self.ask(|session, now| session.ask(now, profile))? {
            Ok(Reply::Account(wire::account::Reply::Profile(found))) => Ok(found.id),
            Ok(_) => Err(refused("the server gave no profile")),
            Err(failure) => Err(failure),
        })
    }

    fn all_friends(&mut self) -> Done {
        let mut all = FriendsPage { friends: vec![], requests: vec![], more: false };
        loop {
            let last = all.friends.last().map_or(0, |friend| friend.id.0);
            match self.ask(|session, now| session.friends(now, last))? {
                Ok(Reply::Contact(wire::contact::Reply::Friends(page))) => {
                    let more = page.more && !page.friends.is_empty();
                    all.friends.extend(page.friends);
                    if last == 0 {
                        all.requests = page.requests;
                    }
                    if !more {
                        let all = wire::contact::Reply::Friends(Box::new(all));
                        return Ok(Ok(Outcome::Reply(all.into())));
                    }
                }
                other => return reply(Ok(other)),
            }
        }
    }

    // ---- messages --------------------------------------------------------------------------------------------------

    fn do_message_command(&mut self, command: message::Command) -> Done {
        match command {
            message::Command::ToUser { who: Who::Id(id), text, .. } => self.send(Target::User(id), &text),
            message::Command::ToUser { who: Who::Name(name), text, typed } => match self.other_user(&typed) {
                None => self.send(Target::Name(name), &text),
                Some(other) => Ok(Err(refused(other.question()))),
            },
            message::Command::ToGroup { group, text, typed } => {
                match self.group_meant(&group, Some(&typed))? {
                    Ok(group) => self.send_to_group(group, &text),
                    Err(failure) => Ok(Err(failure)),
                }
            }
            message::Command::Reply(message::Reply { of: Some(of), seq: Some(seq), text }) => {
                let references = References { reply_to: Some(seq), mentions: Mentions::Nobody };
                match self.conversation_meant(&of)? {
                    Ok(of) => {
                        self.send_referring(Target::Conversation(of), &text, Some(Box::new(references)))
                    }
                    Err(failure) => Ok(Err(failure)),
                }
            }
            message::Command::Reply(_)
            | message::Command::Here(_)
            | message::Command::Open(_)
            | message::Command::File(_)
            | message::Command::More
            | message::Command::Retry
            | message::Command::Drop => Ok(Err(at_terminal_only())),
        }
    }

    /// The user that `chat:alice:bob:hi` may be meant for if the account has a chat with an `alice:bob`.
    fn other_user<'t>(&self, typed: &'t str) -> Option<Ambiguity<'t>> {
        Ambiguity::find(typed, |name| self.direct(&Who::Name(name.into())).is_some())
    }

    /// Sends a message with the members whom it mentions.
    fn send_to_group(&mut self, group: ConversationId, text: &str) -> Done {
        let mentions = match may_mention(text) {
            true => self.mentions_in(group, text)?,
            false => Ok(Mentions::Nobody),
        };
        let mentions = match mentions {
            Ok(mentions) => mentions,
            Err(failure) => return Ok(Err(failure)),
        };
        let references = References { reply_to: None, mentions };
        let references = (!references.is_empty()).then(|| Box::new(references));
        self.send_referring(Target::Group(group), text, references)
    }

    /// The members whom a text mentions, unless the members cannot be read.
    fn mentions_in(&mut self, group: ConversationId, text: &str) -> io::Result<Result<Mentions, Failure>> {
        let me = self.client.with(|session, _| session.account());
        let page = match self.all_members(group)? {
            Ok(Outcome::Reply(Reply::Group(wire::group::Reply::Members(page)))) => page,
            Ok(_) => return Ok(Ok(Mentions::Nobody)),
            Err(failure) => return Ok(Err(failure)),
        };
        let members: Vec<_> = page.members.iter().map(|member| (member.id, &*member.name)).collect();
        let own = page.members.iter().find(|member| Some(member.id) == me);
        let may_all = own.is_some_and(|own| matches!(own.role, Role::Creator | Role::Admin));
        Ok(Ok(mentioned(text, &members, may_all)))
    }

    fn send(&mut self, to: Target, text: &str) -> Done {
        self.send_referring(to, text, None)
    }

    fn send_referring(&mut self, to: Target, text: &str, references: Option<Box<References>>) -> Done {
        let mine = match self.client.send_referring(to.clone(), text, references) {
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
            self.opened.push(OpenedChat { target: to, conversation: *conversation });
        }
        Ok(done.and_then(|done| done))
    }

    // ---- changes ---------------------------------------------------------------------------------------------------

    fn do_change_command(&mut self, command: change::Command) -> Done {
        let (change::Command::React { of, .. }
        | change::Command::Edit { of, .. }
        | change::Command::Recall { of, .. }) = &command;
        let Some(of) = of else { return Ok(Err(at_terminal_only())) };
        match self.conversation_meant(of)? {
            Ok(of) => reply(self.ask(|session, now| match &command {
                change::Command::React { seq, reaction, on, .. } => {
                    session.react(now, of, *seq, reaction, *on)
                }
                change::Command::Edit { seq, text, .. } => session.edit(now, of, *seq, text),
                change::Command::Recall { seq, .. } => session.recall(now, of, *seq),
            })),
            Err(failure) => Ok(Err(failure)),
        }
    }

    // ---- timelines -------------------------------------------------------------------------------------------------

    fn do_timeline_command(&mut self, command: timeline::Command) -> Done {
        match command {
            timeline::Command::OfGroup { group, before, typed } => {
                match self.group_meant(&group, Some(&typed))? {
                    Ok(group) => self.history(group, before),
                    Err(failure) => Ok(Err(failure)),
                }
            }
            timeline::Command::WithUser { who, before, typed } => {
                match (self.other_user(&typed), self.direct(&who)) {
                    (Some(other), _) => Ok(Err(refused(other.question()))),
                    (None, Some(conversation)) => self.history(conversation, before),
                    (None, None) => {
                        let empty = HistoryPage { messages: vec![], more: false, first_seq: Seq(1) };
                        Ok(Ok(Outcome::Reply(wire::timeline::Reply::History(Box::new(empty)).into())))
                    }
                }
            }
            timeline::Command::Set(setting, Some(of)) => match self.conversation_meant(&of)? {
                Ok(of) => reply(self.ask(|session, now| session.set_conversation(now, of, setting.change()))),
                Err(failure) => Ok(Err(failure)),
            },
            // A script has nobody to ask.
            timeline::Command::Forget(Some(of)) => match self.conversation_meant(&of)? {
                Ok(of) => reply(self.ask(|session, now| session.clear(now, of, Seq::MAX))),
                Err(failure) => Ok(Err(failure)),
            },
            timeline::Command::Readers { group: Some(group), seq, typed } => {
                match self.group_meant(&group, Some(&typed))? {
                    Ok(group) => self.readers(group, seq),
                    Err(failure) => Ok(Err(failure)),
                }
            }
            timeline::Command::Search { of, text } => self.search(of.as_deref(), text),
            timeline::Command::Readers { group: None, .. }
            | timeline::Command::Latest(_)
            | timeline::Command::Older
            | timeline::Command::Newer
            | timeline::Command::Open(_)
            | timeline::Command::Set(_, None)
            | timeline::Command::Forget(None)
            | timeline::Command::Close => Ok(Err(at_terminal_only())),
        }
    }

    /// Searches, or continues the last search.
    fn search(&mut self, of: Option<&str>, text: Option<String>) -> Done {
        let search = match (text, self.next_search.take()) {
            (None, Some(next)) => next,
            (None, None) => return Ok(Err(refused("there are no further results"))),
            (Some(text), _) => {
                if let Err(why) = Sought::parse(&text) {
                    return Ok(Err(refused(why.replace("`text`", "it"))));
                }
                let conversation = match of.map(|of| self.conversation_meant(of)).transpose()? {
                    None => None,
                    Some(Ok(found)) => Some(found),
                    Some(Err(failure)) => return Ok(Err(failure)),
                };
                Search { conversation, ..Search::new(&text, SEARCH_MAX) }
            }
        };
        let asked = search.clone();
        let answer = self.ask(|session, now| session.search(now, asked))?;
        if let Ok(Reply::Timeline(wire::timeline::Reply::Results(page))) = &answer {
            let cursor = page.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
            self.next_search = cursor.map(|cursor| Search { cursor: Some(cursor), ..search });
        }
        reply(Ok(answer))
    }

    fn history(&mut self, of: ConversationId, before: Option<Seq>) -> Done {
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        reply(self.ask(|session, now| session.history(now, of, direction, PAGE)))
    }

    /// All readers of an own message; without a seq, of the last one.
    fn readers(&mut self, conversation: ConversationId, seq: Option<Seq>) -> Done {
        let seq = match seq {
            Some(seq) => seq,
            None => match self.last_own(conversation)? {
                Ok(Some(seq)) => seq,
                Ok(None) => return Ok(Err(refused("none of the latest messages of the group is yours"))),
                Err(failure) => return Ok(Err(failure)),
            },
        };
        let mut all = ReadersPage { readers: vec![], count: 0, of: 0, more: false };
        loop {
            let page = Page { after: all.readers.last().map_or(0, |reader| reader.id.0), limit: PAGE_MAX };
            match self.ask(|session, now| session.readers(now, conversation, seq, page))? {
                Ok(Reply::Timeline(wire::timeline::Reply::Readers(page))) => {
                    let more = page.more && !page.readers.is_empty();
                    (all.count, all.of) = (page.count, page.of);
                    all.readers.extend(page.readers);
                    if !more {
                        return Ok(Ok(Outcome::Readers { conversation, seq, all }));
                    }
                }
                other => return reply(Ok(other)),
            }
        }
    }

    /// The last own one of the latest messages.
    fn last_own(&mut self, of: ConversationId) -> io::Result<Result<Option<Seq>, Failure>> {
        let me = self.client.with(|session, _| session.account());
        let direction = Direction::Before(Seq::MAX);
        Ok(match self.ask(|session, now| session.history(now, of, direction, PAGE_MAX))? {
            Ok(Reply::Timeline(wire::timeline::Reply::History(page))) => {
                let own = page.messages.iter().rfind(|entry| entry.is_message() && Some(entry.from) == me);
                Ok(own.map(|own| own.seq))
            }
            Ok(_) => Ok(None),
            Err(failure) => Err(failure),
        })
    }

    /// The conversation of `WHO` or `#GROUP`.
    fn conversation_meant(&mut self, of: &str) -> io::Result<Result<ConversationId, Failure>> {
        if let Some(group) = of.strip_prefix('#').and_then(argument::group) {
            return self.group_meant(&group, None);
        }
        let found = argument::who(of).and_then(|who| self.direct(&who));
        Ok(found.ok_or_else(|| refused(format!("there is no conversation with {of}"))))
    }

    /// The direct chat with a user, if there is one.
    fn direct(&self, who: &Who) -> Option<ConversationId> {
        let direct = self.conversations.values().filter(|row| row.kind == ConversationKind::Direct);
        let mut found = direct.filter(|row| match who {
            Who::Id(id) => row.peer == Some(*id),
            Who::Name(wanted) => name::key(&row.name) == name::key(wanted),
        });
        let opened = self.opened.iter().find(|opened| match (&opened.target, who) {
            (Target::User(opened), Who::Id(id)) => opened == id,
            (Target::Name(opened), Who::Name(wanted)) => name::key(opened) == name::key(wanted),
            _ => false,
        });
        found.next().map(|row| row.conversation).or(opened.map(|opened| opened.conversation))
    }
}

pub(super) fn reply(answer: io::Result<Result<Reply, Failure>>) -> Done {
    Ok(answer?.map(Outcome::Reply))
}

/// Such commands are refused when they are read; see `Used::AtTerminal`.
pub(super) fn at_terminal_only() -> Failure {
    refused("this command works only at a terminal")
}

pub(super) fn refused(sentence: impl Into<Cow<'static, str>>) -> Failure {
    Failure::Refused(Box::new(Refusal::new(Errno::BadRequest, sentence)))
}
