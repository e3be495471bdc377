//! The user's settings of a conversation, and what it does not see any more.

use crate::database::{Store, StoreError};
use crate::message::forget_below;
use rusqlite::{Transaction, params};
use wire::timeline::SettingsChange;
use wire::{ConversationId, Seq};

impl Store {
    /// Mutes a conversation on this machine, or ends that, until the server has been told.
    pub fn mute_here(&mut self, conversation: ConversationId, muted: bool) -> Result<(), StoreError> {
        let set = "INSERT INTO conversation (id, muted, mute_untold) VALUES (?1, ?2, 1)
             ON CONFLICT (id) DO UPDATE SET muted = ?2, mute_untold = 1";
        let done = self.db.execute(set, params![conversation.0, muted]);
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }

    /// What the server has not been told: conversations, and whether they are muted here.
    pub fn mutes_to_tell(&self) -> Result<Vec<(ConversationId, bool)>, StoreError> {
        let sql = "SELECT id, muted FROM conversation WHERE mute_untold ORDER BY id";
        self.rows(sql, |row| Ok((ConversationId(row.get(0)?), row.get(1)?)))
    }
}

pub(crate) fn write_settings(
    t: &Transaction<'_>,
    id: ConversationId,
    change: SettingsChange,
) -> rusqlite::Result<()> {
    let SettingsChange { pinned, muted, hidden } = change;
    t.prepare_cached(
        "UPDATE conversation SET pinned = coalesce(?2, pinned), muted = coalesce(?3, muted),
         mute_untold = CASE WHEN ?3 IS NULL THEN mute_untold ELSE 0 END,
         hidden_at = CASE ?4 WHEN 1 THEN max(coalesce(cursor, 0), coalesce(
            (SELECT max(seq) FROM message WHERE conversation = ?1), 0)) WHEN 0 THEN NULL ELSE hidden_at END
         WHERE id = ?1",
    )?
    .execute(params![id.0, pinned, muted, hidden])?;
    Ok(())
}

pub(crate) fn write_cleared(t: &Transaction<'_>, id: ConversationId, upto: Seq) -> rusqlite::Result<()> {
    forget_below(t, id, upto.next())?;
    t.prepare_cached("UPDATE conversation SET read_seq = max(read_seq, ?2) WHERE id = ?1")?
        .execute(params![id.0, upto.0 as i64])?;
    Ok(())
}
