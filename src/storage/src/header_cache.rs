//! What counts of unread messages keep in memory (see [`crate::unread`]).

use crate::unread::{BLOCK, Block, Headers, Question, Range, Recalled, Totals};
use foldhash::HashMap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::limits::UNREAD_WINDOW;
use wire::{ConversationId, Seq};

/// The most headers that are kept of one conversation.
const KEPT: usize = 2 * UNREAD_WINDOW as usize;

/// The bytes of headers above which all are dropped.
const KEPT_BYTES: usize = 32 << 20;

/// The blocks above which all are dropped.
const BLOCKS_KEPT: usize = 1 << 18;

/// About what the first block of a conversation takes, in blocks.
const FIRST_BLOCK: usize = 16;

/// Blocks of a range.
#[derive(Debug, Default)]
pub struct Blocks {
    /// What those that are kept have.
    pub totals: Totals,
    /// The others, in order.
    pub missing: Vec<Range>,
}

/// The headers of the ends of timelines, and blocks of direct conversations that have no totals.
#[derive(Debug, Default)]
pub struct HeaderCache {
    headers: Mutex<Kept>,
    blocks: Mutex<KeptBlocks>,
}

/// By conversation and number, from 0 on.
#[derive(Debug, Default)]
struct KeptBlocks {
    blocks: HashMap<ConversationId, BTreeMap<u64, Block>>,
    count: usize,
}

#[derive(Debug, Default)]
struct Kept {
    headers: HashMap<ConversationId, Arc<Headers>>,
    bytes: usize,
}

impl HeaderCache {
    /// The headers that are kept, and the entries that must be loaded before `range` can be counted: an empty range if
    /// there are none.
    pub fn find(&self, conversation: ConversationId, range: Range) -> (Option<Arc<Headers>>, Range) {
        let kept = self.headers.lock().headers.get(&conversation).cloned();
        match kept.filter(|kept| kept.after() <= range.after && range.after <= kept.last()) {
            Some(kept) => {
                let rest = Range { after: kept.last(), last: range.last };
                (Some(kept), rest)
            }
            None => (None, range),
        }
    }

    /// Keeps headers that were loaded, together with the `kept` ones that they follow, and returns all of them.
    pub fn keep(
        &self,
        conversation: ConversationId,
        kept: Option<Arc<Headers>>,
        loaded: Headers,
    ) -> Arc<Headers> {
        let all = match kept {
            Some(kept) => {
                let mut all = (*kept).clone();
                all.append(&loaded);
                Arc::new(all)
            }
            None => Arc::new(loaded),
        };
        let mut trimmed = Arc::clone(&all);
        if all.len() > KEPT {
            Arc::make_mut(&mut trimmed).trim(KEPT);
        }
        self.headers.lock().put(conversation, trimmed);
        all
    }

    pub fn blocks(&self, conversation: ConversationId, range: Range) -> Blocks {
        let kept = self.blocks.lock();
        let kept = kept.blocks.get(&conversation);
        let mut blocks = Blocks::default();
        for number in range.after.0 / BLOCK..range.last.0 / BLOCK {
            if let Some(block) = kept.and_then(|kept| kept.get(&number)) {
                blocks.totals = blocks.totals + (*block).into();
                continue;
            }
            let range = Range { after: Seq(number * BLOCK), last: Seq((number + 1) * BLOCK) };
            match blocks.missing.last_mut().filter(|before| before.last == range.after) {
                Some(before) => before.last = range.last,
                None => blocks.missing.push(range),
            }
        }
        blocks
    }

