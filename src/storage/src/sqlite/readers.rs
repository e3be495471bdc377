//! Who has read a message.

use super::column::undamaged;
use super::pages::{self, Damage, Wanted};
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use crate::overview::Overview;
use logic::contract::timeline::{Found, NoReaders};
use rusqlite::Row;
use wire::timeline::{Reader, ReadersPage};
use wire::{Page, Seq, UserId};

/// The members now who were members at `?2`, without the sender `?3` of that message.
macro_rules! recipients {
    () => {
        "m.conversation_id = ?1 AND m.device = 0 AND m.joined_seq < ?2 AND m.user_id <> ?3"
    };
}

/// The members who could read a message.
struct Counts {
    read: u32,
    all: u32,
}

impl View<'_> {
    /// The members who have read the message of `user` at `seq`, as far as cursors are written. Reads the row of each
    /// member, and the names of a page.
    pub(super) fn readers(
        &mut self,
        user: UserId,
        overview: &Overview,
        seq: Seq,
        page: Page,
    ) -> Result<Found, StoreError> {
        let id = overview.conversation;
        let is_in_view = (overview.first..=overview.last).contains(&seq);
        let found = match is_in_view {
            true => {
                let (conversation, has_changes, reader) = (id, overview.has_changes, Some(user));
                let wanted = Wanted { conversation, has_changes, with_changes: true, reader, upto: None };
                pages::after(self, wanted, seq.prev(), 1, Damage::Ends, |_| false).at("segment", id)?.messages
            }
            false => Vec::new(),
        };
        let entry = found.first().filter(|entry| entry.seq == seq);
        if let Err(why) = NoReaders::check(user, overview.kind, entry.map(|entry| &**entry)) {
            return Ok(Found::NoReaders(why));
        }
        let counts = self.count_readers(user, overview, seq).at("member", id)?;
        let sql = concat!(
            "SELECT u.id, u.name FROM member m CROSS JOIN user u ON u.id = m.user_id WHERE ",
            recipients!(),
            " AND m.read_seq >= ?2 AND m.user_id > ?4 ORDER BY m.user_id LIMIT ?5"
        );
        let limit = page.limit as usize;
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((id.0, seq.0 as i64, user.0, page.after, limit as i64 + 1))?;
        let reader = |row: &Row<'_>| Ok(Reader { id: UserId(row.get(0)?), name: row.get(1)? });
        let (mut readers, rows) = undamaged("user", &mut rows, reader)?;
        readers.truncate(limit);
        let (count, of, more) = (counts.read, counts.all, rows > limit);
        Ok(Found::Readers(Box::new(ReadersPage { readers, count, of, more })))
    }

    fn count_readers(&self, user: UserId, overview: &Overview, seq: Seq) -> rusqlite::Result<Counts> {
        let sql = concat!(
            "SELECT count(*) FILTER (WHERE m.read_seq >= ?2), count(*) FROM member m WHERE ",
            recipients!()
        );
        let mut select = self.conn.prepare_cached(sql)?;
        let values = (overview.conversation.0, seq.0 as i64, user.0);
        select.query_row(values, |row| Ok(Counts { read: row.get(0)?, all: row.get(1)? }))
    }
}
