//! The follower: reads the timelines behind the database and keeps the index.
//!
//! It has a cursor for each conversation and reads what is committed, in slices of one transaction each. What happens
//! between two looks is told by the database ([`search::Read::Appended`]); where that is not known, and at the start, it
//! compares the ends of all conversations with its cursors.

use crate::error::IndexError;
use crate::index::{Cursor, Document, Identity, Index, Portion};
use crate::source::Source;
use crate::terms::document;
use logic::contract::search::{End, Extent, Mark};
use logic::contract::{search, timeline};
use logic::{Found, Read};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use thiserror::Error;
use wire::change::ChangeKind;
use wire::search::Place;
use wire::{ConversationId, Message, Seq, UnixMillis};

/// Messages in one transaction of the index.
pub const SLICE: usize = 1_024;
/// Messages in one read, and bytes of content after which it ends.
const FEED: u32 = 256;
const FEED_BYTES: usize = 512 * 1024;
/// Conversations in one read of their ends.
const ENDS: u32 = 1_000;
/// How often the ends of all conversations are compared, milliseconds: a commit may show so late that it is not among
/// what was appended lately.
const SCAN_EVERY_MS: u64 = 300_000;
/// Entries behind a damaged one that are tried.
const DAMAGED_MAX: u64 = 256;

/// Why a slice was not done. It is tried again.
#[derive(Debug, Error)]
pub enum FollowError {
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The database does not answer; it has logged why.
    #[error("the database does not answer")]
    Database,
}

/// What a slice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more to do at once.
    Worked { messages: usize },
    /// The index has everything that was stored before this time.
    CaughtUp(UnixMillis),
}

/// Entries of a timeline, and whether others follow them.
type Page = (Vec<Arc<Message>>, bool);

pub struct Follower<S> {
    source: S,
    index: Index,
    identity: Identity,
    /// `None`: what was appended must be asked for the first time.
    mark: Option<Mark>,
    /// The ends of conversations that are behind, or may be.
    behind: VecDeque<End>,
    scan: Option<Scan>,
    /// When the last scan began.
    scanned: UnixMillis,
    /// Entries of an earlier time are indexed once `behind` is.
    settled: UnixMillis,
    /// How often months had been dropped when the last scan began.
    dropped: u64,
    /// Whether the cursors are of another history.
    is_unverified: bool,
}

/// Compares the ends of all conversations with the cursors.
#[derive(Clone, Copy, Debug)]
struct Scan {
    after: ConversationId,
}

impl<S: Source> Follower<S> {
    /// `is_unverified`: see [`Index::open`].
    pub fn new(source: S, index: Index, identity: Identity, is_unverified: bool) -> Follower<S> {
        Follower {
            source,
            index,
            identity,
            mark: None,
            behind: VecDeque::new(),
            scan: None,
            scanned: UnixMillis(0),
            settled: UnixMillis(0),
            dropped: 0,
            is_unverified,
        }
    }

    /// Makes the index anew.
    pub fn reset(self) -> Result<Follower<S>, IndexError> {
        let index = self.index.reset(&self.identity)?;
        Ok(Follower::new(self.source, index, self.identity, false))
    }

    /// Does one slice of work: about `slice` messages, one transaction of the index.
    pub fn step(&mut self, slice: usize) -> Result<Step, FollowError> {
        if !self.behind.is_empty() {
            return self.follow(slice);
        }
        if let Some(scan) = self.scan {
            return self.scan(scan);
        }
        let since = self.mark.unwrap_or_default();
        let search::Found::Appended(appended) = self.search(search::Read::Appended { since })? else {
            return Err(FollowError::Database);
        };
        let search::Appended { ends, extent, mark, dropped, settled } = *appended;
        let mut behind = VecDeque::new();
        for end in ends {
            if self.index.cursor(end.conversation)?.seq < end.last {
                behind.push_back(end);
            }
        }
        // Only now: after a failure the same is asked again.
        (self.mark, self.settled, self.behind) = (Some(mark), settled, behind);
        let has_dropped = std::mem::replace(&mut self.dropped, dropped) != dropped;
        let is_due = has_dropped || settled.0 >= self.scanned.0.saturating_add(SCAN_EVERY_MS);
        match extent {
            Extent::Unknown => self.begin_scan(settled),
            Extent::All | Extent::Part if is_due => self.begin_scan(settled),
            Extent::Part => {}
            Extent::All if self.behind.is_empty() => {
                self.index.tidy()?;
                return Ok(Step::CaughtUp(self.settled));
            }
            Extent::All => {}
        }
        Ok(Step::Worked { messages: 0 })
    }

