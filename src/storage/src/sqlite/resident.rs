//! The resident tail: the end of every timeline that is published but not filed yet, shared by the writer and the
//! readers.
//!
//! A message is kept as its bytes in the journal's batch, which all messages of one commit share, and is read like one
//! on the disk. A reader reads the tail *first* and the disk afterwards, so that a message that is filed and evicted in
//! between is found on the disk. The lock is never held during SQL.

use super::codec;
use super::pins::Pins;
use super::run::{Batch, Run, Slot, parts};
use crate::listing::Place;
use foldhash::{HashMap, HashSet};
use logic::contract::search::Mark;
use parking_lot::{Mutex, RwLock};
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// The resident messages.
#[derive(Debug, Default)]
pub struct Resident {
    tails: RwLock<Tails>,
    /// What will be relisted when it is filed. Locked after `tails`.
    unlisted: RwLock<UnlistedConversations>,
    /// Whether `appended` is kept.
    is_followed: AtomicBool,
    /// Locked after `tails`.
    appended: Mutex<Appended>,
    /// The time of the writes that are being committed, which their entries have; `None`: there are none.
    committing: Mutex<Option<UnixMillis>>,
    pins: Pins,
}

/// Conversations that [`Resident::appended`] remembers. When there are more, the follower reads the ends of all.
const APPENDED_MAX: usize = 100_000;

/// The conversations that received entries since a mark.
#[derive(Debug, Default)]
struct Appended {
    mark: u64,
    conversations: HashSet<ConversationId>,
    /// Whether some were not remembered.
    is_cut: bool,
}

type Tails = HashMap<ConversationId, VecDeque<ResidentMessage>>;

/// A conversation whose resident messages are outside the bounds of its row in the listing.
#[derive(Debug)]
pub struct Unlisted {
    pub conversation: ConversationId,
    /// Its first message that is.
    pub seq: Seq,
    pub members: Arc<[UserId]>,
}

#[derive(Debug, Default)]
struct UnlistedConversations {
    /// By conversation: the message that will relist it, and the members.
    members: HashMap<ConversationId, (Seq, Vec<UserId>)>,
    of_user: HashMap<UserId, BTreeSet<ConversationId>>,
}

impl UnlistedConversations {
    fn add(&mut self, unlisted: &Unlisted) {
        let Unlisted { conversation, seq, members } = unlisted;
        self.remove(*conversation);
        for member in members.iter() {
            self.of_user.entry(*member).or_default().insert(*conversation);
        }
        self.members.insert(*conversation, (*seq, members.to_vec()));
    }

    fn remove(&mut self, conversation: ConversationId) {
        let Some((_, members)) = self.members.remove(&conversation) else { return };
        for member in members {
            if let Some(of_user) = self.of_user.get_mut(&member) {
                of_user.remove(&conversation);
                if of_user.is_empty() {
                    self.of_user.remove(&member);
                }
            }
        }
    }
}

/// A resident message.
#[derive(Clone, Debug)]
pub struct ResidentMessage {
    pub seq: Seq,
    batch: Batch,
    start: u32,
    end: u32,
}

impl ResidentMessage {
    /// The message's entry, as in a page.
    pub fn entry(&self) -> &[u8] {
        &self.batch[self.start as usize..self.end as usize]
    }
}

/// The end of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub last: Seq,
    /// The time of the last entry.
    pub time: UnixMillis,
    /// The last message, if one is resident.
    pub message: Option<LastMessage>,
}

/// The last entry of a timeline that is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastMessage {
    pub seq: Seq,
    pub time: UnixMillis,
}

impl Resident {
    /// Makes the messages and rows of a batch of `run` visible, in order, atomically with `announce`: no reader observes
    /// one without the other.
    pub fn publish(
        &self,
        run: &Run,
        slots: &[Slot],
        unlisted: impl Iterator<Item = Unlisted>,
        announce: impl FnOnce(),
    ) {
        let mut tails = self.tails.write();
        if self.is_followed.load(Ordering::Relaxed) {
            self.note(slots);
        }
        let mut unlisted = unlisted.peekable();
        if unlisted.peek().is_some() {
            let mut all = self.unlisted.write();
            unlisted.for_each(|one| all.add(&one));
        }
        announce();
        for slot in slots {
            let (conversation, seq) = parts(slot.place);
            let tail = tails.entry(conversation).or_default();
            debug_assert!(tail.back().is_none_or(|last| last.seq.next() == seq), "a tail has no gaps");
            tail.push_back(ResidentMessage {
                seq,
                batch: Arc::clone(run.batch(slot)),
                start: slot.start,
                end: slot.end,
            });
        }
    }

