//! The comparison of what this client has with a server whose history is another one than before: its database may have
//! been restored from a backup, and may number other messages as those that were shown.
//!
//! ```text
//!   kept      1 … same        differs …
//!             |   both have   | the server has other messages, or none
//!             the latest kept message between the two is looked up, then asked for by HISTORY, until there is none
//! ```
//!
//! Timelines only grow, so two histories of a conversation agree up to some seq and in nothing after it. Usually the
//! latest kept message is the server's latest too, or HISTORY has it, and nothing is forgotten. Until a conversation is
//! compared, its pushes are held, and nothing is acknowledged or sent.

use crate::comparison::{Comparison, Comparisons, IN_FLIGHT_MAX, Step};
use crate::event::Event;
use crate::reorder::HELD_MAX;
use crate::requests::Purpose;
use crate::snapshot::Kept;
use crate::state::{Conversation, ListingState, Session};
use crate::timing::WAIT_MAX_MS;
use std::sync::Arc;
use wire::session::LoggedIn;
use wire::timeline::{ConversationSummary, Cursor, Direction, History, HistoryPage, Reply, Request};
use wire::{Command, ConversationId, Errno, Message, Seq, UnixMillis};

/// The pause before a question that was refused for now is asked again, milliseconds.
const AGAIN_MS: u64 = 1_000;

impl Session {
    /// Whether this login is to another server than the one that the present state is of.
    pub(crate) fn is_other_server(&self, login: &LoggedIn) -> bool {
        matches!((&self.server, &login.server), (Some(ours), Some(theirs)) if ours != theirs)
    }

    /// Notes the server and its history. If the history is another one, what this client has is compared first.
    pub(crate) fn learn_history(&mut self, login: &LoggedIn) {
        if login.server.is_some() && self.server != login.server {
            self.server.clone_from(&login.server);
            self.unsaved.account_changed |= self.options.persistent;
        }
        if login.history.is_none() || self.history == login.history {
            return;
        }
        let conversations = self.conversations.keys().map(|id| (*id, Comparison::default())).collect();
        self.comparisons = Comparisons { conversations, in_flight: 0, history: login.history.clone() };
        self.adopt_when_compared();
    }

    /// Keeps the summary of a conversation that is being compared. Returns `false` if it is not.
    pub(crate) fn hold_summary(&mut self, summary: &ConversationSummary) -> bool {
        let Some(comparison) = self.comparisons.conversations.get_mut(&summary.conversation) else {
            return false;
        };
        comparison.summary = Some(summary.clone());
        if let Step::Begin = comparison.step {
            comparison.step = Step::Look { below: Seq::MAX };
        }
        true
    }

    /// Keeps a push for a conversation that is being compared. Returns it if it is not.
    pub(crate) fn hold_push(&mut self, message: Arc<Message>) -> Option<Arc<Message>> {
        match self.comparisons.conversations.get_mut(&message.conversation) {
            Some(comparison) => {
                // What does not fit was not acknowledged, and is missed later.
                if comparison.held.len() < HELD_MAX {
                    comparison.held.push(message);
                }
                None
            }
            None => Some(message),
        }
    }

    /// The conversation whose latest kept message below a seq the session needs, to be answered by
    /// [`Session::handle_looked`]. Only with [`Options::persistent`](crate::Options::persistent).
    pub fn poll_look(&self) -> Option<(ConversationId, Seq)> {
        let mut looks = self.comparisons.conversations.iter();
        looks.find_map(|(id, comparison)| match comparison.step {
            Step::Look { below } if self.options.persistent => Some((*id, below)),
            _ => None,
        })
    }

    /// Takes the answer to [`Session::poll_look`]: the latest kept message; `None`: there is none.
    pub fn handle_looked(&mut self, now: u64, id: ConversationId, kept: Option<Kept>) {
        self.looked(now, id, kept);
        self.pump(now);
    }

