//! SEARCH in what is stored here, by the rules of the server.

use crate::database::{Store, StoreError};
use crate::message::message;
use rusqlite::params;
use wire::UnixMillis;
use wire::search::{Place, Search, SearchPage};
use wire::words::Sought;

impl Store {
    /// The messages that the server would find, as far as they are stored here.
    pub fn search(&self, search: &Search) -> Result<SearchPage, StoreError> {
        let mut page = SearchPage { messages: Vec::new(), cursor: None, indexed_to: UnixMillis(0) };
        // Without words nothing is found.
        if let Ok(sought) = Sought::parse(&search.text) {
            self.find(search, &sought, &mut page).map_err(|error| self.failure(&error))?;
        }
        Ok(page)
    }

    fn find(&self, search: &Search, sought: &Sought, page: &mut SearchPage) -> rusqlite::Result<()> {
        let sql = "SELECT conversation, seq, kind, sender, name, type, content, time, entry, refs, changes FROM message
             WHERE entry IS NULL AND (?1 IS NULL OR conversation = ?1) AND (?2 IS NULL OR sender = ?2)
             AND time >= ?3 AND time <= ?4 AND (time, conversation, seq) < (?5, ?6, ?7)
             ORDER BY time DESC, conversation DESC, seq DESC";
        let end = i64::MAX as u64;
        let since = search.since.map_or(0, |since| since.0);
        let until = search.until.map_or(end, |until| until.0);
        let before = search
            .cursor
            .map_or([end; 3], |Place { time, conversation, seq }| [time.0, conversation.0.into(), seq.0]);
        let [time, conversation, seq] = before.map(|part| part as i64);
        let (of, from) = (search.conversation.map(|of| of.0), search.from.map(|from| from.0));
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows =
            select.query(params![of, from, since as i64, until as i64, time, conversation, seq])?;
        while let Some(row) = rows.next()? {
            let found = message(row)?;
            if !sought.is_in(&found.content) {
                continue;
            }
            if let Some(last) = page.messages.last().filter(|_| page.messages.len() >= search.limit as usize)
            {
                page.cursor = Some(Place::of(last).to_string().into());
                break;
            }
            page.messages.push(found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{at, changes, folder, message};
    use wire::{ConversationId, UserId};

    #[test]
    fn what_is_stored_can_be_searched() {
        let (_home, folder) = folder();
        let mut store = folder.open(UserId(1), None).unwrap();
        let texts = ["the summit", "nothing", "SUMMIT again", "去北京大学", "summits of the café"];
        let events: Vec<_> =
            (1..).zip(texts).map(|(seq, text)| message(seq, 2 + (seq % 2) as u32, text)).collect();
        store.save(Some(&changes(vec![at(5)], vec![])), &events).unwrap();
        let seqs = |search: &Search| {
            store.search(search).unwrap().messages.iter().map(|message| message.seq.0).collect::<Vec<_>>()
        };
        assert_eq!(seqs(&Search::new("summit", 50)), [5, 3, 1]);
        assert_eq!(seqs(&Search::new("cafe", 50)), [5]);
        assert_eq!(seqs(&Search::new("京大", 50)), [4]);
        assert_eq!(seqs(&Search { from: Some(UserId(2)), ..Search::new("n", 50) }), [2]);
        let times =
            Search { since: Some(UnixMillis(3)), until: Some(UnixMillis(4)), ..Search::new("summit", 50) };
        assert_eq!(seqs(&times), [3]);
        let elsewhere = Search { conversation: Some(ConversationId(99)), ..Search::new("summit", 50) };
        assert_eq!(seqs(&elsewhere), Vec::<u64>::new());
        let first = store.search(&Search::new("summit", 2)).unwrap();
        assert_eq!(first.messages.len(), 2);
        let cursor = first.cursor.map(|cursor| cursor.parse().unwrap());
        assert!(cursor.is_some());
        let rest = Search { cursor, ..Search::new("summit", 2) };
        assert_eq!((seqs(&rest), store.search(&rest).unwrap().cursor), (vec![1], None));
    }
}
