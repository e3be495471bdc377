//! Counting what members have not read: headers from the resident tail and the monthly tables, and totals.

use super::codec;
use super::column::seq;
use super::pages::{Stored, stored_after};
use super::run::SEQ_MAX;
use super::view::View;
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::unread::{Headers, Question, Range, Recalled, Totals};
use logic::contract::timeline::{Counted, CountedRange, UnreadCount};
use rusqlite::{OptionalExtension, Row};
use std::ops::ControlFlow;
use wire::{ConversationId, Seq, UserId};

impl View<'_> {
    /// What a question counts. Damaged entries do not count.
    pub(super) fn unread(&self, question: &Question) -> Result<UnreadCount, StoreError> {
        let totals = match question.needs_totals() {
            true => self
                .totals(question.conversation, question.range)
                .at("direct_total", question.conversation)?,
            false => None,
        };
        let Question { conversation, user, .. } = *question;
        let steps = question.steps(totals);
        let recalled = match question.has_changes {
            true => self
                .recalled(conversation, question.counted(), question.range.last)
                .at("recalled", conversation)?,
            false => Vec::new(),
        };
        let blocks = self.headers.blocks(conversation, steps.blocks);
        let mut totals = blocks.totals;
        for range in blocks.missing {
            let loaded = self.load(conversation, range)?;
            let recalled = self.recalled(conversation, range, Seq::MAX).at("recalled", conversation)?;
            totals = totals + self.headers.keep_blocks(question, &loaded, &recalled);
        }
        let (mut count, tail) = (steps.known(question, totals, &recalled), steps.tail);
        for head in steps.heads {
            count = count + self.load(conversation, head)?.count(head, user, &recalled);
        }
        let (kept, rest) = self.headers.find(conversation, tail);
        let headers = match kept {
            Some(kept) if rest.is_empty() => kept,
            kept => self.headers.keep(conversation, kept, self.load(conversation, rest)?),
        };
        Ok(count + headers.count(tail, user, &recalled))
    }

    /// The messages of a range that an entry up to `by` has recalled.
    fn recalled(
        &self,
        conversation: ConversationId,
        range: Range,
        by: Seq,
    ) -> rusqlite::Result<Vec<Recalled>> {
        let sql = "SELECT seq, sender_id, mentions_peer FROM recalled \
                   WHERE conversation_id = ?1 AND seq BETWEEN ?2 AND ?3 AND change_seq <= ?4";
        let mut select = self.conn.prepare_cached(sql)?;
        let values =
            (conversation.0, range.after.next().0 as i64, range.last.0 as i64, by.0.min(SEQ_MAX) as i64);
        let of = |row: &Row<'_>| {
            Ok(Recalled { seq: seq(row, 0)?, sender: UserId(row.get(1)?), mentions_peer: row.get(2)? })
        };
        select.query_map(values, of)?.collect()
    }

    /// What ranges of the user's conversations count; `None` where it is no member.
    pub(super) fn unread_in(
        &self,
        user: UserId,
        ranges: &[CountedRange],
    ) -> Result<Vec<Option<Counted>>, StoreError> {
        let count = |wanted: &CountedRange| {
            let conversation = wanted.conversation;
            let Some(found) = self.overview(user, conversation).at("conversation", conversation)? else {
                return Ok(None);
            };
            // Never beyond the end, where entries may be published at any moment.
            let after = wanted.after.max(found.first.prev());
            let range = Range { after, last: wanted.last.min(found.last) };
            let question = Question::of(conversation, found.kind, user, found.peer, range, found.has_changes);
            let count = question.map(|question| self.unread(&question)).transpose()?.unwrap_or_default();
            Ok(Some(Counted { first: found.first, count }))
        };
        ranges.iter().map(count).collect()
    }

    /// The first row at or above the range's beginning, and the last one within it.
    fn totals(&self, conversation: ConversationId, range: Range) -> rusqlite::Result<Option<[Totals; 2]>> {
        let columns = "SELECT seq, low_messages, uncounted, low_mentioned, high_mentioned FROM direct_total \
                       WHERE conversation_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";
        let of = |sql: &str| {
            let mut select = self.conn.prepare_cached(sql)?;
            let values = (conversation.0, range.after.0 as i64, range.last.0.min(SEQ_MAX) as i64);
            select.query_row(values, totals_of).optional()
        };
        let first = of(&format!("{columns} LIMIT 1"))?;
        let last = of(&format!("{columns} DESC LIMIT 1"))?;
        Ok(first.zip(last).map(|(first, last)| [first, last]))
    }

    /// The headers of a range, all of which is published.
    fn load(&self, conversation: ConversationId, range: Range) -> Result<Headers, StoreError> {
        let Range { after, last } = range;
        let mut headers = Headers::above(after);
        let most = last.0.saturating_sub(after.0) as usize;
        // The resident tail first, so that an entry that is filed in between is found on the disk.
        let tail = self.resident.after(conversation, after, most);
        let stored_end = tail.first().map_or(last.next(), |first| first.seq.min(last.next()));
        if stored_end > after.next() {
            stored_after(self.conn, conversation, after, &mut |item| {
                match item {
                    Stored::Message(seq, _) if seq >= stored_end => return Ok(ControlFlow::Break(())),
                    Stored::Message(seq, entry) => headers.add(seq, entry.header()),
                    Stored::Missing(what) => fault::report(&what),
                }
                Ok(ControlFlow::Continue(()))
            })
            .at("segment", conversation)?;
        }
        for entry in tail.iter().take_while(|entry| entry.seq <= last) {
            headers.add(entry.seq, codec::header_of(entry.entry())?);
        }
        headers.fill(last);
        Ok(headers)
    }
}

fn totals_of(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let number = |column| seq(row, column).map(|Seq(number)| number);
    Ok(Totals {
        seq: seq(row, 0)?,
        low_messages: number(1)?,
        uncounted: number(2)?,
        low_mentioned: number(3)?,
        high_mentioned: number(4)?,
    })
}
