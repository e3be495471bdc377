//! Timelines: delivers every message once and in order, fetches missing ones, and reports cursors.

use crate::conversation::view_of;
use crate::cursors::CursorUpdate;
use crate::event::Event;
use crate::reorder::Next;
use crate::requests::{Purpose, RequestId};
use crate::snapshot::Kept;
use crate::state::{Connection, ListingState, Open, Phase, Session, Typed};
use crate::timing::WAIT_MAX_MS;
use wire::search::Search;
use wire::timeline::{
    ConversationSummary, Conversations, ConversationsPage, Cursor, Direction, History, HistoryPage, Readers,
    Reply, Request, Typing,
};
use wire::{Command, ConversationId, Errno, Message, Page, Refusal, Seq, UnixMillis, limits};

/// The most backfills in flight.
pub const BACKFILLS_MAX: usize = 4;
/// How long an own message may wait for pushes below it before HISTORY is requested, milliseconds.
const STALL_MS: u64 = 5_000;
/// The pause after a HISTORY reply that did not help, milliseconds.
const BACKFILL_AGAIN_MS: u64 = 1_000;
/// Consecutive HISTORY replies without a new message after which a gap is given up.
const EMPTY_BACKFILLS: u32 = 3;
/// The shortest time between two TYPING of a conversation, milliseconds. The server passes on no more.
const TYPING_MS: u64 = 3_000;

impl Session {
    /// The user has read a conversation up to `seq`.
    pub fn read(&mut self, now: u64, conversation: ConversationId, seq: Seq) {
        if let Some(state) = self.conversations.get_mut(&conversation) {
            state.cursors.read_up_to(now, seq.min(state.buffer.cursor().unwrap_or_default()));
            self.cursor_updates.set(conversation, state.cursors.due());
            self.note_conversation(conversation);
        }
    }

    /// The user is typing in a conversation, which the other members are told while they are online; at most once in 3 s.
    /// Without a connection nobody is told.
    pub fn type_in(&mut self, now: u64, conversation: ConversationId) {
        let is_recent = |last: Typed| last.conversation == conversation && now < last.at + TYPING_MS;
        if !self.is_online() || self.typed.is_some_and(is_recent) {
            return;
        }
        self.typed = Some(Typed { conversation, at: now });
        Command::Timeline(Request::Typing(Typing { conversation })).encode(0, &mut self.out);
    }

    /// Asks for a page of a timeline, at most 200 messages.
    pub fn history(&mut self, now: u64, of: ConversationId, direction: Direction, limit: u32) -> RequestId {
        let limit = limit.clamp(1, limits::PAGE_MAX);
        self.ask(now, Request::History(History { conversation: of, direction, limit, with_changes: true }))
    }

    /// Asks for the latest conversations, at most 200.
    pub fn latest_conversations(&mut self, now: u64) -> RequestId {
        let with_last = self.options.with_last;
        self.ask(
            now,
            Request::Conversations(Conversations { before: None, limit: limits::PAGE_MAX, with_last }),
        )
    }

    /// Asks who has read an own message in a group.
    pub fn readers(&mut self, now: u64, of: ConversationId, seq: Seq, page: Page) -> RequestId {
        self.ask(now, Request::Readers(Readers { conversation: of, seq, page }))
    }

    /// Asks for messages with these words.
    pub fn search(&mut self, now: u64, search: Search) -> RequestId {
        self.ask(now, Request::Search(Box::new(search)))
    }

    // ---- order -----------------------------------------------------------------------------------------------------

    /// An own message was stored at `seq`.
    pub(crate) fn take_own(&mut self, now: u64, id: ConversationId, seq: Seq, time: UnixMillis) {
        let state = self.conversations.entry(id).or_default();
        if let (false, Some(from)) = (self.options.persistent, self.account)
            && state.last.as_ref().is_none_or(|last| last.seq < seq)
        {
            state.last = Some(Kept { seq, from, time, cid: None, leaving: Box::default() });
        }
        state.buffer.own(seq);
        state.cursors.own(now, seq);
        self.advance(now, id);
    }

