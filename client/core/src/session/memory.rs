//! What outlives the session: snapshots, what changed since the last one, and going on from one.

use super::{Conversation, Link, Options, Session};
use crate::Snapshot;
use crate::cursors::Cursors;
use crate::outbox::{LocalId, Outbox};
use crate::snapshot::ConversationSnapshot;
use crate::timeline::Timeline;
use wire::{ConversationId, UserId};

impl Session {
    /// What to remember for another life of the client.
    pub fn snapshot(&self, now: u64) -> Snapshot {
        Snapshot {
            account: self.account,
            token: self.token.clone(),
            next_number: self.outbox.next_number(),
            conversations: self.conversations.iter().map(remember).collect(),
            unsent: self.outbox.unsent(now).collect(),
        }
    }

    /// A session that goes on where a snapshot was taken. It waits for a login; [`Snapshot::token`] is one way.
    pub fn restore(options: Options, now: u64, snapshot: Snapshot) -> Session {
        let mut session = Session::new(options);
        session.become_account(now, snapshot);
        session
    }

    /// Goes on as the account of a snapshot, in place of the present one: `false`, and nothing happens, where somebody is
    /// logged in or logs in. What the present account has not sent stays in its memory alone.
    pub fn adopt(&mut self, now: u64, snapshot: Snapshot) -> bool {
        let idle = matches!(self.link, Link::Idle) || !self.has_login();
        if idle {
            self.become_account(now, snapshot);
        }
        idle
    }

    /// The account that has logged in and whose memory is wanted.
    pub fn poll_recall(&self) -> Option<UserId> {
        self.memory.recalling.as_ref().map(|login| login.id)
    }

    /// What is remembered of the account that logged in; `None`: nothing. The login goes on.
    pub fn handle_recalled(&mut self, now: u64, snapshot: Option<Snapshot>) {
        let Some(login) = self.memory.recalling.take() else { return };
        let snapshot = snapshot.unwrap_or_default();
        self.become_account(now, Snapshot { account: Some(login.id), ..snapshot });
        self.logged_in(now, login);
        self.handle_held_bytes(now);
    }

    /// What has changed since the last call, for the memory; its conversations and messages are those that changed
    /// alone. Messages that left the outbox are told by events.
    pub fn poll_changes(&mut self, now: u64) -> Option<Snapshot> {
        let memory = &mut self.memory;
        let (conversations, unsent) =
            (std::mem::take(&mut memory.conversations), std::mem::take(&mut memory.unsent));
        if !std::mem::take(&mut memory.account_changed) && conversations.is_empty() && unsent.is_empty() {
            return None;
        }
        let conversations = conversations.iter().filter_map(|id| self.conversations.get_key_value(id));
        Some(Snapshot {
            account: self.account,
            token: self.token.clone(),
            next_number: self.outbox.next_number(),
            conversations: conversations.map(remember).collect(),
            unsent: unsent.iter().filter_map(|local| self.outbox.get(now, *local)).collect(),
        })
    }

    fn become_account(&mut self, now: u64, snapshot: Snapshot) {
        self.account = snapshot.account;
        self.token = snapshot.token;
        self.outbox =
            Outbox::new(self.random.next_u64(), snapshot.next_number.max(1), self.options.per_target);
        for unsent in snapshot.unsent {
            self.outbox.restore(now, unsent);
        }
        self.reports.clear();
        self.conversations.clear();
        for saved in snapshot.conversations {
            let conversation = Conversation {
                timeline: Timeline::restored(saved.cursor, saved.own_above),
                cursors: Cursors::restored(saved.read),
                ..Default::default()
            };
            self.conversations.insert(saved.conversation, conversation);
        }
        self.memory.conversations.clear();
        self.memory.unsent.clear();
    }

    // ---- noting what changes -----------------------------------------------------------------------------------------

    pub(super) fn set_token(&mut self, token: Option<Box<str>>) {
        self.memory.account_changed |= self.options.keeps_memory && self.token != token;
        self.token = token;
    }

    pub(super) fn note_conversation(&mut self, conversation: ConversationId) {
        if self.options.keeps_memory {
            self.memory.conversations.insert(conversation);
        }
    }

    pub(super) fn note_unsent(&mut self, local: LocalId) {
        if self.options.keeps_memory {
            self.memory.unsent.insert(local);
        }
    }
}

fn remember((id, conversation): (&ConversationId, &Conversation)) -> ConversationSnapshot {
    ConversationSnapshot {
        conversation: *id,
        cursor: conversation.timeline.cursor(),
        read: conversation.cursors.read_here(),
        own_above: conversation.timeline.own_above().collect(),
    }
}
