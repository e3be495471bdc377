//! Looking up `cid`s that were sent, which makes a repeated SEND harmless for at least a day.
//!
//! `(sender, cid)` is in the current run, in the run that is being filed, or in the table of one of the last two days.
//! A row of these is a *page*: a sorted sequence of one sender's cids, so that consecutive cids share few rows. A
//! filter in memory spares new messages the look-up.
//!
//! ```text
//!   page    version, checksum, then per message: cid length u8, cid, conversation, seq
//! ```

use super::codec::{Damaged, begin_page, end_page, open_page, put_number};
use super::filter::Filter;
use super::run::{Run, SEQ_MAX, Slot, place};
use super::schema::Tables;
use crate::calendar::Day;
use crate::error::StoreError;
use crate::fault::{self, At};
use foldhash::fast::FixedState;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use wire::{ConversationId, Seq, UserId};

/// The size at which a page is split, bytes. With its key it must stay below what SQLite stores of a row of a WITHOUT
/// ROWID table within a B-tree page (2,030 bytes of 8,192, see "Payload" in its file format); otherwise each takes an
/// overflow page.
const PAGE_BYTES: usize = 1800;

/// Days for which a `cid` is remembered, today included.
const DAYS: usize = 2;

/// The filters of the last days.
#[derive(Debug)]
pub struct Sent {
    hasher: FixedState,
    /// The newest last.
    filters: Vec<(Day, Filter)>,
    /// Senders with a damaged page, which the filters lack: their cids are always looked up on the disk.
    damaged: BTreeSet<UserId>,
}

/// The result of looking up a cid in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct CidHint {
    /// The key of `(sender, cid)` in a [`Run`].
    pub hash: u64,
    /// False: it was certainly not sent before.
    pub may_be_sent: bool,
}

impl Sent {
    /// Empty filters. The secret seed prevents clients from choosing colliding cids.
    pub fn new(seed: u64, today: Day) -> Sent {
        Sent {
            hasher: FixedState::with_seed(seed),
            filters: vec![(today, Filter::new())],
            damaged: BTreeSet::new(),
        }
    }

    fn hash(&self, sender: UserId, cid: &[u8]) -> u64 {
        self.hasher.hash_one((sender.0, cid))
    }

    /// Looks up a cid and remembers it. Filters follow the day and never go back.
    pub fn look_up(&mut self, today: Day, sender: UserId, cid: &[u8]) -> CidHint {
        if self.filters.last().is_none_or(|(newest, _)| *newest < today) {
            self.filters.push((today, Filter::new()));
            if self.filters.len() > DAYS {
                self.filters.remove(0);
            }
        }
        let hash = self.hash(sender, cid);
        let (newest, older) = self.filters.split_last_mut().expect("there is a filter for this day");
        let is_older = older.iter().fold(false, |may, (_, filter)| may | filter.may_contain(hash));
        let is_damaged = !self.damaged.is_empty() && self.damaged.contains(&sender);
        CidHint { hash, may_be_sent: newest.1.insert(hash) | is_older | is_damaged }
    }

    /// Loads everything that the tables hold.
    pub fn load(&mut self, conn: &Connection, tables: &Tables) -> Result<(), StoreError> {
        let newest = self.filters.last().expect("there is a filter for the first day").0;
        self.filters.clear();
        for day in tables.days().filter(|day| *day < newest) {
            self.load_day(conn, day, day)?;
        }
        self.filters.push((newest, Filter::new()));
        for day in tables.days().filter(|day| *day >= newest) {
            self.load_day(conn, day, newest)?;
        }
        let outlived = self.filters.len().saturating_sub(DAYS);
        self.filters.drain(..outlived);
        Ok(())
    }

    fn load_day(&mut self, conn: &Connection, day: Day, into: Day) -> Result<(), StoreError> {
        let mut pages = conn.prepare(&format!("SELECT sender_id, page FROM sent_{day:08}"))?;
        let mut rows = pages.query([])?;
        if self.filters.last().is_none_or(|(day, _)| *day != into) {
            self.filters.push((into, Filter::new()));
        }
        let filter = &mut self.filters.last_mut().expect("it was just opened").1;
        while let Some(row) = rows.next()? {
            let Ok(sender) = row.get(0).map(UserId) else {
                fault::report(&format!("table `sent_{day:08}`: a sender is no id"));
                continue;
            };
            let page = row.get_ref(1)?.as_blob().map_err(StoreError::from);
            match page.and_then(|page| Ok(items(sender, page)?)) {
                Ok(items) => items.iter().for_each(|item| {
                    filter.insert(self.hasher.hash_one((sender.0, item.cid)));
                }),
                Err(error) => {
                    fault::report(&format!("table `sent_{day:08}`, key {sender}: {error}"));
                    self.damaged.insert(sender);
                }
            }
        }
        Ok(())
    }
}

