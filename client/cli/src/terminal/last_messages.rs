//! The last message of each conversation, for the list of conversations.

use chatclient_store::{Store, StoreError};
use std::collections::BTreeMap;
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ChangeKind, ConversationId, Message, Seq};

#[derive(Debug, Default)]
pub struct LastMessages(BTreeMap<ConversationId, Last>);

#[derive(Debug)]
struct Last {
    message: LastMessage,
    /// The last change that is contained.
    changed: Seq,
}

impl LastMessages {
    pub fn load(store: &Store) -> Result<LastMessages, StoreError> {
        let of = |(id, message)| (id, Last { message, changed: Seq(0) });
        Ok(LastMessages(store.last_messages()?.into_iter().map(of).collect()))
    }

    pub fn get(&self, conversation: ConversationId) -> Option<&LastMessage> {
        self.0.get(&conversation).map(|last| &last.message)
    }

    /// Learns from the server's view, which may be older than the last push.
    pub fn learn_row(&mut self, row: &ConversationSummary) {
        self.forget_upto(row.conversation, row.first_seq.prev());
        let Some(message) = row.last.as_deref() else { return };
        let known = self.0.get(&row.conversation);
        let is_newer = known.is_none_or(|known| {
            message.seq > known.message.seq
                || message.seq == known.message.seq && row.last_seq >= known.changed
        });
        if is_newer {
            let last = Last { message: message.clone(), changed: row.last_seq };
            self.0.insert(row.conversation, last);
        }
    }

    /// Learns from an entry that was pushed.
    pub fn learn_entry(&mut self, entry: &Message) {
        if entry.is_message() {
            self.learn(entry.conversation, entry.into());
        }
        let known = self.0.get_mut(&entry.conversation);
        if let (Some(change), Some(known)) = (entry.change(), known)
            && change.of == known.message.seq
            && entry.seq > known.changed
        {
            match change.kind {
                // The text of an edit that was replaced is empty: the change that replaced it follows.
                ChangeKind::Edit if entry.content.is_empty() => {}
                ChangeKind::Edit => known.message.set_content(&entry.content),
                ChangeKind::Recall => known.message.set_content(""),
                ChangeKind::Reaction { .. } => {}
            }
            known.changed = entry.seq;
        }
    }

    /// Learns a message, if it is later than the one before.
    pub fn learn(&mut self, conversation: ConversationId, message: LastMessage) {
        if self.get(conversation).is_none_or(|known| message.seq > known.seq) {
            self.0.insert(conversation, Last { message, changed: Seq(0) });
        }
    }

    pub fn forget_above(&mut self, conversation: ConversationId, after: Seq) {
        self.0.retain(|id, last| *id != conversation || last.message.seq <= after);
    }

    pub fn forget_upto(&mut self, conversation: ConversationId, upto: Seq) {
        if self.get(conversation).is_some_and(|last| last.seq <= upto) {
            self.0.remove(&conversation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use wire::{Change, ConversationKind, UnixMillis, UserId};

    const HERE: ConversationId = ConversationId(7);

    fn entry(seq: u64, content: &str, change: Option<Change>) -> Message {
        Message {
            conversation: HERE,
            kind: ConversationKind::Group,
            seq: Seq(seq),
            from: UserId(2),
            name: "ben".into(),
            content_type: change.map_or("text", |change| change.content_type()).into(),
            content: content.into(),
            time: UnixMillis(seq),
            cid: None,
            extra: change.map(Into::into),
        }
    }

    fn changing(seq: u64, of: u64, kind: ChangeKind, content: &str) -> Message {
        entry(seq, content, Some(Change { of: Seq(of), kind }))
    }

    fn row(first: u64, last: u64, message: Option<Message>) -> ConversationSummary {
        ConversationSummary {
            name: "climbing".into(),
            last_seq: Seq(last),
            first_seq: Seq(first),
            last: message.map(|message| Box::new(LastMessage::from(&message))),
            ..ConversationSummary::new(HERE, ConversationKind::Group)
        }
    }

    fn shown(lasts: &LastMessages) -> Option<(u64, Cow<'_, str>)> {
        lasts.get(HERE).map(|last| (last.seq.0, Cow::Borrowed(&*last.content)))
    }

    #[test]
    fn changes_are_applied_and_older_rows_ignored() {
        let mut lasts = LastMessages::default();
        lasts.learn_row(&row(1, 4, Some(entry(3, "three", None))));
        lasts.learn_entry(&changing(5, 2, ChangeKind::Edit, "of another one"));
        lasts.learn_entry(&changing(6, 3, ChangeKind::Edit, "edited"));
        assert_eq!(shown(&lasts), Some((3, "edited".into())));
        lasts.learn_entry(&changing(7, 3, ChangeKind::Recall, ""));
        assert_eq!(shown(&lasts), Some((3, "".into())));
        // It was read before the recall.
        lasts.learn_row(&row(1, 6, Some(entry(3, "edited", None))));
        assert_eq!(shown(&lasts), Some((3, "".into())));
        lasts.learn_entry(&changing(6, 3, ChangeKind::Edit, "edited"));
        assert_eq!(shown(&lasts), Some((3, "".into())), "the recall came after it");
        lasts.learn_entry(&entry(8, "eight", None));
        lasts.learn_row(&row(1, 7, Some(entry(3, "", None))));
        assert_eq!(shown(&lasts), Some((8, "eight".into())));
    }

    #[test]
    fn what_is_not_seen_any_more_is_forgotten() {
        let mut lasts = LastMessages::default();
        lasts.learn_entry(&entry(8, "eight", None));
        lasts.forget_above(HERE, Seq(8));
        lasts.forget_upto(HERE, Seq(7));
        lasts.learn_row(&row(8, 8, None));
        assert_eq!(shown(&lasts), Some((8, "eight".into())));
        lasts.learn_row(&row(9, 9, None));
        assert_eq!(shown(&lasts), None);
        lasts.learn_entry(&entry(8, "eight", None));
        lasts.forget_above(HERE, Seq(7));
        assert_eq!(shown(&lasts), None);
    }
}
