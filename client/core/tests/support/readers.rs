//! READERS of the fake server.

use super::{FakeServer, ME};
use wire::{Errno, Refusal, Reply, UserId, timeline};

impl FakeServer {
    pub(super) fn readers(&mut self, asked: &timeline::Readers) -> Reply {
        let timeline::Readers { conversation, seq, page } = *asked;
        self.readers_asked.push((conversation.0, seq.0));
        let found = self.conversations.get(&conversation.0);
        match found.and_then(|found| found.messages.get((seq.0 as usize).checked_sub(1)?)) {
            None => return Refusal::new(Errno::NotFound, "there is no such message").into(),
            Some(message) if message.from != ME => {
                return Refusal::new(Errno::Forbidden, "only the sender may see that").into();
            }
            Some(_) => {}
        }
        let members = self.members.entry(conversation.0).or_default();
        let of = members.len() as u32;
        let read: Vec<u32> = members.iter().filter(|(_, read)| **read >= seq.0).map(|(id, _)| *id).collect();
        let rest: Vec<u32> = read.iter().copied().filter(|id| *id > page.after).collect();
        let reader = |id: &u32| timeline::Reader { id: UserId(*id), name: format!("user {id}").into() };
        timeline::Reply::Readers(Box::new(timeline::ReadersPage {
            readers: rest.iter().take(page.limit as usize).map(reader).collect(),
            count: read.len() as u32,
            of,
            more: rest.len() > page.limit as usize,
        }))
        .into()
    }
}
