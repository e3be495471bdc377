//! What a change makes of the message that it changes.

use crate::UserId;
use crate::change::{ChangeKind, Changes};
use crate::extra::Extra;
use crate::message::Message;

impl Message {
    /// Applies a change, of which another entry of the same timeline tells, for the reader `me`. Returns whether there
    /// was anything to apply: a change that is contained already is left out, so changes may arrive again.
    pub fn apply(&mut self, entry: &Message, me: UserId) -> bool {
        let Some(change) = entry.change().filter(|change| change.of == self.seq && self.is_message()) else {
            return false;
        };
        let changes = self.extra.get_or_insert_default().changes.get_or_insert_default();
        if entry.seq <= changes.changed {
            return false;
        }
        changes.changed = entry.seq;
        match change.kind {
            ChangeKind::Reaction { on } => changes.react(&entry.content, entry.from, on, me),
            // Where a later change has replaced the new text, that change comes.
            ChangeKind::Edit if entry.content.is_empty() => {}
            ChangeKind::Edit => {
                changes.edited = Some(entry.time);
                self.content = entry.content.clone();
            }
            ChangeKind::Recall => {
                let (changed, recalled) = (entry.seq, Some(entry.time));
                self.recall(Changes { changed, recalled, ..Changes::default() });
            }
        }
        true
    }

    /// Leaves only the place of a recalled message: neither its text nor what it refers to. `changes`: what is told of
    /// it.
    pub fn recall(&mut self, changes: Changes) {
        self.content = Box::default();
        self.extra = Some(Box::new(Extra { changes: Some(changes), ..Extra::default() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::message::{ConversationKind, TEXT};
    use crate::references::{Mentions, References};
    use crate::{ConversationId, Seq, UnixMillis};

    fn entry(seq: u64, from: u32, content: &str) -> Message {
        Message {
            conversation: ConversationId(1),
            kind: ConversationKind::Group,
            seq: Seq(seq),
            from: UserId(from),
            name: "ann".into(),
            content_type: TEXT.into(),
            content: content.into(),
            time: UnixMillis(seq * 10),
            cid: None,
            extra: None,
        }
    }

    fn change(seq: u64, from: u32, kind: ChangeKind, content: &str) -> Message {
        let extra = Some(Change { of: Seq(1), kind }.into());
        Message { extra, ..entry(seq, from, content) }
    }

    fn react(seq: u64, from: u32, on: bool) -> Message {
        change(seq, from, ChangeKind::Reaction { on }, "👍")
    }

    const ME: UserId = UserId(7);

    #[test]
    fn each_change_is_applied_once_whatever_the_order() {
        let mut message = entry(1, 1, "hi");
        assert!(message.apply(&react(2, 7, true), ME) && message.apply(&react(3, 8, true), ME));
        for again in [react(2, 7, true), react(3, 8, true), entry(4, 1, "👍")] {
            assert!(!message.apply(&again, ME));
        }
        let [reaction] = &message.changes().unwrap().reactions[..] else { panic!("{message:?}") };
        assert_eq!((reaction.count, reaction.mine, &reaction.ids[..]), (2, true, &[ME, UserId(8)][..]));
        assert!(message.apply(&react(4, 7, false), ME));
        assert_eq!(message.changes().unwrap().changed, Seq(4));
        let mut told = Message { seq: Seq(1), ..react(5, 7, true) };
        assert!(!told.apply(&react(6, 7, true), ME), "only messages are changed");
    }

    #[test]
    fn edits_and_a_recall_leave_the_same_whatever_came_first() {
        let edit = |seq, content| change(seq, 1, ChangeKind::Edit, content);
        let mut whole = entry(1, 1, "one");
        for told in [edit(2, "two"), react(3, 8, true), edit(4, "three")] {
            assert!(whole.apply(&told, ME));
        }
        let changes = whole.changes().unwrap().clone();
        assert_eq!(
            (&*whole.content, changes.changed, changes.edited),
            ("three", Seq(4), Some(UnixMillis(40)))
        );
        assert_eq!((changes.recalled, changes.reactions.len()), (None, 1));
        // One who was away meets the first edit without its text, or the text of now before the edits.
        for first in ["one", "three"] {
            let mut late = entry(1, 1, first);
            for told in [edit(2, ""), react(3, 8, true), edit(4, "three")] {
                assert!(late.apply(&told, ME));
            }
            assert_eq!(late, whole);
        }
        let references = References { reply_to: Some(Seq(1)), mentions: Mentions::All };
        whole.extra.get_or_insert_default().references = references;
        assert!(whole.apply(&change(5, 2, ChangeKind::Recall, ""), ME));
        assert_eq!((&*whole.content, whole.recalled(), whole.reply_to()), ("", Some(UnixMillis(50)), None));
        let mut late = entry(1, 1, "");
        for told in [edit(2, ""), react(3, 8, true), edit(4, ""), change(5, 2, ChangeKind::Recall, "")] {
            assert!(late.apply(&told, ME));
        }
        assert_eq!(late, whole);
        assert!(!whole.mentions(ME) && !whole.apply(&edit(4, "three"), ME), "nothing brings it back");
    }
}