/// Looks a `cid` up on the disk.
pub fn find(
    conn: &Connection,
    tables: &Tables,
    sender: UserId,
    cid: &str,
) -> Result<Option<(ConversationId, Seq)>, StoreError> {
    for day in tables.days().rev() {
        let mut select = conn.prepare_cached(&select_sql(day))?;
        let page: Option<Vec<u8>> =
            select.query_row((sender.0, cid.as_bytes()), |row| row.get(1)).optional()?;
        if let Some(page) = page {
            let table = format!("sent_{day:08}");
            let items = items(sender, &page).at(&table, sender)?;
            if let Some(item) = items.into_iter().find(|item| item.cid == cid.as_bytes()) {
                return Ok(Some(super::run::parts(item.place)));
            }
        }
    }
    Ok(None)
}

fn select_sql(day: Day) -> String {
    format!(
        "SELECT first_cid, page FROM sent_{day:08} WHERE sender_id = ?1 AND first_cid <= ?2 \
         ORDER BY first_cid DESC LIMIT 1"
    )
}

/// A `cid` and the place of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item<'a> {
    cid: &'a [u8],
    place: u64,
}

fn items(sender: UserId, page: &[u8]) -> Result<Vec<Item<'_>>, Damaged> {
    let mut read = open_page(page, &[&sender.0.to_le_bytes()])?;
    let mut items = Vec::with_capacity(page.len() / 16);
    while !read.is_empty() {
        let cid = read.short_bytes()?;
        let conversation = u32::try_from(read.number()?).map_err(|_| Damaged("conversation out of range"))?;
        let seq = read.number()?;
        if seq > SEQ_MAX {
            return Err(Damaged("seq out of range"));
        }
        items.push(Item { cid, place: place(ConversationId(conversation), Seq(seq)) });
    }
    Ok(items)
}

fn put(page: &mut Vec<u8>, item: Item<'_>) {
    let (conversation, seq) = super::run::parts(item.place);
    page.push(item.cid.len() as u8);
    page.extend_from_slice(item.cid);
    put_number(page, u64::from(conversation.0));
    put_number(page, seq.0);
}

/// The most bytes that an item takes in a page.
fn size(item: Item<'_>) -> usize {
    1 + item.cid.len() + 5 + 5
}

/// Sorts the slots of one sender in the order in which they are filed.
pub fn sort(run: &Run, share: &mut [u32]) {
    let cid = |at: u32| run.cid(&run.slots()[at as usize]);
    // Clients count upwards, so this is mostly sorted already.
    share.sort_by(|a, b| cid(*a).cmp(cid(*b)));
}

/// Files the sorted cids of one sender into a day's table. Returns how many rows were written. Existing cids are kept.
pub fn file(conn: &Connection, day: Day, run: &Run, share: &[u32]) -> Result<usize, StoreError> {
    let slots = run.slots();
    let Some(first) = share.first() else { return Ok(0) };
    let sender = slots[*first as usize].sender;
    let item = |at: &u32| -> Item<'_> {
        let slot: &Slot = &slots[*at as usize];
        Item { cid: run.cid(slot), place: slot.place }
    };
    let new: Vec<Item<'_>> = share.iter().map(item).collect();
    let mut select = conn.prepare_cached(&select_sql(day))?;
    let mut pages = Pages { conn, day, sender, written: 0 };
    // From the last to the first: the page found for the last cid takes all that are not below the page's first.
    let mut rest = new.as_slice();
    while let Some(last) = rest.last() {
        let mut rows = select.query((sender.0, last.cid))?;
        let Some(row) = rows.next()? else {
            pages.put_full(rest)?;
            break;
        };
        let first = row.get_ref(0)?.as_blob()?;
        let page = row.get_ref(1)?.as_blob()?;
        let (below, mine) = rest.split_at(rest.partition_point(|item| item.cid < first));
        let Ok(old) = items(sender, page) else {
            // It is left as it is, and the new cids go to pages of their own.
            fault::report(&format!("table `sent_{day:08}`, key {sender}: a page is damaged"));
            pages.put_full(mine)?;
            rest = below;
            continue;
        };
        if old.last().is_some_and(|last| last.cid < mine[0].cid) {
            if page.len() + size(mine[0]) > PAGE_BYTES {
                pages.put_full(mine)?;
            } else {
                pages.put_full(&[&old, mine].concat())?;
            }
        } else {
            pages.put_even(&union(&old, mine))?;
        }
        rest = below;
    }
    Ok(pages.written)
}

