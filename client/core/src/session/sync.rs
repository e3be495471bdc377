//! Synchronising: every message once and in order, gaps filled from the history, cursors reported.

use super::messages::WAIT_MAX_MS;
use super::{Catalogue, Conversation, Session};
use crate::cursors::Report;
use crate::event::Event;
use crate::requests::Purpose;
use crate::timeline::{Next, Timeline};
use std::sync::Arc;
use wire::timeline::{ConversationSummary, ConversationsPage, HistoryPage};
use wire::{Command, ConversationId, Direction, Errno, Message, Refusal, Seq, limits};

/// Gaps that are filled at once.
pub const FILLS_MAX: usize = 4;
/// How long an own message may wait for pushes below it before the history is asked, milliseconds.
const STALL_MS: u64 = 5_000;
/// How long to wait after a HISTORY answer that did not help, milliseconds.
const FILL_AGAIN_MS: u64 = 1_000;
/// HISTORY answers without anything new after which a hole is given up.
const EMPTY_FILLS: u32 = 3;

impl Session {
    /// A message was pushed.
    pub(super) fn handle_message(&mut self, now: u64, message: Arc<Message>) {
        let (id, seq) = (message.conversation, message.seq);
        let state = self.conversations.entry(id).or_default();
        if !state.timeline.accept(message) && state.timeline.cursor().is_some_and(|cursor| seq <= cursor) {
            state.cursors.repeated(now, seq);
        }
        self.advance(now, id);
    }

    /// An own message has its place.
    pub(super) fn take_own(&mut self, now: u64, id: ConversationId, seq: Seq) {
        let state = self.conversations.entry(id).or_default();
        state.timeline.own(seq);
        state.cursors.own(now, seq);
        self.advance(now, id);
    }

    /// A group was made by this client: its timeline begins now.
    pub(super) fn begin_conversation(&mut self, id: ConversationId) {
        let timeline = Timeline::starting_after(Seq(0));
        self.conversations.entry(id).or_insert_with(|| Conversation { timeline, ..Default::default() });
        self.note_conversation(id);
    }

    /// Shows what is next in order, and plans what must be asked or told.
    fn advance(&mut self, now: u64, id: ConversationId) {
        self.note_conversation(id);
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let mut progress = false;
        while let Some(next) = state.timeline.pop() {
            progress = true;
            let Next::Message(message) = next else { continue };
            state.cursors.arrived(now);
            let own = message.cid.as_deref().filter(|_| Some(message.from) == self.account);
            // An own message of a lost connection, whose reply was lost with it.
            match own.and_then(|cid| self.outbox.by_cid(cid)) {
                Some(local) => {
                    self.outbox.remove(local, true);
                    let Message { conversation, seq, time, .. } = *message;
                    self.events.push_back(Event::Sent { local, conversation, seq, time });
                }
                None => self.events.push_back(Event::Message(message)),
            }
        }
        self.reports.set(id, state.cursors.due());
        if state.filling {
            return;
        }
        let fill_at =
            if state.timeline.cursor().is_none() || !(state.timeline.has_gap() || state.timeline.holds()) {
                None
            } else if state.timeline.has_gap() {
                Some(now.max(state.fill_not_before))
            } else {
                Some(self.fills.get(&id).filter(|_| !progress).unwrap_or(now + STALL_MS))
            };
        self.fills.set(id, fill_at);
    }

    /// The server's word on a conversation, from a login or a listing.
    pub(super) fn learn_entry(&mut self, now: u64, entry: &ConversationSummary) {
        let state = self.conversations.entry(entry.conversation).or_default();
        state.timeline.learn(entry.first_seq, entry.delivered_seq);
        state.cursors.learn(now, entry.delivered_seq, entry.read_seq, state.timeline.cursor());
        self.advance(now, entry.conversation);
    }

    // ---- gaps ------------------------------------------------------------------------------------------------------

    pub(super) fn pump_fills(&mut self, now: u64) {
        while self.fills_in_flight < FILLS_MAX {
            let Some(id) = self.fills.pop_due(now) else { return };
            let Some(state) = self.conversations.get_mut(&id) else { continue };
            let Some(cursor) = state.timeline.cursor() else { continue };
            state.filling = true;
            self.fills_in_flight += 1;
            let direction = Direction::After(cursor);
            let ask = Command::Timeline(wire::timeline::Request::History(wire::timeline::History {
                conversation: id,
                direction,
                limit: limits::PAGE_MAX,
            }));
            self.transmit(now, &ask, Purpose::Fill(id));
        }
    }

