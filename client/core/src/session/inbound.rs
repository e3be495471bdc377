//! What comes in: bytes to frames, replies to what asked for them, pushes to where they belong.

use super::{LEAVING_MS, Link, Session};
use crate::event::{Event, Failure, LogoutReason, Lost};
use crate::requests::Purpose;
use wire::frame::{Frame, split_frame};
use wire::kind::{self, REPLY};
use wire::session::{GoingAway, Listing};
use wire::{Errno, Push, Reply, limits};
use wire::{contact, group, message, node, presence, session, timeline};

impl Session {
    /// Bytes came from the open connection, split anywhere.
    pub fn handle_bytes(&mut self, now: u64, bytes: &[u8]) {
        let Link::Open(open) = &mut self.link else { return };
        if bytes.is_empty() {
            return;
        }
        open.heard = now;
        if self.memory.recalling.is_some() {
            return self.partial.extend_from_slice(bytes);
        }
        if self.partial.is_empty() {
            let used = self.handle_frames(now, bytes);
            if matches!(self.link, Link::Open(_)) {
                self.partial.extend_from_slice(&bytes[used..]);
            }
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let used = self.handle_frames(now, &partial);
            if matches!(self.link, Link::Open(_)) {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        self.after_bytes(now);
    }

    /// Goes on with what came while the memory was asked.
    pub(super) fn handle_held_bytes(&mut self, now: u64) {
        let held = std::mem::take(&mut self.partial);
        let used = self.handle_frames(now, &held);
        if matches!(self.link, Link::Open(_)) {
            self.partial = held[used..].to_vec();
        }
        self.after_bytes(now);
    }

    fn after_bytes(&mut self, now: u64) {
        if self.partial.is_empty() {
            // A connection that waits keeps no memory of the longest frame it ever got.
            self.partial = Vec::new();
        }
        self.pump(now);
        self.leave_when_done(now);
    }

    /// Handles all whole frames; returns the bytes they took.
    fn handle_frames(&mut self, now: u64, bytes: &[u8]) -> usize {
        let mut used = 0;
        while matches!(self.link, Link::Open(_)) && self.memory.recalling.is_none() {
            match split_frame(&bytes[used..], limits::FRAME_BYTES) {
                Ok(Some((frame, length))) => {
                    used += length;
                    if let Err(sentence) = self.handle_frame(now, frame) {
                        self.drop_link(now, Lost::Malformed(sentence));
                    }
                }
                Ok(None) => break,
                Err(error) => self.drop_link(now, Lost::Malformed(error.to_string())),
            }
        }
        used
    }

    fn handle_frame(&mut self, now: u64, frame: Frame<'_>) -> Result<(), String> {
        match frame.kind {
            kind::push::FIRST..REPLY => {
                if let Some(push) = Push::decode(frame.kind, frame.value)? {
                    self.handle_push(now, push);
                }
                Ok(())
            }
            REPLY.. => self.handle_reply(now, frame),
            kind => Err(format!("a frame of type {kind} is neither a reply nor a push")),
        }
    }

    fn handle_reply(&mut self, now: u64, frame: Frame<'_>) -> Result<(), String> {
        // One that has timed out is answered late: nobody waits for it any more.
        let Some(purpose) = self.requests.end(frame.request) else { return Ok(()) };
        if purpose == Purpose::Heartbeat {
            return Ok(());
        }
        let reply = Reply::decode(frame.kind, frame.value)?;
        match (purpose, reply) {
            (Purpose::Login, Reply::Session(session::Reply::LoggedIn(login))) => {
                self.handle_login_reply(now, Ok(login));
            }
            (Purpose::Login, Reply::Refused(refusal)) => self.handle_login_reply(now, Err(refusal)),
            (Purpose::Logout, _) => self.end(LogoutReason::Asked),
            // A newer login ended this session; whether it may come back, the token says.
            (purpose, Reply::Refused(refusal)) if refusal.errno == Errno::NotLoggedIn && self.is_online() => {
                if let Purpose::Asked(request) = purpose {
                    self.events.push_back(Event::Failed { request, failure: Failure::Refused(refusal) });
                }
                self.drop_link(now, Lost::SessionEnded);
            }
            (Purpose::Asked(request), Reply::Refused(refusal)) => {
                self.events.push_back(Event::Failed { request, failure: Failure::Refused(refusal) });
            }
            (Purpose::Asked(request), reply) => {
                if let Reply::Group(group::Reply::Created(group)) = &reply {
                    self.begin_conversation(group.conversation);
                }
                self.events.push_back(Event::Reply { request, reply });
            }
            (Purpose::Send(local), Reply::Message(message::Reply::Sent(sent))) => {
                self.handle_sent(now, local, &sent);
            }
            (Purpose::Send(local), Reply::Refused(refusal)) => self.handle_send_refused(now, local, refusal),
            (Purpose::Fill(conversation), Reply::Timeline(timeline::Reply::History(page))) => {
                self.handle_fill(now, conversation, *page);
            }
            (Purpose::Fill(conversation), Reply::Refused(refusal)) => {
                self.fill_refused(now, conversation, &refusal);
            }
            (Purpose::Catalogue, Reply::Timeline(timeline::Reply::Conversations(page))) => {
                self.handle_catalogue(now, *page);
            }
            (Purpose::Catalogue, Reply::Refused(refusal)) => {
                self.catalogue_failed(now, refusal.retry_after_ms.unwrap_or(0));
            }
            (Purpose::Nodes, Reply::Node(node::Reply::Nodes(page))) => self.route.learn(*page, &self.node),
            // One that does not tell has no others.
            (Purpose::Nodes, Reply::Refused(_)) => {}
            (purpose, _) => {
                return Err(format!("a reply of type {} does not answer {purpose:?}", frame.kind & !REPLY));
            }
        }
        Ok(())
    }

    fn handle_push(&mut self, now: u64, push: Push) {
        match push {
            // Before login there is nobody to whom a message could be.
            Push::Message(message::Push::New(message)) if self.is_online() => {
                self.handle_message(now, message);
            }
            Push::Message(message::Push::New(_)) => {}
            Push::Presence(presence::Push::Changed(change)) => self.events.push_back(Event::Presence(change)),
            Push::Session(session::Push::Kicked(kicked)) => self.handle_kicked(kicked),
            Push::Timeline(timeline::Push::ReadReceipt(receipt)) => {
                self.events.push_back(Event::Read(receipt));
            }
            Push::Timeline(timeline::Push::Delivered(receipt)) => {
                self.events.push_back(Event::Delivered(receipt));
            }
            Push::Contact(contact::Push::Friend(change)) => self.events.push_back(Event::Friend(change)),
            Push::Session(session::Push::Probe) => self.beat(now),
            Push::Session(session::Push::GoingAway(notice)) => self.handle_going_away(now, *notice),
            Push::Session(session::Push::Changed(changed)) => {
                if changed.what.contains(&Listing::Conversations) {
                    self.read_catalogue_again(now);
                }
                self.events.push_back(Event::Changed(changed.what));
            }
            Push::Error(refusal) => self.events.push_back(Event::ServerError(refusal)),
        }
    }

    fn handle_going_away(&mut self, now: u64, notice: GoingAway) {
        if let Link::Open(open) = &mut self.link {
            let come_back = now + notice.retry_after_ms.min(super::messages::WAIT_MAX_MS);
            open.leaving = Some((now + LEAVING_MS, come_back));
            self.route.go_to(notice.node);
            self.events.push_back(Event::GoingAway { reason: notice.reason });
        }
    }

    /// Once the server has answered everything, there is nothing to stay for on a connection that it will close.
    fn leave_when_done(&mut self, now: u64) {
        if let Link::Open(open) = &self.link
            && open.leaving.is_some()
            && self.requests.is_empty()
        {
            self.drop_link(now, Lost::GoingAway);
        }
    }
}
