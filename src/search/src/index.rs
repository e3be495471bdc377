//! The index: an SQLite file with the words of messages, as far as the follower has read the timelines.
//!
//! It can be made anew at any time. Everything that it answers is compared with the database before a client sees it.

use crate::error::IndexError;
use crate::file::{APPLICATION, connect, delete, lock};
use crate::terms::prefixes;
use runtime::regular_file::{Access, open_regular};
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// Changes with the schema, the terms, and how texts are folded.
const VERSION: i64 = 2;

/// The most messages that one transaction removes from below a seq.
const FORGOTTEN_MAX: i64 = 1_024;

/// The state of the timelines that an index was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub server: Box<str>,
    pub history: Box<str>,
}

/// How far a conversation is indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub seq: Seq,
    /// What the entry at `seq` was, in 64 bits.
    pub mark: i64,
}

/// A message as it is indexed.
#[derive(Clone, Debug)]
pub struct Document {
    pub seq: Seq,
    pub time: UnixMillis,
    pub sender: UserId,
    /// See [`crate::terms::document`].
    pub terms: String,
}

/// What a part of a timeline changes in the index.
#[derive(Clone, Debug)]
pub struct Portion {
    pub conversation: ConversationId,
    pub added: Vec<Document>,
    /// Earlier messages whose texts changed; `None`: nothing of them may be found any more.
    pub changed: Vec<(Seq, Option<Document>)>,
    /// The end of the part.
    pub cursor: Cursor,
}

/// The index as its only writer uses it.
#[derive(Debug)]
pub struct Index {
    conn: Connection,
    path: PathBuf,
    /// Held until the index is dropped.
    lock: File,
    /// Whether the write-ahead log may hold what was removed.
    has_removed: bool,
}

impl Index {
    /// Opens the index in this file, or makes a new one where there is none or it is damaged. Returns also whether it was
    /// made of another history of the same database, so that every cursor must be checked.
    pub fn open(path: &Path, identity: &Identity) -> Result<(Index, bool), IndexError> {
        let lock = lock(path)?;
        match Index::open_existing(path, &lock, identity) {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => Ok((Index::create(path, &lock, identity)?, false)),
            Err(IndexError::Damaged(what)) => {
                log::warn!("{}: the search index is damaged and is made anew: {what}", path.display());
                Ok((Index::create(path, &lock, identity)?, false))
            }
            Err(error) => Err(error),
        }
    }

