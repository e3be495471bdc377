//! The tables `message` and `outbox`: delivered messages, unsent ones and failed ones.

use crate::database::{Store, StoreError, wall_clock};
use chatclient_core::outbox::{LocalId, Unsent};
use chatclient_core::{Event, Kept};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use std::sync::Arc;
use wire::change::{Change, Changes, EDIT};
use wire::message::{Extra, Send, TEXT};
use wire::timeline::{self, HistoryPage, LastMessage};
use wire::{
    ChangeKind, ConversationId, ConversationKind, Direction, Message, References, Reply, Seq, System, Target,
    UnixMillis, UserId,
};

/// An own message that failed; it is sent again only if the user asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedMessage {
    pub local: LocalId,
    pub target: Target,
    pub content: String,
    pub references: Option<Box<References>>,
    /// The reason, a sentence.
    pub why: String,
}

impl Store {
    /// The latest `limit` messages of a conversation below `before`, in order.
    pub fn history(
        &self,
        conversation: ConversationId,
        before: Seq,
        limit: u32,
    ) -> Result<Vec<Arc<Message>>, StoreError> {
        let mut page = self.messages(
            "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
             WHERE conversation = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
            [conversation.0.into(), before.0 as i64, limit.into()],
        )?;
        page.reverse();
        Ok(page)
    }

    /// An entry of a conversation, if it is stored here.
    pub fn entry(&self, conversation: ConversationId, seq: Seq) -> Result<Option<Arc<Message>>, StoreError> {
        let found = self.history(conversation, seq.next(), 1)?;
        Ok(found.into_iter().find(|entry| entry.seq == seq))
    }

    /// A page of a conversation as the server would give it, as far as it is stored here.
    pub fn page(
        &self,
        conversation: ConversationId,
        direction: Direction,
        limit: u32,
    ) -> Result<HistoryPage, StoreError> {
        let (mut messages, more) = match direction {
            Direction::Before(seq) => {
                let mut messages = self.history(conversation, seq, limit + 1)?;
                let more = messages.len() > limit as usize;
                messages.drain(..usize::from(more));
                (messages, more)
            }
            Direction::After(seq) => {
                let messages = self.messages(
                    "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
                     WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                    [conversation.0.into(), seq.0 as i64, i64::from(limit) + 1],
                )?;
                let more = messages.len() > limit as usize;
                (messages, more)
            }
        };
        messages.truncate(limit as usize);
        let first = self.db.query_row(
            "SELECT coalesce(min(seq), 1) FROM message WHERE conversation = ?1",
            [conversation.0],
            |row| seq(row, 0),
        );
        let first_seq = first.map_err(|error| self.failure(&error))?;
        Ok(HistoryPage { messages, more, first_seq })
    }

    /// The latest `limit` messages of others, over all conversations, that were not read here; oldest first.
    pub fn unread(&self, limit: u32) -> Result<Vec<Arc<Message>>, StoreError> {
        let mut page = self.messages(
            "SELECT conversation, seq, message.kind, sender, message.name, type, content, time, entry, refs, changes
             FROM message JOIN conversation ON id = conversation
             WHERE sender <> ?1 AND entry IS NULL AND changes ->> 'recalled' IS NULL AND seq > read_seq AND seq <= coalesce(cursor, 0)
             ORDER BY time DESC, conversation DESC, seq DESC LIMIT ?2",
            [i64::from(self.account.0), limit.into()],
        )?;
        page.reverse();
        Ok(page)
    }

    /// How many stored messages of others lie above `after`, up to `upto`, and how many of them mention the user.
    pub fn theirs(
        &self,
        conversation: ConversationId,
        after: Seq,
        upto: Seq,
    ) -> Result<(u64, u64), StoreError> {
        let range = |seq: Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
        let found = self.messages(
            "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
             WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3 AND sender <> ?4 AND entry IS NULL",
            [conversation.0.into(), range(after), range(upto), self.account.0.into()],
        )?;
        let counted = found.iter().filter(|message| message.recalled().is_none());
        let mentions = counted.clone().filter(|message| message.mentions(self.account)).count();
        Ok((counted.count() as u64, mentions as u64))
    }

