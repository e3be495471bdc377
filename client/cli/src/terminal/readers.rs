//! Who has read own messages in groups: `/readers`, and the counts beside their marks.
//!
//! The server pushes no receipts in groups, so the counts of the messages on the screen are asked for from time to time:
//! see [`super::receipt_schedule`].

use super::state::{Mode, Terminal};
use crate::command::argument::WhichGroup;
use crate::display::list;
use crate::display::style::{Mark, Tally};
use chatclient_core::Failure;
use std::time::Instant;
use wire::timeline::{self, ReadersPage};
use wire::{ConversationId, ConversationKind, Direction, Errno, Page, Reply, Seq, limits};

/// The most messages that a round asks about, the latest on the screen.
const ROUND: usize = 8;

// ---- the counts ----------------------------------------------------------------------------------------------------

impl Terminal {
    /// Asks how many have read the own messages of the open group that are on the screen and not read by all, if it is
    /// time to. Returns when it will be.
    pub(super) fn ask_receipts(&mut self) -> Option<Instant> {
        let group = self.open_conversation().filter(|_| self.mode == Mode::Chat && !self.outage.is_on())?;
        self.directory.chats.get(&group).filter(|chat| chat.kind == ConversationKind::Group)?;
        let seqs = self.own.watched(group, &self.screen.visible(), ROUND);
        let now = Instant::now();
        let due = self.receipts.due(group, now).filter(|_| !seqs.is_empty())?;
        if now < due {
            return Some(due);
        }
        self.receipts.begin(now, seqs.len());
        for seq in seqs {
            self.request(
                |session, now| session.readers(now, group, seq, Page { after: 0, limit: 1 }),
                move |terminal, result| terminal.handle_count(group, seq, result),
            );
        }
        None
    }

    fn handle_count(&mut self, group: ConversationId, seq: Seq, result: Result<Reply, Failure>) {
        let (mut has_changed, mut members) = (false, None);
        match result {
            Ok(Reply::Timeline(timeline::Reply::Readers(page))) => {
                members = Some(page.of);
                has_changed = self.show_count(group, seq, Tally { count: page.count, of: page.of });
            }
            Err(Failure::Refused(refusal)) => match refusal.errno {
                Errno::UnknownType => self.receipts.stop(),
                Errno::RateLimited | Errno::Busy | Errno::Unavailable | Errno::Internal => {}
                // For example after the user has left the group.
                _ => self.own.stop_watching(group, seq),
            },
            Ok(_) | Err(Failure::TimedOut | Failure::Lost(_) | Failure::Offline) => {}
        }
        self.receipts.answered(has_changed, members);
    }

    /// Returns whether something has changed.
    fn show_count(&mut self, group: ConversationId, seq: Seq, tally: Tally) -> bool {
        if tally.of == 0 {
            self.own.stop_watching(group, seq);
            return false;
        }
        if tally.count < tally.of {
            return self.own.count(&self.screen, group, seq, tally);
        }
        // Whoever could read an earlier message could read this one.
        if let Some(chat) = self.directory.chats.get_mut(&group) {
            chat.read_by_all = chat.read_by_all.max(seq);
        }
        self.own.advance(&self.screen, group, seq, Mark::Read)
    }
}

// ---- the command ---------------------------------------------------------------------------------------------------

impl Terminal {
    /// Lists the readers of an own message; without a seq, of the last one.
    pub(super) fn list_readers(&mut self, group: Option<&WhichGroup>, seq: Option<Seq>) {
        let group = match group {
            Some(group) => self.directory.group_meant(group),
            None => self
                .open_conversation()
                .filter(|open| self.directory.chats.get(open).is_none_or(|chat| chat.peer.is_none()))
                .ok_or_else(|| "no group is open: /readers GROUP:SEQ".to_owned()),
        };
        match (group, seq) {
            (Ok(group), Some(seq)) => self.ask_readers(group, seq),
            (Ok(group), None) => match self.own.last_watched(group) {
                Some(seq) => self.ask_readers(group, seq),
                None => self.ask_readers_of_last(group),
            },
            (Err(sentence), _) => self.say(&sentence),
        }
    }

    /// Looks for the last own message in the timeline.
    fn ask_readers_of_last(&mut self, group: ConversationId) {
        let direction = Direction::Before(Seq::MAX);
        self.read_page(group, direction, limits::PAGE_MAX, move |terminal, page| match page {
            Ok(page) => {
                let me = terminal.directory.me;
                let own = page.messages.iter().rfind(|entry| entry.is_message() && entry.from == me);
                match own.map(|own| own.seq) {
                    Some(seq) => terminal.ask_readers(group, seq),
                    None => terminal.say("none of the latest messages of the group is yours"),
                }
            }
            Err(failure) => terminal.report_failure("/readers", &failure),
        });
    }

    fn ask_readers(&mut self, group: ConversationId, seq: Seq) {
        let page = Page { after: 0, limit: limits::PAGE_MAX };
        self.ask(
            "/readers",
            |session, now| session.readers(now, group, seq, page),
            |reply| match reply {
                Reply::Timeline(timeline::Reply::Readers(page)) => Some(*page),
                _ => None,
            },
            move |terminal, page| terminal.show_readers(group, seq, &page),
        );
    }

    fn show_readers(&mut self, group: ConversationId, seq: Seq, page: &ReadersPage) {
        let label = self.directory.conversation(group);
        self.say(&format!("message #{seq} of {label}: {}", list::readers(page)));
        self.show_count(group, seq, Tally { count: page.count, of: page.of });
    }
}
