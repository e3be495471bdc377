//! The listing: the conversations of an account by their latest activity, so that a page of CONVERSATIONS reads about
//! as many rows as it returns, however many conversations the account has.
//!
//! A row is `(user, slack, listed_until, conversation)`, with
//!
//! ```text
//!   listed_until - slack  <=  time of the last message  <=  listed_until
//! ```
//!
//! A message within these bounds moves no row. Only one outside of them *relists* its conversation, for all members at
//! once: about once a minute for a busy conversation, once an hour for a busy large group. A conversation without
//! messages has no slack, so a page costs the same for an account that has created any number of groups.
//!
//! A [`Scan`] merges the ranges of all slacks into a page in exact order.

use crate::page::Rows;
use std::cmp::Reverse;
use std::collections::HashSet;
use wire::{ConversationId, UnixMillis};

/// The slacks in use, milliseconds, ascending. Ranges are read in this order: a conversation that is relisted
/// meanwhile then moves to a range that is read later.
const SLACKS: [u64; 3] = [0, MINUTE_MS, HOUR_MS];
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
/// Members above which a conversation is relisted once an hour only.
const LARGE: usize = 256;
/// The most rows of one part of a range.
const PART_ROWS_MAX: usize = 1_024;

/// Where a conversation is listed, the same for all its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub slack: u64,
    pub until: UnixMillis,
}

impl Listed {
    /// Whether the row stays where it is for a message of this time.
    pub fn holds(self, time: UnixMillis) -> bool {
        time <= self.until && time.0 >= self.until.0.saturating_sub(self.slack)
    }

    /// Where a conversation with so many members is listed after a message of this time.
    pub fn after(time: UnixMillis, members: usize) -> Listed {
        let slack = if members > LARGE { HOUR_MS } else { MINUTE_MS };
        Listed { slack, until: UnixMillis(time.0 + slack) }
    }
}

/// A conversation in a listing, with the exact time of its last message.
pub trait Activity {
    fn place(&self) -> Place;
}

/// By time, then by id.
pub type Place = (UnixMillis, ConversationId);

/// A page that is being read.
#[derive(Debug)]
pub struct Scan<T> {
    before: Option<Place>,
    limit: usize,
    /// The latest conversations so far, latest first, at most one more than the page takes.
    found: Vec<T>,
    seen: HashSet<ConversationId>,
    ranges: [Range; SLACKS.len()],
}

/// How far the range of one slack has been read.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// The next row is below this place in the listing.
    below: Place,
    /// How many parts were read.
    parts: u32,
    is_done: bool,
}

/// Rows of the listing to read: those of one slack below a place, the highest first.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    range: usize,
    pub slack: u64,
    pub below: Place,
    pub rows: usize,
}

impl<T: Activity> Scan<T> {
    /// The latest conversations below `before`, at most `limit`.
    pub fn new(before: Option<Place>, limit: usize) -> Scan<T> {
        let top = (UnixMillis(i64::MAX as u64), ConversationId(0));
        // Nothing above this can be below `before`.
        let start = |slack: u64, before: Place| match slack {
            0 => before,
            _ => (UnixMillis(before.0.0.saturating_add(slack + 1)).min(top.0), ConversationId(0)),
        };
        let ranges = SLACKS.map(|slack| Range {
            below: before.map_or(top, |before| start(slack, before)),
            parts: 0,
            is_done: false,
        });
        Scan { before, limit, found: Vec::new(), seen: HashSet::new(), ranges }
    }

    /// The first part of each range.
    pub fn first(&self) -> [Part; SLACKS.len()] {
        [0, 1, 2].map(|range| self.part(range))
    }

    /// The part to read next; `None`: the page is complete.
    pub fn next(&self) -> Option<Part> {
        let last = self.found.get(self.limit).map(T::place);
        let is_needed = |range: &Range, slack: u64| {
            let may_hold_later = last.is_none_or(|last| match slack {
                // A row that was not read has a place below that of its range ...
                0 => last < range.below,
                // ... or a time of at most that.
                _ => last.0 <= range.below.0,
            });
            !range.is_done && (range.parts == 0 || may_hold_later)
        };
        let mut ranges = self.ranges.iter().zip(SLACKS);
        ranges.position(|(range, slack)| is_needed(range, slack)).map(|range| self.part(range))
    }

    fn part(&self, range: usize) -> Part {
        let Range { below, parts, .. } = self.ranges[range];
        // Each part is twice as long as the one before, so that a long range takes few round trips.
        let rows = ((self.limit + 1) << parts.min(10)).min(PART_ROWS_MAX);
        Part { range, slack: SLACKS[range], below, rows }
    }

