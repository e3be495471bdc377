//! What a client shows of the conversations of a run: the entries that it was pushed and the messages that it sent, as
//! the changes that it was told of have left them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use wire::{ChangeKind, ConversationId, Message, Seq, UserId};

/// Messages of a conversation that users still change or react to.
const RECENT: usize = 32;
/// Recalled texts that are remembered, to be searched for.
const RECALLED: usize = 32;

#[derive(Debug)]
pub struct View {
    me: UserId,
    timelines: Vec<Timeline>,
    recalled: VecDeque<RecalledText>,
}

/// A conversation in a [`View`].
#[derive(Debug)]
pub struct Timeline {
    pub conversation: ConversationId,
    /// The last entry from before the run, which is not looked at.
    pub base: Seq,
    pub entries: BTreeMap<Seq, Message>,
    /// The last entry up to which none is missing: the reply to an own message may come before entries below it.
    pub complete_to: Seq,
    /// The latest messages, with the times of the run at which they came, ns.
    recent: VecDeque<(Seq, u64)>,
}

/// The text that a message had before it was recalled.
#[derive(Clone, Debug)]
pub struct RecalledText {
    pub conversation: ConversationId,
    pub seq: Seq,
    pub text: Box<str>,
}

impl View {
    /// Of these conversations, each with its last entry.
    pub fn new(me: UserId, conversations: impl IntoIterator<Item = (ConversationId, Seq)>) -> View {
        let timeline = |(conversation, base)| Timeline {
            conversation,
            base,
            complete_to: base,
            entries: BTreeMap::new(),
            recent: VecDeque::new(),
        };
        let timelines = conversations.into_iter().map(timeline).collect();
        View { me, timelines, recalled: VecDeque::new() }
    }

    pub fn me(&self) -> UserId {
        self.me
    }

    pub fn timelines(&self) -> &[Timeline] {
        &self.timelines
    }

    pub fn timeline(&self, conversation: ConversationId) -> Option<&Timeline> {
        self.timelines.iter().find(|known| known.conversation == conversation)
    }

    /// The latest recalled messages.
    pub fn recalled(&self) -> &VecDeque<RecalledText> {
        &self.recalled
    }

    /// Takes in an entry at `now`. One that it has is left out, as is one of another conversation.
    pub fn take(&mut self, mut entry: Message, now: u64) {
        let View { me, timelines, recalled } = self;
        let timeline = timelines.iter_mut().find(|known| known.conversation == entry.conversation);
        let Some(timeline) = timeline.filter(|known| entry.seq > known.base) else { return };
        if timeline.entries.contains_key(&entry.seq) {
            return;
        }
        if let Some(change) = entry.change() {
            if let Some(changed) = timeline.entries.get_mut(&change.of) {
                if change.kind == ChangeKind::Recall && changed.recalled().is_none() {
                    let (conversation, text) = (entry.conversation, changed.content.clone());
                    recalled.push_back(RecalledText { conversation, seq: change.of, text });
                    recalled.drain(..recalled.len().saturating_sub(RECALLED));
                }
                changed.apply(&entry, *me);
            }
        } else {
            // Its changes are behind it in the timeline, but may have come before it.
            for (_, later) in timeline.entries.range((Excluded(entry.seq), Unbounded)) {
                entry.apply(later, *me);
            }
            timeline.recent.push_back((entry.seq, now));
            timeline.recent.drain(..timeline.recent.len().saturating_sub(RECENT));
        }
        timeline.entries.insert(entry.seq, entry);
        while timeline.entries.contains_key(&timeline.complete_to.next()) {
            timeline.complete_to = timeline.complete_to.next();
        }
    }

