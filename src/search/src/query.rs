//! Answers one search: hits by time over all conversations of a user.
//!
//! ```text
//!   conversations, latest first   c1 --open--> hits of c1, latest first --\
//!                                 c2 --open--> hits of c2 ---------------- > merged by time --> read as it is now
//!                                 c3  (not opened while all its messages are older than the next hit)
//! ```
//!
//! The index only proposes. Each hit is read from the database like HISTORY reads it: who may not see it does not, and
//! its text must still have the words.

use crate::error::IndexError;
use crate::reader::{Hit, IndexReader, Range};
use crate::source::Source;
use crate::terms::Expression;
use logic::contract::{Denial, search, timeline};
use logic::{Found, Read};
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use wire::limits::HISTORY_BYTES;
use wire::search::{Place, Search, SearchPage};
use wire::timeline::ConversationSummary;
use wire::words::Sought;
use wire::{ConversationId, Direction, Message, Seq, UnixMillis, UserId};

/// Hits that are asked of the index at once, at first and at most.
const CHUNK_MIN: usize = 4;
const CHUNK_MAX: usize = 1_024;
/// Conversations that are read at once, at first and at most.
const PAGE_MIN: u32 = 20;
const PAGE_MAX: u32 = 200;

/// Why a search ends early.
enum End {
    Index(IndexError),
    /// With this answer.
    Answer(Found),
}

impl From<IndexError> for End {
    fn from(error: IndexError) -> End {
        match error {
            IndexError::Overdue => End::Answer(Found::Search(search::Found::Busy)),
            error => End::Index(error),
        }
    }
}

/// Answers a search. `indexed_to`: how far the index has come.
///
/// # Errors
/// The index cannot be used.
pub fn answer(
    index: &IndexReader,
    source: &mut dyn Source,
    user: UserId,
    search: &Search,
    indexed_to: UnixMillis,
) -> Result<Found, IndexError> {
    // Decoding has checked that it has words.
    let Ok(sought) = Sought::parse(&search.text) else { return Ok(Found::Failed) };
    let expression = Expression::of(&sought);
    let mut run =
        Run { index, source, user, search, sought, expression, streams: Vec::new(), next: BinaryHeap::new() };
    let mut messages = Vec::new();
    let ended = match run.page(&mut messages) {
        // What was found in time is a page.
        Err(End::Answer(Found::Search(search::Found::Busy))) if !messages.is_empty() => {
            Ok(messages.last().map(|last| Place::of(last)))
        }
        ended => ended,
    };
    match ended {
        Ok(cursor) => {
            let page =
                SearchPage { messages, cursor: cursor.map(|place| place.to_string().into()), indexed_to };
            match run.source.settle() {
                true => Ok(Found::Search(search::Found::Results(Box::new(page)))),
                false => Ok(Found::Unavailable),
            }
        }
        Err(End::Answer(found)) => Ok(found),
        Err(End::Index(error)) => Err(error),
    }
}

struct Run<'a> {
    index: &'a IndexReader,
    source: &'a mut dyn Source,
    user: UserId,
    search: &'a Search,
    sought: Sought,
    expression: Expression,
    /// The opened conversations.
    streams: Vec<Stream>,
    /// The next hit of each, and which stream it is of.
    next: BinaryHeap<(Place, usize)>,
}

/// The hits of a conversation that are still to come.
struct Stream {
    range: Range,
    hits: VecDeque<Hit>,
    /// Hits to ask for the next time; 0: there are no more.
    chunk: usize,
}