    fn note(&self, slots: &[Slot]) {
        let mut appended = self.appended.lock();
        for slot in slots {
            if appended.conversations.len() >= APPENDED_MAX {
                appended.is_cut = true;
                return;
            }
            appended.conversations.insert(parts(slot.place).0);
        }
    }

    /// The conversations that received entries since the last call, whose mark `since` must be, and a new mark. The first
    /// call begins to remember them. `None`: they are not known.
    pub fn appended(&self, since: Mark) -> (Option<Vec<ConversationId>>, Mark) {
        // Under this lock nothing is being published.
        let tails = self.tails.read();
        let is_known = self.is_followed.swap(true, Ordering::Relaxed);
        let mut appended = self.appended.lock();
        drop(tails);
        let Appended { mark, conversations, is_cut } = std::mem::take(&mut *appended);
        appended.mark = mark + 1;
        let is_known = is_known && !is_cut && since == Mark(mark);
        (is_known.then(|| conversations.into_iter().collect()), Mark(mark + 1))
    }

    /// Begins a batch of writes with entries of the time that `clock` shows.
    pub fn begin_batch(&self, clock: impl FnOnce() -> UnixMillis) -> UnixMillis {
        // The lock is held while the clock is read: who finds no batch has looked at the clock before.
        let mut committing = self.committing.lock();
        *committing.insert(clock())
    }

    /// Ends the batch: its entries are visible, or it has none.
    pub fn end_batch(&self) {
        *self.committing.lock() = None;
    }

    /// Entries of an earlier time are visible; `now` is a reading of the clock from before the call.
    pub fn settled(&self, now: UnixMillis) -> UnixMillis {
        self.committing.lock().map_or(now, |committing| committing.min(now))
    }

    /// Removes messages that are filed: of each conversation those up to a seq. They stay while a read that has begun
    /// before may not see them on the disk.
    pub fn evict(&self, filed: &[(ConversationId, Seq)]) {
        if self.pins.may_evict(filed) {
            self.remove(filed);
        }
    }

    /// Keeps what is filed from now on, until [`Resident::unpin`].
    pub fn pin(&self) -> u64 {
        self.pins.take()
    }

    pub fn unpin(&self, pin: u64) {
        for filed in self.pins.release(pin) {
            self.remove(&filed);
        }
    }

    fn remove(&self, filed: &[(ConversationId, Seq)]) {
        let mut tails = self.tails.write();
        for (conversation, upto) in filed {
            let Some(tail) = tails.get_mut(conversation) else { continue };
            let count = tail.partition_point(|message| message.seq <= *upto);
            tail.drain(..count);
            if tail.is_empty() {
                tails.remove(conversation);
            }
        }
        if tails.is_empty() {
            tails.shrink_to_fit();
        }
        drop(tails);
        let mut unlisted = self.unlisted.write();
        if unlisted.members.is_empty() {
            return;
        }
        for (conversation, upto) in filed {
            if unlisted.members.get(conversation).is_some_and(|(seq, _)| seq <= upto) {
                unlisted.remove(*conversation);
            }
        }
    }

    /// A user became a member of a conversation.
    pub fn joined(&self, conversation: ConversationId, user: UserId) {
        let mut unlisted = self.unlisted.write();
        if let Some((_, members)) = unlisted.members.get_mut(&conversation) {
            members.push(user);
            unlisted.of_user.entry(user).or_default().insert(conversation);
        }
    }

    /// A user is no member of a conversation any more.
    pub fn left(&self, conversation: ConversationId, user: UserId) {
        let mut unlisted = self.unlisted.write();
        if let Some((_, members)) = unlisted.members.get_mut(&conversation) {
            members.retain(|member| *member != user);
            if let Some(of_user) = unlisted.of_user.get_mut(&user) {
                of_user.remove(&conversation);
                if of_user.is_empty() {
                    unlisted.of_user.remove(&user);
                }
            }
        }
    }