    fn begin_scan(&mut self, now: UnixMillis) {
        (self.scan, self.scanned) = (Some(Scan { after: ConversationId(0) }), now);
    }

    /// Compares the ends of some conversations.
    fn scan(&mut self, scan: Scan) -> Result<Step, FollowError> {
        let search::Found::Ends(ends) = self.search(search::Read::Ends { after: scan.after, limit: ENDS })?
        else {
            return Err(FollowError::Database);
        };
        if ends.is_empty() {
            self.scan = None;
            if std::mem::take(&mut self.is_unverified) {
                self.index.adopt(&self.identity)?;
            }
            return Ok(Step::Worked { messages: 0 });
        }
        let mut after = scan.after;
        for end in ends {
            let cursor = self.index.cursor(end.conversation)?;
            // What is not kept any more cannot be compared, and is removed below.
            if cursor.seq >= end.first
                && (self.is_unverified || cursor.seq > end.last)
                && !self.is_right(end.conversation, cursor)?
            {
                log::info!("indexing conversation {} anew: its timeline is another one", end.conversation);
                self.index.forget(end.conversation, Seq::MAX)?;
            }
            if self.index.has_below(end.conversation, end.first)? {
                // The rest follows: what else is to be done does not wait for a whole month.
                self.index.forget(end.conversation, end.first)?;
                self.scan = Some(Scan { after });
                return Ok(Step::Worked { messages: 0 });
            }
            if self.index.cursor(end.conversation)?.seq < end.last && end.first <= end.last {
                self.behind.push_back(end);
            }
            after = end.conversation;
        }
        // Only now: after a failure the same ends are read again.
        self.scan = Some(Scan { after });
        Ok(Step::Worked { messages: 0 })
    }

    /// Whether the entry at a cursor is still the one that was indexed.
    fn is_right(&mut self, conversation: ConversationId, cursor: Cursor) -> Result<bool, FollowError> {
        let entry = self.entry(conversation, cursor.seq)?;
        Ok(entry.is_some_and(|entry| mark_of(&entry) == cursor.mark))
    }

    /// Indexes what conversations that are behind have above their cursors, up to a slice.
    fn follow(&mut self, slice: usize) -> Result<Step, FollowError> {
        let page_limit = FEED.min(slice as u32);
        let (mut portions, mut messages) = (Vec::new(), 0);
        let mut done = 0;
        while messages < slice
            && let Some(End { conversation, last, .. }) = self.behind.get(done).copied()
        {
            let from = portions.iter().rev().find(|portion: &&Portion| portion.conversation == conversation);
            let after = match from {
                Some(portion) => portion.cursor,
                None => self.index.cursor(conversation)?,
            };
            // Where the page is damaged, up to the damage entry by entry.
            let page = match self.feed(conversation, after.seq, page_limit)? {
                Some(page) => Some(page),
                None => self.feed(conversation, after.seq, 1)?,
            };
            let Some((entries, more)) = page else {
                messages += 1;
                match self.behind_damage(conversation, after.seq, last)? {
                    Some(seq) => {
                        let cursor = Cursor { seq, mark: 0 };
                        portions.push(Portion { conversation, added: vec![], changed: vec![], cursor });
                    }
                    // Nothing behind it can be read either: it is tried again with the next scan.
                    None => done += 1,
                }
                continue;
            };
            messages += entries.len();
            if let Some(last) = entries.last() {
                let cursor = Cursor { seq: last.seq, mark: mark_of(last) };
                let added = entries.iter().filter_map(|entry| document_of(entry)).collect();
                let changed = self.changed(conversation, &entries)?;
                portions.push(Portion { conversation, added, changed, cursor });
            }
            if !more {
                done += 1;
            }
        }
        if !portions.is_empty() {
            self.index.apply(&portions)?;
        }
        self.behind.drain(..done);
        Ok(Step::Worked { messages })
    }