    /// Delivers what is next in order, then schedules cursor updates and backfills.
    pub(crate) fn advance(&mut self, now: u64, id: ConversationId) {
        self.note_conversation(id);
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let mut progress = false;
        while let Some(next) = state.buffer.pop() {
            progress = true;
            let Next::Message(message) = next else { continue };
            let ends_view = self.account.is_some_and(|account| message.ends_view_of(account));
            if state.last.as_ref().is_none_or(|last| last.seq < message.seq) {
                state.last = (ends_view || !self.options.persistent).then(|| Kept::of(&message));
            }
            state.cursors.arrived(now);
            if self.account.is_some_and(|account| message.begins_view_of(account)) {
                state.cursors.joined(message.seq);
            }
            if ends_view {
                state.cursors.left(message.seq);
            }
            let own = message.cid.as_deref().filter(|_| Some(message.from) == self.account);
            // An own message whose reply was lost with an earlier connection.
            match own.and_then(|cid| self.outbox.by_cid(cid)) {
                Some(local) => {
                    self.outbox.remove(local, true);
                    let Message { conversation, seq, time, .. } = *message;
                    self.events.push_back(Event::Sent { local, conversation, seq, time });
                }
                None => self.events.push_back(Event::Message(message)),
            }
        }
        self.cursor_updates.set(id, state.cursors.due());
        if state.backfilling {
            return;
        }
        let is_waiting = state.buffer.has_gap() || state.buffer.holds();
        let backfill_at = if state.buffer.cursor().is_none() || !is_waiting {
            None
        } else if state.buffer.has_gap() {
            Some(now.max(state.backfill_not_before))
        } else {
            Some(self.backfills.get(&id).filter(|_| !progress).unwrap_or(now + STALL_MS))
        };
        self.backfills.set(id, backfill_at);
    }

    /// Takes the server's view of a conversation, from a login or from CONVERSATIONS.
    pub(crate) fn learn_conversation(&mut self, now: u64, summary: &ConversationSummary) {
        if self.hold_summary(summary) {
            return;
        }
        self.forget_former(summary.conversation, summary.first_seq, summary.time);
        let state = self.conversations.entry(summary.conversation).or_default();
        state.buffer.learn(summary.first_seq, summary.delivered_seq);
        state.cursors.learn(now, summary.delivered_seq, summary.read_seq, state.buffer.cursor());
        state.view = Some(Box::new(view_of(summary)));
        self.advance(now, summary.conversation);
    }

    // ---- backfill --------------------------------------------------------------------------------------------------

    pub(crate) fn pump_backfills(&mut self, now: u64) {
        while self.backfills_in_flight < BACKFILLS_MAX {
            let Some(id) = self.backfills.pop_due(now) else { return };
            let Some(state) = self.conversations.get_mut(&id) else { continue };
            let Some(cursor) = state.buffer.cursor() else { continue };
            state.backfilling = true;
            self.backfills_in_flight += 1;
            let direction = Direction::After(cursor);
            let limit = limits::PAGE_MAX;
            let history = History { conversation: id, direction, limit, with_changes: true };
            self.transmit(now, &Command::Timeline(Request::History(history)), Purpose::Backfill(id));
        }
    }

    pub(crate) fn handle_backfill_reply(&mut self, now: u64, id: ConversationId, reply: wire::Reply) -> bool {
        match reply {
            wire::Reply::Timeline(Reply::History(page)) => self.handle_backfill(now, id, *page),
            wire::Reply::Refused(refusal) => self.handle_backfill_refused(now, id, &refusal),
            _ => return false,
        }
        true
    }

    fn handle_backfill(&mut self, now: u64, id: ConversationId, page: HistoryPage) {
        self.backfills_in_flight -= 1;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        state.backfilling = false;
        let before = state.buffer.cursor();
        state.buffer.learn_first(page.first_seq);
        for message in page.messages {
            if message.conversation == id {
                state.buffer.accept(message);
            }
        }
        self.advance(now, id);
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if state.buffer.cursor() != before {
            state.empty_backfills = 0;
        } else if state.buffer.has_gap() || state.buffer.holds() {
            state.empty_backfills += 1;
            if state.empty_backfills < EMPTY_BACKFILLS {
                state.backfill_not_before = now + BACKFILL_AGAIN_MS;
                self.backfills.set(id, Some(state.backfill_not_before));
            } else {
                self.give_up_gap(now, id);
            }
        }
    }

