//! [`Unread`]: how many messages of a conversation the user has not read.
//!
//! The server counts up to the `last_seq` of a row; what arrives above that is counted here. Some of what the server has
//! counted is yet to arrive, and must not be counted again.
//!
//! ```text
//!   read ...... shown ............ last_seq of the row ......
//!      arrived   |      coming      |   counted as it arrives
//! ```

use std::collections::{BTreeMap, BTreeSet};
use wire::Seq;
use wire::limits::UNREAD_WINDOW;
use wire::timeline::{ConversationSummary, ConversationView};

#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// Messages of others above what was read, up to what was shown.
    arrived: u64,
    /// Those above what was shown that the server has counted.
    coming: u64,
    /// What the server has counted: the entries above this one ...
    after: Seq,
    /// ... up to this one.
    upto: Seq,
    /// What was shown when the server counted.
    shown: Seq,
    /// Whether there are unread entries that the server has not counted.
    is_more: bool,
    /// Known ones that mention the user, and whether the server counts them: it does not look for names in texts.
    mentions: BTreeMap<Seq, bool>,
    /// Those that mention the user that are not known here.
    unknown_mentions: u64,
    /// Messages that were recalled before they arrived, and so never counted.
    gone: BTreeSet<Seq>,
}

/// What the server has counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Everything up to here was read or cleared.
    pub read: Seq,
    /// Everything up to here is counted.
    pub last: Seq,
    unread: u64,
    mentions: u64,
    is_more: bool,
}

impl From<&ConversationSummary> for Counted {
    fn from(row: &ConversationSummary) -> Counted {
        Counted {
            read: row.read_seq.max(row.first_seq.prev()),
            last: row.last_seq,
            unread: row.unread,
            mentions: row.mentions,
            is_more: row.unread_more,
        }
    }
}

impl From<&ConversationView> for Counted {
    fn from(view: &ConversationView) -> Counted {
        Counted {
            read: view.read_seq.max(view.first_seq.prev()),
            last: view.last_seq,
            unread: view.unread,
            mentions: view.mentions,
            is_more: view.unread_more,
        }
    }
}

impl Unread {
    /// As the last run left it.
    pub fn stored(arrived: u64) -> Unread {
        Unread { arrived, ..Unread::default() }
    }

    /// The number to show; with [`Unread::is_more`] a lower bound.
    pub fn count(&self) -> u64 {
        self.arrived + self.coming
    }

    pub fn is_more(&self) -> bool {
        self.is_more
    }

    pub fn is_none(&self) -> bool {
        self.count() == 0 && !self.is_more
    }

    /// How many of them mention the user.
    pub fn mentions(&self) -> u64 {
        self.mentions.len() as u64 + self.unknown_mentions
    }

    /// `3`, or `1000+` where there may be more.
    pub fn text(&self) -> String {
        format!("{}{}", self.count(), if self.is_more { "+" } else { "" })
    }

    /// Takes what the server has counted.
    pub fn learn(&mut self, counted: impl Into<Counted>, shown: Seq) {
        let Counted { read, last, unread, mentions, is_more } = counted.into();
        let window = Seq(last.0.saturating_sub(UNREAD_WINDOW));
        let after = if is_more { window.max(read) } else { read };
        let ahead = last.0.saturating_sub(shown.max(after).0);
        self.coming = unread.min(ahead);
        self.arrived = unread - self.coming;
        (self.after, self.upto, self.shown) = (after, last, shown);
        self.is_more = is_more;
        self.mentions = self.mentions.split_off(&read.next());
        self.gone = self.gone.split_off(&last.next());
        let known = self.mentions.iter().filter(|(seq, counts)| **counts && self.is_counted(**seq));
        self.unknown_mentions = mentions.saturating_sub(known.count() as u64);
    }

    /// The timeline was read up to `seq` on another device. How many of those were unread is not known apart.
    pub fn read_elsewhere(&mut self, seq: Seq, shown: Seq) {
        self.read(seq, std::iter::empty(), shown);
        self.arrived = self.arrived.min(shown.0.saturating_sub(seq.0));
    }

    fn is_counted(&self, seq: Seq) -> bool {
        (self.after.next()..=self.upto).contains(&seq)
    }

    /// An entry above what was read has arrived, `theirs`: it is a message of somebody else. `shown`: how far the
    /// timeline is shown with it.
    pub fn arrive(&mut self, seq: Seq, theirs: bool, shown: Seq) {
        if theirs {
            self.arrived += 1;
            self.coming = self.coming.saturating_sub(u64::from(self.is_counted(seq)));
        }
        if shown >= self.upto {
            // What did not come was there before.
            self.arrived += std::mem::take(&mut self.coming);
        }
    }

    /// An unread message that mentions the user. `counts`: also to the server.
    pub fn mention(&mut self, seq: Seq, counts: bool) {
        if self.mentions.insert(seq, counts).is_none() && counts && self.is_counted(seq) {
            self.unknown_mentions = self.unknown_mentions.saturating_sub(1);
        }
    }

    /// A message has arrived that was recalled before.
    pub fn arrive_recalled(&mut self, seq: Seq) {
        if seq > self.upto {
            self.gone.insert(seq);
        }
    }

    /// An unread message of somebody else was recalled by the entry at `by`. `shown`: how far the timeline is shown.
    pub fn recall(&mut self, seq: Seq, by: Seq, shown: Seq) {
        if by <= self.upto || self.gone.remove(&seq) || seq <= self.after.min(self.shown) {
            return;
        }
        let number = if seq <= shown { &mut self.arrived } else { &mut self.coming };
        *number = number.saturating_sub(1);
        self.mentions.remove(&seq);
    }

