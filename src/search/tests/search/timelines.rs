//! Timelines in memory, as a database shows them.

use ::search::Source;
use logic::contract::search::{Appended, End, Extent, Mark};
use logic::contract::{Denial, search, timeline};
use logic::{Found, Read};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use wire::timeline::ConversationSummary;
use wire::{
    Change, ChangeKind, ConversationId, ConversationKind, Direction, Message, Seq, UnixMillis, UserId,
};

/// A conversation: its entries, and from which seq on its members see it.
#[derive(Debug, Default)]
pub struct Timeline {
    pub entries: Vec<Arc<Message>>,
    pub members: BTreeMap<UserId, Seq>,
}

#[derive(Debug, Default)]
pub struct State {
    pub timelines: BTreeMap<ConversationId, Timeline>,
    appended: BTreeSet<ConversationId>,
    mark: u64,
    /// Where timelines begin, and how often that has changed.
    first: BTreeMap<ConversationId, Seq>,
    dropped: u64,
    pub now: u64,
    pub is_away: bool,
    /// Pages with these entries fail.
    pub damaged: BTreeSet<(ConversationId, Seq)>,
    /// Longer pages show these entries with their earlier texts, as where a change is committed while they are read.
    pub stale: BTreeMap<(ConversationId, Seq), Arc<Message>>,
}

/// The database; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Timelines(pub Arc<Mutex<State>>);

impl Timelines {
    pub fn join(&self, conversation: ConversationId, user: UserId) {
        let mut state = self.0.lock().unwrap();
        let timeline = state.timelines.entry(conversation).or_default();
        let first = Seq(timeline.entries.len() as u64 + 1);
        timeline.members.insert(user, first);
    }

    pub fn send(&self, conversation: ConversationId, from: UserId, content: &str) -> Seq {
        let mut state = self.0.lock().unwrap();
        state.now += 10;
        let (time, state) = (UnixMillis(state.now), &mut *state);
        let timeline = state.timelines.entry(conversation).or_default();
        let seq = Seq(timeline.entries.len() as u64 + 1);
        timeline.entries.push(Arc::new(Message {
            conversation,
            kind: ConversationKind::Group,
            seq,
            from,
            name: "somebody".into(),
            content_type: Cow::Borrowed("text"),
            content: content.into(),
            time,
            cid: None,
            extra: None,
        }));
        state.appended.insert(conversation);
        seq
    }

    /// Drops what is below `first`.
    pub fn drop_below(&self, conversation: ConversationId, first: Seq) {
        let mut state = self.0.lock().unwrap();
        let members = state.timelines.get_mut(&conversation).unwrap().members.values_mut();
        members.for_each(|begin| *begin = first.max(*begin));
        state.first.insert(conversation, first);
        state.dropped += 1;
    }

    /// Gives a message another text, without an entry that tells of it.
    pub fn rewrite(&self, conversation: ConversationId, seq: Seq, content: &str) {
        let mut state = self.0.lock().unwrap();
        let entry = &mut state.timelines.get_mut(&conversation).unwrap().entries[seq.0 as usize - 1];
        Arc::make_mut(entry).content = content.into();
    }

    /// Edits or recalls a message: its text becomes `content`, and an entry tells of it.
    pub fn change(&self, conversation: ConversationId, of: Seq, kind: ChangeKind, content: &str) {
        self.rewrite(conversation, of, content);
        let seq = self.send(conversation, UserId(1), "");
        let mut state = self.0.lock().unwrap();
        let entry = &mut state.timelines.get_mut(&conversation).unwrap().entries[seq.0 as usize - 1];
        let change = Change { of, kind };
        let entry = Arc::make_mut(entry);
        entry.content_type = Cow::Borrowed(change.content_type());
        entry.extra = Some(change.into());
    }

    /// What HISTORY shows a user, all conversations together.
    pub fn seen_by(&self, user: UserId) -> Vec<Arc<Message>> {
        let state = self.0.lock().unwrap();
        let seen = |timeline: &Timeline| {
            let first = timeline.members.get(&user).copied();
            let entries =
                timeline.entries.iter().filter(|entry| first.is_some_and(|first| entry.seq >= first));
            entries.cloned().collect::<Vec<_>>()
        };
        state.timelines.values().flat_map(seen).collect()
    }
}

impl State {
    fn ends(&self, ids: impl Iterator<Item = ConversationId>) -> Vec<End> {
        let end = |conversation| End {
            conversation,
            first: self.first(conversation),
            last: Seq(self.timelines[&conversation].entries.len() as u64),
        };
        ids.map(end).collect()
    }