    /// `None`: there is none, or it is of another database or version.
    fn open_existing(
        path: &Path,
        lock: &File,
        identity: &Identity,
    ) -> Result<Option<(Index, bool)>, IndexError> {
        let file = |source| IndexError::File { path: path.to_owned(), source };
        match open_regular(path, Access::ReadWrite) {
            Ok(opened) if opened.metadata().map_err(file)?.len() == 0 => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file(source)),
        }
        let index = Index {
            conn: connect(path)?,
            path: path.to_owned(),
            lock: lock.try_clone().map_err(file)?,
            has_removed: true,
        };
        let application: i64 = index.conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i64 = index.conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if (application, version) != (APPLICATION, VERSION) {
            log::info!("{}: making the search index anew: it is of another version", path.display());
            return Ok(None);
        }
        let row = |row: &rusqlite::Row<'_>| Ok(Identity { server: row.get(0)?, history: row.get(1)? });
        let made_of = index.conn.query_row("SELECT server, history FROM made_of", [], row)?;
        if made_of.server != identity.server {
            log::info!("{}: making the search index anew: it is of another database", path.display());
            return Ok(None);
        }
        // Damage that would otherwise show at the first query or write that meets it.
        index.conn.query_row("SELECT count(*) FROM (SELECT id FROM entry LIMIT 1)", [], |_| Ok(()))?;
        index.conn.query_row(
            "SELECT count(*) FROM words WHERE words MATCH '\"a\" *' AND rowid < 0",
            [],
            |_| Ok(()),
        )?;
        Ok(Some((index, made_of.history != identity.history)))
    }

    fn create(path: &Path, lock: &File, identity: &Identity) -> Result<Index, IndexError> {
        let file = |source| IndexError::File { path: path.to_owned(), source };
        delete(path).map_err(file)?;
        // Its texts are private; SQLite gives the mode to the files beside it.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
        let conn = connect(path)?;
        let prefixes = prefixes().map(|length| length.to_string()).collect::<Vec<_>>().join(" ");
        conn.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE made_of (server TEXT NOT NULL, history TEXT NOT NULL);
             CREATE TABLE cursor (
                 conversation INTEGER PRIMARY KEY,
                 seq          INTEGER NOT NULL,
                 mark         INTEGER NOT NULL
             );
             CREATE TABLE entry (
                 id     INTEGER PRIMARY KEY,
                 time   INTEGER NOT NULL,
                 sender INTEGER NOT NULL,
                 text   TEXT    NOT NULL
             );
             CREATE VIRTUAL TABLE words USING fts5(
                 text, content = 'entry', content_rowid = 'id', tokenize = 'ascii', prefix = '{prefixes}', columnsize = 0
             );
             INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
             PRAGMA application_id = {APPLICATION};
             PRAGMA user_version = {VERSION};"
        ))?;
        conn.execute("INSERT INTO made_of VALUES (?1, ?2)", [&identity.server, &identity.history])?;
        conn.execute_batch("COMMIT")?;
        Ok(Index { conn, path: path.to_owned(), lock: lock.try_clone().map_err(file)?, has_removed: true })
    }

    /// Makes the index anew.
    pub fn reset(self, identity: &Identity) -> Result<Index, IndexError> {
        let Index { conn, path, lock, .. } = self;
        drop(conn);
        Index::create(&path, &lock, identity)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far a conversation is indexed.
    pub fn cursor(&self, conversation: ConversationId) -> Result<Cursor, IndexError> {
        let sql = "SELECT seq, mark FROM cursor WHERE conversation = ?1";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Cursor { seq: Seq(row.get::<_, i64>(0)? as u64), mark: row.get(1)? })
        };
        let found = self.conn.prepare_cached(sql)?.query_row([conversation.0], row).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Applies portions in one transaction.
    pub fn apply(&mut self, portions: &[Portion]) -> Result<(), IndexError> {
        let transaction = Transaction::begin(&self.conn)?;
        for Portion { conversation, added, changed, cursor } in portions {
            for document in added {
                insert(&self.conn, *conversation, document)?;
            }
            for (seq, document) in changed {
                remove(&self.conn, id_of(*conversation, *seq), id_of(*conversation, *seq))?;
                if let Some(document) = document {
                    insert(&self.conn, *conversation, document)?;
                }
            }
            self.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO cursor (conversation, seq, mark) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![conversation.0, cursor.seq.0 as i64, cursor.mark])?;
        }
        transaction.commit()?;
        self.has_removed |= portions.iter().any(|portion| !portion.changed.is_empty());
        self.tidy()
    }

    /// Whether the index has messages of a conversation below a seq.
    pub fn has_below(&self, conversation: ConversationId, below: Seq) -> Result<bool, IndexError> {
        let sql = "SELECT 1 FROM entry WHERE id >= ?1 AND id < ?2 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.exists([Seq(0), below].map(|seq| id_of(conversation, seq)))?)
    }

    /// Removes what the index has of a conversation below a seq, as much as a transaction should; with [`Seq::MAX`]
    /// everything, so that it is indexed from its beginning.
    pub fn forget(&mut self, conversation: ConversationId, below: Seq) -> Result<(), IndexError> {
        let transaction = Transaction::begin(&self.conn)?;
        let first = id_of(conversation, Seq(0));
        let mut last = id_of(conversation, Seq(below.prev().0.min(u32::MAX.into())));
        if below != Seq::MAX {
            let sql = "SELECT id FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1 OFFSET ?3";
            let mut select = self.conn.prepare_cached(sql)?;
            let bound = select.query_row([first, last, FORGOTTEN_MAX - 1], |row| row.get(0)).optional()?;
            last = bound.unwrap_or(last);
        }
        remove(&self.conn, first, last)?;
        if below == Seq::MAX {
            self.conn.execute("DELETE FROM cursor WHERE conversation = ?1", [conversation.0])?;
        }
        transaction.commit()?;
        self.has_removed = true;
        self.tidy()
    }

    /// Notes that the index is one of this history.
    pub fn adopt(&mut self, identity: &Identity) -> Result<(), IndexError> {
        self.conn.execute("UPDATE made_of SET history = ?1", [&identity.history])?;
        Ok(())
    }

    /// Empties the write-ahead log where it may hold what was removed: a query that ran then may have kept it.
    pub fn tidy(&mut self) -> Result<(), IndexError> {
        if self.has_removed {
            let row = |row: &rusqlite::Row<'_>| row.get(0);
            self.has_removed = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], row)?;
            // The pages in the cache may have it in their free space, which is cleared in the file.
            self.conn.execute_batch("PRAGMA shrink_memory")?;
        }
        Ok(())
    }
}

/// Rolls back unless it is committed.
struct Transaction<'a>(Option<&'a Connection>);

impl<'a> Transaction<'a> {
    fn begin(conn: &'a Connection) -> Result<Transaction<'a>, IndexError> {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Transaction(Some(conn)))
    }