    /// The latest message of a conversation below a seq.
    pub fn kept_below(&self, conversation: ConversationId, below: Seq) -> Result<Option<Kept>, StoreError> {
        let sql = "SELECT seq, sender, time, cid, entry FROM message WHERE conversation = ?1 AND seq < ?2
             ORDER BY seq DESC LIMIT 1";
        let below = i64::try_from(below.0).unwrap_or(i64::MAX);
        let found = self.db.query_row(sql, params![conversation.0, below], |row| kept(row, 0));
        found.optional().map_err(|error| self.failure(&error))
    }

    fn messages<const N: usize>(&self, sql: &str, with: [i64; N]) -> Result<Vec<Arc<Message>>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map(rusqlite::params_from_iter(with), message)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.failure(&error))
    }

    /// The last message of each conversation that is stored here.
    pub fn last_messages(&self) -> Result<Vec<(ConversationId, LastMessage)>, StoreError> {
        let sql = "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes
             FROM message WHERE (conversation, seq) IN (SELECT id, (SELECT max(seq) FROM message
             WHERE conversation = c.id AND entry IS NULL) FROM conversation c)";
        let last = |message: Arc<Message>| (message.conversation, LastMessage::from(&*message));
        Ok(self.messages(sql, [])?.into_iter().map(last).collect())
    }

    /// In the order in which they were written.
    pub fn failed(&self) -> Result<Vec<FailedMessage>, StoreError> {
        let sql = "SELECT local, to_user, to_name, to_conversation, content, failure, refs FROM outbox
             WHERE failure IS NOT NULL ORDER BY local";
        self.rows(sql, |row| {
            Ok(FailedMessage {
                local: local(row)?,
                target: target(row)?,
                content: row.get(4)?,
                references: references(row.get(6)?).map(Box::new),
                why: row.get(5)?,
            })
        })
    }

    /// Deletes a failed message: the user dropped it or has written it anew.
    pub fn forget_failed(&mut self, local: LocalId) -> Result<(), StoreError> {
        let forget = "DELETE FROM outbox WHERE local = ?1 AND failure IS NOT NULL";
        let done = self.db.execute(forget, [local.0 as i64]);
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }

    pub(crate) fn unsent(&self) -> Result<Vec<Unsent>, StoreError> {
        let sql =
            "SELECT local, to_user, to_name, to_conversation, content, type, cid, first_try, refs FROM outbox
             WHERE failure IS NULL ORDER BY local";
        self.rows(sql, |row| {
            let first_try: Option<i64> = row.get(7)?;
            let content_type = row.get::<_, String>(5)?;
            let send = Send {
                target: target(row)?,
                content: row.get::<_, String>(4)?.into(),
                content_type: (content_type != TEXT).then(|| content_type.into()),
                cid: row.get::<_, Option<String>>(6)?.map(Into::into),
                references: references(row.get(8)?).map(Box::new),
            };
            // If the clock was set back, the message looks new; if it was set forward, the message expires early.
            let tried_ago_ms = first_try.map(|at| wall_clock().saturating_sub(at).max(0) as u64);
            Ok(Unsent { local: local(row)?, send, tried_ago_ms })
        })
    }
}

