//! Writing down what happened: one transaction for all of a turn.

use crate::{Store, StoreError, wall};
use chatclient_core::outbox::{LocalId, Unsent};
use chatclient_core::snapshot::ConversationSnapshot;
use chatclient_core::{Event, Snapshot};
use rusqlite::{Transaction, params};
use wire::contact::Friend;
use wire::contact::FriendEvent;
use wire::group::{Group, Role};
use wire::session::LoggedIn;
use wire::timeline::ConversationSummary;
use wire::timeline::Receipt;
use wire::{ConversationId, ConversationKind, Message, Reply, Seq, Target, UnixMillis};
use wire::{contact, group, timeline};

impl Store {
    /// Writes what changed in the session and what it told, all or nothing.
    pub fn save(&mut self, changes: Option<&Snapshot>, events: &[Event]) -> Result<(), StoreError> {
        let account = self.account.0;
        let write = |transaction: &Transaction<'_>| {
            if let Some(changes) = changes {
                write_changes(transaction, changes)?;
            }
            events.iter().try_for_each(|event| write_event(transaction, account, event))
        };
        let done = self
            .db
            .transaction()
            .and_then(|transaction| write(&transaction).and_then(|()| transaction.commit()));
        done.map_err(|error| self.failure(&error))
    }

    /// The conversation that is open now.
    pub fn set_current(&mut self, conversation: Option<ConversationId>) -> Result<(), StoreError> {
        let current = conversation.map(|id| id.0);
        let done = self.db.execute("UPDATE account SET current = ?1", [current]);
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }

    /// A message that failed is not wanted any more, or was written anew.
    pub fn forget_failed(&mut self, local: LocalId) -> Result<(), StoreError> {
        let forget = "DELETE FROM outbox WHERE local = ?1 AND failure IS NOT NULL";
        let done = self.db.execute(forget, [local.0 as i64]);
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }
}

fn write_changes(t: &Transaction<'_>, changes: &Snapshot) -> rusqlite::Result<()> {
    t.prepare_cached("UPDATE account SET token = ?1, next_number = max(next_number, ?2)")?
        .execute(params![changes.token, changes.next_number as i64])?;
    for ConversationSnapshot { conversation, cursor, read, own_above } in &changes.conversations {
        let own_above: Vec<u64> = own_above.iter().map(|seq| seq.0).collect();
        t.prepare_cached(
            "INSERT INTO conversation (id, cursor, read_seq, own_above) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id)
             DO UPDATE SET cursor = ?2, read_seq = max(read_seq, ?3), own_above = ?4",
        )?
        .execute(params![
            conversation.0,
            cursor.map(|seq| seq.0 as i64),
            read.0 as i64,
            serde_json::to_string(&own_above).expect("numbers are JSON"),
        ])?;
    }
    changes.unsent.iter().try_for_each(|unsent| write_unsent(t, unsent))
}

fn write_unsent(t: &Transaction<'_>, unsent: &Unsent) -> rusqlite::Result<()> {
    let (user, name, conversation) = match &unsent.send.target {
        Target::User(id) => (Some(id.0), None, None),
        Target::Name(name) => (None, Some(name), None),
        Target::Conversation(id) => (None, None, Some(id.0)),
    };
    let first_try = unsent.tried_ago_ms.map(|ago| wall().saturating_sub_unsigned(ago));
    t.prepare_cached(
        "INSERT INTO outbox (local, to_user, to_name, to_conversation, type, content, cid, first_try)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (local) DO UPDATE SET first_try = ?8",
    )?
    .execute(params![
        unsent.local.0 as i64,
        user,
        name,
        conversation,
        unsent.send.content_type,
        unsent.send.content,
        unsent.send.cid,
        first_try
    ])?;
    Ok(())
}

fn write_event(t: &Transaction<'_>, account: u32, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::LoggedIn(login) => write_login(t, login),
        Event::Conversations(entries) => entries.iter().try_for_each(|entry| write_entry(t, entry)),
        Event::Message(message) => {
            write_message(t, message)?;
            learn_kind(t, account, message)
        }
        Event::Sent { local, conversation, seq, time } => write_sent(t, *local, *conversation, *seq, *time),
        Event::SendFailed { local, failure } => {
            t.prepare_cached("UPDATE outbox SET failure = ?2 WHERE local = ?1")?
                .execute(params![local.0 as i64, failure.to_string()])?;
            Ok(())
        }
        Event::Delivered(receipt) => write_receipt(t, receipt, Seq(0)),
        Event::Read(receipt) => write_receipt(t, receipt, receipt.seq),
        Event::Reply { reply: Reply::Timeline(timeline::Reply::History(page)), .. } => {
            page.messages.iter().try_for_each(|message| write_message(t, message))
        }
        Event::Reply { reply: Reply::Contact(contact::Reply::Friends(page)), .. } => {
            page.friends.iter().try_for_each(|friend| write_friend(t, friend))
        }
        Event::Reply { reply: Reply::Group(group::Reply::Groups(page)), .. } => {
            page.groups.iter().try_for_each(|group| write_group(t, group))
        }
        Event::Friend(change) if change.event == FriendEvent::Removed => {
            t.execute("DELETE FROM friend WHERE id = ?1", [change.id.0]).map(|_| ())
        }
        _ => Ok(()),
    }
}