    pub(super) fn handle_fill(&mut self, now: u64, id: ConversationId, page: HistoryPage) {
        self.fills_in_flight -= 1;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        state.filling = false;
        let before = state.timeline.cursor();
        state.timeline.learn_first(page.first_seq);
        for message in page.messages {
            if message.conversation == id {
                state.timeline.accept(message);
            }
        }
        self.advance(now, id);
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if state.timeline.cursor() != before {
            state.empty_fills = 0;
        } else if state.timeline.has_gap() || state.timeline.holds() {
            state.empty_fills += 1;
            if state.empty_fills < EMPTY_FILLS {
                state.fill_not_before = now + FILL_AGAIN_MS;
                self.fills.set(id, Some(state.fill_not_before));
            } else {
                self.give_up_hole(now, id);
            }
        }
    }

    /// The history was refused or did not come.
    pub(super) fn fill_refused(&mut self, now: u64, id: ConversationId, refusal: &Refusal) {
        match refusal.errno {
            // No longer a member: what was pushed is all there is.
            Errno::Forbidden | Errno::NotFound => {
                self.fills_in_flight -= 1;
                if let Some(state) = self.conversations.get_mut(&id) {
                    state.filling = false;
                }
                self.give_up_hole(now, id);
            }
            _ => self.fill_failed(now, id, refusal.retry_after_ms.unwrap_or(0)),
        }
    }

    pub(super) fn fill_failed(&mut self, now: u64, id: ConversationId, wait: u64) {
        self.fills_in_flight -= 1;
        if let Some(state) = self.conversations.get_mut(&id) {
            state.filling = false;
            state.fill_not_before = now + wait.clamp(FILL_AGAIN_MS, WAIT_MAX_MS);
            self.fills.set(id, Some(state.fill_not_before));
        }
    }

    fn give_up_hole(&mut self, now: u64, id: ConversationId) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        state.empty_fills = 0;
        if let Some((from, to)) = state.timeline.skip_hole() {
            self.events.push_back(Event::Missing { conversation: id, from, to });
        }
        self.advance(now, id);
    }

    // ---- the catalogue of conversations ------------------------------------------------------------------------------

    pub(super) fn catalogue_due(&self) -> Option<u64> {
        match self.catalogue {
            Catalogue::Due(at, _) => Some(at),
            _ => None,
        }
    }

    pub(super) fn pump_catalogue(&mut self, now: u64) {
        if let Catalogue::Due(at, before) = self.catalogue
            && at <= now
        {
            self.catalogue = Catalogue::Asked(before);
            let ask =
                Command::Timeline(wire::timeline::Request::Conversations(wire::timeline::Conversations {
                    before,
                    limit: limits::PAGE_MAX,
                }));
            self.transmit(now, &ask, Purpose::Catalogue);
        }
    }

    pub(super) fn handle_catalogue(&mut self, now: u64, page: ConversationsPage) {
        let last = page.conversations.last().map(|entry| (entry.time, entry.conversation));
        self.catalogue = match (page.more, last) {
            (true, Some(_)) => Catalogue::Due(now, last),
            _ => Catalogue::Complete,
        };
        for entry in &page.conversations {
            self.learn_entry(now, entry);
        }
        self.events.push_back(Event::Conversations(page.conversations));
    }

    pub(super) fn catalogue_failed(&mut self, now: u64, wait: u64) {
        if let Catalogue::Asked(before) = self.catalogue {
            let wait = wait.clamp(FILL_AGAIN_MS, WAIT_MAX_MS);
            self.catalogue = Catalogue::Due(now + wait, before);
        }
    }

    /// The server says that conversations may have changed: read them all again.
    pub(super) fn read_catalogue_again(&mut self, now: u64) {
        if !matches!(self.catalogue, Catalogue::Asked(_)) {
            self.catalogue = Catalogue::Due(now, None);
        }
    }

    // ---- cursors ---------------------------------------------------------------------------------------------------

    pub(super) fn pump_reports(&mut self, now: u64) {
        while let Some(conversation) = self.reports.pop_due(now) {
            let Some(state) = self.conversations.get_mut(&conversation) else { continue };
            for report in state.cursors.report(state.timeline.cursor().unwrap_or_default()) {
                let command = match report {
                    Report::Ack(seq) => {
                        Command::Timeline(wire::timeline::Request::Ack(wire::timeline::Cursor {
                            conversation,
                            seq,
                        }))
                    }
                    Report::Read(seq) => {
                        Command::Timeline(wire::timeline::Request::Read(wire::timeline::Cursor {
                            conversation,
                            seq,
                        }))
                    }
                };
                command.encode(0, &mut self.out);
            }
        }
    }
}
