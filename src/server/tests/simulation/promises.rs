//! What must be true after every run.

use crate::device::{Asked, essence};
use crate::refusals;
use crate::unread;
use crate::world::World;
use logic::contract::timeline;
use logic::{Found, Read};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::change::Changes;
use wire::{Change, ChangeKind, ConversationId, ConversationKind, Direction, Message, Seq, Target, UserId};

/// The timelines in storage after a run.
#[derive(Default)]
struct Timelines {
    messages: BTreeMap<ConversationId, Vec<Arc<Message>>>,
    members: BTreeMap<ConversationId, BTreeSet<UserId>>,
    /// The first entry that is kept. Earlier ones are as they were when they became old.
    kept: BTreeMap<ConversationId, Seq>,
    /// Messages that were edited or recalled, and the entries that tell of edits.
    other_texts: BTreeSet<(ConversationId, Seq)>,
}

/// What a user sees of a timeline while it is a member.
#[derive(Clone, Copy, Debug)]
struct View {
    first: Seq,
    last: Seq,
}

impl View {
    fn contains(&self, seq: Seq) -> bool {
        (self.first..=self.last).contains(&seq)
    }
}

impl Timelines {
    /// The views of a user, in order: in a group each from the entry of a join to that of the leave after it.
    fn views(&self, conversation: ConversationId, user: UserId) -> Vec<View> {
        let timeline = &self.messages[&conversation];
        let end = Seq(timeline.len() as u64);
        if timeline.first().is_none_or(|first| first.kind == ConversationKind::Direct) {
            let is_member = self.members.get(&conversation).is_some_and(|members| members.contains(&user));
            return is_member.then_some(View { first: Seq(1), last: end }).into_iter().collect();
        }
        let mut views: Vec<View> = Vec::new();
        for entry in timeline {
            if entry.begins_view_of(user) {
                views.push(View { first: entry.seq, last: end });
            } else if entry.ends_view_of(user) {
                views.last_mut().expect("only members leave").last = entry.seq;
            }
        }
        views
    }

    /// Reads a whole timeline.
    fn read(&mut self, w: &mut World, conversation: ConversationId) {
        let (stored, first) = w.timeline(conversation);
        let past = w.past.get(&conversation).cloned().unwrap_or_default();
        let mut entries: BTreeMap<Seq, Arc<Message>> =
            past.range(..first).map(|(s, e)| (*s, Arc::clone(e))).collect();
        entries.extend(stored.into_iter().map(|entry| (entry.seq, entry)));
        assert!(entries.range(first..).next().is_none_or(|(seq, _)| *seq == first), "it begins at {first}");
        self.messages.insert(conversation, entries.into_values().collect());
        self.kept.insert(conversation, first);
    }

    /// The view that a user has or had last.
    fn last_view(&self, conversation: ConversationId, user: UserId) -> Option<View> {
        self.views(conversation, user).pop()
    }
}

/// Returns of how many conversations months were dropped.
pub fn check(w: &mut World) -> usize {
    let mut timelines = timelines(w);
    for entry in timelines.messages.values().flatten() {
        match entry.change() {
            Some(Change { of, kind: ChangeKind::Edit }) => {
                timelines.other_texts.extend([(entry.conversation, of), (entry.conversation, entry.seq)]);
            }
            Some(Change { of, kind: ChangeKind::Recall }) => {
                timelines.other_texts.extend([(entry.conversation, of)]);
            }
            _ => {}
        }
    }
    for (id, timeline) in &timelines.messages {
        for (message, seq) in timeline.iter().zip(1..) {
            assert_eq!(message.seq, Seq(seq), "{id:?} is numbered without gaps");
        }
    }
    stored_once(w, &timelines);
    shown_to_all(w, &timelines);
    changed_for_all(w, &timelines);
    unread::check(w, &timelines.messages, &timelines.kept);
    refusals::check(w, &timelines.messages[&w.group], &timelines.kept);
    only_own_results(w, &timelines);
    w.check_searches();
    for left_out in w.left_out() {
        let views = timelines.views(left_out.conversation, left_out.user);
        let view = views.iter().find(|view| view.contains(left_out.before));
        let is_kept = left_out.seq >= timelines.kept[&left_out.conversation];
        if !is_kept || !view.expect("nothing is pushed outside of a view").contains(left_out.seq) {
            continue;
        }
        let message = &timelines.messages[&left_out.conversation][left_out.seq.0 as usize - 1];
        let is_own = message.is_message() && message.from == left_out.user;
        assert!(is_own, "only own messages are left out: {left_out:?}");
    }
    timelines.kept.values().filter(|first| **first > Seq(1)).count()
}