fn write_login(t: &Transaction<'_>, login: &LoggedIn) -> rusqlite::Result<()> {
    t.execute("UPDATE account SET name = ?1, used_at = ?2", params![login.name, wall()])?;
    if !login.friends_more {
        t.execute("DELETE FROM friend", [])?;
    }
    if !login.groups_more {
        t.execute("DELETE FROM membership", [])?;
    }
    login.friends.iter().try_for_each(|friend| write_friend(t, friend))?;
    login.groups.iter().try_for_each(|group| write_group(t, group))?;
    login.conversations.iter().try_for_each(|entry| write_entry(t, entry))
}

fn write_friend(t: &Transaction<'_>, friend: &Friend) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT OR REPLACE INTO friend (id, name) VALUES (?1, ?2)")?
        .execute(params![friend.id.0, friend.name])?;
    Ok(())
}

fn write_group(t: &Transaction<'_>, group: &Group) -> rusqlite::Result<()> {
    let role = match group.role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    };
    t.prepare_cached("INSERT OR REPLACE INTO membership VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        group.conversation.0,
        group.name,
        group.desc,
        role
    ])?;
    Ok(())
}

fn write_entry(t: &Transaction<'_>, entry: &ConversationSummary) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT INTO conversation (id, kind, peer, name, peer_delivered, peer_read, read_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET kind = ?2, peer = ?3, name = ?4, read_seq = max(read_seq, ?7),
         peer_delivered = max(peer_delivered, ?5), peer_read = max(peer_read, ?6)",
    )?
    .execute(params![
        entry.conversation.0,
        kind(entry.kind),
        entry.peer.map(|peer| peer.0),
        entry.name,
        entry.peer_delivered_seq.unwrap_or_default().0 as i64,
        entry.peer_read_seq.unwrap_or_default().0 as i64,
        entry.read_seq.max(entry.first_seq.prev()).0 as i64,
    ])?;
    Ok(())
}

fn write_message(t: &Transaction<'_>, message: &Message) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT OR IGNORE INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            message.conversation.0,
            message.seq.0 as i64,
            kind(message.kind),
            message.from.0,
            message.name,
            message.content_type,
            message.content,
            message.time.0 as i64,
        ],
    )?;
    Ok(())
}

/// A message tells what its conversation is, and a direct one who the peer is.
fn learn_kind(t: &Transaction<'_>, account: u32, message: &Message) -> rusqlite::Result<()> {
    let from_peer = message.kind == ConversationKind::Direct && message.from.0 != account;
    let (peer, name) = (from_peer.then_some(message.from.0), from_peer.then_some(&message.name));
    t.prepare_cached(
        "INSERT INTO conversation (id, kind, peer, name) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id)
         DO UPDATE SET kind = ?2, peer = coalesce(?3, peer), name = coalesce(?4, name)",
    )?
    .execute(params![message.conversation.0, kind(message.kind), peer, name])?;
    Ok(())
}

/// An own message leaves the outbox for its place in the timeline.
fn write_sent(
    t: &Transaction<'_>,
    local: LocalId,
    conversation: ConversationId,
    seq: Seq,
    time: UnixMillis,
) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT OR IGNORE INTO message SELECT ?2, ?3, CASE WHEN to_conversation = ?2 AND NOT EXISTS
         (SELECT 1 FROM conversation WHERE id = ?2 AND kind = 'direct') THEN 'group' ELSE 'direct' END,
         account.id, account.name, outbox.type, content, ?4 FROM outbox, account WHERE local = ?1",
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
    Ok(())
}

fn write_receipt(t: &Transaction<'_>, receipt: &Receipt, read: Seq) -> rusqlite::Result<()> {
    t.prepare_cached(
        "UPDATE conversation SET peer_delivered = max(peer_delivered, ?2), peer_read = max(peer_read, ?3)
         WHERE id = ?1",
    )?
    .execute(params![receipt.conversation.0, receipt.seq.0 as i64, read.0 as i64])?;
    Ok(())
}

fn kind(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    }
}
