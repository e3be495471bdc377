//! The table `conversation`: cursors, names, and what of each conversation is stored here.

use crate::database::{Store, StoreError};
use crate::message::{self, forget_below, kind, kind_text, seq, write_message};
use chatclient_core::snapshot::ConversationSnapshot;
use rusqlite::{Transaction, params};
use wire::timeline::{ConversationSummary, ConversationView, Push, Receipt, Reply};
use wire::{ConversationId, ConversationKind, Message, Seq, UnixMillis, UserId};

/// A conversation as the last session left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// The other user of a direct chat.
    pub peer: Option<UserId>,
    /// The peer's name or the group's.
    pub name: String,
    /// Every message up to here was delivered.
    pub cursor: Seq,
    pub read: Seq,
    /// When the latest stored message was written.
    pub active: UnixMillis,
    /// Stored messages of others above `read`.
    pub unread: u64,
    /// Messages above `read` that are not stored here, because another device received them first.
    pub elsewhere: u64,
    /// Up to where the peer of a direct chat has received.
    pub peer_delivered: Seq,
    /// Up to where the peer of a direct chat has read.
    pub peer_read: Seq,
    /// The user's settings.
    pub pinned: bool,
    pub muted: bool,
    pub hidden: bool,
}

impl Store {
    /// Every conversation whose kind is known.
    pub fn conversations(&self) -> Result<Vec<StoredConversation>, StoreError> {
        let sql = "SELECT c.id, kind, peer, coalesce(m.name, c.name, ''), coalesce(cursor, 0), read_seq, peer_delivered,
             peer_read, (SELECT count(*) FROM message, account WHERE conversation = c.id AND seq > read_seq
                AND seq <= coalesce(cursor, 0) AND sender <> account.id AND entry IS NULL
                AND changes ->> 'recalled' IS NULL),
             max(0, coalesce(cursor, 0) - read_seq - (SELECT count(*) FROM message WHERE conversation = c.id
                AND seq > read_seq AND seq <= coalesce(cursor, 0))),
             coalesce((SELECT time FROM message WHERE conversation = c.id ORDER BY seq DESC LIMIT 1), 0), pinned, muted,
             hidden_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message WHERE conversation = c.id
                AND seq > hidden_at AND entry IS NULL)
             FROM conversation c LEFT JOIN membership m ON m.conversation = c.id WHERE kind IS NOT NULL";
        self.rows(sql, |row| {
            Ok(StoredConversation {
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
                active: UnixMillis(row.get::<_, i64>(10)? as u64),
                pinned: row.get(11)?,
                muted: row.get(12)?,
                hidden: row.get(13)?,
            })
        })
    }

    pub(crate) fn conversation_snapshots(&self) -> Result<Vec<ConversationSnapshot>, StoreError> {
        let sql = "SELECT c.id, c.cursor, c.read_seq, c.own_above, m.seq, m.sender, m.time, m.cid, m.entry
             FROM conversation c LEFT JOIN message m ON m.conversation = c.id AND m.entry IS NOT NULL
             AND m.seq = (SELECT max(seq) FROM message WHERE conversation = c.id)
             WHERE c.cursor IS NOT NULL OR c.own_above <> '[]'";
        let me = self.account();
        self.rows(sql, |row| {
            let last = row.get::<_, Option<i64>>(4)?.map(|_| message::kept(row, 4)).transpose()?;
            let own_above: String = row.get(3)?;
            let own_above: Vec<u64> = serde_json::from_str(&own_above).unwrap_or_default();
            Ok(ConversationSnapshot {
                conversation: ConversationId(row.get(0)?),
                cursor: row.get::<_, Option<i64>>(1)?.map(|seq| Seq(seq as u64)),
                read: seq(row, 2)?,
                own_above: own_above.into_iter().map(Seq).collect(),
                last: last.filter(|last| last.ends_view_of(me)),
            })
        })
    }
}

pub(crate) fn write_snapshot(t: &Transaction<'_>, snapshot: &ConversationSnapshot) -> rusqlite::Result<()> {
    let ConversationSnapshot { conversation, cursor, read, own_above, last: _ } = snapshot;
    let own_above: Vec<u64> = own_above.iter().map(|seq| seq.0).collect();
    t.prepare_cached(
        "INSERT INTO conversation (id, cursor, read_seq, own_above) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id)
         DO UPDATE SET cursor = ?2, read_seq = max(read_seq, ?3), own_above = ?4",
    )?
    .execute(params![
        conversation.0,
        cursor.map(|seq| seq.0 as i64),
        read.0 as i64,
        serde_json::to_string(&own_above).expect("numbers serialise"),
    ])?;
    Ok(())
}