    fn looked(&mut self, now: u64, id: ConversationId, kept: Option<Kept>) {
        let Some(comparison) = self.comparisons.conversations.get_mut(&id) else { return };
        let Some(kept) = kept.filter(|kept| kept.seq > comparison.same) else {
            // Nothing between the two is kept: above the middle there may be something.
            return match (&comparison.step, comparison.differs) {
                (Step::Look { below }, Some(differs)) if *below < differs => {
                    comparison.step = Step::Look { below: differs };
                }
                _ => self.compared(now, id),
            };
        };
        let ends_so =
            |summary: &ConversationSummary| summary.last_seq == kept.seq && summary.time == kept.time;
        if comparison.differs.is_none() && comparison.summary.as_ref().is_some_and(ends_so) {
            comparison.same = kept.seq;
            return self.compared(now, id);
        }
        comparison.step = Step::Ask { kept, at: now };
    }

    /// Asks what is due.
    pub(crate) fn pump_comparisons(&mut self, now: u64) {
        if self.comparisons.is_empty() {
            return;
        }
        if let ListingState::Complete = self.listing {
            // The server lists no others.
            for comparison in self.comparisons.conversations.values_mut() {
                if let Step::Begin = comparison.step {
                    comparison.step = Step::Look { below: Seq::MAX };
                }
            }
        }
        let ids: Vec<ConversationId> = self.comparisons.conversations.keys().copied().collect();
        for id in ids {
            // A look without a store leads to the next one, or to a question.
            while !self.options.persistent
                && let Some(Comparison { step: Step::Look { below }, .. }) =
                    self.comparisons.conversations.get(&id)
            {
                let below = *below;
                let last = self.conversations.get(&id).and_then(|state| state.last.clone());
                self.looked(now, id, last.filter(|last| last.seq < below));
            }
            let Some(comparison) = self.comparisons.conversations.get_mut(&id) else { continue };
            if let Step::Ask { kept, at } = &comparison.step
                && *at <= now
                && self.comparisons.in_flight < IN_FLIGHT_MAX
            {
                let (kept, direction) = (kept.clone(), Direction::After(kept.seq.prev()));
                comparison.step = Step::Asked { kept };
                self.comparisons.in_flight += 1;
                let history = History { conversation: id, direction, limit: 1, with_changes: true };
                self.transmit(now, &Command::Timeline(Request::History(history)), Purpose::Compare(id));
            }
        }
    }

    pub(crate) fn handle_compare_reply(&mut self, now: u64, id: ConversationId, reply: wire::Reply) -> bool {
        match reply {
            wire::Reply::Timeline(Reply::History(page)) => self.handle_page(now, id, &page),
            wire::Reply::Done => self.handle_gone(now, id, true),
            wire::Reply::Refused(refusal) => match refusal.errno {
                Errno::Forbidden | Errno::NotFound => self.handle_refused(now, id),
                _ => self.comparison_failed(now, id, refusal.retry_after_ms.unwrap_or(0)),
            },
            _ => return false,
        }
        true
    }

    fn handle_page(&mut self, now: u64, id: ConversationId, page: &HistoryPage) {
        self.comparisons.in_flight -= 1;
        let Some(comparison) = self.comparisons.conversations.get_mut(&id) else { return };
        let Step::Asked { kept } = &comparison.step else { return };
        let seq = kept.seq;
        // What was dropped or cleared meanwhile lies below the view. It cannot be compared, and stays.
        let is_out_of_view = seq < page.first_seq;
        match is_out_of_view || page.messages.first().is_some_and(|message| kept.is_same(message)) {
            true => comparison.same = seq,
            false => comparison.differs = Some(seq),
        }
        match comparison.differs {
            None => self.compared(now, id),
            Some(differs) => {
                let middle = comparison.same.0.midpoint(differs.0);
                comparison.step = Step::Look { below: Seq(middle + 1).min(differs) };
            }
        }
    }

