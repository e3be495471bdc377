//! How many messages of a conversation a member has not read, shared by both stores.
//!
//! Counted are the messages of others in a range of the timeline that ends at the `last_seq` of the row which the number
//! stands in, not at the end of the timeline when it is counted: a client adds what is pushed above that.
//!
//! ```text
//!   group:   after .......... | last - 1000  ============ last
//!                 a lower bound          headers
//!   direct:  after ===== totals ................. totals ===== last
//!                headers    difference of their rows    headers
//! ```
//!
//! Where a long part of a direct conversation has no totals, because it is older than they are, its whole blocks of
//! [`BLOCK`] entries are read once, and what each has had is kept in memory.
//!
//! The headers of a timeline's end are kept in memory. They depend on no member and no cursor, so a group of any size has
//! them once, and READ discards nothing.

use logic::contract::timeline::UnreadCount;
use std::collections::BTreeMap;
use std::ops::{Add, Sub};
use wire::limits::UNREAD_WINDOW;
use wire::{ConversationId, ConversationKind, Mentions, Message, Seq, UserId};

/// In a direct conversation, the entries above which totals are read.
const FAR: u64 = 512;

/// How many entries lie between two rows of totals.
pub const BLOCK: u64 = 256;

/// About what headers take apart from their numbers, bytes.
const HEADERS_BYTES: usize = 160;

/// Which messages to count.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    pub user: UserId,
    /// The peer of a direct conversation.
    pub peer: Option<UserId>,
    /// The entries to count.
    pub range: Range,
    /// Whether any of them may be recalled.
    pub has_changes: bool,
}

/// A message that was recalled by an entry of the range that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    pub seq: Seq,
    pub sender: UserId,
    /// Whether it mentions the other member of a direct conversation.
    pub mentions_peer: bool,
}

impl Recalled {
    /// What a message is as a recalled one.
    pub fn of(message: &Message) -> Recalled {
        let Message { seq, from, .. } = *message;
        let mentions = message.extra.as_deref().map(|extra| &extra.references.mentions);
        let mentions_peer =
            matches!(mentions, Some(Mentions::Users(users)) if users.iter().any(|user| *user != from));
        Recalled { seq, sender: from, mentions_peer }
    }
}

/// Entries above `after`, up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub after: Seq,
    pub last: Seq,
}

/// A row of totals: what a direct conversation has had up to an entry. They begin at zero where counting began, so only
/// the difference of two rows means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub seq: Seq,
    /// Messages of the member with the lower id.
    pub low_messages: u64,
    /// Entries that are no messages.
    pub uncounted: u64,
    /// Messages of the peer that mention the member with the lower id.
    pub low_mentioned: u64,
    /// The same of the other member.
    pub high_mentioned: u64,
}

impl Sub for Totals {
    type Output = Totals;

    /// What lies between two rows; `seq` is the number of entries.
    fn sub(self, before: Totals) -> Totals {
        Totals {
            seq: Seq(self.seq.0.saturating_sub(before.seq.0)),
            low_messages: self.low_messages.saturating_sub(before.low_messages),
            uncounted: self.uncounted.saturating_sub(before.uncounted),
            low_mentioned: self.low_mentioned.saturating_sub(before.low_mentioned),
            high_mentioned: self.high_mentioned.saturating_sub(before.high_mentioned),
        }
    }
}

impl Add for Totals {
    type Output = Totals;

    /// What two ranges have; `seq` is the number of entries.
    fn add(self, other: Totals) -> Totals {
        Totals {
            seq: Seq(self.seq.0 + other.seq.0),
            low_messages: self.low_messages + other.low_messages,
            uncounted: self.uncounted + other.uncounted,
            low_mentioned: self.low_mentioned + other.low_mentioned,
            high_mentioned: self.high_mentioned + other.high_mentioned,
        }
    }
}

/// How a question is answered: headers are counted in some ranges, and what lies between them is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Headers to be counted, which are not kept.
    pub heads: Vec<Range>,
    /// Whole blocks without totals.
    pub blocks: Range,
    between: Range,
    /// What lies between, with what was recalled.
    known: UnreadCount,
    pub tail: Range,
}

impl Steps {
    /// What lies between the ranges of headers. `blocks`: what the blocks have.
    pub fn known(&self, question: &Question, blocks: Totals, recalled: &[Recalled]) -> UnreadCount {
        let mut count = self.known + question.between(blocks);
        let is_between = |of: &&Recalled| self.between.contains(of.seq) || self.blocks.contains(of.seq);
        for of in recalled.iter().filter(is_between).filter(|of| of.sender != question.user) {
            count.unread = count.unread.saturating_sub(1);
            count.mentions = count.mentions.saturating_sub(u64::from(of.mentions_peer));
        }
        count
    }
}

impl Range {
    pub fn is_empty(self) -> bool {
        self.last <= self.after
    }

    fn contains(self, seq: Seq) -> bool {
        self.after < seq && seq <= self.last
    }

    fn len(self) -> u64 {
        self.last.0.saturating_sub(self.after.0)
    }

