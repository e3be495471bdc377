//! What goes out: whatever is due, in one place.

use super::{HEARTBEAT_MS, Intent, LOGOUT_MS, Link, NODES_MS, Phase, REPLY_MS, Session};
use crate::requests::Purpose;
use wire::kind::request;
use wire::{Command, Credentials, Heartbeat, UnixMillis, UserId, frame};
use wire::{node, session};

impl Session {
    /// Writes what may be written now. Called after everything that may have changed that.
    pub(super) fn pump(&mut self, now: u64) {
        let Link::Open(open) = &self.link else { return };
        if open.leaving.is_some() {
            return;
        }
        while let Some((request, command)) = self.greetings.pop_front() {
            self.transmit(now, &command, Purpose::Asked(request));
        }
        match open_phase(&self.link) {
            Some(Phase::Anonymous) => self.pump_login(now),
            Some(Phase::Online { .. }) => {
                self.pump_reports(now);
                self.pump_fills(now);
                self.pump_catalogue(now);
                self.pump_outbox(now);
                self.pump_nodes(now);
            }
            _ => {}
        }
    }

    fn pump_login(&mut self, now: u64) {
        let credentials = match &self.intent {
            Intent::Nobody => return,
            Intent::Password(credentials) => credentials.clone(),
            Intent::Token(token) => Credentials::Token(token.clone()),
        };
        if self.login_at <= now {
            self.set_phase(Phase::LoggingIn);
            let device = self.options.device.clone();
            self.transmit(
                now,
                &Command::Session(session::Request::Login(session::Login { credentials, device })),
                Purpose::Login,
            );
        }
    }

    /// Asks where else to go, while there is somebody to ask.
    fn pump_nodes(&mut self, now: u64) {
        if self.nodes_at <= now {
            self.nodes_at = now + NODES_MS;
            self.transmit(now, &Command::Node(node::Request::Nodes), Purpose::Nodes);
        }
    }

    /// Writes a request that is to be answered.
    pub(super) fn transmit(&mut self, now: u64, command: &Command, purpose: Purpose) {
        let patience = if purpose == Purpose::Logout { LOGOUT_MS } else { REPLY_MS };
        let number = self.requests.begin(purpose, now + patience);
        command.encode(number, &mut self.out);
    }

    /// Writes a sign of life. Its time is the driver's, which only has to be the session's own.
    pub(super) fn beat(&mut self, now: u64) {
        let Link::Open(open) = &mut self.link else { return };
        open.next_beat = now + HEARTBEAT_MS;
        let user = match open.phase {
            Phase::Online { .. } => self.account.unwrap_or_default(),
            _ => UserId(0),
        };
        self.beats = self.beats.wrapping_add(1);
        let beat = Heartbeat { sequence: self.beats, time: UnixMillis(now), user };
        let number = self.requests.begin(Purpose::Heartbeat, now + REPLY_MS);
        frame::put_frame(&mut self.out, request::HEARTBEAT, number, |out| {
            out.extend_from_slice(&beat.encode());
        });
    }
}

fn open_phase(link: &Link) -> Option<Phase> {
    match link {
        Link::Open(open) => Some(open.phase),
        _ => None,
    }
}