/// Forgets the cursors above a seq. The snapshot has the others.
pub(crate) fn forget_above(t: &Transaction<'_>, id: ConversationId, after: Seq) -> rusqlite::Result<()> {
    t.prepare_cached(
        "UPDATE conversation SET read_seq = min(read_seq, ?2), peer_delivered = min(peer_delivered, ?2),
         peer_read = min(peer_read, ?2) WHERE id = ?1",
    )?
    .execute(params![id.0, after.0 as i64])?;
    if after == Seq(0) {
        // The id may name another conversation now.
        t.prepare_cached("UPDATE conversation SET kind = NULL, peer = NULL, name = NULL WHERE id = ?1")?
            .execute([id.0])?;
    }
    Ok(())
}

pub(crate) fn write_summary(t: &Transaction<'_>, summary: &ConversationSummary) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT INTO conversation (id, kind, peer, name, peer_delivered, peer_read, read_seq, pinned, muted, hidden_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET kind = ?2, peer = ?3, name = ?4, read_seq = max(read_seq, ?7),
         peer_delivered = max(peer_delivered, ?5), peer_read = max(peer_read, ?6),
         pinned = ?8, muted = CASE WHEN mute_untold THEN muted ELSE ?9 END, hidden_at = ?10",
    )?
    .execute(params![
        summary.conversation.0,
        kind_text(summary.kind),
        summary.peer.map(|peer| peer.0),
        summary.name,
        summary.peer_delivered_seq.unwrap_or_default().0 as i64,
        summary.peer_read_seq.unwrap_or_default().0 as i64,
        summary.read_seq.max(summary.first_seq.prev()).0 as i64,
        summary.pinned,
        summary.muted,
        summary.hidden.then_some(summary.last_seq.0 as i64),
    ])?;
    // Cleared, perhaps on another device.
    forget_below(t, summary.conversation, summary.first_seq)
}

/// Writes the kind of a delivered message's conversation and, for a direct chat, its peer.
pub(crate) fn write_kind(t: &Transaction<'_>, account: UserId, message: &Message) -> rusqlite::Result<()> {
    let from_peer = message.kind == ConversationKind::Direct && message.from != account;
    let (peer, name) = (from_peer.then_some(message.from.0), from_peer.then_some(&message.name));
    t.prepare_cached(
        "INSERT INTO conversation (id, kind, peer, name) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id)
         DO UPDATE SET kind = ?2, peer = coalesce(?3, peer), name = coalesce(?4, name)",
    )?
    .execute(params![message.conversation.0, kind_text(message.kind), peer, name])?;
    Ok(())
}

pub(crate) fn write_reply(t: &Transaction<'_>, account: UserId, reply: &Reply) -> rusqlite::Result<()> {
    match reply {
        Reply::History(page) => {
            page.messages.iter().try_for_each(|message| write_message(t, account, message))
        }
        // The messages between those that were found are not known.
        Reply::Conversations(_) | Reply::Readers(_) | Reply::Results(_) => Ok(()),
    }
}

pub(crate) fn write_push(t: &Transaction<'_>, push: &Push) -> rusqlite::Result<()> {
    match push {
        Push::Delivered(receipt) => write_receipt(t, receipt, Seq(0)),
        Push::ReadReceipt(receipt) => write_receipt(t, receipt, receipt.seq),
        Push::Conversation(view) => write_view(t, view),
        // It is over in seconds.
        Push::Typing(_) => Ok(()),
    }
}

/// How the user sees the conversation now, as another device has changed it.
fn write_view(t: &Transaction<'_>, view: &ConversationView) -> rusqlite::Result<()> {
    let ConversationView { conversation, read_seq, first_seq, pinned, muted, hidden, .. } = *view;
    t.prepare_cached(
        "UPDATE conversation SET read_seq = max(read_seq, ?2), pinned = ?3,
         muted = CASE WHEN mute_untold THEN muted ELSE ?4 END,
         hidden_at = CASE WHEN ?5 THEN coalesce(hidden_at, max(coalesce(cursor, 0), coalesce(
            (SELECT max(seq) FROM message WHERE conversation = ?1), 0))) END
         WHERE id = ?1",
    )?
    .execute(params![conversation.0, read_seq.max(first_seq.prev()).0 as i64, pinned, muted, hidden])?;
    forget_below(t, conversation, first_seq)
}

fn write_receipt(t: &Transaction<'_>, receipt: &Receipt, read: Seq) -> rusqlite::Result<()> {
    t.prepare_cached(
        "UPDATE conversation SET peer_delivered = max(peer_delivered, ?2), peer_read = max(peer_read, ?3)
         WHERE id = ?1",
    )?
    .execute(params![receipt.conversation.0, receipt.seq.0 as i64, read.0 as i64])?;
    Ok(())
}
