//! Which conversations and accounts may have changed since something was read of them.
//!
//! ```text
//!   writer   commits --- counts what the group touches --- publishes its outcomes and its messages
//!   reader   notes the counters --- reads --- keeps what it read, with the note        current: they are unchanged
//! ```
//!
//! What was read under a note that is still current is what a read would find now, up to writes whose outcomes are not
//! published yet: a write is visible before it is counted, and counted before anybody is told of it. Counters are shared
//! by hash, so that a note may be found outdated too early, never too late.

use logic::contract::{Write, Written, account, contact, group, message, presence, session, timeline};
use std::sync::atomic::{AtomicU64, Ordering};
use wire::{ConversationId, Seq, UserId};

/// The number of counters, as a power of two: 2 MiB of them, and less in tests, which open thousands of stores.
const BITS: u32 = if cfg!(debug_assertions) { 12 } else { 18 };

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A conversation with its timeline, its members, their cursors and settings.
    Conversation(ConversationId),
    /// Which conversations and friends an account has.
    Lists(UserId),
    /// The row of an account.
    Account(UserId),
}

impl Subject {
    fn slot(self) -> usize {
        let (kind, id) = match self {
            Subject::Conversation(ConversationId(id)) => (1, id),
            Subject::Lists(UserId(id)) => (2, id),
            Subject::Account(UserId(id)) => (3, id),
        };
        // Fibonacci hashing: consecutive ids are spread evenly.
        let hash = (kind << 32 | u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> (u64::BITS - BITS)) as usize
    }
}

/// Counts changes.
///
/// A change outside the groups of writes (see [`Touched`]), such as housekeeping's, must be counted by whoever makes it
/// if it changes what a login reads: after its commit, by [`Generations::count`] or [`Generations::count_all`].
#[derive(Debug)]
pub struct Generations {
    /// Changes of which it is not known what they touch.
    all: AtomicU64,
    counters: Box<[AtomicU64]>,
}

/// The counters of some subjects at one time.
#[derive(Clone, Debug, Default)]
pub struct Note {
    all: u64,
    /// Each counter with its slot.
    counters: Vec<(u32, u64)>,
}

impl Note {
    /// Adds another note, which was taken later.
    pub fn join(&mut self, later: Note) {
        self.counters.extend(later.counters);
    }

    pub fn bytes(&self) -> usize {
        self.counters.capacity() * size_of::<(u32, u64)>()
    }
}

impl Default for Generations {
    fn default() -> Generations {
        let counters = std::iter::repeat_with(AtomicU64::default).take(1 << BITS).collect();
        Generations { all: AtomicU64::new(0), counters }
    }
}

impl Generations {
    /// Notes the counters. Called before the first of the subjects is read.
    pub fn note(&self, subjects: impl IntoIterator<Item = Subject>) -> Note {
        let counter = |subject: Subject| {
            let slot = subject.slot();
            (slot as u32, self.counters[slot].load(Ordering::Acquire))
        };
        let all = self.all.load(Ordering::Acquire);
        Note { all, counters: subjects.into_iter().map(counter).collect() }
    }

    /// Whether none of the subjects has changed.
    pub fn is_current(&self, note: &Note) -> bool {
        let is_same =
            |(slot, count): &(u32, u64)| self.counters[*slot as usize].load(Ordering::Acquire) == *count;
        self.all.load(Ordering::Acquire) == note.all && note.counters.iter().all(is_same)
    }

    /// Counts a change of each subject. Called once it is visible to readers, before anybody is told of it.
    pub fn count(&self, subjects: impl IntoIterator<Item = Subject>) {
        for subject in subjects {
            self.counters[subject.slot()].fetch_add(1, Ordering::Release);
        }
    }

    /// Counts a change of everything.
    pub fn count_all(&self) {
        self.all.fetch_add(1, Ordering::Release);
    }
}

/// What the writes of a commit touch.
///
/// Nothing else changes what a login reads:
///
/// * Filing moves entries from the resident tail to the tables, which show the same. What it sets aside, because it
///   cannot be filed, is counted there.
/// * The drop of old months counts each of its slices itself.
/// * Scrubbing removes texts that an edit or a recall has replaced. Readers show those of the table `changed`, which came
///   with that write.
/// * Maintenance creates tables, drops those of `cid`s, and deletes tokens and sessions that have ended, none of which a
///   login view holds.
/// * Migrations, names and what a crash left behind are dealt with before the store is open and anything is kept.
/// * Rows are repaired only by hand, while no server runs.
#[derive(Debug, Default)]
pub struct Touched(Vec<Subject>);

