//! What appended entries add to the totals of direct conversations (see [`crate::unread`]).

use super::sql::Sql;
use crate::unread::BLOCK;
use wire::{ConversationId, Mentions, References, Seq, UserId};

/// What messages of a conversation add. A group has no totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// The member of a direct conversation with the lower id.
    pub low: Option<UserId>,
    /// Messages of that member.
    pub low_messages: u64,
    /// Messages of the peer that mention it.
    pub low_mentioned: u64,
    /// The same of the other member.
    pub high_mentioned: u64,
}

impl Added {
    pub fn message(&mut self, sender: UserId, references: Option<&References>) {
        let Some(low) = self.low else { return };
        let is_low = sender == low;
        self.low_messages += u64::from(is_low);
        if let Some(References { mentions: Mentions::Users(users), .. }) = references
            && users.iter().any(|user| *user != sender)
        {
            let mentioned = if is_low { &mut self.high_mentioned } else { &mut self.low_mentioned };
            *mentioned += 1;
        }
    }

    /// The columns of the table `conversation` that messages change, and what they add to each.
    pub fn columns(&self) -> [(&'static str, u64); 3] {
        [
            ("low_messages", self.low_messages),
            ("low_mentioned", self.low_mentioned),
            ("high_mentioned", self.high_mentioned),
        ]
    }
}

/// Whether the entries above `before` up to `last` reach a new block.
pub fn reach_block(before: Seq, last: Seq) -> bool {
    before.0 / BLOCK != last.0 / BLOCK
}

/// Keeps the totals of these conversations as rows; nothing of groups.
pub fn keep(sql: &mut Sql, conversations: &[ConversationId]) {
    if conversations.is_empty() {
        return;
    }
    sql.push(
        "REPLACE INTO direct_total (conversation_id, seq, low_messages, uncounted, low_mentioned, high_mentioned) \
         SELECT id, last_seq, low_messages, uncounted, low_mentioned, high_mentioned FROM conversation \
         WHERE kind = 0 AND id IN ",
    )
    .set(conversations)
    .end();
}
