//! Months that are dropped amid everything else.

use super::{World, open};
use logic::contract::timeline;
use logic::{Found, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wire::{ConversationId, Message, Seq};

/// The setting storage.retention_months. Messages do not become old by themselves here.
pub const RETENTION_MONTHS: u32 = 1;

impl World {
    /// Whether every device knows what has become of what it sent.
    pub fn is_settled(&self) -> bool {
        self.devices.iter().all(|device| device.session.is_settled())
    }

    /// Makes all messages so old that they are dropped, with a restart of the database. A later clock would be the same,
    /// but end tokens and the memory of cids as well.
    pub fn age(&mut self) {
        match self.is_clustered() {
            true => self.restart_database(),
            false => self.crash(0),
        }
        let conn = self.store.take().expect("a store").into_connection();
        let numbers = |sql: &str| {
            let mut select = conn.prepare(sql).expect("a query");
            let rows = select.query_map([], |row| row.get::<_, u32>(0)).expect("rows");
            rows.collect::<Result<Vec<u32>, _>>().expect("numbers")
        };
        let conversations = numbers("SELECT id FROM conversation");
        let months = numbers("SELECT DISTINCT month FROM segment WHERE month > 200200");
        for month in months {
            self.aged += 1;
            let old = 200_100 + self.aged;
            let now = self.wall.load(Ordering::Relaxed);
            conn.execute_batch(&format!(
                "ALTER TABLE message_{month:06} RENAME TO message_{old:06};
                 UPDATE segment SET month = {old} WHERE month = {month};
                 UPDATE conversation SET month = {old} WHERE month = {month};
                 UPDATE retention SET months = {RETENTION_MONTHS}, seen_at = {now}, held_until = 0;"
            ))
            .expect("they are the tables of this version");
        }
        self.boots += 1;
        self.store = Some(open(conn, &self.disk, &self.wall, self.boots));
        self.restart_index();
        for conversation in conversations.into_iter().map(ConversationId) {
            let (entries, _) = self.timeline(conversation);
            let past = self.past.entry(conversation).or_default();
            past.extend(entries.into_iter().map(|entry| (entry.seq, entry)));
        }
    }

    /// Reads what is left of a timeline, and where it begins.
    pub fn timeline(&mut self, conversation: ConversationId) -> (Vec<Arc<Message>>, Seq) {
        let mut messages: Vec<Arc<Message>> = Vec::new();
        loop {
            let (member, limit, bytes) = (None, 17, 1 << 20);
            let after = messages.last().map_or(Seq(0), |message| message.seq);
            let read: Read = timeline::Read::Feed { member, conversation, after, limit, bytes }.into();
            let Found::Timeline(timeline::Found::Feed { messages: page, more, first }) = self.read_now(&read)
            else {
                panic!("a timeline can be read")
            };
            messages.extend(page);
            if !more {
                return (messages, first);
            }
        }
    }
}
