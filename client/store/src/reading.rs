//! Reading back: a snapshot for the session, and what the screen shows without a server.

use crate::{KeptAccount, Store, StoreError, wall};
use chatclient_core::Snapshot;
use chatclient_core::outbox::{LocalId, Unsent};
use chatclient_core::snapshot::ConversationSnapshot;
use rusqlite::{OptionalExtension, Row, params};
use std::sync::Arc;
use wire::contact::Friend;
use wire::group::{Group, Role};
use wire::message::Send;
use wire::presence::Presence;
use wire::{ConversationId, ConversationKind, Message, Seq, Target, UnixMillis, UserId};

/// A conversation as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConversation {
    pub id: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The other one of a direct chat.
    pub peer: Option<UserId>,
    /// The peer's name or the group's.
    pub name: String,
    /// Up to where all messages are here.
    pub cursor: Seq,
    /// Up to where they were read.
    pub read: Seq,
    /// Messages of others above that.
    pub unread: u64,
    /// Messages above it that are not here: another device took them, before this one knew the conversation.
    pub elsewhere: u64,
    /// Up to where the peer of a direct chat has received.
    pub peer_delivered: Seq,
    /// Up to where the peer of a direct chat has read.
    pub peer_read: Seq,
}

/// An own message that will not be stored by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub local: LocalId,
    /// Where it was to go.
    pub target: Target,
    pub content: String,
    /// Why, a sentence.
    pub why: String,
}