impl Run<'_> {
    /// Adds the messages of the page; returns where the next one begins.
    fn page(&mut self, messages: &mut Vec<Arc<Message>>) -> Result<Option<Place>, End> {
        let mut walk = Walk::default();
        if let Some(conversation) = self.search.conversation {
            walk.is_done = true;
            let last = self.last_of(conversation)?;
            self.open(Range { conversation, first: Seq(1), last })?;
        }
        let mut bytes = 0;
        loop {
            while let Some((conversation, last_time)) = walk.peek(self)? {
                if self.next.peek().is_some_and(|(next, _)| next.time > last_time) {
                    break;
                }
                walk.take();
                self.open(conversation)?;
            }
            let Some((place, stream)) = self.next.pop() else { return Ok(None) };
            self.advance(stream)?;
            let Some(message) = self.read(place)? else { continue };
            bytes += serde_json::to_vec(&*message).map_or(0, |json| json.len());
            let is_full = messages.len() >= self.search.limit as usize || bytes > HISTORY_BYTES;
            if let Some(last) = messages.last().filter(|_| is_full) {
                return Ok(Some(Place::of(last)));
            }
            messages.push(message);
        }
    }

    /// The end of a conversation of the user.
    fn last_of(&mut self, conversation: ConversationId) -> Result<Seq, End> {
        let read = timeline::Read::Standing { user: self.user, conversation };
        match self.ask(read)? {
            timeline::Found::Standing(Some(standing)) if !standing.has_left => Ok(standing.last),
            timeline::Found::Standing(_) => Err(End::Answer(Found::Denied(Denial::Forbidden))),
            _ => Err(End::Answer(Found::Failed)),
        }
    }

    /// Adds a conversation, as far as the bounds of time reach into it.
    fn open(&mut self, mut range: Range) -> Result<(), End> {
        let Search { since, until, cursor, .. } = *self.search;
        let before = until.into_iter().chain(cursor.map(|cursor| cursor.time)).min();
        if let Some(time) = before {
            match self.index.last_at(range, time)? {
                Some(last) => range.last = last,
                None => return Ok(()),
            }
        }
        if let Some(earlier) = since.and_then(|since| since.0.checked_sub(1))
            && let Some(last) = self.index.last_at(range, UnixMillis(earlier))?
        {
            range.first = last.next();
        }
        self.streams.push(Stream { range, hits: VecDeque::new(), chunk: CHUNK_MIN });
        self.advance(self.streams.len() - 1)
    }

    /// Moves to the next hit of a stream.
    fn advance(&mut self, at: usize) -> Result<(), End> {
        let stream = &mut self.streams[at];
        let conversation = stream.range.conversation;
        loop {
            if self.index.is_overdue() {
                return Err(IndexError::Overdue.into());
            }
            if stream.hits.is_empty() && stream.chunk > 0 && stream.range.first <= stream.range.last {
                let hits = self.index.hits(&self.expression, self.search.from, stream.range, stream.chunk)?;
                let is_last = hits.len() < stream.chunk;
                stream.chunk = if is_last { 0 } else { (stream.chunk * 4).min(CHUNK_MAX) };
                match hits.last() {
                    Some(last) if last.seq > stream.range.first => stream.range.last = last.seq.prev(),
                    _ => stream.chunk = 0,
                }
                stream.hits = hits.into();
            }
            let Some(hit) = stream.hits.pop_front() else { return Ok(()) };
            let place = Place { time: hit.time, conversation, seq: hit.seq };
            if self.search.cursor.is_none_or(|cursor| place < cursor) {
                self.next.push((place, at));
                return Ok(());
            }
        }
    }

    /// The message as the user sees it now; `None`: it is not one that was sought.
    fn read(&mut self, place: Place) -> Result<Option<Arc<Message>>, End> {
        if self.index.is_overdue() {
            return Err(IndexError::Overdue.into());
        }
        let Place { conversation, seq, .. } = place;
        let read = timeline::Read::History {
            user: self.user,
            conversation,
            direction: Direction::Before(seq.next()),
            limit: 1,
            with_changes: true,
        };
        let found = match self.ask(read) {
            Ok(timeline::Found::History { messages, .. }) => messages.into_iter().next(),
            // The user has left, or the entry is damaged.
            Err(End::Answer(Found::Denied(_) | Found::Failed)) => None,
            Ok(_) => return Err(End::Answer(Found::Failed)),
            Err(end) => return Err(end),
        };
        Ok(found.filter(|message| {
            message.seq == seq
                && message.is_message()
                && self.search.from.is_none_or(|from| message.from == from)
                && self.search.since.is_none_or(|since| message.time >= since)
                && self.search.until.is_none_or(|until| message.time <= until)
                && self.sought.is_in(&message.content)
        }))
    }

    fn ask(&mut self, read: timeline::Read) -> Result<timeline::Found, End> {
        match self.source.read(&Read::Timeline(read)) {
            Found::Timeline(found) => Ok(found),
            found @ (Found::Unavailable | Found::Failed | Found::Denied(_)) => Err(End::Answer(found)),
            _ => Err(End::Answer(Found::Failed)),
        }
    }
}

/// The conversations of a user, latest first.
#[derive(Default)]
struct Walk {
    page: VecDeque<ConversationSummary>,
    /// Where the next page begins.
    before: Option<(UnixMillis, ConversationId)>,
    rows: u32,
    is_done: bool,
}

impl Walk {
    /// What the user may see of the next conversation, and the time of its last message.
    fn peek(&mut self, run: &mut Run<'_>) -> Result<Option<(Range, UnixMillis)>, End> {
        if self.page.is_empty() && !self.is_done {
            self.rows = (self.rows * 2).clamp(PAGE_MIN, PAGE_MAX);
            let (user, before, limit) = (run.user, self.before, self.rows);
            let read =
                timeline::Read::Conversations { user, before, limit, with_unread: false, with_last: false };
            let timeline::Found::Conversations { entries, more } = run.ask(read)? else {
                return Err(End::Answer(Found::Failed));
            };
            self.is_done = !more || entries.is_empty();
            self.before = entries.last().map(|last| (last.time, last.conversation)).or(self.before);
            self.page = entries.into();
        }
        let Some(summary) = self.page.front() else { return Ok(None) };
        if run.search.since.is_some_and(|since| summary.time < since) {
            self.page.clear();
            self.is_done = true;
            return Ok(None);
        }
        // A message that comes now would be newer than `time`: it is left to the next search.
        let (conversation, first, last) = (summary.conversation, summary.first_seq, summary.last_seq);
        Ok(Some((Range { conversation, first, last }, summary.time)))
    }

    fn take(&mut self) {
        self.page.pop_front();
    }
}
