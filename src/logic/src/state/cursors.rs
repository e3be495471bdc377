//! Cursors that have moved and are not written yet. They are written once a second, in order, in batches.
//!
//! Until storage has confirmed a write, its moves are laid over every cursor that is read. A member who reconnects
//! within that second therefore sees the latest positions. Confirmed positions are laid over for one to two seconds
//! more, because a read that began before the write may be answered after it.

use crate::contract::timeline::{CursorMove, CursorStep};
use crate::contract::{Epoch, Fence};
use crate::limits::{CURSOR_BATCH, CURSORS_KEPT, CURSORS_MAX};
use crate::map::{Map, map};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Seq, UserId};

type Key = (ConversationId, UserId);

#[derive(Debug)]
pub(crate) struct Cursors {
    /// Steps of each cursor that are not with storage yet, in order; nearly always one.
    waiting: Map<Key, Steps>,
    /// Moves that are with storage, in order.
    writing: VecDeque<CursorMove>,
    /// The same moves, by cursor.
    writing_by_key: Map<Key, Steps>,
    /// Positions `(delivered, read)` that storage has confirmed, in this round and in the one before.
    confirmed: [Map<Key, (Seq, Seq)>; 2],
}

/// Each step with the session that made it: one whose session has ended is not written, and costs no other.
type Steps = smallvec::SmallVec<[(Epoch, CursorStep); 1]>;

impl Cursors {
    pub fn new(seed: u64) -> Cursors {
        let confirmed = [map(seed), map(seed)];
        Cursors { waiting: map(seed), writing: VecDeque::new(), writing_by_key: map(seed), confirmed }
    }

    /// The member has received up to `delivered` and read up to `read` (0: nothing new).
    pub fn reach(&mut self, mover: Fence, conversation: ConversationId, delivered: Seq, read: Seq) {
        self.step(mover, conversation, CursorStep::Reach { delivered: delivered.max(read), read });
    }

    /// The member has sent these.
    pub fn pass(&mut self, mover: Fence, conversation: ConversationId, seqs: RangeInclusive<Seq>) {
        let (first, last) = seqs.into_inner();
        self.step(mover, conversation, CursorStep::Pass { first, last });
    }

    fn step(&mut self, mover: Fence, conversation: ConversationId, step: CursorStep) {
        let Fence { user, epoch } = mover;
        if self.waiting.len() >= CURSORS_MAX {
            return;
        }
        let steps = self.waiting.entry((conversation, user)).or_default();
        if let CursorStep::Reach { delivered, read } = step {
            // `Pass` steps that this `Reach` covers are redundant.
            while matches!(steps.last(), Some((by, CursorStep::Pass { last, .. })) if *by == epoch && delivered >= *last && read >= *last)
            {
                steps.pop();
            }
            // The order of `Reach` steps has no effect.
            let reaches = steps.iter_mut().rev().map_while(|(by, step)| match step {
                CursorStep::Reach { delivered, read } => Some((*by, delivered, read)),
                CursorStep::Pass { .. } => None,
            });
            if let Some((_, before, read_before)) = reaches.into_iter().find(|(by, ..)| *by == epoch) {
                *before = (*before).max(delivered);
                *read_before = (*read_before).max(read);
                return;
            }
        }
        match (steps.last_mut(), step) {
            (Some((by, CursorStep::Pass { last, .. })), CursorStep::Pass { first, last: new_last })
                if *by == epoch && first == last.next() =>
            {
                *last = new_last;
            }
            _ => steps.push((epoch, step)),
        }
    }

    /// The current position of a member's cursors, given what storage said, both as `(delivered, read)`.
    pub fn lay_over(&self, conversation: ConversationId, user: UserId, stored: (Seq, Seq)) -> (Seq, Seq) {
        let key = (conversation, user);
        let confirmed = self.confirmed.iter().filter_map(|round| round.get(&key));
        let reached = confirmed.fold(stored, |reached, &there| higher(reached, there));
        let steps = [self.writing_by_key.get(&key), self.waiting.get(&key)];
        steps
            .into_iter()
            .flatten()
            .flatten()
            .fold(reached, |(delivered, read), (_, step)| step.apply(delivered, read))
    }

    /// Whether a member's cursor has moved and storage has not confirmed it.
    pub fn is_moving(&self, conversation: ConversationId, user: UserId) -> bool {
        let key = (conversation, user);
        self.waiting.contains_key(&key) || self.writing_by_key.contains_key(&key)
    }

    /// Whether [`Cursors::lay_over_summary`] has anything to lay over a row.
    pub fn concern(&self, user: UserId, summary: &ConversationSummary) -> bool {
        [Some(user), summary.peer].into_iter().flatten().any(|member| {
            let key = (summary.conversation, member);
            self.is_moving(key.0, member) || self.confirmed.iter().any(|round| round.contains_key(&key))
        })
    }