impl Store {
    /// What a session goes on from.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.read_snapshot().map_err(|error| self.failure(&error))
    }

    fn read_snapshot(&self) -> rusqlite::Result<Snapshot> {
        let (token, next_number) =
            self.db.query_row("SELECT token, next_number FROM account", [], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))
            })?;
        let conversations = self.rows(
            "SELECT id, cursor, read_seq, own_above FROM conversation WHERE cursor IS NOT NULL OR own_above <> '[]'",
            |row| {
                let own_above: String = row.get(3)?;
                let own_above: Vec<u64> = serde_json::from_str(&own_above).unwrap_or_default();
                Ok(ConversationSnapshot {
                    conversation: ConversationId(row.get(0)?),
                    cursor: row.get::<_, Option<i64>>(1)?.map(|seq| Seq(seq as u64)),
                    read: seq(row, 2)?,
                    own_above: own_above.into_iter().map(Seq).collect(),
                })
            },
        )?;
        let unsent = self.rows(
            "SELECT local, to_user, to_name, to_conversation, content, type, cid, first_try FROM outbox
             WHERE failure IS NULL ORDER BY local",
            |row| {
                let first_try: Option<i64> = row.get(7)?;
                let send = Send {
                    target: target(row)?,
                    content: row.get::<_, String>(4)?.into(),
                    content_type: row.get::<_, String>(5)?.into(),
                    cid: row.get::<_, Option<String>>(6)?.map(Into::into),
                };
                // A clock that went back makes it young; one that went forward gives it up early.
                let tried_ago_ms = first_try.map(|at| wall().saturating_sub(at).max(0) as u64);
                Ok(Unsent { local: local(row)?, send, tried_ago_ms })
            },
        )?;
        let token = token.map(Into::into);
        Ok(Snapshot {
            account: Some(self.account),
            token,
            next_number: next_number as u64,
            conversations,
            unsent,
        })
    }

    /// The account, if it can be gone on with.
    pub fn kept_account(&self) -> Result<Option<KeptAccount>, StoreError> {
        let found = self.db.query_row(
            "SELECT name, used_at FROM account WHERE id = ?1 AND token IS NOT NULL AND name <> ''",
            [self.account.0],
            |row| Ok(KeptAccount { id: self.account, name: row.get(0)?, used_at: row.get(1)? }),
        );
        found.optional().map_err(|error| self.failure(&error))
    }

    /// The conversation that was open last.
    pub fn current(&self) -> Result<Option<ConversationId>, StoreError> {
        let current =
            self.db.query_row("SELECT current FROM account", [], |row| row.get::<_, Option<u32>>(0));
        current.map(|id| id.map(ConversationId)).map_err(|error| self.failure(&error))
    }

    /// Messages of a conversation below `before`, in order, the latest `limit` of them.
    pub fn history(
        &self,
        conversation: ConversationId,
        before: Seq,
        limit: u32,
    ) -> Result<Vec<Arc<Message>>, StoreError> {
        let mut page = self.messages(
            "SELECT conversation, seq, kind, sender, name, type, content, time FROM message
             WHERE conversation = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
            [conversation.0.into(), before.0 as i64, limit.into()],
        )?;
        page.reverse();
        Ok(page)
    }

    /// Messages of others that were not read here, oldest first, the latest `limit` of all conversations.
    pub fn unread(&self, limit: u32) -> Result<Vec<Arc<Message>>, StoreError> {
        let mut page = self.messages(
            "SELECT conversation, seq, message.kind, sender, message.name, type, content, time
             FROM message JOIN conversation ON id = conversation
             WHERE sender <> ?1 AND seq > read_seq AND seq <= coalesce(cursor, 0)
             ORDER BY time DESC, conversation DESC, seq DESC LIMIT ?2",
            [i64::from(self.account.0), limit.into()],
        )?;
        page.reverse();
        Ok(page)
    }

    fn messages<const N: usize>(&self, sql: &str, with: [i64; N]) -> Result<Vec<Arc<Message>>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map(rusqlite::params_from_iter(with), message)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.failure(&error))
    }

    /// Every conversation that has a name.
    pub fn conversations(&self) -> Result<Vec<KeptConversation>, StoreError> {
        let mut query = self
            .db
            .prepare(
                "SELECT c.id, kind, peer, coalesce(m.name, c.name, ''), coalesce(cursor, 0), read_seq, peer_delivered,
                 peer_read, (SELECT count(*) FROM message WHERE conversation = c.id AND seq > read_seq
                    AND seq <= coalesce(cursor, 0) AND sender <> ?1),
                 max(0, coalesce(cursor, 0) - read_seq - (SELECT count(*) FROM message WHERE conversation = c.id
                    AND seq > read_seq AND seq <= coalesce(cursor, 0)))
                 FROM conversation c LEFT JOIN membership m ON m.conversation = c.id WHERE kind IS NOT NULL",
            )
            .map_err(|error| self.failure(&error))?;
        let rows = query.query_map(params![self.account.0], |row| {
            Ok(KeptConversation {
                id: ConversationId(row.get(0)?),
                kind: kind(row, 1)?,
                peer: row.get::<_, Option<u32>>(2)?.map(UserId),
                name: row.get(3)?,
                cursor: seq(row, 4)?,
                read: seq(row, 5)?,
                peer_delivered: seq(row, 6)?,
                peer_read: seq(row, 7)?,
                unread: row.get::<_, i64>(8)? as u64,
                elsewhere: row.get::<_, i64>(9)? as u64,
            })
        });
        rows.and_then(Iterator::collect).map_err(|error| self.failure(&error))
    }

    /// The friends of the last login; who of them is online, nobody knows now.
    pub fn friends(&self) -> Result<Vec<Friend>, StoreError> {
        let friends = self.rows("SELECT id, name FROM friend", |row| {
            let name = row.get::<_, String>(1)?.into();
            Ok(Friend { id: UserId(row.get(0)?), name, state: Presence::Offline })
        });
        friends.map_err(|error| self.failure(&error))
    }

    /// The groups of the last login.
    pub fn groups(&self) -> Result<Vec<Group>, StoreError> {
        let groups = self.rows("SELECT conversation, name, description, role FROM membership", |row| {
            let role = match row.get_ref(3)?.as_str()? {
                "owner" => Role::Owner,
                "admin" => Role::Admin,
                _ => Role::Member,
            };
            let (name, desc) = (row.get::<_, String>(1)?.into(), row.get::<_, String>(2)?.into());
            Ok(Group { conversation: ConversationId(row.get(0)?), name, desc, role })
        });
        groups.map_err(|error| self.failure(&error))
    }

    /// Own messages that failed, in order.
    pub fn failed(&self) -> Result<Vec<Failed>, StoreError> {
        let failed = self.rows(
            "SELECT local, to_user, to_name, to_conversation, content, failure FROM outbox
             WHERE failure IS NOT NULL ORDER BY local",
            |row| {
                Ok(Failed {
                    local: local(row)?,
                    target: target(row)?,
                    content: row.get(4)?,
                    why: row.get(5)?,
                })
            },
        );
        failed.map_err(|error| self.failure(&error))
    }

    fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.db.prepare(sql)?.query_map([], read)?.collect()
    }
}

fn message(row: &Row<'_>) -> rusqlite::Result<Arc<Message>> {
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
    }))
}

fn seq(row: &Row<'_>, at: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(at)? as u64))
}

fn local(row: &Row<'_>) -> rusqlite::Result<LocalId> {
    Ok(LocalId(row.get::<_, i64>(0)? as u64))
}

fn kind(row: &Row<'_>, at: usize) -> rusqlite::Result<ConversationKind> {
    let direct = row.get_ref(at)?.as_str()? == "direct";
    Ok(if direct { ConversationKind::Direct } else { ConversationKind::Group })
}

/// Of the columns `to_user`, `to_name`, `to_conversation`, which stand second to fourth.
fn target(row: &Row<'_>) -> rusqlite::Result<Target> {
    if let Some(id) = row.get::<_, Option<u32>>(1)? {
        return Ok(Target::User(UserId(id)));
    }
    match row.get::<_, Option<String>>(2)? {
        Some(name) => Ok(Target::Name(name.into())),
        None => Ok(Target::Conversation(ConversationId(row.get(3)?))),
    }
}