    /// The whole blocks within a long range.
    fn blocks(self) -> Option<Range> {
        let (after, last) = (self.after.0.next_multiple_of(BLOCK), self.last.0 / BLOCK * BLOCK);
        (self.len() > FAR).then_some(Range { after: Seq(after), last: Seq(last) })
    }
}

impl Question {
    /// `None`: there is nothing to count.
    pub fn of(
        conversation: ConversationId,
        kind: ConversationKind,
        user: UserId,
        peer: Option<UserId>,
        range: Range,
        has_changes: bool,
    ) -> Option<Question> {
        // Notes are one's own.
        let is_notes = kind == ConversationKind::Direct && peer.is_none();
        let question = Question { conversation, kind, user, peer, range, has_changes };
        (!is_notes && !range.is_empty()).then_some(question)
    }

    /// Whether totals are to be read: the first row at or above `after`, and the last one at or below `last`.
    pub fn needs_totals(&self) -> bool {
        self.kind == ConversationKind::Direct && self.range.len() > FAR
    }

    /// The entries among which those that were recalled matter.
    pub fn counted(&self) -> Range {
        let Range { after, last } = self.range;
        match self.kind {
            ConversationKind::Group => {
                Range { after: Seq(last.0.saturating_sub(UNREAD_WINDOW)).max(after), last }
            }
            ConversationKind::Direct => self.range,
        }
    }

    /// `totals`: the rows that [`Question::needs_totals`] names, if there are two.
    pub fn steps(&self, totals: Option<[Totals; 2]>) -> Steps {
        let Range { after, last } = self.range;
        let (nothing, nowhere) = (UnreadCount::default(), Range { after, last: after });
        match (self.kind, totals) {
            (ConversationKind::Group, _) => {
                let tail = self.counted();
                let known = UnreadCount { more: tail.after > after, ..nothing };
                Steps { heads: Vec::new(), blocks: nowhere, between: nowhere, known, tail }
            }
            (ConversationKind::Direct, Some([first, end])) if after <= first.seq && first.seq <= end.seq => {
                let known = self.between(end - first);
                let head = Range { after, last: first.seq };
                let blocks = head.blocks().unwrap_or(Range { after: first.seq, last: first.seq });
                let heads =
                    [Range { after, last: blocks.after }, Range { after: blocks.last, last: first.seq }];
                let heads = heads.into_iter().filter(|range| !range.is_empty()).collect();
                let between = Range { after: first.seq, last: end.seq };
                Steps { heads, blocks, between, known, tail: Range { after: end.seq, last } }
            }
            (ConversationKind::Direct, _) => {
                let blocks = self.range.blocks().unwrap_or(nowhere);
                let head = Some(Range { after, last: blocks.after }).filter(|range| !range.is_empty());
                let (heads, tail) = (head.into_iter().collect(), Range { after: blocks.last, last });
                Steps { heads, blocks, between: nowhere, known: nothing, tail }
            }
        }
    }

    fn between(&self, entries: Totals) -> UnreadCount {
        let Totals { seq: Seq(count), low_messages, uncounted, low_mentioned, high_mentioned } = entries;
        let is_low = self.peer.is_some_and(|peer| self.user < peer);
        let (unread, mentions) = match is_low {
            true => (count.saturating_sub(uncounted + low_messages), low_mentioned),
            false => (low_messages, high_mentioned),
        };
        UnreadCount { unread, mentions, more: false }
    }
}

/// What a count needs of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `None`: it does not count.
    pub sender: Option<UserId>,
    pub mentions: Mentions,
}

/// Nobody's id: ids are below 2^31.
const NOBODY: u32 = u32::MAX;

/// The headers of consecutive entries.
#[derive(Clone, Debug)]
pub struct Headers {
    after: Seq,
    /// The sender of each entry above `after`; [`NOBODY`]: it does not count.
    senders: Vec<u32>,
    /// The entries that mention somebody.
    mentions: BTreeMap<Seq, Mentions>,
}