    /// Lays cursors that are not written yet over a conversation as it was read from storage.
    pub fn lay_over_summary(&self, user: UserId, summary: &mut ConversationSummary) {
        let stored = (summary.delivered_seq, summary.read_seq);
        (summary.delivered_seq, summary.read_seq) = self.lay_over(summary.conversation, user, stored);
        if let (Some(peer), Some(delivered), Some(read)) =
            (summary.peer, summary.peer_delivered_seq, summary.peer_read_seq)
        {
            let (delivered, read) = self.lay_over(summary.conversation, peer, (delivered, read));
            (summary.peer_delivered_seq, summary.peer_read_seq) = (Some(delivered), Some(read));
        }
    }

    /// Takes the next batch of moves to write; `None` while an earlier batch is still with storage.
    pub fn begin_write(&mut self) -> Option<Vec<CursorMove>> {
        if !self.writing.is_empty() || self.waiting.is_empty() {
            return None;
        }
        std::mem::swap(&mut self.waiting, &mut self.writing_by_key);
        for (&(conversation, user), steps) in &self.writing_by_key {
            self.writing.extend(steps.iter().map(|&(epoch, step)| CursorMove {
                conversation,
                user,
                epoch,
                step,
            }));
        }
        // In key order, storage touches each page once.
        self.writing.make_contiguous().sort_by_key(|m| (m.conversation, m.user));
        self.next_batch()
    }

    /// Starts a new round, once a second. Drops the positions confirmed before the last round: every read still in
    /// flight began after they were stored.
    pub fn begin_round(&mut self) {
        self.confirmed.swap(0, 1);
        empty(&mut self.confirmed[0]);
    }

    /// Handles the outcome of a write: `written` moves were stored (`None`: the write failed), except those by the
    /// sessions in `left_out`. Returns the next batch.
    pub fn end_write(
        &mut self,
        written: Option<usize>,
        left_out: &[(ConversationId, Fence)],
    ) -> Option<Vec<CursorMove>> {
        // Written steps are not applied again: passing an own message twice could move a cursor that must stay. The
        // position they reached is laid over instead, because a cursor never decreases.
        for done in self.writing.drain(..written.unwrap_or(0).min(self.writing.len())) {
            let key = (done.conversation, done.user);
            self.writing_by_key.remove(&key);
            if let CursorStep::Reach { delivered, read } = done.step
                && !left_out.contains(&(done.conversation, Fence { user: done.user, epoch: done.epoch }))
            {
                let reached = self.confirmed[0].entry(key).or_default();
                *reached = higher(*reached, (delivered, read));
            }
        }
        if self.writing.is_empty() {
            empty(&mut self.writing_by_key);
            self.writing.shrink_to(CURSORS_KEPT);
            return None;
        }
        if written.is_some() { self.next_batch() } else { None }
    }

    /// The next batch of moves that a failed write left behind.
    pub fn retry_write(&self) -> Option<Vec<CursorMove>> {
        if self.writing.is_empty() { None } else { self.next_batch() }
    }

    fn next_batch(&self) -> Option<Vec<CursorMove>> {
        // All steps of a cursor go in one batch.
        let key = |at: usize| self.writing.get(at).map(|step| (step.conversation, step.user));
        let mut count = self.writing.len().min(CURSOR_BATCH);
        while count > 0 && key(count) == key(count - 1) {
            count += 1;
        }
        Some(self.writing.iter().take(count).copied().collect())
    }

    /// Whether every move is written.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_empty()
    }

    /// Whether every move is written and no confirmed position is laid over reads, so that time changes nothing here.
    pub fn is_still(&self) -> bool {
        self.is_empty() && self.confirmed.iter().all(Map::is_empty)
    }
}

/// The higher position of each cursor.
fn higher(one: (Seq, Seq), other: (Seq, Seq)) -> (Seq, Seq) {
    (one.0.max(other.0), one.1.max(other.1))
}