    /// Notes that a part was read. `last`: the place in the listing of its last row, if it had all the rows it asks
    /// for.
    pub fn read(&mut self, part: Part, last: Option<Place>) {
        let range = &mut self.ranges[part.range];
        range.parts += 1;
        match last {
            Some(last) => range.below = last,
            None => range.is_done = true,
        }
    }

    /// Adds a conversation. One that was added before keeps its latest time.
    pub fn add(&mut self, conversation: T) {
        let place = conversation.place();
        if !self.seen.insert(place.1) {
            match self.found.iter().position(|found| found.place().1 == place.1) {
                Some(at) if self.found[at].place() < place => drop(self.found.remove(at)),
                Some(_) => return,
                None => {}
            }
        }
        if self.before.is_some_and(|before| place >= before) {
            return;
        }
        let at = self.found.partition_point(|found| Reverse(found.place()) < Reverse(place));
        if at <= self.limit {
            self.found.insert(at, conversation);
            self.found.truncate(self.limit + 1);
        }
    }

    /// The page, and whether more conversations follow.
    pub fn finish(mut self) -> Rows<T> {
        let more = self.found.len() > self.limit;
        self.found.truncate(self.limit);
        (self.found, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Conversation {
        place: Place,
        listed: Listed,
    }

    impl Activity for Conversation {
        fn place(&self) -> Place {
            self.place
        }
    }

    /// Reads a page from rows in memory; returns it with the number of rows that were read.
    fn page(all: &[Conversation], before: Option<Place>, limit: usize) -> (Vec<Place>, bool, usize) {
        let (mut scan, mut rows_read) = (Scan::new(before, limit), 0);
        while let Some(part) = scan.next() {
            let key = |one: &Conversation| (one.listed.until, one.place.1);
            let mut rows: Vec<&Conversation> =
                all.iter().filter(|one| one.listed.slack == part.slack && key(one) < part.below).collect();
            rows.sort_by_key(|one| Reverse(key(one)));
            rows.truncate(part.rows);
            rows_read += rows.len();
            scan.read(part, rows.last().filter(|_| rows.len() == part.rows).map(|last| key(last)));
            rows.into_iter().for_each(|one| scan.add(*one));
        }
        let (found, more) = scan.finish();
        (found.into_iter().map(|one| one.place).collect(), more, rows_read)
    }

    fn conversation(id: u32, time: u64, slack: u64, ahead: u64) -> Conversation {
        let until = UnixMillis(time + ahead.min(slack));
        Conversation { place: (UnixMillis(time), ConversationId(id)), listed: Listed { slack, until } }
    }

    #[test]
    fn a_page_reads_about_as_many_rows_as_it_returns() {
        let created: Vec<Conversation> =
            (0..50_000u32).map(|id| conversation(id, 5_000_000 + u64::from(id) / 50, 0, 0)).collect();
        for before in [None, Some(created[49_000].place), Some(created[25_000].place)] {
            let (found, more, rows) = page(&created, before, 1);
            assert!(found.len() == 1 && more && rows < 600, "{rows} rows");
        }
    }

    #[test]
    fn a_listing_holds_until_its_slack_is_used_up() {
        let listed = Listed::after(UnixMillis(1_000_000), 2);
        assert!(listed.holds(UnixMillis(1_000_000)) && listed.holds(UnixMillis(1_060_000)));
        assert!(!listed.holds(UnixMillis(1_060_001)) && !listed.holds(UnixMillis(999_999)));
        assert!(Listed::after(UnixMillis(0), LARGE + 1).holds(UnixMillis(HOUR_MS)));
        let created = Listed { slack: 0, until: UnixMillis(5) };
        assert!(created.holds(UnixMillis(5)) && !created.holds(UnixMillis(6)));
    }

    proptest! {
        #[test]
        fn pages_are_in_exact_order(
            rows in prop::collection::vec((0..9_000_000u64, 0..SLACKS.len(), 0..4_000_000u64), 0..600),
            limit in 1..40usize,
        ) {
            let all: Vec<Conversation> = (0..)
                .zip(rows)
                .map(|(id, (time, slack, ahead))| conversation(id, time / 1_000 * 1_000, SLACKS[slack], ahead))
                .collect();
            let mut expected: Vec<Place> = all.iter().map(Conversation::place).collect();
            expected.sort_by_key(|place| Reverse(*place));
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let (found, more, _) = page(&all, before, limit);
                prop_assert!(found.len() == limit || !more);
                seen.extend(found);
                before = seen.last().copied();
                if !more {
                    break;
                }
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
