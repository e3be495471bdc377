//! Friends and friend requests. The session keeps no list of them.

use crate::requests::RequestId;
use crate::state::Session;
use wire::account::Who;
use wire::contact::{Add, Answer, Remove, Request, Set};
use wire::{Page, UserId, limits};

impl Session {
    /// Asks a user to be friends, or accepts that user's request.
    pub fn add_friend(&mut self, now: u64, who: Who) -> RequestId {
        self.ask(now, Request::Add(Add { who, message: None }))
    }

    pub fn answer_friend(&mut self, now: u64, id: UserId, accept: bool) -> RequestId {
        self.ask(now, Request::Answer(Answer { id, accept, message: None }))
    }

    /// Ends a friendship.
    pub fn remove_friend(&mut self, now: u64, id: UserId) -> RequestId {
        self.ask(now, Request::Remove(Remove { id }))
    }

    /// Changes what the account notes about a friend; empty: nothing.
    pub fn set_friend(&mut self, now: u64, set: Set) -> RequestId {
        self.ask(now, Request::Set(set))
    }

    /// Asks for the friends whose id is above `after`; the first page also holds the pending requests.
    pub fn friends(&mut self, now: u64, after: u32) -> RequestId {
        self.ask(now, Request::Friends(Page { after, limit: limits::PAGE_MAX }))
    }
}