    /// The messages whose texts `entries` change, as they are now. Those that are among `entries` are read again: the
    /// first change of a conversation may have been committed while the page was read, and then is not laid over it.
    fn changed(
        &mut self,
        conversation: ConversationId,
        entries: &[Arc<Message>],
    ) -> Result<Vec<(Seq, Option<Document>)>, FollowError> {
        let changes = entries.iter().filter_map(|entry| entry.extra.as_deref()?.change);
        let mut refs: Vec<Seq> =
            changes.filter(|change| changes_text(change.kind)).map(|change| change.of).collect();
        refs.sort_unstable();
        refs.dedup();
        let mut changed = Vec::with_capacity(refs.len());
        for seq in refs {
            let now = self.entry(conversation, seq)?;
            changed.push((seq, now.and_then(|entry| document_of(&entry))));
        }
        Ok(changed)
    }

    /// The last damaged entry of those from `after` on, where one behind it can be read.
    fn behind_damage(
        &mut self,
        conversation: ConversationId,
        after: Seq,
        last: Seq,
    ) -> Result<Option<Seq>, FollowError> {
        let end = last.0.min(after.0 + DAMAGED_MAX);
        for damaged in (after.next().0..end).map(Seq) {
            if self.feed(conversation, damaged, 1)?.is_some_and(|(entries, _)| !entries.is_empty()) {
                log::warn!(
                    "conversation {conversation}: search does not find the entries {} to {damaged}, which are damaged",
                    after.next()
                );
                return Ok(Some(damaged));
            }
        }
        Ok(None)
    }

    /// An entry as it is now; `None`: it is not there, or damaged.
    fn entry(&mut self, conversation: ConversationId, seq: Seq) -> Result<Option<Arc<Message>>, FollowError> {
        let page = self.feed(conversation, seq.prev(), 1)?;
        let entry = page.and_then(|(entries, _)| entries.into_iter().next());
        Ok(entry.filter(|entry| entry.seq == seq))
    }

    /// A page of a timeline; `None`: it is damaged.
    fn feed(
        &mut self,
        conversation: ConversationId,
        after: Seq,
        limit: u32,
    ) -> Result<Option<Page>, FollowError> {
        let read = timeline::Read::Feed { conversation, member: None, after, limit, bytes: FEED_BYTES };
        match self.source.read(&Read::Timeline(read)) {
            Found::Timeline(timeline::Found::Feed { messages, more, .. }) => Ok(Some((messages, more))),
            Found::Failed => Ok(None),
            _ => Err(FollowError::Database),
        }
    }

    fn search(&mut self, read: search::Read) -> Result<search::Found, FollowError> {
        match self.source.read(&Read::Search(read)) {
            Found::Search(found) => Ok(found),
            _ => Err(FollowError::Database),
        }
    }
}

/// Whether a change of this kind leaves its message with another text, or none.
fn changes_text(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::Edit | ChangeKind::Recall => true,
        ChangeKind::Reaction { .. } => false,
    }
}

fn document_of(entry: &Message) -> Option<Document> {
    // The index has room for seqs below 2^32 in its keys.
    if !entry.is_message() || entry.seq.0 > u32::MAX.into() {
        return None;
    }
    let terms = document(entry.conversation, &entry.content)?;
    Some(Document { seq: entry.seq, time: entry.time, sender: entry.from, terms })
}

/// What tells an entry from another one at the same place. No change alters it.
fn mark_of(entry: &Message) -> i64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    let Place { time, conversation, seq } = Place::of(entry);
    (time.0, conversation.0, seq.0, entry.from.0, &entry.content_type, &entry.cid).hash(&mut hasher);
    hasher.finish() as i64
}

/// FNV-1a (draft-eastlake-fnv), which is the same in every build and run.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