    fn commit(mut self) -> Result<(), IndexError> {
        if let Some(conn) = self.0 {
            conn.execute_batch("COMMIT")?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Where it fails, the next BEGIN does as well, and is answered there.
        if let Some(conn) = self.0 {
            let _ = conn.execute_batch("ROLLBACK");
        }
    }
}

fn insert(conn: &Connection, conversation: ConversationId, document: &Document) -> Result<(), IndexError> {
    let Document { seq, time, sender, terms } = document;
    let id = id_of(conversation, *seq);
    conn.prepare_cached("INSERT INTO entry (id, time, sender, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, time.0 as i64, sender.0, terms])?;
    conn.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?.execute(params![id, terms])?;
    Ok(())
}

fn remove(conn: &Connection, first: i64, last: i64) -> Result<(), IndexError> {
    let sql = "INSERT INTO words (words, rowid, text) SELECT 'delete', id, text FROM entry WHERE id BETWEEN ?1 AND ?2";
    conn.prepare_cached(sql)?.execute([first, last])?;
    conn.prepare_cached("DELETE FROM entry WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
    Ok(())
}

/// The order of ids is that of conversations, then of seqs, which storage keeps below 2^32.
pub(crate) fn id_of(conversation: ConversationId, seq: Seq) -> i64 {
    (u64::from(conversation.0) << 32 | seq.0.min(u32::MAX.into())) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{IndexReader, Range};
    use crate::terms::{Expression, document};
    use std::fs;
    use wire::words::Sought;

    const HERE: ConversationId = ConversationId(7);

    fn portion(added: &[(u64, &str)], changed: &[(u64, Option<&str>)]) -> Portion {
        let document = |seq: u64, text: &str| Document {
            seq: Seq(seq),
            time: UnixMillis(seq),
            sender: UserId(1),
            terms: document(HERE, text).unwrap(),
        };
        Portion {
            conversation: HERE,
            added: added.iter().map(|(seq, text)| document(*seq, text)).collect(),
            changed: changed
                .iter()
                .map(|(seq, text)| (Seq(*seq), text.map(|text| document(*seq, text))))
                .collect(),
            cursor: Cursor { seq: Seq(9), mark: 3 },
        }
    }

    fn found(path: &Path, text: &str) -> Vec<u64> {
        let range = Range { conversation: HERE, first: Seq(1), last: Seq(1_000) };
        let expression = Expression::of(&Sought::parse(text).unwrap());
        let hits = IndexReader::open(path).unwrap().hits(&expression, None, range, 10).unwrap();
        hits.iter().map(|hit| hit.seq.0).collect()
    }

    #[test]
    fn a_text_that_was_edited_or_recalled_is_gone_from_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let identity = Identity { server: "s".into(), history: "h".into() };
        let (mut index, _) = Index::open(&path, &identity).unwrap();
        let texts: Vec<_> = (1..400).map(|seq| (seq, "ordinary words, unforgettablysecret words")).collect();
        index.apply(&[portion(&texts, &[])]).unwrap();
        let others = [(400, "inconspicuously"), (401, "机密文件内容"), (402, "harmless")];
        index.apply(&[portion(&others, &[])]).unwrap();
        assert_eq!((found(&path, "inconspic"), found(&path, "密文件")), (vec![400], vec![401]));
        index.apply(&[portion(&[], &[(400, Some("replacement")), (401, None), (77, None)])]).unwrap();
        assert_eq!((found(&path, "inconspic"), found(&path, "密文件")), (vec![], vec![]));
        assert_eq!((found(&path, "replacement"), found(&path, "harmless")), (vec![400], vec![402]));
        let all: Vec<_> = (1..400).map(|seq| (seq, None)).collect();
        index.apply(&[portion(&[], &all)]).unwrap();
        assert_eq!(index.cursor(HERE).unwrap(), Cursor { seq: Seq(9), mark: 3 });
        for file in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            for gone in ["inconspic", "unforg", "ordinary", "机密", "文件"] {
                assert!(!bytes.windows(gone.len()).any(|window| window == gone.as_bytes()), "{gone}");
            }
        }
        index.conn.execute("INSERT INTO words (words) VALUES ('integrity-check')", []).unwrap();
    }

    #[test]
    fn the_last_entry_at_a_time_is_found_between_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let identity = Identity { server: "s".into(), history: "h".into() };
        let (mut index, _) = Index::open(&path, &identity).unwrap();
        index.apply(&[portion(&[(10, "a"), (20, "b"), (21, "c")], &[])]).unwrap();
        let reader = IndexReader::open(&path).unwrap();
        let range = |first, last| Range { conversation: HERE, first: Seq(first), last: Seq(last) };
        let last_at = |range, time| reader.last_at(range, UnixMillis(time)).unwrap();
        assert_eq!(last_at(range(1, 30), 9), Some(Seq(9)), "what has no words is not there");
        assert_eq!(last_at(range(1, 30), 20), Some(Seq(20)));
        assert_eq!(last_at(range(1, 30), 50), Some(Seq(30)));
        assert_eq!(last_at(range(10, 30), 9), None);
        assert_eq!(last_at(range(1, 0), 9), None);
    }
}