    /// One of the latest messages of which `is_wanted` is true; `pick` decides which. Recalled ones, and those that came
    /// more than `age` ns before `now`, are left out.
    pub fn recent(
        &self,
        pick: u64,
        now: u64,
        age: u64,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> Option<&Message> {
        let recent = self.timelines.iter().flat_map(|timeline| {
            let young = timeline.recent.iter().filter(move |(_, at)| now.saturating_sub(*at) <= age);
            young.filter_map(|(seq, _)| timeline.entries.get(seq))
        });
        let wanted: Vec<&Message> =
            recent.filter(|message| message.recalled().is_none() && is_wanted(message)).collect();
        (!wanted.is_empty()).then(|| wanted[(pick % wanted.len() as u64) as usize])
    }

    /// Any message that is not recalled, near a place that `pick` decides.
    pub fn any(&self, pick: u64) -> Option<&Message> {
        let count: usize = self.timelines.iter().map(|timeline| timeline.entries.len()).sum();
        let mut at = (pick % count.max(1) as u64) as usize;
        let timeline = self.timelines.iter().find(|timeline| {
            let is_here = at < timeline.entries.len();
            at -= if is_here { 0 } else { timeline.entries.len() };
            is_here
        })?;
        // The seqs of a timeline have no gaps.
        let from = Seq(timeline.base.0 + 1 + at as u64);
        let has_text = |message: &&Message| message.is_message() && message.recalled().is_none();
        timeline.entries.range(from..).map(|(_, message)| message).find(has_text)
    }
}

impl Timeline {
    /// The last entry up to which changed the text of the message at `seq`; `None`: it has the first text.
    pub fn text_changed(&self, seq: Seq) -> Option<Seq> {
        let changes_text = |entry: &Message| {
            let change = entry.change().filter(|change| change.of == seq);
            change.is_some_and(|change| !matches!(change.kind, ChangeKind::Reaction { .. }))
        };
        let later = self.entries.range((Excluded(seq), Unbounded));
        later.rev().find(|(_, entry)| changes_text(entry)).map(|(seq, _)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{change, text};
    use super::*;

    const ME: UserId = UserId(1);
    const HERE: ConversationId = ConversationId(9);

    fn view() -> View {
        View::new(ME, [(HERE, Seq(2))])
    }

    fn shown(view: &View, seq: u64) -> &Message {
        &view.timelines()[0].entries[&Seq(seq)]
    }

    #[test]
    fn changes_are_applied_whatever_comes_first_and_once() {
        let edit = change(5, 4, ChangeKind::Edit, "new");
        let (mut early, mut late) = (view(), view());
        let in_order = [text(3, "x"), text(4, "old"), edit.clone()];
        in_order.into_iter().for_each(|entry| early.take(entry, 0));
        let out_of_order = [text(3, "x"), edit.clone(), text(4, "old"), edit];
        out_of_order.into_iter().for_each(|entry| late.take(entry, 0));
        for view in [&early, &late] {
            assert_eq!(&*shown(view, 4).content, "new");
            assert_eq!((view.timelines()[0].complete_to, view.timelines()[0].entries.len()), (Seq(5), 3));
            assert_eq!(view.timelines()[0].text_changed(Seq(4)), Some(Seq(5)));
            assert_eq!(view.timelines()[0].text_changed(Seq(3)), None);
        }
    }

    #[test]
    fn a_recalled_text_is_remembered_and_chosen_no_more() {
        let mut view = view();
        view.take(text(2, "from before the run"), 0);
        view.take(text(3, "secret"), 10);
        assert!(view.recent(7, 20, 10, |_| true).is_some() && view.any(7).is_some());
        assert!(view.recent(7, 21, 10, |_| true).is_none(), "too old");
        view.take(change(4, 3, ChangeKind::Recall, ""), 30);
        assert_eq!(&*view.recalled()[0].text, "secret");
        assert!(view.recent(7, 30, 100, |_| true).is_none() && view.any(7).is_none());
        view.take(text(9, "ahead"), 30);
        assert_eq!(view.timelines()[0].complete_to, Seq(4));
    }
}
