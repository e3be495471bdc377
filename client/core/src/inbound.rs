//! Incoming bytes: splits them into frames and passes each reply and push to its noun.

use crate::event::{Event, Failure, Lost};
use crate::requests::{Purpose, RequestId};
use crate::state::{Connection, Session};
use wire::frame::{Frame, split_frame};
use wire::kind::{self, REPLY};
use wire::{Errno, Push, Reply, limits};

impl Session {
    /// Bytes arrived on the open connection, split anywhere.
    pub fn handle_bytes(&mut self, now: u64, bytes: &[u8]) {
        let Connection::Open(open) = &mut self.connection else { return };
        if bytes.is_empty() {
            return;
        }
        open.last_heard = now;
        if self.unsaved.loading.is_some() {
            return self.partial.extend_from_slice(bytes);
        }
        if self.partial.is_empty() {
            let used = self.handle_frames(now, bytes);
            if matches!(self.connection, Connection::Open(_)) {
                self.partial.extend_from_slice(&bytes[used..]);
            }
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let used = self.handle_frames(now, &partial);
            if matches!(self.connection, Connection::Open(_)) {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        self.after_bytes(now);
    }

    /// Handles the bytes that arrived while the stored state was being loaded.
    pub(crate) fn handle_held_bytes(&mut self, now: u64) {
        let held = std::mem::take(&mut self.partial);
        let used = self.handle_frames(now, &held);
        if matches!(self.connection, Connection::Open(_)) {
            self.partial = held[used..].to_vec();
        }
        self.after_bytes(now);
    }

    fn after_bytes(&mut self, now: u64) {
        if self.partial.is_empty() {
            // An idle connection does not keep the capacity of the longest frame it ever received.
            self.partial = Vec::new();
        }
        self.pump(now);
        self.leave_when_done(now);
    }

    /// Handles every complete frame; returns the number of bytes used.
    fn handle_frames(&mut self, now: u64, bytes: &[u8]) -> usize {
        let mut used = 0;
        while matches!(self.connection, Connection::Open(_)) && self.unsaved.loading.is_none() {
            match split_frame(&bytes[used..], limits::FRAME_BYTES) {
                Ok(Some((frame, length))) => {
                    used += length;
                    if let Err(sentence) = self.handle_frame(now, frame) {
                        self.drop_connection(now, Lost::Malformed(sentence));
                    }
                }
                Ok(None) => break,
                Err(error) => self.drop_connection(now, Lost::Malformed(error.to_string())),
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
        // A reply after its deadline has no request left.
        let Some(purpose) = self.requests.end(frame.request) else { return Ok(()) };
        if purpose == Purpose::Heartbeat {
            return Ok(());
        }
        let reply = Reply::decode(frame.kind, frame.value)?;
        if self.is_online()
            && purpose != Purpose::Logout
            && let Reply::Refused(refusal) = &reply
            && refusal.errno == Errno::NotLoggedIn
        {
            // A newer login ended this session. The next login by token shows whether the session may resume.
            if let Some(request) = purpose.of_caller() {
                let failure = Failure::Refused(refusal.clone());
                self.events.push_back(Event::Failed { request, failure });
            }
            self.drop_connection(now, Lost::SessionEnded);
            return Ok(());
        }
        let is_expected = match purpose {
            Purpose::Heartbeat => true,
            Purpose::Caller(request) => self.handle_caller_reply(request, reply),
            Purpose::Set(request, set) => self.handle_set_reply(request, set, reply),
            Purpose::Clear(request, clear) => self.handle_clear_reply(now, request, clear, reply),
            Purpose::Login | Purpose::Logout => self.handle_session_reply(now, purpose, reply),
            Purpose::Send(local) => self.handle_message_reply(now, local, reply),
            Purpose::Backfill(conversation) => self.handle_backfill_reply(now, conversation, reply),
            Purpose::Compare(conversation) => self.handle_compare_reply(now, conversation, reply),
            Purpose::Listing => self.handle_listing_reply(now, reply),
            Purpose::Nodes => self.handle_node_reply(reply),
        };
        match is_expected {
            true => Ok(()),
            false => Err(format!("a reply of type {} does not answer {purpose:?}", frame.kind & !REPLY)),
        }
    }

    pub(crate) fn handle_caller_reply(&mut self, request: RequestId, reply: Reply) -> bool {
        let event = match reply {
            Reply::Refused(refusal) => Event::Failed { request, failure: Failure::Refused(refusal) },
            reply => {
                if let Reply::Group(reply) = &reply {
                    self.note_group_reply(reply);
                }
                Event::Reply { request, reply }
            }
        };
        self.events.push_back(event);
        true
    }

    fn handle_push(&mut self, now: u64, push: Push) {
        match push {
            Push::Session(push) => self.handle_session_push(now, push),
            Push::Message(push) => self.handle_message_push(now, push),
            Push::Timeline(push) => self.handle_timeline_push(now, push),
            // The session keeps no state of the other nouns.
            push => self.events.push_back(Event::Push(push)),
        }
    }

    /// Leaves a connection that the server will close, once every request is answered.
    fn leave_when_done(&mut self, now: u64) {
        if let Connection::Open(open) = &self.connection
            && open.leaving.is_some()
            && self.requests.is_empty()
        {
            self.drop_connection(now, Lost::GoingAway);
        }
    }
}
