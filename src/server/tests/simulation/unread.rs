//! Unread messages: devices read at any moment, and every number that any of them was ever told, like those in storage
//! after the run, equals a recount of the timeline.

use crate::world::World;
use logic::contract::timeline::{Found as Answer, Read};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::timeline::ConversationSummary;
use wire::{ChangeKind, ConversationId, Message, Seq, UserId};

impl World {
    /// A device has read a part of what it has shown, and asks for its conversations.
    pub fn read_some(&mut self, device: usize) {
        let now = self.ms;
        let ends: Vec<(ConversationId, Seq)> = self.devices[device]
            .shown
            .iter()
            .filter_map(|(conversation, shown)| Some((*conversation, *shown.last_key_value()?.0)))
            .collect();
        if let Some((conversation, end)) = self.dice.pick(&ends).copied() {
            let upto = match self.dice.once_in(3) {
                true => end,
                false => Seq(1 + self.dice.below(end.0 as usize) as u64),
            };
            self.devices[device].session.read(now, conversation, upto);
        }
        if self.dice.once_in(2) {
            self.devices[device].session.latest_conversations(now);
        }
        self.pump(device);
    }
}

/// Checks every row that a device was told, and those of storage. `timelines`: whole. `kept`: where they begin now.
pub fn check(
    w: &mut World,
    timelines: &BTreeMap<ConversationId, Vec<Arc<Message>>>,
    kept: &BTreeMap<ConversationId, Seq>,
) {
    for device in &w.devices {
        // A row that was told while months were dropped may count them in part.
        let rows = device.listed.iter().filter(|row| row.first_seq >= kept[&row.conversation]);
        rows.for_each(|row| check_row(row, device.user, timelines));
    }
    for user in w.users.clone() {
        let read =
            Read::Conversations { user, before: None, limit: 200, with_unread: true, with_last: false };
        let logic::Found::Timeline(Answer::Conversations { entries, .. }) = w.read_now(&read.into()) else {
            panic!("conversations can be read")
        };
        for row in &entries {
            assert!(row.first_seq >= kept[&row.conversation] && row.delivered_seq >= row.first_seq.prev());
            check_row(row, user, timelines);
        }
    }
}

fn check_row(
    row: &ConversationSummary,
    user: UserId,
    timelines: &BTreeMap<ConversationId, Vec<Arc<Message>>>,
) {
    let after = row.read_seq.max(row.first_seq.prev());
    let timeline = &timelines[&row.conversation];
    let within = timeline.iter().filter(|entry| entry.seq > after && entry.seq <= row.last_seq);
    let theirs = within.filter(|entry| entry.is_message() && entry.from != user);
    let recall_of = |seq| {
        let is_recall = |entry: &&Arc<Message>| {
            entry.change().is_some_and(|change| change.of == seq && change.kind == ChangeKind::Recall)
        };
        timeline.iter().find(is_recall).map(|entry| entry.seq)
    };
    let (mut unread, mut mentions, mut recalled_later) = (0, 0, 0);
    for entry in theirs {
        match recall_of(entry.seq) {
            Some(by) if by <= row.last_seq => continue,
            // Whom it mentioned is not known any more.
            Some(_) => recalled_later += 1,
            None => mentions += u64::from(entry.mentions(user)),
        }
        unread += 1;
    }
    assert_eq!((row.unread, row.unread_more), (unread, false), "{user:?} was told {row:?}");
    let possible = mentions..=mentions + recalled_later;
    assert!(possible.contains(&row.mentions), "{user:?} was told {row:?}, but {possible:?} mention it");
}