    /// The conversations of a user whose rows in the listing do not show their latest messages yet: the latest below
    /// `before`, at most `limit`.
    pub fn unlisted(&self, user: UserId, before: Option<Place>, limit: usize) -> Vec<ConversationId> {
        let tails = self.tails.read();
        let unlisted = self.unlisted.read();
        let Some(of_user) = unlisted.of_user.get(&user) else { return Vec::new() };
        let place = |id: &ConversationId| Some((end_of(tails.get(id))?.message?.time, *id));
        let is_below = |place: &Place| before.is_none_or(|before| *place < before);
        let mut places: Vec<Place> = of_user.iter().filter_map(place).filter(is_below).collect();
        places.sort_unstable_by_key(|place| Reverse(*place));
        places.truncate(limit);
        places.into_iter().map(|(_, id)| id).collect()
    }

    /// The end of a timeline; `None`: it is on the disk.
    pub fn end(&self, conversation: ConversationId) -> Option<End> {
        end_of(self.tails.read().get(&conversation))
    }

    /// The ends of many timelines, in their order.
    pub fn ends(&self, conversations: impl Iterator<Item = ConversationId>) -> Vec<Option<End>> {
        let tails = self.tails.read();
        conversations.map(|conversation| end_of(tails.get(&conversation))).collect()
    }

    /// The first resident messages above `after`, at most `limit`. Messages in between are on the disk.
    pub fn after(&self, conversation: ConversationId, after: Seq, limit: usize) -> Vec<ResidentMessage> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let from = tail.partition_point(|message| message.seq <= after);
        tail.range(from..).take(limit).cloned().collect()
    }

    /// The last resident messages below `before`, at most `limit`, in order. Messages below them are on the disk.
    pub fn before(&self, conversation: ConversationId, before: Seq, limit: usize) -> Vec<ResidentMessage> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let to = tail.partition_point(|message| message.seq < before);
        tail.range(to.saturating_sub(limit)..to).cloned().collect()
    }
}

fn end_of(tail: Option<&VecDeque<ResidentMessage>>) -> Option<End> {
    let tail = tail?;
    let last = tail.back()?;
    let time = |entry: &[u8]| codec::time_of(entry).expect("it was encoded by this process");
    // Nearly always the last one.
    let message = tail.iter().rev().find(|message| codec::is_message(message.entry()));
    let message = message.map(|message| LastMessage { seq: message.seq, time: time(message.entry()) });
    Some(End { last: last.seq, time: time(last.entry()), message })
}

#[cfg(test)]
mod tests {
    use super::super::codec::Entry;
    use super::super::run::place;
    use super::*;
    use crate::column::Sort;
    use wire::ConversationKind;

    const CONVERSATION: ConversationId = ConversationId(1);

    fn publish(resident: &Resident, seqs: impl Iterator<Item = u64>) {
        let mut run = Run::default();
        let mark = run.begin();
        for seq in seqs {
            let entry = Entry {
                cid: "c",
                sender: UserId(1),
                time: UnixMillis(seq * 10),
                kind: ConversationKind::Direct,
                sort: Sort::Message,
                content_type: "text",
                content: "x",
                references: None,
            };
            run.push(place(CONVERSATION, Seq(seq)), seq, 202_601, &entry);
        }
        run.committed(1);
        resident.publish(&run, run.since(mark), std::iter::empty(), || {});
    }

    fn seqs(messages: &[ResidentMessage]) -> Vec<u64> {
        messages.iter().map(|message| message.seq.0).collect()
    }

    #[test]
    fn the_tail_is_read_both_ways_and_evicted_from_the_front() {
        let resident = Resident::default();
        publish(&resident, 5..=7);
        publish(&resident, 8..=9);
        assert_eq!(seqs(&resident.after(CONVERSATION, Seq(2), 3)), [5, 6, 7]);
        assert_eq!(seqs(&resident.after(CONVERSATION, Seq(7), 3)), [8, 9]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(8), 2)), [6, 7]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(100), 9)), [5, 6, 7, 8, 9]);
        resident.evict(&[(CONVERSATION, Seq(6))]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(100), 9)), [7, 8, 9]);
        assert_eq!(
            resident.end(CONVERSATION),
            Some(End {
                last: Seq(9),
                time: UnixMillis(90),
                message: Some(LastMessage { seq: Seq(9), time: UnixMillis(90) })
            })
        );
        resident.evict(&[(CONVERSATION, Seq(9))]);
        assert_eq!(resident.end(CONVERSATION), None);
    }
}
