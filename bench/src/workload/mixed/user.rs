//! A user of a mixed load over TLV: what its client shows, and the requests that it waits for.

use super::change::{Answered, Wanted};
use super::search::{Missing, Query, Verdict};
use super::view::View;
use crate::clock::SECOND;
use crate::error_counts::ErrorCounts;
use wire::{ConversationKind, Frame, Message, Reply, UserId, timeline};

/// A user edits and recalls messages that came at most this long ago, ns: by default the server allows 15 and 2 minutes.
const EDIT_AGE: u64 = 600 * SECOND;
const RECALL_AGE: u64 = 60 * SECOND;
/// One search in so many is for a recalled text.
const RECALLED_ONE_IN: u64 = 4;

#[derive(Debug)]
pub struct User {
    pub view: View,
    /// The unanswered change. One at a time, so that the next one is chosen by what the client shows.
    pub changing: Option<Wanted>,
    /// The unanswered search.
    pub searching: Option<Query>,
    pub answered: Answered,
    pub missing: Vec<Missing>,
    /// What answers to searches had wrong.
    pub wrong: Vec<String>,
    /// Searches whose answer had what it must.
    pub found: u64,
}

impl User {
    pub fn new(view: View) -> User {
        User {
            view,
            changing: None,
            searching: None,
            answered: Answered::default(),
            missing: Vec::new(),
            wrong: Vec::new(),
            found: 0,
        }
    }

    pub fn is_waiting(&self) -> bool {
        self.changing.is_some() || self.searching.is_some()
    }

    /// An edit of an own message. Like the other choices, `None` where there is nothing to choose at `now`, and `pick`
    /// decides which.
    pub fn edit(&self, pick: u64, now: u64, number: u64) -> Option<Wanted> {
        let me = self.view.me();
        let message = self.view.recent(pick, now, EDIT_AGE, |message| message.from == me)?;
        Some(Wanted::edit(message, number))
    }

    /// A recall of an own message, or by the creator of the group of anybody's.
    pub fn recall(&self, pick: u64, now: u64, creator: UserId) -> Option<Wanted> {
        let me = self.view.me();
        let may = |message: &Message| {
            message.from == me || (creator == me && message.kind == ConversationKind::Group)
        };
        self.view.recent(pick, now, RECALL_AGE, may).map(Wanted::recall)
    }

    pub fn react(&self, pick: u64, now: u64) -> Option<Wanted> {
        let message = self.view.recent(pick, now, u64::MAX, |_| true)?;
        Some(Wanted::react(message, pick >> 32))
    }

    /// A search for the text of any message, or for one that was recalled.
    pub fn search(&self, pick: u64) -> Option<Query> {
        let is_narrow = (pick >> 40) & 1 == 1;
        let recalled = self.view.recalled();
        if (pick >> 32).is_multiple_of(RECALLED_ONE_IN) && !recalled.is_empty() {
            let recalled = &recalled[(pick % recalled.len() as u64) as usize];
            return Some(Query::for_recalled(recalled, is_narrow));
        }
        self.view.any(pick).map(|message| Query::for_text(&self.view, message, is_narrow))
    }

    /// Handles the reply to a change.
    ///
    /// # Errors
    /// The name of what is wrong with it.
    pub fn handle_changed(&mut self, frame: Frame<'_>) -> Result<(), &'static str> {
        let reply = Reply::decode(frame.kind, frame.value).map_err(|_| ErrorCounts::UNEXPECTED)?;
        let wanted = self.changing.take().ok_or(ErrorCounts::UNEXPECTED)?;
        if self.answered.handle(wanted, &reply) { Ok(()) } else { Err(name_of(&reply)) }
    }

    /// Handles the reply to a search.
    ///
    /// # Errors
    /// The name of what is wrong with it.
    pub fn handle_results(&mut self, frame: Frame<'_>) -> Result<(), &'static str> {
        let reply = Reply::decode(frame.kind, frame.value).map_err(|_| ErrorCounts::UNEXPECTED)?;
        let query = self.searching.take().ok_or(ErrorCounts::UNEXPECTED)?;
        let Reply::Timeline(timeline::Reply::Results(page)) = &reply else { return Err(name_of(&reply)) };
        match query.judge(page) {
            Verdict::Right => self.found += 1,
            Verdict::TooEarly => {}
            Verdict::Missing(missing) => self.missing.push(missing),
            Verdict::Wrong(what) => self.wrong.push(format!("SEARCH \"{}\" {what}", query.words())),
        }
        Ok(())
    }
}

/// The name under which a reply counts that is none of those there may be.
fn name_of(reply: &Reply) -> &'static str {
    match reply {
        Reply::Refused(refusal) => refusal.errno.name(),
        _ => ErrorCounts::UNEXPECTED,
    }
}
