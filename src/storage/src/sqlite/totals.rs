//! What filed entries add to the totals of a direct conversation (see [`crate::unread`]).

use super::codec;
use crate::error::StoreError;
use crate::unread::BLOCK;
use rusqlite::Connection;
use wire::{ConversationId, Mentions, Seq, UserId};

/// What consecutive entries add. A group has no totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Who sent the first message; 0: there is none.
    pub sender: UserId,
    pub of_sender: Sent,
    /// Of the other member.
    pub of_other: Sent,
    /// Entries that are no messages.
    pub uncounted: u64,
}

/// Messages of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub messages: u64,
    /// How many of them mention the other member.
    pub mentions: u64,
}

impl Added {
    /// `entries`: encoded, of one conversation.
    pub fn by<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Result<Added, StoreError> {
        let mut added = Added::default();
        for entry in entries {
            if codec::is_of_group(entry) {
                return Ok(Added::default());
            }
            let header = codec::header_of(entry)?;
            let Some(sender) = header.sender else {
                added.uncounted += 1;
                continue;
            };
            if added.sender == UserId(0) {
                added.sender = sender;
            }
            let sent = if sender == added.sender { &mut added.of_sender } else { &mut added.of_other };
            sent.messages += 1;
            if let Mentions::Users(users) = header.mentions {
                sent.mentions += u64::from(users.iter().any(|user| *user != sender));
            }
        }
        Ok(added)
    }

    /// Whether it is nothing but messages without mentions.
    pub fn is_plain(&self) -> bool {
        self.uncounted + self.of_sender.mentions + self.of_other.mentions == 0
    }
}

/// Adds to the totals of a conversation.
pub fn add(conn: &Connection, conversation: ConversationId, added: &Added) -> rusqlite::Result<()> {
    let sql = "UPDATE conversation SET low_messages = low_messages + iif(low_id = ?2, ?3, ?4), \
               uncounted = uncounted + ?5, \
               low_mentioned = low_mentioned + iif(low_id = ?2, ?7, ?6), \
               high_mentioned = high_mentioned + iif(low_id = ?2, ?6, ?7) WHERE id = ?1 AND kind = 0";
    let Added { sender, of_sender, of_other, uncounted } = added;
    let messages = (of_sender.messages as i64, of_other.messages as i64);
    let mentions = (of_sender.mentions as i64, of_other.mentions as i64);
    let values =
        (conversation.0, sender.0, messages.0, messages.1, *uncounted as i64, mentions.0, mentions.1);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Keeps the totals as a row if the entries `first..=last` reach a new block; returns how many rows it wrote.
pub fn keep(
    conn: &Connection,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
) -> rusqlite::Result<usize> {
    if first.prev().0 / BLOCK == last.0 / BLOCK {
        return Ok(0);
    }
    let sql = "INSERT OR REPLACE INTO direct_total \
               SELECT id, last_seq, low_messages, uncounted, low_mentioned, high_mentioned \
               FROM conversation WHERE id = ?1 AND kind = 0";
    conn.prepare_cached(sql)?.execute([conversation.0])
}