/// Clears a map and frees most of the memory that a burst allocated.
fn empty<V>(map: &mut Map<Key, V>) {
    map.clear();
    map.shrink_to(CURSORS_KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: ConversationId = ConversationId(1);
    const U: UserId = UserId(2);
    const BY_U: Fence = Fence { user: U, epoch: Epoch::NONE };

    #[test]
    fn an_own_message_moves_only_a_cursor_right_before_it() {
        let mut cursors = Cursors::new(1);
        cursors.pass(BY_U, C, Seq(1)..=Seq(1));
        cursors.pass(BY_U, C, Seq(3)..=Seq(3));
        assert_eq!(cursors.lay_over(C, U, (Seq(0), Seq(0))), (Seq(1), Seq(1)));
        cursors.reach(BY_U, C, Seq(2), Seq(0));
        cursors.pass(BY_U, C, Seq(4)..=Seq(4));
        assert_eq!(cursors.lay_over(C, U, (Seq(0), Seq(0))), (Seq(2), Seq(1)));
    }

    #[test]
    fn written_moves_are_not_laid_over_while_others_are_pending() {
        let mut cursors = Cursors::new(1);
        cursors.pass(BY_U, C, Seq(5)..=Seq(5));
        cursors.reach(BY_U, C, Seq(4), Seq(4));
        for other in 2..40 {
            cursors.reach(BY_U, ConversationId(other), Seq(1), Seq(1));
        }
        let first = cursors.begin_write().unwrap().len();
        assert!(cursors.end_write(Some(first), &[]).is_some(), "the other cursors are not written yet");
        assert_eq!(cursors.lay_over(C, U, (Seq(4), Seq(4))), (Seq(4), Seq(4)));
    }

    #[test]
    fn confirmed_positions_are_laid_over_reads_for_two_rounds() {
        let mut cursors = Cursors::new(1);
        let before = (Seq(1), Seq(1));
        let write = |cursors: &mut Cursors, delivered, read| {
            cursors.reach(BY_U, C, Seq(delivered), Seq(read));
            let moves = cursors.begin_write().unwrap().len();
            assert_eq!(cursors.end_write(Some(moves), &[]), None);
            cursors.lay_over(C, U, before)
        };
        assert_eq!(write(&mut cursors, 7, 0), (Seq(7), Seq(1)));
        assert_eq!(write(&mut cursors, 8, 2), (Seq(8), Seq(2)));
        // The highest position stays, in whatever order they come.
        assert_eq!(write(&mut cursors, 6, 5), (Seq(8), Seq(5)));
        // They expire even if nothing else moves.
        cursors.begin_round();
        assert_eq!(cursors.lay_over(C, U, before), (Seq(8), Seq(5)));
        assert!(!cursors.is_still());
        cursors.begin_round();
        assert_eq!(cursors.lay_over(C, U, before), before);
        assert!(cursors.is_still());
    }

    #[test]
    fn moves_that_storage_left_out_are_dropped() {
        let mut cursors = Cursors::new(1);
        let other = UserId(3);
        for user in [U, other] {
            cursors.reach(Fence { user, epoch: Epoch(1) }, C, Seq(7), Seq(7));
        }
        let moves = cursors.begin_write().unwrap().len();
        let by_u = Fence { user: U, epoch: Epoch(1) };
        assert_eq!(cursors.end_write(Some(moves), &[(C, by_u)]), None);
        let before = (Seq(1), Seq(1));
        assert_eq!(cursors.lay_over(C, U, before), before);
        assert_eq!(cursors.lay_over(C, other, before), (Seq(7), Seq(7)));
    }

    #[test]
    fn each_step_keeps_the_session_that_made_it() {
        let mut cursors = Cursors::new(1);
        let by = |epoch| Fence { user: U, epoch: Epoch(epoch) };
        cursors.reach(by(1), C, Seq(7), Seq(7));
        cursors.reach(by(2), C, Seq(5), Seq(3));
        cursors.reach(by(1), C, Seq(9), Seq(0));
        cursors.reach(by(2), C, Seq(6), Seq(0));
        let moves = cursors.begin_write().unwrap();
        let made: Vec<_> = moves.iter().map(|step| (step.epoch, step.step)).collect();
        let reach = |delivered, read| CursorStep::Reach { delivered: Seq(delivered), read: Seq(read) };
        assert_eq!(made, [(Epoch(1), reach(9, 7)), (Epoch(2), reach(6, 3))]);
        // The first has ended: only what the other one moved is laid over.
        assert_eq!(cursors.end_write(Some(2), &[(C, by(1))]), None);
        assert_eq!(cursors.lay_over(C, U, (Seq(1), Seq(1))), (Seq(6), Seq(3)));
    }

    proptest! {
        /// Merging steps, writing and failing at any point gives the same cursors as applying each step alone.
        #[test]
        fn merged_steps_equal_single_steps(
            ops in proptest::collection::vec((0u8..5, 1u64..12, 1u64..12), 0..60),
            start in (0u64..5, 0u64..5),
        ) {
            let mut cursors = Cursors::new(1);
            let start = (Seq(start.0.max(start.1)), Seq(start.1));
            let (mut stored, mut truth) = (start, start);
            let mut sent: Option<Vec<CursorMove>> = None;
            for (op, a, b) in ops {
                match op {
                    0 => {
                        let (d, r) = (Seq(a.max(b)), Seq(b));
                        cursors.reach(BY_U, C, d, r);
                        truth = CursorStep::Reach { delivered: d, read: r }.apply(truth.0, truth.1);
                    }
                    1 | 2 => {
                        cursors.pass(BY_U, C, Seq(a)..=Seq(a));
                        truth = CursorStep::Pass { first: Seq(a), last: Seq(a) }.apply(truth.0, truth.1);
                    }
                    3 if sent.is_none() => sent = cursors.retry_write().or_else(|| cursors.begin_write()),
                    _ => if let Some(moves) = sent.take() {
                        if a % 3 == 0 {
                            sent = cursors.end_write(None, &[]);
                        } else {
                            stored = moves.iter().fold(stored, |(delivered, read), m| m.step.apply(delivered, read));
                            sent = cursors.end_write(Some(moves.len()), &[]);
                        }
                    }
                }
                prop_assert_eq!(cursors.lay_over(C, U, stored), truth);
            }
        }
    }
}