/// Reads every timeline from storage.
fn timelines(w: &mut World) -> Timelines {
    let mut all = Timelines::default();
    // Also if nobody is a member any more.
    all.read(w, w.group);
    all.members.insert(w.group, BTreeSet::new());
    for user in w.users.clone() {
        let Found::Timeline(timeline::Found::Conversations { entries, more }) =
            w.read_now(&Read::Timeline(timeline::Read::Conversations {
                user,
                before: None,
                limit: 200,
                with_unread: true,
                with_last: false,
            }))
        else {
            panic!("conversations can be read")
        };
        assert!(!more);
        for entry in entries {
            all.read(w, entry.conversation);
            let count = all.messages[&entry.conversation].len() as u64;
            assert_eq!(entry.last_seq.0, count, "{:?} ends where it says", entry.conversation);
            all.members.entry(entry.conversation).or_default().insert(user);
        }
    }
    all
}

/// Every text is stored once, in its conversation and at the place its sender was told; each sender's in order.
fn stored_once(w: &World, timelines: &Timelines) {
    let mut places: BTreeMap<&str, (ConversationId, Seq)> = BTreeMap::new();
    let mut cids = BTreeSet::new();
    for message in timelines.messages.values().flatten().filter(|message| message.is_message()) {
        let place = (message.conversation, message.seq);
        assert!(cids.insert((message.from, message.cid.as_deref())), "{place:?} is stored twice");
        if !timelines.other_texts.contains(&place) {
            assert!(places.insert(&message.content, place).is_none(), "{} is stored twice", message.content);
        }
    }
    for device in &w.devices {
        let mut last: BTreeMap<ConversationId, Seq> = BTreeMap::new();
        for written in device.written.values() {
            let has_other_text = |sent: &(ConversationId, Seq)| timelines.other_texts.contains(sent);
            let place = written.sent.filter(has_other_text).or(places.get(&*written.text).copied());
            if let Some(sent) = written.sent {
                assert_eq!(place, Some(sent), "{} is where its sender was told", written.text);
            } else if written.refused.is_some() {
                assert_eq!(place, None, "{} was refused", written.text);
            } else {
                // A device that was kicked for good may keep unsent messages, which no reply has acknowledged.
                assert!(
                    device.kicked || device.session.account().is_none(),
                    "{} was never sent",
                    written.text
                );
            }
            let Some((conversation, seq)) = place else { continue };
            let message = &timelines.messages[&conversation][seq.0 as usize - 1];
            assert_eq!(message.from, device.user);
            if message.recalled().is_none() {
                let references = message.extra.as_deref().map(|extra| &extra.references);
                assert_eq!(references, written.references.as_ref(), "{}", written.text);
            }
            match written.target {
                Target::Conversation(id) => assert_eq!(id, conversation),
                _ => assert_eq!(message.kind, ConversationKind::Direct),
            }
            let before = last.insert(conversation, seq).unwrap_or_default();
            assert!(before < seq, "{}: an earlier message to the same place came later", written.text);
        }
    }
}

/// Every message is for its members, in storage and on their devices, what the changes of its timeline make of it.
fn changed_for_all(w: &mut World, timelines: &Timelines) {
    for (conversation, timeline) in &timelines.messages {
        for user in timelines.members[conversation].clone() {
            let begin = timelines.last_view(*conversation, user).expect("members have a view").first;
            let mut expected: BTreeMap<Seq, Message> = BTreeMap::new();
            for entry in timeline.iter().filter(|entry| entry.seq >= begin) {
                match entry.change() {
                    Some(change) => {
                        if let Some(changed) = expected.get_mut(&change.of) {
                            assert!(changed.apply(entry, user), "{} changes a message", entry.seq);
                        }
                    }
                    None => drop(expected.insert(entry.seq, Message { extra: None, ..(**entry).clone() })),
                }
            }
            for (seq, stored) in history(w, *conversation, user) {
                if stored.is_message() {
                    let of = (end_state(&stored), end_state(&expected[&seq]));
                    assert_eq!(of.0, of.1, "{conversation:?} {seq} in storage");
                }
            }
            let devices = w.devices.iter().enumerate().filter(|(_, device)| device.user == user);
            for (at, device) in devices {
                let alone = w.devices.iter().filter(|other| other.user == user).count() == 1;
                if device.kicked || device.session.account().is_none() {
                    continue;
                }
                // A second device lacks changes of what it sent before it was shown the timeline.
                let first = match alone {
                    true => begin,
                    false => device.first.get(conversation).copied().unwrap_or(Seq::MAX).max(begin),
                };
                // It may not have received all changes of what was dropped.
                let first = first.max(timelines.kept[conversation]);
                for (seq, shown) in device.messages.get(conversation).into_iter().flatten() {
                    if shown.is_message() && *seq >= first {
                        let of = (end_state(shown), end_state(&expected[seq]));
                        assert_eq!(of.0, of.1, "{conversation:?} {seq} on device {at}");
                    }
                }
            }
        }
    }
    for device in &w.devices {
        for (asked, told) in device.changed.iter().filter(|(_, told)| *told > Seq(0)) {
            let entry = &timelines.messages[&asked.conversation][told.0 as usize - 1];
            assert_eq!(entry.change(), Some(asked.change), "{asked:?}");
            match asked.change.kind {
                ChangeKind::Reaction { .. } => assert_eq!(*entry.content, asked.content, "{asked:?}"),
                ChangeKind::Edit => assert!([&*asked.content, ""].contains(&&*entry.content), "{asked:?}"),
                // It may be another user's who was earlier.
                ChangeKind::Recall => continue,
            }
            assert_eq!(entry.from, device.user);
        }
    }
}