    /// Keeps the blocks of missing ranges that were loaded, and returns what they have. `recalled`: what was recalled
    /// in them, read after them.
    pub fn keep_blocks(&self, question: &Question, loaded: &Headers, recalled: &[Recalled]) -> Totals {
        let low = question.peer.map_or(question.user, |peer| peer.min(question.user));
        let blocks = loaded.blocks(low, recalled);
        let totals = blocks.values().fold(Totals::default(), |totals, block| totals + (*block).into());
        let mut kept = self.blocks.lock();
        if kept.count + blocks.len() + FIRST_BLOCK > BLOCKS_KEPT {
            *kept = KeptBlocks::default();
        }
        kept.count += blocks.len() + FIRST_BLOCK;
        kept.blocks.entry(question.conversation).or_default().extend(blocks);
        totals
    }

    #[cfg(test)]
    pub fn clear(&self) {
        *self.headers.lock() = Kept::default();
    }
}

impl Kept {
    /// Nothing that is kept is lost to a narrower range.
    fn put(&mut self, conversation: ConversationId, mut headers: Arc<Headers>) {
        if let Some(kept) = self.headers.get(&conversation) {
            match kept.join(&headers) {
                Some(mut all) => {
                    all.trim(KEPT);
                    headers = Arc::new(all);
                }
                None if kept.last() > headers.last() => return,
                None => {}
            }
        }
        let bytes = headers.bytes();
        if self.bytes + bytes > KEPT_BYTES {
            *self = Kept::default();
        }
        self.bytes += bytes;
        if let Some(before) = self.headers.insert(conversation, headers) {
            self.bytes = self.bytes.saturating_sub(before.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unread::Header;
    use wire::{Mentions, UserId};

    const HERE: ConversationId = ConversationId(1);

    fn headers(after: u64, last: u64) -> Headers {
        let mut headers = Headers::above(Seq(after));
        for seq in after + 1..=last {
            let mentions = if seq.is_multiple_of(7) { Mentions::All } else { Mentions::Nobody };
            headers.add(Seq(seq), Header { sender: Some(UserId(1)), mentions });
        }
        headers
    }

    #[test]
    fn narrower_headers_extend_those_that_are_kept() {
        let cache = HeaderCache::default();
        for (after, last) in [(10, 100), (50, 100), (90, 110), (0, 60), (110, 120)] {
            cache.keep(HERE, None, headers(after, last));
        }
        let range = Range { after: Seq(0), last: Seq(120) };
        let (kept, missing) = cache.find(HERE, range);
        assert!(missing.is_empty());
        let counted = kept.unwrap().count(range, UserId(2), &[]);
        assert_eq!((counted.unread, counted.mentions), (120, 17));
        // With a gap between them the later ones stay.
        cache.keep(HERE, None, headers(3_000, 3_010));
        cache.keep(HERE, None, headers(0, 20));
        let range = Range { after: Seq(3_000), last: Seq(3_010) };
        assert!(cache.find(HERE, range).1.is_empty());
        assert!(cache.find(HERE, Range { after: Seq(0), last: Seq(20) }).0.is_none());
    }
    #[test]
    fn blocks_are_missing_once() {
        let cache = HeaderCache::default();
        let range = Range { after: Seq(BLOCK), last: Seq(5 * BLOCK) };
        assert_eq!(cache.blocks(HERE, range).missing, [range]);
        let (kind, peer) = (wire::ConversationKind::Direct, Some(UserId(1)));
        let question = Question::of(HERE, kind, UserId(2), peer, range, false).unwrap();
        let part = Range { after: Seq(2 * BLOCK), last: Seq(4 * BLOCK) };
        let totals = cache.keep_blocks(&question, &headers(part.after.0, part.last.0), &[]);
        assert_eq!((totals.seq, totals.low_messages), (Seq(2 * BLOCK), 2 * BLOCK));
        let blocks = cache.blocks(HERE, range);
        assert_eq!(blocks.totals, totals);
        let [first, second] = [(BLOCK, 2 * BLOCK), (4 * BLOCK, 5 * BLOCK)].map(|of| (Seq(of.0), Seq(of.1)));
        let missing: Vec<_> = blocks.missing.iter().map(|of| (of.after, of.last)).collect();
        assert_eq!(missing, [first, second]);
    }
}
