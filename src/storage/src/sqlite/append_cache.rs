//! An in-memory cache of the state needed to number and address the next message.

use super::column::{self, undamaged};
use super::listing::listed_of;
use super::pages;
use super::resident::Resident;
use super::run::SEQ_MAX;
use crate::calendar::{self, Month};
use crate::error::StoreError;
use crate::fault::At;
use crate::listing::Listed;
use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension, Row};
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// The number of conversations, pairs, names and member ids that are kept, counted together.
const WEIGHT_MAX: usize = 1 << 20;

/// The end of a conversation as the writer sees it: includes everything journalled and the current batch.
#[derive(Clone, Debug)]
pub struct Head {
    pub kind: ConversationKind,
    pub last: Seq,
    /// The month of the last message; 0: there is none.
    pub month: Month,
    /// The time of the last message, or of the creation.
    pub time: UnixMillis,
    /// Where it is listed, or will be once its messages are filed.
    pub listed: Listed,
    /// All members, by id.
    pub members: Arc<[UserId]>,
}

/// The place of the next entry of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    pub seq: Seq,
    pub month: Month,
    pub time: UnixMillis,
}

impl Head {
    /// Whether this user is a member.
    pub fn has_member(&self, user: UserId) -> bool {
        self.members.binary_search(&user).is_ok()
    }

    /// Takes the place of the next entry, which is stored at `now`, in `month`. A full timeline is a fault.
    #[inline]
    pub fn advance(&mut self, now: UnixMillis, month: Month) -> Result<Next, StoreError> {
        let seq = self.last.next();
        if seq.0 > SEQ_MAX {
            return Err(StoreError::Fault("the conversation has no seq left".to_owned()));
        }
        // The wall clock may go back, but no entry is dated before the one before it, and a conversation never returns
        // to a month that it has left.
        let time = now.max(self.time);
        let month = if time == now { month } else { calendar::month_of(time) };
        let (month, time) = match self.month > month {
            true => (self.month, calendar::start_of(self.month)),
            false => (month, time),
        };
        (self.last, self.month, self.time) = (seq, month, time);
        Ok(Next { seq, month, time })
    }
}

/// The conversations in use. The whole cache may be dropped between two batches.
#[derive(Debug, Default)]
pub struct AppendCache {
    heads: HashMap<ConversationId, Head>,
    /// Direct conversations by their members, the lower id first.
    pairs: HashMap<(UserId, UserId), ConversationId>,
    names: HashMap<Box<str>, UserId>,
    weight: usize,
}

impl AppendCache {
    /// Drops everything; the database and the resident tail hold it all.
    pub fn clear(&mut self) {
        *self = AppendCache::default();
    }

    /// Drops everything if it has grown too large.
    pub fn bound(&mut self) {
        if self.weight > WEIGHT_MAX {
            self.clear();
        }
    }

    /// A conversation's head; `None`: there is no such conversation.
    pub fn get(
        &mut self,
        conn: &Connection,
        resident: &Resident,
        conversation: ConversationId,
    ) -> Result<Option<&mut Head>, StoreError> {
        // Not `entry`: loading may fail, and most calls hit.
        if !self.heads.contains_key(&conversation) {
            let Some(head) = load(conn, resident, conversation)? else { return Ok(None) };
            self.put(conversation, head);
        }
        Ok(self.heads.get_mut(&conversation))
    }

    fn put(&mut self, conversation: ConversationId, head: Head) {
        self.weight += 1 + head.members.len();
        self.heads.insert(conversation, head);
    }

    /// The id of the direct conversation of two users.
    pub fn direct(
        &mut self,
        conn: &Connection,
        one: UserId,
        other: UserId,
    ) -> rusqlite::Result<Option<ConversationId>> {
        let pair = (one.min(other), one.max(other));
        if let Some(conversation) = self.pairs.get(&pair) {
            return Ok(Some(*conversation));
        }
        let sql = "SELECT id FROM conversation WHERE low_id = ?1 AND high_id = ?2";
        let mut select = conn.prepare_cached(sql)?;
        let found: Option<u32> = select.query_row((pair.0.0, pair.1.0), |row| row.get(0)).optional()?;
        let found = found.map(ConversationId);
        if let Some(conversation) = found {
            self.pairs.insert(pair, conversation);
            self.weight += 1;
        }
        Ok(found)
    }

    /// The id of the user of this name.
    pub fn user(&mut self, conn: &Connection, name: &str) -> rusqlite::Result<Option<UserId>> {
        let key = wire::name::key(name);
        if let Some(user) = self.names.get(key.as_str()) {
            return Ok(Some(*user));
        }
        let found = super::name::find(conn, name)?;
        if let Some(user) = found {
            self.names.insert(key.into_boxed_str(), user);
            self.weight += 1;
        }
        Ok(found)
    }

    /// A user joined a conversation.
    pub fn joined(&mut self, conversation: ConversationId, user: UserId) {
        if let Some(head) = self.heads.get_mut(&conversation)
            && let Err(at) = head.members.binary_search(&user)
        {
            let (below, above) = head.members.split_at(at);
            head.members = below.iter().chain([&user]).chain(above).copied().collect();
            self.weight += 1;
        }
    }

    /// A user left a group.
    pub fn left(&mut self, conversation: ConversationId, user: UserId) {
        if let Some(head) = self.heads.get_mut(&conversation)
            && let Ok(at) = head.members.binary_search(&user)
        {
            head.members = head.members[..at].iter().chain(&head.members[at + 1..]).copied().collect();
            self.weight -= 1;
        }
    }
}

fn load(
    conn: &Connection,
    resident: &Resident,
    conversation: ConversationId,
) -> Result<Option<Head>, StoreError> {
    let sql = "SELECT kind, last_seq, month, max(updated_at, changed_at), slack, listed_until \
               FROM conversation WHERE id = ?1";
    let mut select = conn.prepare_cached(sql)?;
    let row = |row: &Row<'_>| {
        Ok((
            column::kind(row, 0)?,
            column::seq(row, 1)?,
            column::month(row, 2)?,
            column::time(row, 3)?,
            listed_of(row, 4)?,
        ))
    };
    let found = select.query_row([conversation.0], row).optional()?;
    let Some((kind, last, month, time, listed)) = found else { return Ok(None) };
    // Numbering goes on from here: a row that is behind its pages would give two messages one seq.
    let end = pages::end(conn, conversation, month).at("conversation", conversation)?;
    if end > last {
        let what = format!("last_seq is {last}, but there are messages up to {end}");
        return Err(StoreError::Fault(what));
    }
    let sql = "SELECT user_id FROM member WHERE conversation_id = ?1 AND device = 0 ORDER BY user_id";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([conversation.0])?;
    let members = undamaged("member", &mut rows, |row| row.get(0).map(UserId))?.0.into();
    let mut head = Head { kind, last, month, time, listed, members };
    // The tables hold only filed messages; the resident tail may be ahead of them.
    if let Some(end) = resident.end(conversation) {
        head.last = head.last.max(end.last);
        head.month = head.month.max(calendar::month_of(end.time));
        head.time = head.time.max(end.time);
    }
    Ok(Some(head))
}