/// No device was told by a search of what its user does not see.
fn only_own_results(w: &World, timelines: &Timelines) {
    for device in &w.devices {
        for message in &device.found {
            let (conversation, seq) = (message.conversation, message.seq);
            let views = timelines.views(conversation, device.user);
            let is_seen = views.iter().any(|view| view.contains(seq));
            assert!(is_seen, "{:?} found {conversation:?} {seq}", device.user);
        }
    }
}

/// What a message shows in the end, and the changes that it contains.
fn end_state(message: &Message) -> (&str, Option<&Changes>) {
    (&message.content, message.changes())
}

/// Whether an entry had this text once: a message that was written or edited so, or an edit.
fn had(w: &World, entry: &Message, text: &str) -> bool {
    let of = entry.change().map_or(entry.seq, |change| change.of);
    let is_edit = |asked: &Asked| {
        (asked.conversation, asked.change.of) == (entry.conversation, of)
            && text.strip_prefix(&*asked.content).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let mut senders = w.devices.iter().filter(|device| device.user == entry.from);
    text.is_empty()
        || senders.any(|device| {
            device.edits.iter().any(is_edit) || device.written.values().any(|written| written.told() == text)
        })
}

/// What a member reads of a timeline.
fn history(w: &mut World, conversation: ConversationId, user: UserId) -> BTreeMap<Seq, Arc<Message>> {
    let mut all = BTreeMap::new();
    loop {
        let direction = Direction::After(all.keys().next_back().copied().unwrap_or_default());
        let read = timeline::Read::History { user, conversation, direction, limit: 23, with_changes: true };
        let Found::Timeline(timeline::Found::History { messages, more, .. }) = w.read_now(&read.into())
        else {
            panic!("a timeline can be read")
        };
        all.extend(messages.into_iter().map(|message| (message.seq, message)));
        if !more {
            return all;
        }
    }
}

/// Every device has shown what its user sees or saw last of a timeline, whole, once, in order, as it was written, and nothing
/// that is in no view of its user.
fn shown_to_all(w: &World, timelines: &Timelines) {
    for (index, device) in w.devices.iter().enumerate() {
        let alone = w.devices.iter().enumerate().all(|(other, d)| other == index || d.user != device.user);
        for (conversation, timeline) in &timelines.messages {
            let listed = timelines.members[conversation].contains(&device.user);
            let nothing = BTreeMap::new();
            let shown = device.shown.get(conversation).unwrap_or(&nothing);
            let views = timelines.views(*conversation, device.user);
            for (seq, text) in shown {
                let now = &timeline[seq.0 as usize - 1];
                match timelines.other_texts.contains(&(*conversation, *seq)) {
                    true => assert!(had(w, now, text), "{conversation:?} {seq} was shown as {text}"),
                    false => assert_eq!(*text, essence(now), "{conversation:?} {seq}"),
                }
                assert!(
                    views.iter().any(|view| view.contains(*seq)),
                    "{:?} is shown {seq} of {conversation:?}, of which it sees {views:?}",
                    device.user
                );
            }
            let Some(view) = views.last() else { continue };
            let has_left = timeline[view.last.0 as usize - 1].ends_view_of(device.user);
            assert_eq!(listed, !has_left, "{:?} in {conversation:?}", device.user);
            // After a leave a second device cannot read what only the first has received.
            if device.session.account().is_none() || device.kicked || !(listed || alone) {
                continue;
            }
            // A second device begins where the first had come when it logged in first; what it sent itself it has
            // anyway.
            let first = if alone {
                view.first.0
            } else {
                device.first.get(conversation).map_or(view.last.0 + 1, |seq| seq.0.max(view.first.0))
            };
            let first = first.max(timelines.kept[conversation].0);
            let wanted: BTreeSet<Seq> = (first..=view.last.0).map(Seq).collect();
            let got: BTreeSet<Seq> = shown.keys().copied().filter(|seq| seq.0 >= first).collect();
            let lacks: Vec<_> = wanted.difference(&got).collect();
            assert!(
                lacks.is_empty(),
                "{:?} on device {index} lacks {lacks:?} of {conversation:?}",
                device.user
            );
        }
    }
}