    fn first(&self, conversation: ConversationId) -> Seq {
        self.first.get(&conversation).copied().unwrap_or(Seq(1))
    }

    fn timeline(&self, read: &timeline::Read) -> Found {
        let first_of = |conversation: ConversationId, user: UserId| {
            self.timelines.get(&conversation)?.members.get(&user).copied()
        };
        let found = match *read {
            timeline::Read::Feed { conversation, after, limit, .. } => {
                let entries = &self.timelines[&conversation].entries;
                let first = self.first(conversation);
                let rest = entries.get(after.max(first.prev()).0 as usize..).unwrap_or_default();
                let place = |entry: &Arc<Message>| (conversation, entry.seq);
                let page = rest.iter().take(limit as usize);
                if page.clone().any(|entry| self.damaged.contains(&place(entry))) {
                    return Found::Failed;
                }
                let shown = |entry| self.stale.get(&place(entry)).filter(|_| limit > 1).unwrap_or(entry);
                let messages = page.map(|entry| Arc::clone(shown(entry))).collect();
                timeline::Found::Feed { messages, more: rest.len() > limit as usize, first }
            }
            timeline::Read::History {
                user,
                conversation,
                direction: Direction::Before(before),
                limit,
                ..
            } => {
                let Some(first_seq) = first_of(conversation, user) else {
                    return Found::Denied(Denial::Forbidden);
                };
                let entries = self.timelines[&conversation].entries.iter().rev();
                let seen = entries.filter(|entry| entry.seq < before && entry.seq >= first_seq);
                let mut messages: Vec<_> = seen.take(limit as usize).cloned().collect();
                messages.reverse();
                timeline::Found::History { messages, more: false, first_seq }
            }
            timeline::Read::Standing { user, conversation } => {
                let standing = first_of(conversation, user).map(|_| timeline::Standing {
                    kind: ConversationKind::Group,
                    peer: None,
                    last: Seq(self.timelines[&conversation].entries.len() as u64),
                    has_left: false,
                    delivered: Seq(0),
                    read: Seq(0),
                });
                timeline::Found::Standing(standing)
            }
            timeline::Read::Conversations { user, before, limit, with_unread, with_last: _ } => {
                assert!(!with_unread, "a search counts nothing");
                let mut all: Vec<_> =
                    self.timelines.iter().filter_map(|(id, of)| self.summary(*id, of, user)).collect();
                all.retain(|summary| {
                    before.is_none_or(|before| (summary.time, summary.conversation) < before)
                });
                all.sort_by_key(|summary| std::cmp::Reverse((summary.time, summary.conversation)));
                let more = all.len() > limit as usize;
                all.truncate(limit as usize);
                timeline::Found::Conversations { entries: all, more }
            }
            _ => panic!("not asked by a search: {read:?}"),
        };
        Found::Timeline(found)
    }

    fn summary(
        &self,
        conversation: ConversationId,
        of: &Timeline,
        user: UserId,
    ) -> Option<ConversationSummary> {
        Some(ConversationSummary {
            name: "group".into(),
            last_seq: Seq(of.entries.len() as u64),
            first_seq: *of.members.get(&user)?,
            time: of.entries.last()?.time,
            ..ConversationSummary::new(conversation, ConversationKind::Group)
        })
    }
}

impl Source for Timelines {
    fn read(&mut self, read: &Read) -> Found {
        let mut state = self.0.lock().unwrap();
        if state.is_away {
            return Found::Unavailable;
        }
        match read {
            Read::Timeline(read) => state.timeline(read),
            Read::Search(search::Read::Ends { after, limit }) => {
                let ids = state.timelines.keys().copied().filter(|id| id > after).take(*limit as usize);
                Found::Search(search::Found::Ends(state.ends(ids)))
            }
            Read::Search(search::Read::Appended { since }) => {
                let is_known = *since == Mark(state.mark) && state.mark > 0;
                state.mark += 1;
                let ids = std::mem::take(&mut state.appended);
                let appended = Appended {
                    ends: state.ends(ids.into_iter().filter(|_| is_known)),
                    extent: if is_known { Extent::All } else { Extent::Unknown },
                    mark: Mark(state.mark),
                    dropped: state.dropped,
                    settled: UnixMillis(state.now),
                };
                Found::Search(search::Found::Appended(Box::new(appended)))
            }
            other => panic!("not asked by a search: {other:?}"),
        }
    }
}
