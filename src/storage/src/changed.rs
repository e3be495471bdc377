//! Entries that were changed, shared by both stores: a row of the table `changed` holds an entry as it is now, and is
//! laid over the entry as it was stored.

use logic::contract::change::{Place, Refused, Written};
use std::cmp::Ordering;
use std::collections::VecDeque;
use wire::change::{Changes, Reaction};
use wire::limits::{REACTION_IDS, REACTION_KINDS};
use wire::{Message, Seq, UnixMillis, UserId};

/// The most rows of the table that are read at once.
pub const ROWS: usize = 64;

/// A row of the table `changed`: what changes have made of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub seq: Seq,
    /// The last change.
    pub change: Seq,
    /// Its text; `None`: that with which it was stored. Of an entry that tells of an edit it is empty, once a later
    /// change has replaced the text.
    pub content: Option<Box<str>>,
    /// The last edit.
    pub edited: Option<Place>,
    pub recalled: Option<UnixMillis>,
    pub reactions: Reactions,
}

/// The kinds of reactions to an entry, in the order in which they were first made. As text a line each: the reaction, how
/// many users react so, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reactions(Vec<Kind>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    reaction: Box<str>,
    count: u32,
    ids: Vec<UserId>,
}

impl Reactions {
    /// `None`: the text is damaged.
    pub fn read(text: &str) -> Option<Reactions> {
        let kind = |line: &str| {
            let mut parts = line.rsplitn(3, ' ');
            let (ids, count, reaction) = (parts.next()?, parts.next()?, parts.next()?);
            let ids = ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().map(UserId));
            Some(Kind {
                reaction: reaction.into(),
                count: count.parse().ok()?,
                ids: ids.collect::<Result<_, _>>().ok()?,
            })
        };
        text.lines().map(kind).collect::<Option<_>>().map(Reactions)
    }

    pub fn to_text(&self) -> String {
        let line = |Kind { reaction, count, ids }: &Kind| {
            let ids: Vec<String> = ids.iter().map(UserId::to_string).collect();
            format!("{reaction} {count} {}\n", ids.join(","))
        };
        self.0.iter().map(line).collect()
    }

    /// The outcome of adding a reaction (`on`) or taking it back where that makes no entry; `None`: it makes one. `told`:
    /// the entry that tells of the reaction, if the user reacts so.
    pub fn outcome(&self, reaction: &str, on: bool, told: Option<Place>, now: UnixMillis) -> Option<Written> {
        let is_known = || self.0.iter().any(|kind| *kind.reaction == *reaction);
        match (told, on) {
            (Some(told), true) => Some(Written::Unchanged(told)),
            (None, false) => Some(Written::Unchanged(Place { seq: Seq(0), time: now })),
            (None, true) if self.0.len() >= REACTION_KINDS && !is_known() => {
                Some(Written::Refused(Refused::Kinds))
            }
            (None, true) | (Some(_), false) => None,
        }
    }

    /// Adds the reaction of a user who did not react so.
    pub fn add(&mut self, reaction: &str, user: UserId) {
        match self.0.iter_mut().find(|kind| *kind.reaction == *reaction) {
            Some(kind) => {
                kind.count += 1;
                if kind.ids.len() < REACTION_IDS {
                    kind.ids.push(user);
                }
            }
            None => self.0.push(Kind { reaction: reaction.into(), count: 1, ids: vec![user] }),
        }
    }

    /// Takes back the reaction of a user who reacted so. `first`: the first users who still do.
    pub fn take_back(&mut self, reaction: &str, first: Vec<UserId>) {
        let Some(at) = self.0.iter().position(|kind| *kind.reaction == *reaction) else { return };
        let kind = &mut self.0[at];
        (kind.count, kind.ids) = (kind.count.saturating_sub(1), first);
        if kind.count == 0 {
            self.0.remove(at);
        }
    }
}

impl Changed {
    /// The row of an entry whose own row is damaged: the text with which it was stored may have been taken back, so it
    /// has none.
    pub fn withheld(seq: Seq) -> Changed {
        Changed { seq, content: Some(Box::default()), ..Changed::default() }
    }

    /// The row after an edit, of which the entry at `told` tells.
    pub fn edit(&mut self, content: &str, told: Place) {
        (self.change, self.content, self.edited) = (told.seq, Some(content.into()), Some(told));
    }

    /// The row after a recall: its text and reactions are gone.
    pub fn recall(&mut self, told: Place) {
        let recalled = Some(told.time);
        *self = Changed { seq: self.seq, change: told.seq, recalled, ..Changed::default() };
    }

    /// The row as somebody may know it who sees the timeline up to `last` only. Of what was changed after that, only that
    /// its text was recalled. A text that was edited after that is withheld: it may have been edited before, too, and then
    /// that with which it was stored had been taken back.
    #[must_use]
    pub fn known_at(mut self, last: Seq) -> Changed {
        if self.change <= last {
            return self;
        }
        self.change = last;
        self.reactions = Reactions::default();
        if self.edited.is_some_and(|told| told.seq > last) {
            (self.content, self.edited) = (Some(Box::default()), None);
        }
        self
    }

    /// The entry that tells of what is done already: of the recall, or else of the text.
    pub fn told(&self, entry: &Message) -> Place {
        match self.recalled {
            Some(time) => Place { seq: self.change, time },
            None => self.edited.unwrap_or(Place { seq: entry.seq, time: entry.time }),
        }
    }