/// The sorted union; of two items with the same `cid` the old one.
fn union<'a>(old: &[Item<'a>], new: &[Item<'a>]) -> Vec<Item<'a>> {
    let mut both = [old, new].concat();
    both.sort_by(|a, b| a.cid.cmp(b.cid));
    both.dedup_by(|later, earlier| later.cid == earlier.cid);
    both
}

/// Writes pages of one sender.
struct Pages<'a> {
    conn: &'a Connection,
    day: Day,
    sender: UserId,
    written: usize,
}

impl Pages<'_> {
    /// Fills each page before it begins the next: for cids in ascending order.
    fn put_full(&mut self, items: &[Item<'_>]) -> Result<(), StoreError> {
        self.put(items, PAGE_BYTES)
    }

    /// Writes pages of equal size with room for later cids in between: for cids in no order.
    fn put_even(&mut self, items: &[Item<'_>]) -> Result<(), StoreError> {
        let bytes: usize = items.iter().copied().map(size).sum();
        let pages = bytes.div_ceil(PAGE_BYTES);
        self.put(items, (bytes / pages.max(1) + 96).min(PAGE_BYTES))
    }

    fn put(&mut self, items: &[Item<'_>], limit: usize) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO sent_{:08} VALUES (?1, ?2, ?3)", self.day);
        let mut insert = self.conn.prepare_cached(&sql)?;
        let mut page = Vec::with_capacity(PAGE_BYTES + 96);
        let mut rest = items;
        while let Some(first) = rest.first() {
            begin_page(&mut page);
            let mut count = 0;
            while count < rest.len() && (count == 0 || page.len() + size(rest[count]) <= limit) {
                put(&mut page, rest[count]);
                count += 1;
            }
            end_page(&mut page, &[&self.sender.0.to_le_bytes()]);
            insert.execute((self.sender.0, first.cid, page.as_slice()))?;
            self.written += 1;
            rest = &rest[count..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::Entry;
    use super::*;
    use crate::column::Sort;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use wire::{ConversationKind, UnixMillis};

    const DAY: Day = 20_260_101;

    fn run_of(cids: &[String]) -> Run {
        let mut run = Run::default();
        run.begin();
        for (seq, cid) in (1..).zip(cids) {
            let entry = Entry {
                cid,
                sender: UserId(3),
                time: UnixMillis(1),
                kind: ConversationKind::Direct,
                sort: Sort::Message,
                content_type: "text",
                content: "x",
                references: None,
            };
            run.push(place(ConversationId(1), Seq(seq)), seq, 202_601, &entry);
        }
        run.committed(1);
        run
    }

    fn sorted(run: &Run) -> Vec<u32> {
        let mut share: Vec<u32> = run.senders().of(3).collect();
        sort(run, &mut share);
        share
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_cid_is_found_where_it_was_first_filed(
            rounds in prop::collection::vec(prop::collection::hash_set("[a-d]{1,6}", 1..150), 1..6),
        ) {
            let conn = Connection::open_in_memory().unwrap();
            let mut tables = Tables::load(&conn).unwrap();
            tables.need_day(&conn, DAY).unwrap();
            let mut expected = BTreeMap::new();
            for cids in rounds {
                let cids: Vec<String> = cids.into_iter().collect();
                let run = run_of(&cids);
                for (seq, cid) in (1..).zip(&cids) {
                    expected.entry(cid.clone()).or_insert(Seq(seq));
                }
                file(&conn, DAY, &run, &sorted(&run)).unwrap();
            }
            for (cid, seq) in &expected {
                let found = find(&conn, &tables, UserId(3), cid).unwrap();
                prop_assert_eq!(found, Some((ConversationId(1), *seq)));
            }
            prop_assert_eq!(find(&conn, &tables, UserId(4), "a").unwrap(), None);
            prop_assert_eq!(find(&conn, &tables, UserId(3), "e").unwrap(), None);
            let mut sent = Sent::new(1, DAY);
            sent.load(&conn, &tables).unwrap();
            prop_assert!(expected.keys().all(|cid| sent.look_up(DAY, UserId(3), cid.as_bytes()).may_be_sent));
        }
    }

    #[test]
    fn ascending_cids_fill_their_pages() {
        let conn = Connection::open_in_memory().unwrap();
        let mut tables = Tables::load(&conn).unwrap();
        tables.need_day(&conn, DAY).unwrap();
        for round in 0..50 {
            let cids: Vec<String> = (0..20).map(|n| format!("c3f0a1b2-{:06}", round * 20 + n)).collect();
            let run = run_of(&cids);
            file(&conn, DAY, &run, &sorted(&run)).unwrap();
        }
        let sql = "SELECT count(*) FROM sent_20260101";
        let rows: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(rows <= 1000 / 60, "{rows} pages for 1,000 cids");
    }
}