impl Headers {
    /// None yet; the first one is that of `after` + 1.
    pub fn above(after: Seq) -> Headers {
        Headers { after, senders: Vec::new(), mentions: BTreeMap::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    pub fn after(&self) -> Seq {
        self.after
    }

    pub fn last(&self) -> Seq {
        Seq(self.after.0 + self.senders.len() as u64)
    }

    /// Adds the header of an entry. Entries between the last one and this one are not there, and do not count.
    pub fn add(&mut self, seq: Seq, header: Header) {
        if seq <= self.last() {
            return;
        }
        self.fill(seq.prev());
        self.senders.push(header.sender.map_or(NOBODY, |sender| sender.0));
        if header.sender.is_some() && header.mentions != Mentions::Nobody {
            self.mentions.insert(seq, header.mentions);
        }
    }

    /// There are no further entries up to `last`.
    pub fn fill(&mut self, last: Seq) {
        let count = last.0.saturating_sub(self.last().0) as usize;
        self.senders.extend(std::iter::repeat_n(NOBODY, count));
    }

    /// Adds those that follow.
    pub fn append(&mut self, next: &Headers) {
        debug_assert!(self.last() == next.after, "headers have no gaps");
        self.senders.extend_from_slice(&next.senders);
        self.mentions.extend(next.mentions.iter().map(|(seq, mentions)| (*seq, mentions.clone())));
    }

    /// What both have, if there is no gap between them.
    pub fn join(&self, other: &Headers) -> Option<Headers> {
        let (first, second) = if self.after <= other.after { (self, other) } else { (other, self) };
        let common = first.last().0.checked_sub(second.after.0)? as usize;
        let mut all = first.clone();
        all.senders.extend(second.senders.iter().skip(common));
        let mentions = second.mentions.range(first.last().next()..);
        all.mentions.extend(mentions.map(|(seq, mentions)| (*seq, mentions.clone())));
        Some(all)
    }

    /// Drops the first ones until at most `most` are left.
    pub fn trim(&mut self, most: usize) {
        let surplus = self.senders.len().saturating_sub(most);
        if surplus > 0 {
            self.senders.drain(..surplus);
            self.after.0 += surplus as u64;
            self.mentions = self.mentions.split_off(&self.after.next());
        }
    }

    /// What a range counts for `user`.
    pub fn count(&self, range: Range, user: UserId, recalled: &[Recalled]) -> UnreadCount {
        let Range { after, last } = range;
        let index = |seq: Seq| (seq.0.saturating_sub(self.after.0) as usize).min(self.senders.len());
        let senders = &self.senders[index(after)..index(last.max(after))];
        let is_of_others = |sender: &&u32| **sender != NOBODY && **sender != user.0;
        let mentions = if range.is_empty() || self.mentions.is_empty() {
            0
        } else {
            let within = self.mentions.range(after.next()..=last);
            let of_others = within.filter(|(seq, _)| self.senders[index(seq.prev())] != user.0);
            of_others.filter(|(_, mentions)| mentions.contain(user)).count()
        };
        let (mut unread, mut mentions) =
            (senders.iter().filter(is_of_others).count() as u64, mentions as u64);
        for Recalled { seq, .. } in recalled.iter().filter(|of| range.contains(of.seq)) {
            // What the header says decides: it may have been read before the recall or after it.
            let sender = self.senders.get(index(seq.prev()));
            if sender.is_some_and(|sender| is_of_others(&sender)) {
                unread -= 1;
                mentions -= u64::from(self.mentions.get(seq).is_some_and(|of| of.contain(user)));
            }
        }
        UnreadCount { unread, mentions, more: false }
    }

    /// What some blocks have had, `low`: the member of the direct conversation with the lower id. `recalled`: read after
    /// the headers, of which those of recalled messages may mention nobody any more.
    pub fn blocks(&self, low: UserId, recalled: &[Recalled]) -> BTreeMap<u64, Block> {
        let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
        let block_of = |seq: Seq| seq.prev().0 / BLOCK;
        for (seq, sender) in (self.after.0 + 1..).map(Seq).zip(&self.senders) {
            let block = blocks.entry(block_of(seq)).or_default();
            block.uncounted += u16::from(*sender == NOBODY);
            block.low_messages += u16::from(*sender == low.0);
        }
        let sender_of = |seq: Seq| UserId(self.senders[(seq.0 - self.after.0 - 1) as usize]);
        let by_headers = self.mentions.iter().map(|(seq, mentions)| (*seq, sender_of(*seq), mentions));
        let by_headers = by_headers.filter(|(_, sender, mentions)| {
            matches!(mentions, Mentions::Users(users) if users.iter().any(|user| user != sender))
        });
        let mentioning = by_headers.map(|(seq, sender, _)| (seq, sender));
        let range = Range { after: self.after, last: self.last() };
        let were = recalled.iter().filter(|of| of.mentions_peer && range.contains(of.seq));
        let mentioning: BTreeMap<Seq, UserId> =
            mentioning.chain(were.map(|of| (of.seq, of.sender))).collect();
        for (seq, sender) in mentioning {
            let block = blocks.entry(block_of(seq)).or_default();
            let mentioned = if sender == low { &mut block.high_mentioned } else { &mut block.low_mentioned };
            *mentioned += 1;
        }
        blocks
    }

    /// About what they take in memory.
    pub fn bytes(&self) -> usize {
        let mentions = self.mentions.values().map(|mentions| match mentions {
            Mentions::Users(users) => 64 + 4 * users.len(),
            Mentions::Nobody | Mentions::All => 64,
        });
        HEADERS_BYTES + 4 * self.senders.len() + mentions.sum::<usize>()
    }
}

/// What the [`BLOCK`] entries of a block of a direct conversation have had (see [`Totals`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    low_messages: u16,
    uncounted: u16,
    low_mentioned: u16,
    high_mentioned: u16,
}

impl From<Block> for Totals {
    fn from(block: Block) -> Totals {
        Totals {
            seq: Seq(BLOCK),
            low_messages: block.low_messages.into(),
            uncounted: block.uncounted.into(),
            low_mentioned: block.low_mentioned.into(),
            high_mentioned: block.high_mentioned.into(),
        }
    }
}