    fn handle_backfill_refused(&mut self, now: u64, id: ConversationId, refusal: &Refusal) {
        match refusal.errno {
            // No longer a member: the missing messages cannot be read.
            Errno::Forbidden | Errno::NotFound => {
                self.backfills_in_flight -= 1;
                if let Some(state) = self.conversations.get_mut(&id) {
                    state.backfilling = false;
                }
                self.give_up_gap(now, id);
            }
            _ => self.backfill_failed(now, id, refusal.retry_after_ms.unwrap_or(0)),
        }
    }

    pub(crate) fn backfill_failed(&mut self, now: u64, id: ConversationId, wait: u64) {
        self.backfills_in_flight -= 1;
        if let Some(state) = self.conversations.get_mut(&id) {
            state.backfilling = false;
            state.backfill_not_before = now + wait.clamp(BACKFILL_AGAIN_MS, WAIT_MAX_MS);
            self.backfills.set(id, Some(state.backfill_not_before));
        }
    }

    fn give_up_gap(&mut self, now: u64, id: ConversationId) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        state.empty_backfills = 0;
        if let Some((from, to)) = state.buffer.skip_gap() {
            self.events.push_back(Event::Missing { conversation: id, from, to });
        }
        self.advance(now, id);
    }

    // ---- the conversation list -------------------------------------------------------------------------------------

    pub(crate) fn pump_listing(&mut self, now: u64) {
        if let ListingState::Due { at, page } = self.listing
            && at <= now
        {
            self.listing = ListingState::Requested(page);
            let with_last = self.options.with_last;
            let request =
                Request::Conversations(Conversations { before: page, limit: limits::PAGE_MAX, with_last });
            self.transmit(now, &Command::Timeline(request), Purpose::Listing);
        }
    }

    pub(crate) fn handle_listing_reply(&mut self, now: u64, reply: wire::Reply) -> bool {
        match reply {
            wire::Reply::Timeline(Reply::Conversations(page)) => self.handle_listing(now, *page),
            wire::Reply::Refused(refusal) => self.listing_failed(now, refusal.retry_after_ms.unwrap_or(0)),
            _ => return false,
        }
        true
    }

    fn handle_listing(&mut self, now: u64, page: ConversationsPage) {
        let last = page.conversations.last().map(|summary| (summary.time, summary.conversation));
        self.listing = match (page.more, last) {
            (true, Some(_)) => ListingState::Due { at: now, page: last },
            _ => ListingState::Complete,
        };
        for summary in &page.conversations {
            self.learn_conversation(now, summary);
        }
        self.events.push_back(Event::Conversations(page.conversations));
    }

    pub(crate) fn listing_failed(&mut self, now: u64, wait: u64) {
        if let ListingState::Requested(page) = self.listing {
            let wait = wait.clamp(BACKFILL_AGAIN_MS, WAIT_MAX_MS);
            self.listing = ListingState::Due { at: now + wait, page };
        }
    }

    /// Reads the whole list again: conversations may have changed.
    pub(crate) fn restart_listing(&mut self, now: u64) {
        if !matches!(self.listing, ListingState::Requested(_)) {
            self.listing = ListingState::Due { at: now, page: None };
        }
    }

    // ---- cursors ---------------------------------------------------------------------------------------------------

    pub(crate) fn pump_cursor_updates(&mut self, now: u64) {
        while let Some(conversation) = self.cursor_updates.pop_due(now) {
            if self.comparisons.contains(conversation) {
                // The comparison plans it anew.
                continue;
            }
            let Some(state) = self.conversations.get_mut(&conversation) else { continue };
            for update in state.cursors.take_updates(state.buffer.cursor().unwrap_or_default()) {
                let request = match update {
                    CursorUpdate::Ack(seq) => Request::Ack(Cursor { conversation, seq }),
                    CursorUpdate::Read(seq) => Request::Read(Cursor { conversation, seq }),
                };
                Command::Timeline(request).encode(0, &mut self.out);
            }
        }
    }

    /// Sends every pending ACK and READ at once, to be called before leaving.
    pub fn flush_cursor_updates(&mut self) {
        if let Connection::Open(Open { phase: Phase::Online { .. } | Phase::LoggingOut, .. }) =
            &self.connection
        {
            self.pump_cursor_updates(u64::MAX);
        }
    }
}