/// Writes an entry of a timeline as its reader `me` sees it. Changes are applied in whatever order they are met: those
/// that an entry contains already are left out.
pub(crate) fn write_message(t: &Transaction<'_>, me: UserId, message: &Message) -> rusqlite::Result<()> {
    let json = |object: serde_json::Result<String>| object.expect("ids and texts serialise");
    let entry = match (message.system(), message.change()) {
        (Some(system), _) => Some(json(serde_json::to_string(system))),
        (None, Some(change)) => Some(json(serde_json::to_string(&change))),
        (None, None) => None,
    };
    let insert = "INSERT OR IGNORE INTO message (conversation, seq, kind, sender, name, type, content, time, cid, entry,
         refs, ref, changes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let is_new = t.prepare_cached(insert)?.execute(params![
        message.conversation.0,
        message.seq.0 as i64,
        kind_text(message.kind),
        message.from.0,
        message.name,
        message.content_type,
        message.content,
        message.time.0 as i64,
        message.cid,
        entry,
        message.extra.as_deref().and_then(|extra| references_text(&extra.references)),
        message.change().map(|change| change.of.0 as i64),
        message.changes().map(|changes| json(serde_json::to_string(changes))),
    ])? == 1;
    match message.change() {
        Some(change) if is_new => {
            if let Some(mut changed) = stored(t, message.conversation, change.of)? {
                match changed.apply(message, me) {
                    true => write_changes(t, &changed)?,
                    // A later change is contained already.
                    false => empty_edits(t, &changed)?,
                }
            }
        }
        Some(_) => {}
        None => {
            let has = |message: &Message| message.changes().map_or(Seq(0), |changes| changes.changed);
            // What the server says is complete; here changes may lack that another device has received.
            let is_later = |old: &Message| has(message) > Seq(0) && has(message) >= has(old);
            if is_new || stored(t, message.conversation, message.seq)?.is_some_and(|old| is_later(&old)) {
                apply_stored(t, me, message)?;
            }
        }
    }
    Ok(())
}

/// Writes what changes have made of a message: those that it contains, and stored ones that it does not contain yet.
fn apply_stored(t: &Transaction<'_>, me: UserId, message: &Message) -> rusqlite::Result<()> {
    let mut changed = message.clone();
    let mut later = t.prepare_cached(
        "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
         WHERE conversation = ?1 AND ref = ?2 ORDER BY seq",
    )?;
    let mut rows = later.query(params![message.conversation.0, message.seq.0 as i64])?;
    while let Some(row) = rows.next()? {
        changed.apply(&*self::message(row)?, me);
    }
    match changed.changes() {
        Some(_) => write_changes(t, &changed),
        None => Ok(()),
    }
}

fn write_changes(t: &Transaction<'_>, message: &Message) -> rusqlite::Result<()> {
    let changes = message.changes().map(|changes| serde_json::to_string(changes).expect("they serialise"));
    let refs = message.extra.as_deref().and_then(|extra| references_text(&extra.references));
    t.prepare_cached(
        "UPDATE message SET changes = ?3, content = ?4, refs = ?5 WHERE conversation = ?1 AND seq = ?2",
    )?
    .execute(params![message.conversation.0, message.seq.0 as i64, changes, message.content, refs])?;
    empty_edits(t, message)
}

/// Whether an event tells of a recall, after which the text must be gone from the file, too.
pub(crate) fn is_recall(event: &Event) -> bool {
    let tells = |entry: &Message| {
        let is_change = entry.change().is_some_and(|change| change.kind == ChangeKind::Recall);
        is_change || entry.recalled().is_some()
    };
    match event {
        Event::Message(entry) => tells(entry),
        Event::Reply { reply: Reply::Timeline(timeline::Reply::History(page)), .. } => {
            page.messages.iter().any(|entry| tells(entry))
        }
        _ => false,
    }
}

/// Drops the texts of edits that are not those of now from the entries that tell of them.
fn empty_edits(t: &Transaction<'_>, message: &Message) -> rusqlite::Result<()> {
    let Some(changes) = message.changes().filter(|of| of.edited.is_some() || of.recalled.is_some()) else {
        return Ok(());
    };
    t.prepare_cached(
        "UPDATE message SET content = '' WHERE conversation = ?1 AND ref = ?2 AND type = ?3 AND content <> '' AND
         (?4 OR seq < (SELECT max(seq) FROM message WHERE conversation = ?1 AND ref = ?2 AND type = ?3))",
    )?
    .execute(params![message.conversation.0, message.seq.0 as i64, EDIT, changes.recalled.is_some()])?;
    Ok(())
}

fn stored(t: &Transaction<'_>, conversation: ConversationId, seq: Seq) -> rusqlite::Result<Option<Message>> {
    let mut select = t.prepare_cached(
        "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
         WHERE conversation = ?1 AND seq = ?2",
    )?;
    let found = select.query_row(params![conversation.0, seq.0 as i64], message).optional()?;
    Ok(found.map(Arc::unwrap_or_clone))
}