    /// Lays it over the entry as it was stored. `reader`: for whom. Without one, an edited message only has its new text:
    /// the entries of the changes tell a client the rest.
    pub fn lay_over(self, message: &mut Message, reader: Option<UserId>) {
        let Changed { change: changed, content, edited, recalled, reactions, .. } = self;
        if recalled.is_some() {
            return message.recall(Changes { changed, recalled, ..Changes::default() });
        }
        if let Some(content) = content {
            message.content = content;
        }
        if reader.is_some() && message.is_message() {
            let shown = |Kind { reaction, count, ids }| Reaction { reaction, count, mine: false, ids };
            let reactions = reactions.0.into_iter().map(shown).collect();
            let edited = edited.map(|told| told.time);
            let changes = Changes { changed, edited, recalled, reactions };
            message.extra.get_or_insert_default().changes = Some(changes);
        }
    }
}

/// Marks the reactions of the reader, each by the entry and the reaction, in a page.
pub fn mark_own<'a>(messages: impl Iterator<Item = &'a mut Message>, own: &[(Seq, Box<str>)]) {
    for message in messages {
        let seq = message.seq;
        let extra = message.extra.as_deref_mut();
        let Some(changes) = extra.and_then(|extra| extra.changes.as_mut()) else { continue };
        for reaction in &mut changes.reactions {
            reaction.mine = own.iter().any(|(of, text)| *of == seq && *text == reaction.reaction);
        }
    }
}

/// Rows of the table `changed` from an entry on.
#[derive(Debug)]
pub struct Fetched {
    /// In the order in which the timeline is read, without damaged ones.
    pub rows: Vec<Changed>,
    /// Whether there is none behind them.
    pub is_complete: bool,
}

/// The rows of one timeline in the order in which it is read, fetched a few at a time.
#[derive(Debug)]
pub struct Overlay {
    rows: VecDeque<Changed>,
    /// Whether there is nothing behind `rows`.
    is_complete: bool,
    /// The order of the seqs of two entries of which the first is read first.
    order: Ordering,
}

impl Overlay {
    /// `order`: `Less` where the timeline is read upwards. `has_changes`: whether the timeline has any changed entry.
    pub fn new(order: Ordering, has_changes: bool) -> Overlay {
        Overlay { rows: VecDeque::new(), is_complete: !has_changes, order }
    }

    pub fn order(&self) -> Ordering {
        self.order
    }

    /// The row of an entry, which comes after those that were asked for before. `fetch` returns the first [`ROWS`] rows
    /// from an entry on.
    pub fn row<E>(
        &mut self,
        seq: Seq,
        fetch: impl FnOnce(Seq) -> Result<Fetched, E>,
    ) -> Result<Option<Changed>, E> {
        while self.rows.front().is_some_and(|row| row.seq.cmp(&seq) == self.order) {
            self.rows.pop_front();
        }
        if self.rows.is_empty() && !self.is_complete {
            let fetched = fetch(seq)?;
            self.is_complete = fetched.is_complete;
            self.rows = fetched.rows.into();
        }
        match self.rows.front() {
            Some(row) if row.seq == seq => Ok(self.rows.pop_front()),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reactions_are_read_as_they_were_written() {
        let mut reactions = Reactions::default();
        for id in 1..=12 {
            reactions.add("👍", UserId(id));
        }
        reactions.add("e\u{301}", UserId(7));
        assert_eq!(Reactions::read(&reactions.to_text()), Some(reactions.clone()));
        assert_eq!(reactions.to_text(), "👍 12 1,2,3,4,5,6,7,8,9,10\ne\u{301} 1 7\n");
        reactions.take_back("e\u{301}", vec![]);
        reactions.take_back("👍", vec![UserId(2), UserId(3)]);
        assert_eq!((reactions.to_text().as_str(), reactions.0.len()), ("👍 11 2,3\n", 1));
        assert_eq!(Reactions::read(""), Some(Reactions::default()));
        for damaged in ["x", "x 1", "x y 1", "x 1 a"] {
            assert_eq!(Reactions::read(damaged), None);
        }
    }

    #[test]
    fn rows_are_fetched_as_a_page_comes_to_them() {
        for (order, seqs) in
            [(Ordering::Less, (1..=300).collect::<Vec<_>>()), (Ordering::Greater, (1..=300).rev().collect())]
        {
            let is_changed = |seq: u64| seq.is_multiple_of(3);
            let all: Vec<u64> = seqs.iter().copied().filter(|seq| is_changed(*seq)).collect();
            let mut overlay = Overlay::new(order, true);
            let mut fetched = 0;
            for seq in seqs {
                let row = overlay.row(Seq(seq), |from| {
                    fetched += 1;
                    let rest = all.iter().copied().skip_while(|of| Seq(*of).cmp(&from) == order);
                    let rows: Vec<_> =
                        rest.take(ROWS).map(|seq| Changed { seq: Seq(seq), ..Changed::default() }).collect();
                    Ok::<_, ()>(Fetched { is_complete: rows.len() < ROWS, rows })
                });
                assert_eq!(row.unwrap().map(|row| row.seq), is_changed(seq).then_some(Seq(seq)));
            }
            assert_eq!(fetched, 2);
        }
        let none = Overlay::new(Ordering::Less, false).row(Seq(1), |_| Err("nothing is read"));
        assert_eq!(none, Ok(None));
    }
}
