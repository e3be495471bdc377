//! State that outlives the session: snapshots, incremental changes for the store, and restoring.

use crate::comparison::Comparisons;
use crate::cursors::Cursors;
use crate::outbox::Outbox;
use crate::reorder::ReorderBuffer;
use crate::snapshot::{ConversationSnapshot, Snapshot};
use crate::state::{Connection, Conversation, Options, Session};
use wire::{ConversationId, UserId};

impl Session {
    /// Everything that a later session needs to continue.
    pub fn snapshot(&self, now: u64) -> Snapshot {
        let conversations = self.conversations.iter();
        Snapshot {
            account: self.account,
            server: self.server.clone(),
            history: self.history.clone(),
            token: self.token.clone(),
            next_number: self.outbox.next_number(),
            conversations: conversations.map(|(id, state)| conversation_snapshot(*id, state)).collect(),
            unsent: self.outbox.unsent(now).collect(),
        }
    }

    /// A session that continues from a snapshot. It waits for a login, for example by [`Snapshot::token`].
    pub fn restore(options: Options, now: u64, snapshot: Snapshot) -> Session {
        let mut session = Session::new(options);
        session.load(now, snapshot);
        session
    }

    /// Replaces the present account by that of a snapshot. Does nothing and returns `false` if an account is logged in
    /// or logging in. Unsent messages of the present account remain only in its store.
    pub fn adopt(&mut self, now: u64, snapshot: Snapshot) -> bool {
        let is_free = matches!(self.connection, Connection::Idle) || !self.has_login();
        if is_free {
            self.load(now, snapshot);
        }
        is_free
    }

    /// The account that logged in and whose stored state the session needs, and the server's identity where it has one.
    pub fn poll_load(&self) -> Option<(UserId, Option<Box<str>>)> {
        self.unsaved.loading.as_ref().map(|login| (login.id, login.server.clone()))
    }

    /// Completes the login that [`Session::poll_load`] reported; `None`: nothing is stored about the account.
    pub fn handle_loaded(&mut self, now: u64, snapshot: Option<Snapshot>) {
        let Some(login) = self.unsaved.loading.take() else { return };
        let snapshot = snapshot.unwrap_or_default();
        self.load(now, Snapshot { account: Some(login.id), ..snapshot });
        self.logged_in(now, login);
        self.handle_held_bytes(now);
    }

    /// The changes since the last call: only the changed conversations and messages. Messages that left the outbox are
    /// reported by events.
    pub fn poll_changes(&mut self, now: u64) -> Option<Snapshot> {
        let conversations = std::mem::take(&mut self.unsaved.conversations);
        let unsent = std::mem::take(&mut self.unsaved.unsent);
        let account_changed = std::mem::take(&mut self.unsaved.account_changed);
        if !account_changed && conversations.is_empty() && unsent.is_empty() {
            return None;
        }
        let conversations = conversations.iter().filter_map(|id| self.conversations.get_key_value(id));
        Some(Snapshot {
            account: self.account,
            server: self.server.clone(),
            history: self.history.clone(),
            token: self.token.clone(),
            next_number: self.outbox.next_number(),
            conversations: conversations.map(|(id, state)| conversation_snapshot(*id, state)).collect(),
            unsent: unsent.iter().filter_map(|local| self.outbox.get(now, *local)).collect(),
        })
    }

    fn load(&mut self, now: u64, snapshot: Snapshot) {
        self.account = snapshot.account;
        (self.server, self.history) = (snapshot.server, snapshot.history);
        self.comparisons = Comparisons::default();
        self.token = snapshot.token;
        self.outbox =
            Outbox::new(self.random.next_u64(), snapshot.next_number.max(1), self.options.per_target);
        for unsent in snapshot.unsent {
            self.outbox.restore(now, unsent);
        }
        self.cursor_updates.clear();
        self.conversations.clear();
        for saved in snapshot.conversations {
            let conversation = Conversation {
                buffer: ReorderBuffer::restored(saved.cursor, saved.own_above),
                cursors: Cursors::restored(saved.read),
                last: saved.last,
                ..Default::default()
            };
            self.conversations.insert(saved.conversation, conversation);
        }
        self.unsaved.conversations.clear();
        self.unsaved.unsent.clear();
    }
}

fn conversation_snapshot(id: ConversationId, state: &Conversation) -> ConversationSnapshot {
    ConversationSnapshot {
        conversation: id,
        cursor: state.buffer.cursor(),
        read: state.cursors.read_here(),
        own_above: state.buffer.own_above().collect(),
        last: state.last.clone(),
    }
}