/// Deletes the messages above a seq.
pub(crate) fn forget_above(t: &Transaction<'_>, id: ConversationId, after: Seq) -> rusqlite::Result<()> {
    t.prepare_cached("DELETE FROM message WHERE conversation = ?1 AND seq > ?2")?
        .execute(params![id.0, after.0 as i64])?;
    Ok(())
}

/// Deletes the messages below a seq.
pub(crate) fn forget_below(t: &Transaction<'_>, id: ConversationId, first: Seq) -> rusqlite::Result<()> {
    t.prepare_cached("DELETE FROM message WHERE conversation = ?1 AND seq < ?2")?
        .execute(params![id.0, first.0 as i64])?;
    Ok(())
}

pub(crate) fn write_unsent(t: &Transaction<'_>, unsent: &Unsent) -> rusqlite::Result<()> {
    let (user, name, conversation) = match &unsent.send.target {
        Target::User(id) => (Some(id.0), None, None),
        Target::Name(name) => (None, Some(name), None),
        Target::Conversation(id) | Target::Group(id) => (None, None, Some(id.0)),
    };
    let first_try = unsent.tried_ago_ms.map(|ago| wall_clock().saturating_sub_unsigned(ago));
    t.prepare_cached(
        "INSERT INTO outbox (local, to_user, to_name, to_conversation, type, content, cid, first_try, refs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (local) DO UPDATE SET first_try = ?8",
    )?
    .execute(params![
        unsent.local.0 as i64,
        user,
        name,
        conversation,
        unsent.send.content_type.as_deref().unwrap_or(TEXT),
        unsent.send.content,
        unsent.send.cid,
        first_try,
        unsent.send.references.as_deref().and_then(references_text),
    ])?;
    Ok(())
}

/// Moves a stored own message from the outbox to its place in the timeline.
pub(crate) fn write_sent(
    t: &Transaction<'_>,
    local: LocalId,
    conversation: ConversationId,
    seq: Seq,
    time: UnixMillis,
) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT OR IGNORE INTO message (conversation, seq, kind, sender, name, type, content, time, cid, refs)
         SELECT ?2, ?3, CASE WHEN to_conversation = ?2 AND NOT EXISTS
         (SELECT 1 FROM conversation WHERE id = ?2 AND kind = 'direct') THEN 'group' ELSE 'direct' END,
         account.id, account.name, outbox.type, content, ?4, outbox.cid, refs FROM outbox, account WHERE local = ?1",
    )?
    .execute(params![local.0 as i64, conversation.0, seq.0 as i64, time.0 as i64])?;
    t.prepare_cached(
        "INSERT INTO conversation (id, kind, peer, name)
         SELECT ?2, 'direct', to_user, coalesce(to_name, (SELECT name FROM friend WHERE friend.id = to_user))
         FROM outbox WHERE local = ?1 AND to_conversation IS NULL ON CONFLICT (id)
         DO UPDATE SET kind = 'direct', peer = coalesce(peer, excluded.peer), name = coalesce(name, excluded.name)",
    )?
    .execute(params![local.0 as i64, conversation.0])?;
    t.prepare_cached("DELETE FROM outbox WHERE local = ?1")?.execute([local.0 as i64])?;
    // Where the first reply was lost, changes of the message may have arrived before this one.
    match stored(t, conversation, seq)? {
        Some(own) => apply_stored(t, own.from, &own),
        None => Ok(()),
    }
}

pub(crate) fn write_failed(t: &Transaction<'_>, local: LocalId, why: &str) -> rusqlite::Result<()> {
    t.prepare_cached("UPDATE outbox SET failure = ?2 WHERE local = ?1")?
        .execute(params![local.0 as i64, why])?;
    Ok(())
}

// ---- columns -------------------------------------------------------------------------------------------------------

pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Arc<Message>> {
    Ok(Arc::new(Message {
        conversation: ConversationId(row.get(0)?),
        seq: seq(row, 1)?,
        kind: kind(row, 2)?,
        from: UserId(row.get(3)?),
        name: row.get::<_, String>(4)?.into(),
        content_type: row.get::<_, String>(5)?.into(),
        content: row.get::<_, String>(6)?.into(),
        time: UnixMillis(row.get::<_, i64>(7)? as u64),
        cid: None,
        extra: extra(row)?,
    }))
}

/// What tells a message from others, from the columns `seq`, `sender`, `time`, `cid` and `entry`.
pub(crate) fn kept(row: &Row<'_>, first: usize) -> rusqlite::Result<Kept> {
    let entry = row.get::<_, Option<String>>(first + 4)?;
    let system = entry.and_then(|entry| serde_json::from_str::<System>(&entry).ok());
    let leaving = system.filter(System::removes_members).map_or_else(Box::default, |system| system.who);
    Ok(Kept {
        seq: seq(row, first)?,
        from: UserId(row.get(first + 1)?),
        time: UnixMillis(row.get::<_, i64>(first + 2)? as u64),
        cid: row.get::<_, Option<String>>(first + 3)?.map(Into::into),
        leaving,
    })
}

/// The further fields of an entry, from the columns `type`, `entry`, `refs` and `changes`.
fn extra(row: &Row<'_>) -> rusqlite::Result<Option<Box<Extra>>> {
    let [entry, refs, changes] = [row.get(8)?, row.get(9)?, row.get::<_, Option<String>>(10)?];
    let change = |entry: &str| {
        let fields: serde_json::Value = serde_json::from_str(entry).ok()?;
        let (of, on) = (fields["ref"].as_u64().map(Seq), fields["on"].as_bool());
        Change::of_fields(row.get_ref(5).ok()?.as_str().ok()?, of, on)
    };
    let change = entry.as_deref().and_then(change);
    let system = entry.and_then(|entry| serde_json::from_str::<System>(&entry).ok());
    let changes = changes.and_then(|changes| serde_json::from_str::<Changes>(&changes).ok());
    let references = references(refs).unwrap_or_default();
    let extra = Extra { system, references, change, changes };
    Ok((extra != Extra::default()).then(|| Box::new(extra)))
}

/// What a message refers to, from the column `refs`.
fn references(column: Option<String>) -> Option<References> {
    References::from_json(&column?)
}

/// The column `refs` of a message; `None`: it refers to nothing.
fn references_text(references: &References) -> Option<String> {
    (!references.is_empty()).then(|| references.to_json())
}

pub(crate) fn seq(row: &Row<'_>, at: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(at)? as u64))
}

fn local(row: &Row<'_>) -> rusqlite::Result<LocalId> {
    Ok(LocalId(row.get::<_, i64>(0)? as u64))
}

pub(crate) fn kind(row: &Row<'_>, at: usize) -> rusqlite::Result<ConversationKind> {
    let direct = row.get_ref(at)?.as_str()? == "direct";
    Ok(if direct { ConversationKind::Direct } else { ConversationKind::Group })
}

pub(crate) fn kind_text(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    }
}

/// Reads the columns `to_user`, `to_name` and `to_conversation`, which must be the second to fourth. Messages to direct
/// chats are addressed to the peer, so a conversation is a group.
fn target(row: &Row<'_>) -> rusqlite::Result<Target> {
    match target_columns(row, 1)? {
        Some(target) => Ok(target),
        None => Ok(Target::Group(ConversationId(row.get(3)?))),
    }
}

/// Reads the columns `to_user`, `to_name` and `to_conversation` from `first` on; `None`: all are NULL.
pub(crate) fn target_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Target>> {
    let user = row.get::<_, Option<u32>>(first)?.map(|id| Target::User(UserId(id)));
    let name = row.get::<_, Option<String>>(first + 1)?.map(|name| Target::Name(name.into()));
    let conversation = row.get::<_, Option<u32>>(first + 2)?.map(|id| Target::Group(ConversationId(id)));
    Ok(user.or(name).or(conversation))
}