    /// Handles a conversation that the account is not a member of. Whether it was one shows in the latest message, or else in
    /// the reply to an ACK: the entry that tells of the leave may not have come yet.
    fn handle_refused(&mut self, now: u64, id: ConversationId) {
        let account = self.account;
        let Some(comparison) = self.comparisons.conversations.get_mut(&id) else {
            self.comparisons.in_flight -= 1;
            return;
        };
        let Step::Asked { kept } = &comparison.step else { return self.handle_gone(now, id, false) };
        if account.is_some_and(|account| kept.ends_view_of(account)) {
            return self.handle_gone(now, id, true);
        }
        comparison.step = Step::AskedWhetherLeft { kept: kept.clone() };
        let nothing = Cursor { conversation: id, seq: Seq(0) };
        self.transmit(now, &Command::Timeline(Request::Ack(nothing)), Purpose::Compare(id));
    }

    /// What was shown of a conversation that the account has left cannot be compared, and stays. Any other one is not the
    /// server's.
    fn handle_gone(&mut self, now: u64, id: ConversationId, has_left: bool) {
        self.comparisons.in_flight -= 1;
        let Some(comparison) = self.comparisons.conversations.get_mut(&id) else { return };
        (comparison.same, comparison.differs) = match (has_left, comparison.differs) {
            (true, None) => (Seq::MAX, None),
            (true, differs) => (comparison.same, differs),
            (false, _) => (Seq(0), Some(Seq(1))),
        };
        self.compared(now, id);
    }

    /// Forgets a conversation that this account has left if the server has another one of its id, made after a restore: one
    /// that has an entry in a place of the earlier view that was stored after that view ended.
    pub(crate) fn forget_former(&mut self, id: ConversationId, seq: Seq, time: UnixMillis) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let account = self.account;
        let left =
            state.last.as_ref().filter(|last| account.is_some_and(|account| last.ends_view_of(account)));
        if left.is_some_and(|left| seq <= left.seq && time > left.time) {
            *state = Conversation::default();
            self.events.push_back(Event::Forgotten { conversation: id, after: Seq(0) });
            self.note_conversation(id);
        }
    }

    pub(crate) fn comparison_failed(&mut self, now: u64, id: ConversationId, wait: u64) {
        self.comparisons.in_flight -= 1;
        if let Some(comparison) = self.comparisons.conversations.get_mut(&id)
            && let Step::Asked { kept } | Step::AskedWhetherLeft { kept } = &comparison.step
        {
            let at = now + wait.clamp(AGAIN_MS, WAIT_MAX_MS);
            comparison.step = Step::Ask { kept: kept.clone(), at };
        }
    }

    /// Ends the comparison of a conversation: forgets what differs, and goes on from there.
    fn compared(&mut self, now: u64, id: ConversationId) {
        let Some(comparison) = self.comparisons.conversations.remove(&id) else { return };
        let Comparison { same, differs, summary, held, .. } = comparison;
        if let Some(state) = self.conversations.get_mut(&id) {
            state.buffer.forget_above(same);
            state.cursors.forget_above(same);
            state.last = state.last.take().filter(|last| last.seq <= same);
        }
        if differs.is_some() {
            self.events.push_back(Event::Forgotten { conversation: id, after: same });
        }
        self.note_conversation(id);
        if let Some(summary) = summary {
            self.learn_conversation(now, &summary);
            if differs.is_some() {
                // The store forgets what the conversation is if nothing of it is the same.
                self.events.push_back(Event::Conversations(vec![summary]));
            }
        }
        for message in held {
            self.take_push(now, message);
        }
        self.advance(now, id);
        self.adopt_when_compared();
    }

    fn adopt_when_compared(&mut self) {
        if self.comparisons.is_empty()
            && let Some(history) = self.comparisons.history.take()
        {
            self.history = Some(history);
            self.unsaved.account_changed |= self.options.persistent;
        }
    }
}
