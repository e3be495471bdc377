//! Whether a message may refer to what it refers to: the entry that it answers, and the members whom it mentions.

use super::append_cache::Head;
use super::codec;
use super::column;
use super::pages;
use super::resident::{Resident, ResidentMessage};
use super::run::{Run, place};
use super::timeline::key_of;
use crate::column::Sort;
use crate::error::StoreError;
use crate::fault::{self, At};
use logic::contract::message::{BadReference, ReferenceContext};
use rusqlite::Connection;
use wire::{ConversationId, References, Seq, UserId};

/// The timelines as the writer sees them, with the batch that is being built.
pub struct Timelines<'a> {
    pub conn: &'a Connection,
    pub resident: &'a Resident,
    pub run: &'a Run,
}

impl Timelines<'_> {
    /// Checks what a message of `sender` refers to. `head` is that of its conversation. Few messages come here.
    #[cold]
    pub fn check(
        &self,
        conversation: ConversationId,
        head: &Head,
        sender: UserId,
        references: &References,
    ) -> Result<Result<(), BadReference>, StoreError> {
        let sql = "SELECT m.role, max(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1) \
                   FROM member m JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.conversation_id = ?1 AND m.user_id = ?2 AND m.device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let found = select
            .query_row((conversation.0, sender.0), |row| Ok((column::role(row, 0)?, column::seq(row, 1)?)));
        let (role, first) = found.at("member", key_of(conversation, sender))?;
        let answers_message = match references.reply_to {
            Some(seq) if (first..=head.last).contains(&seq) => self.is_message(conversation, seq)?,
            _ => None,
        };
        let context = ReferenceContext { members: &head.members, role, answers_message };
        Ok(context.check(references))
    }

    /// Whether an entry is a message; `None`: it is not there, or damaged.
    fn is_message(&self, conversation: ConversationId, seq: Seq) -> Result<Option<bool>, StoreError> {
        // What is filed is evicted from the resident tail, and what is published is there before.
        let resident = self.resident.before(conversation, seq.next(), 1);
        let resident = resident.first().filter(|found| found.seq == seq).map(ResidentMessage::entry);
        if let Some(entry) = resident.or_else(|| self.run.open_entry(place(conversation, seq))) {
            return Ok(Some(codec::is_message(entry)));
        }
        let found = pages::find(self.conn, conversation, seq, |entry| entry.sort == Sort::Message);
        Ok(fault::tolerate(found.at("message", conversation))?.flatten())
    }
}