    /// The timeline was read up to `seq`. `theirs`: the messages of others that this reads, and whether each mentions the
    /// user. `shown`: how far the timeline is shown.
    pub fn read(&mut self, seq: Seq, theirs: impl Iterator<Item = (Seq, bool)>, shown: Seq) {
        for (of, mentions) in theirs {
            // The server counts the last ones only where there are very many.
            if of > self.after.min(self.shown) {
                let number = if of <= shown { &mut self.arrived } else { &mut self.coming };
                *number = number.saturating_sub(1);
            }
            if mentions && self.is_counted(of) && !self.mentions.contains_key(&of) {
                self.unknown_mentions = self.unknown_mentions.saturating_sub(1);
            }
        }
        self.mentions = self.mentions.split_off(&seq.next());
        if seq >= shown {
            self.arrived = 0;
        }
        if seq >= shown.max(self.upto) {
            self.end();
        }
    }

    /// Everything that is shown was read.
    pub fn read_all(&mut self, seq: Seq, shown: Seq) {
        self.arrived = 0;
        self.mentions = self.mentions.split_off(&seq.next());
        if shown >= self.upto {
            self.end();
        }
    }

    fn end(&mut self) {
        (self.coming, self.unknown_mentions, self.is_more) = (0, 0, false);
    }

    /// Of this many of the last entries nothing is left.
    pub fn forget(&mut self, entries: u64, upto: Seq) {
        self.arrived = self.arrived.saturating_sub(entries);
        (self.coming, self.upto) = (0, self.upto.min(upto));
        drop(self.mentions.split_off(&upto.next()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{ConversationId, ConversationKind};

    fn row(read: u64, last: u64, unread: u64, mentions: u64) -> ConversationSummary {
        ConversationSummary {
            name: "climbing".into(),
            last_seq: Seq(last),
            read_seq: Seq(read),
            unread,
            mentions,
            ..ConversationSummary::new(ConversationId(7), ConversationKind::Group)
        }
    }

    fn numbers(unread: &Unread) -> (u64, u64) {
        (unread.count(), unread.mentions())
    }

    #[test]
    fn what_the_server_counted_is_not_counted_again_as_it_arrives() {
        let mut unread = Unread::default();
        // Above 2: 3 and 4 went to another device, 5 to 9 are coming, 6 and 7 of them are no messages of others.
        unread.learn(&row(2, 9, 5, 2), Seq(4));
        assert_eq!(numbers(&unread), (5, 2));
        for seq in 5..=9 {
            unread.arrive(Seq(seq), ![6, 7].contains(&seq), Seq(seq));
            assert_eq!(numbers(&unread), (5, 2), "{seq}");
        }
        unread.mention(Seq(9), true);
        unread.mention(Seq(8), false);
        assert_eq!(numbers(&unread), (5, 3), "the server does not know of the one by name");
        unread.arrive(Seq(10), true, Seq(10));
        unread.arrive(Seq(11), false, Seq(11));
        unread.mention(Seq(10), true);
        assert_eq!(numbers(&unread), (6, 4));
        // A page that ends with 8.
        unread.read(
            Seq(8),
            [(Seq(3), true), (Seq(4), false), (Seq(5), false), (Seq(8), false)].into_iter(),
            Seq(11),
        );
        assert_eq!(numbers(&unread), (2, 2));
        unread.read_all(Seq(11), Seq(11));
        assert!(unread.is_none() && unread.mentions() == 0);
    }

    #[test]
    fn what_is_read_before_it_arrives_is_not_unread_when_it_does() {
        let mut unread = Unread::default();
        unread.learn(&row(0, 6, 6, 0), Seq(0));
        unread.arrive(Seq(1), true, Seq(1));
        unread.read(Seq(4), (1..=4).map(|seq| (Seq(seq), false)), Seq(1));
        assert_eq!(unread.count(), 2);
        unread.arrive(Seq(5), true, Seq(5));
        assert_eq!(unread.count(), 2);
        // Read on another device: the server says so.
        unread.learn(&row(6, 6, 0, 0), Seq(5));
        assert!(unread.is_none());
        unread.arrive(Seq(7), true, Seq(7));
        assert_eq!(unread.count(), 1);
    }

    #[test]
    fn a_recalled_message_counts_no_more() {
        let mut unread = Unread::default();
        unread.learn(&row(0, 4, 3, 0), Seq(4));
        unread.arrive(Seq(5), true, Seq(5));
        unread.mention(Seq(5), true);
        unread.recall(Seq(2), Seq(4), Seq(5));
        assert_eq!(numbers(&unread), (4, 1), "the server knew it already");
        unread.recall(Seq(3), Seq(6), Seq(6));
        unread.recall(Seq(5), Seq(7), Seq(7));
        assert_eq!(numbers(&unread), (2, 0));
        unread.arrive(Seq(8), false, Seq(8));
        unread.arrive_recalled(Seq(8));
        unread.recall(Seq(8), Seq(9), Seq(9));
        assert_eq!(numbers(&unread), (2, 0));
    }

    #[test]
    fn a_lower_bound_stays_one_while_older_messages_are_read() {
        let mut unread = Unread::default();
        let many = ConversationSummary { unread_more: true, ..row(0, 5_000, 1_000, 0) };
        unread.learn(&many, Seq(5_000));
        assert_eq!(unread.text(), "1000+");
        unread.read(Seq(100), (1..=100).map(|seq| (Seq(seq), false)), Seq(5_000));
        assert_eq!(unread.text(), "1000+", "these were not among those counted");
        unread.read(Seq(4_100), (4_001..=4_100).map(|seq| (Seq(seq), false)), Seq(5_000));
        assert_eq!(unread.count(), 900);
        unread.read_all(Seq(5_000), Seq(5_000));
        assert!(unread.is_none());
    }
}
