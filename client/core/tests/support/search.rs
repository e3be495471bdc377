//! SEARCH of the fake server.

use super::FakeServer;
use std::cmp::Reverse;
use wire::search::{Place, Search, SearchPage};
use wire::words::Sought;
use wire::{Reply, UnixMillis, timeline};

impl FakeServer {
    pub(super) fn search(&self, asked: &Search) -> Reply {
        let sought = Sought::parse(&asked.text).expect("decoding has checked it");
        let mut found: Vec<_> = self.conversations.values().flat_map(|of| of.messages.iter()).collect();
        found.retain(|message| {
            message.is_message()
                && sought.is_in(&message.content)
                && asked.conversation.is_none_or(|of| message.conversation == of)
                && asked.cursor.is_none_or(|cursor| Place::of(message) < cursor)
        });
        found.sort_by_key(|message| Reverse(Place::of(message)));
        let more = found.len() > asked.limit as usize;
        found.truncate(asked.limit as usize);
        let cursor = found.last().filter(|_| more).map(|last| Place::of(last).to_string().into());
        let messages = found.into_iter().cloned().collect();
        let indexed_to = UnixMillis(1);
        timeline::Reply::Results(Box::new(SearchPage { messages, cursor, indexed_to })).into()
    }
}
