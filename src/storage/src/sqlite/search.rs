//! What the index of SEARCH reads.

use super::column::{seq, undamaged};
use super::dropper::rounds;
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::Found;
use logic::contract::search::{self, Appended, End, Extent, Mark};
use rusqlite::{OptionalExtension, Row};
use wire::ConversationId;

impl View<'_> {
    pub(super) fn read_search(&mut self, read: &search::Read) -> Result<Found, StoreError> {
        let found = match *read {
            search::Read::Ends { after, limit } => search::Found::Ends(self.ends(after, limit)?),
            search::Read::Appended { since } => search::Found::Appended(Box::new(self.appended(since)?)),
        };
        Ok(Found::Search(found))
    }

    fn ends(&self, after: ConversationId, limit: u32) -> Result<Vec<End>, StoreError> {
        let sql = "SELECT id FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((after.0, limit))?;
        let (ids, _) = undamaged("conversation", &mut rows, |row| row.get(0).map(ConversationId))?;
        self.ends_of(&ids)
    }

    fn appended(&self, since: Mark) -> Result<Appended, StoreError> {
        // First: what is committed from here on is not earlier.
        let settled = self.resident.settled(self.now);
        let (conversations, mark) = self.resident.appended(since);
        let extent = if conversations.is_some() { Extent::All } else { Extent::Unknown };
        let ends = self.ends_of(&conversations.unwrap_or_default())?;
        let dropped = rounds(self.conn).at("retention", "one")?;
        Ok(Appended { ends, extent, mark, dropped, settled })
    }

    fn ends_of(&self, conversations: &[ConversationId]) -> Result<Vec<End>, StoreError> {
        // Before the disk: an entry that is filed in between is then seen in one of the two.
        let resident = self.resident.ends(conversations.iter().copied());
        let sql = "SELECT first_seq, last_seq FROM conversation WHERE id = ?1";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut ends = Vec::with_capacity(conversations.len());
        for (conversation, resident) in conversations.iter().copied().zip(resident) {
            let row = |row: &Row<'_>| Ok((seq(row, 0)?, seq(row, 1)?));
            let stored =
                select.query_row([conversation.0], row).optional().at("conversation", conversation)?;
            if let Some((first, last)) = stored {
                let last = resident.map_or(last, |end| end.last.max(last));
                ends.push(End { conversation, first, last });
            }
        }
        Ok(ends)
    }
}