impl Touched {
    /// Adds what a write touches by what it asks for, whatever its outcome.
    pub fn add_write(&mut self, write: &Write) {
        match write {
            Write::Fenced(_, write) => self.add_write(write),
            Write::Group(group::Write::Create { by, .. }) => self.0.push(Subject::Lists(by.user)),
            Write::Group(group::Write::Join { by, conversation }) => {
                self.0.extend([Subject::Lists(by.user), Subject::Conversation(*conversation)]);
            }
            Write::Group(group::Write::Change(change)) => {
                let removed = change.removed().map(Subject::Lists);
                self.0.extend(removed.into_iter().chain([Subject::Conversation(change.conversation)]));
            }
            Write::Change(change) => self.0.push(Subject::Conversation(change.conversation)),
            Write::Timeline(timeline::Write::MoveCursors(moves)) => {
                self.0.extend(moves.iter().map(|step| Subject::Conversation(step.conversation)));
            }
            Write::Timeline(
                timeline::Write::Set { conversation, .. } | timeline::Write::Clear { conversation, .. },
            ) => self.0.push(Subject::Conversation(*conversation)),
            Write::Contact(contact::Write::Add { user, .. } | contact::Write::Set { user, .. }) => {
                self.0.push(Subject::Lists(*user));
            }
            Write::Contact(contact::Write::Remove { user, friend }) => {
                self.0.extend([*user, *friend].map(Subject::Lists));
            }
            Write::Presence(presence::Write::Seen(users)) => {
                self.0.extend(users.iter().map(|(user, _)| Subject::Account(*user)));
            }
            // What these touch, their outcomes show.
            Write::Message(message::Write::Append(_) | message::Write::AppendByToken(_))
            | Write::Session(session::Write::CreateToken { .. } | session::Write::ExtendToken { .. }) => {}
            // These touch only tokens, sessions, passwords and nodes, or an account that nobody knows yet.
            Write::Account(account::Write::Create { .. } | account::Write::ChangePassword(_))
            | Write::Session(
                session::Write::RevokeToken(_)
                | session::Write::Settle
                | session::Write::Claim(_)
                | session::Write::Abandon { .. }
                | session::Write::Lose { .. }
                | session::Write::End { .. }
                | session::Write::Touch(_)
                | session::Write::Revoke { .. },
            )
            | Write::Presence(presence::Write::Set { .. })
            | Write::Node(_) => {}
        }
    }

    /// Takes what was added.
    pub fn drain(&mut self) -> impl Iterator<Item = Subject> + '_ {
        self.0.drain(..)
    }

    /// Adds what its outcome shows.
    pub fn add_outcome(&mut self, written: &Written) {
        match written {
            Written::Message(message::Written::Appended { message, members }) => {
                self.0.push(Subject::Conversation(message.conversation));
                // With its first message a direct conversation is listed.
                if message.seq == Seq(1) {
                    self.0.extend(members.iter().copied().map(Subject::Lists));
                }
            }
            Written::Contact(contact::Written::Friends { peer, .. }) => self.0.push(Subject::Lists(*peer)),
            Written::Session(session::Written::TokenReady(ready)) => {
                self.0.push(Subject::Account(ready.user));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_current_until_one_of_its_subjects_changes() {
        let generations = Generations::default();
        let subjects = [Subject::Conversation(ConversationId(7)), Subject::Lists(UserId(7))];
        let note = generations.note(subjects);
        let other = Subject::Account(UserId(7));
        assert!(subjects.iter().all(|subject| subject.slot() != other.slot()));
        generations.count([other]);
        assert!(generations.is_current(&note));
        for subject in subjects {
            let note = generations.note(subjects);
            generations.count([subject]);
            assert!(!generations.is_current(&note));
        }
        let note = generations.note(subjects);
        generations.count_all();
        assert!(!generations.is_current(&note));
    }
}
