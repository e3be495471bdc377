//! Drops the months that are not kept any more (see [`crate::retention`]).
//!
//! One node does it at a time, under a lock of the database server. What is left to do follows from the tables, so the
//! next round, of whichever node, finishes what a crash interrupted: a conversation that has not been raised has a
//! segment of a dropped month, and a month that is not gone has a table. `first_seq` is raised while its conversation is
//! locked, so that whoever holds that lock finds every entry at or above it.

use super::connection::Connection;
use super::failure::{Cause, Failure};
use super::record::{Record, first};
use super::schema;
use super::sql::Sql;
use crate::calendar::{self, Month};
use crate::fault;
use crate::retention::{self, Retention};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::{ConversationId, Seq, UserId};

/// Rows of `segment` that are read at once.
const SEGMENTS: usize = 256;
/// Conversations that are raised in one transaction.
const CONVERSATIONS: usize = 8;
/// Rows of one table that a transaction changes of one conversation.
const ROWS: u64 = 100;
/// A transaction that has changed so many rows goes on with no other conversation.
const ROWS_MAX: u64 = 500;

/// Decides what to drop, and drops it while `goes_on` returns true: it is asked between two transactions.
pub fn keep(conn: &mut Connection, months: u32, mut goes_on: impl FnMut() -> bool) -> Result<(), Failure> {
    let lock = "CONCAT('chatserver retention ', DATABASE())";
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT GET_LOCK({lock}, 0)"));
    if first(&conn.rows(&sql)?)?.maybe_number(0)? != Some(1) {
        // Another node is at it.
        return Ok(());
    }
    let done = keep_alone(conn, months, &mut goes_on);
    let mut sql = Sql::new();
    sql.statement(format_args!("DO RELEASE_LOCK({lock})"));
    match done {
        // The server releases it with the connection.
        Err(failure) if failure.cause == Cause::Lost => Err(failure),
        Err(failure) => {
            conn.roll_back()?;
            conn.ask(&sql)?;
            Err(failure)
        }
        Ok(()) => conn.ask(&sql).map(drop),
    }
}

fn keep_alone(conn: &mut Connection, months: u32, goes_on: &mut impl FnMut() -> bool) -> Result<(), Failure> {
    let now = conn.now()?;
    let row = load(conn)?;
    let (next, hold) = row.look(now, months);
    if next != row {
        save(conn, &next)?;
    }
    if let Some(hold) = hold {
        log::warn!("{}", hold.sentence(now, months));
    }
    if calendar::month_of(now) < next.kept_from {
        // The tables that are made ahead are of dropped months.
        return Ok(());
    }
    let dropped = schema::months_before(conn, next.kept_from)?;
    // Also without a table: somebody may have dropped it by hand.
    let is_raised = next.rounds.is_multiple_of(2) && !has_before(conn, next.kept_from)?;
    if dropped.is_empty() && is_raised || !goes_on() {
        return Ok(());
    }
    let begun = Instant::now();
    let until = retention::text(next.kept_from);
    log::info!("dropping the messages of months before {until}");
    let mut entries = 0;
    if !is_raised {
        let raising = Retention { rounds: next.rounds | 1, ..next };
        save(conn, &raising)?;
        let Some(raised) = raise_all(conn, next.kept_from, goes_on)? else { return Ok(()) };
        entries = raised;
        // Nothing is dropped of which a conversation may still show something.
        if has_before(conn, next.kept_from)? {
            fault::report(&format!(
                "months before {until}: they are not dropped, as a conversation is damaged that has messages of them"
            ));
            return Ok(());
        }
        save(conn, &Retention { rounds: raising.rounds + 1, ..next })?;
    }
    let mut is_done = true;
    for month in dropped {
        if !goes_on() {
            return Ok(());
        }
        is_done &= drop_month(conn, month)?;
    }
    if is_done {
        let seconds = begun.elapsed().as_secs_f64();
        log::info!(
            "dropped the messages of months before {until}: {entries} entries of timelines, in {seconds:.1} s"
        );
    }
    Ok(())
}

/// Whether a conversation has a segment of a month before `kept_from`.
fn has_before(conn: &mut Connection, kept_from: Month) -> Result<bool, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT 1 FROM segment WHERE month < {kept_from} LIMIT 1"));
    Ok(!conn.rows(&sql)?.is_empty())
}

/// Drops the table of a month, which nobody reads any more. Returns whether it is gone.
fn drop_month(conn: &mut Connection, month: Month) -> Result<bool, Failure> {
    let mut sql = Sql::new();
    // Whoever opens the table queues behind this, but nobody does who has not begun before `first_seq` was raised.
    sql.statement(format_args!("DROP TABLE IF EXISTS message_{month:06}"));
    match conn.ask(&sql) {
        Err(failure) if failure.cause == Cause::Conflict => {
            log::warn!(
                "the table `message_{month:06}` is in use and is dropped in a minute: SHOW PROCESSLIST names the \
                 transaction that uses it"
            );
            Ok(false)
        }
        done => done.map(|_| true),
    }
}

/// Raises `first_seq` of all conversations above the dropped months. Returns how many entries are not shown any more;
/// `None`: it was interrupted.
fn raise_all(
    conn: &mut Connection,
    kept_from: Month,
    goes_on: &mut impl FnMut() -> bool,
) -> Result<Option<u64>, Failure> {
    let (mut after, mut entries) = ((ConversationId(0), 0), 0);
    loop {
        let (conversation, month) = after;
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT conversation_id, month FROM segment WHERE conversation_id > {conversation} \
             OR conversation_id = {conversation} AND month > {month} ORDER BY conversation_id, month LIMIT {SEGMENTS}"
        ));
        let rows = conn.rows(&sql)?;
        let segments = rows.iter().map(|row| Ok((row.conversation(0)?, row.month(1)?)));
        let segments = segments.collect::<Result<Vec<_>, Failure>>()?;
        let mut old: Vec<ConversationId> = segments
            .iter()
            .filter(|(_, month)| *month < kept_from)
            .map(|(conversation, _)| *conversation)
            .collect();
        old.dedup();
        let mut left = &old[..];
        while !left.is_empty() {
            if !goes_on() {
                return Ok(None);
            }
            let (raised, done) = raise_some(conn, &left[..left.len().min(CONVERSATIONS)], kept_from)?;
            entries += raised;
            left = &left[done..];
        }
        match segments.last() {
            Some(last) if segments.len() == SEGMENTS => after = *last,
            _ => return Ok(Some(entries)),
        }
    }
}

/// As [`raise`], and passes over a conversation whose row is damaged: it keeps its segments, until it is repaired.
fn raise_some(
    conn: &mut Connection,
    conversations: &[ConversationId],
    kept_from: Month,
) -> Result<(u64, usize), Failure> {
    match raise(conn, conversations, kept_from) {
        Err(failure) if failure.cause == Cause::Damaged => {
            conn.roll_back()?;
            let alone = &conversations[..1];
            match raise(conn, alone, kept_from) {
                Err(failure) if failure.cause == Cause::Damaged => {
                    conn.roll_back()?;
                    fault::report(&format!("table `conversation`, key {}: {failure}", alone[0]));
                    Ok((0, 1))
                }
                raised => raised,
            }
        }
        raised => raised,
    }
}

/// Raises `first_seq` of some conversations in one transaction, and deletes some of what belongs to entries below it.
/// Returns how many entries are not shown any more, and of how many conversations, the first ones, nothing is left to
/// do: the segments of the dropped months go last.
fn raise(
    conn: &mut Connection,
    conversations: &[ConversationId],
    kept_from: Month,
) -> Result<(u64, usize), Failure> {
    let mut sql = conn.begin();
    let skipped = sql.statements();
    sql.push("SELECT id, first_seq, last_seq, month FROM conversation WHERE id IN ")
        .set(conversations)
        .push(" ORDER BY id FOR UPDATE")
        .end();
    // While their conversations are locked, no segment is added.
    sql.push(format_args!(
        "SELECT conversation_id, MIN(first_seq) FROM segment WHERE month >= {kept_from} AND conversation_id IN "
    ))
    .set(conversations)
    .push(" GROUP BY conversation_id")
    .end();
    let answers = conn.ask(&sql)?;
    let [rows, kept] = &answers[skipped..] else { unreachable!("one answer for each statement") };
    let bounds_of = |row: &Record| Ok((row.conversation(0)?, (row.seq(1)?, row.seq(2)?, row.month(3)?)));
    let bounds: BTreeMap<ConversationId, (Seq, Seq, Month)> =
        rows.rows.iter().map(bounds_of).collect::<Result<_, Failure>>()?;
    let seq_of = |row: &Record| Ok((row.conversation(0)?, row.seq(1)?));
    let kept: BTreeMap<ConversationId, Seq> = kept.rows.iter().map(seq_of).collect::<Result<_, Failure>>()?;
    let (mut entries, mut rows, mut done) = (0, 0, 0);
    for conversation in conversations {
        if let Some((before, last, month)) = bounds.get(conversation) {
            if *month >= kept_from && !kept.contains_key(conversation) {
                let what =
                    format!("conversation {conversation}: its last month is {month}, but has no segment");
                return Err(Failure::damaged(what));
            }
            let first = kept.get(conversation).copied().unwrap_or(last.next()).max(*before);
            entries += first.0 - before.0;
            let changed = forget_below(conn, *conversation, first, kept_from)?;
            rows += changed.iter().sum::<u64>();
            if changed.contains(&ROWS) {
                break;
            }
        }
        done += 1;
        if rows >= ROWS_MAX {
            break;
        }
    }
    let mut sql = Sql::new();
    if done > 0 {
        sql.push(format_args!("DELETE FROM segment WHERE month < {kept_from} AND conversation_id IN "))
            .set(&conversations[..done])
            .end();
    }
    sql.statement("COMMIT");
    conn.ask(&sql)?;
    Ok((entries, done))
}

/// Raises `first_seq` of a conversation to `first` and deletes some of what belongs to entries below it. Returns how many
/// rows of each table were changed; with [`ROWS`], more may be left.
fn forget_below(
    conn: &mut Connection,
    conversation: ConversationId,
    first: Seq,
    kept_from: Month,
) -> Result<Vec<u64>, Failure> {
    let members = pass_over(conn, conversation, first.prev())?;
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "UPDATE conversation SET first_seq = {first}, month = IF(month < {kept_from}, 0, month) \
         WHERE id = {conversation}"
    ));
    // Who left before the first entry has nothing to receive any more.
    sql.statement(format_args!(
        "UPDATE former_member SET delivered_seq = left_seq WHERE conversation_id = {conversation} \
         AND left_seq < {first} AND delivered_seq < left_seq LIMIT {ROWS}"
    ));
    // Totals are differences, of which the row directly below the first entry may be one side.
    let below =
        [("changed", first), ("reaction", first), ("recalled", first), ("direct_total", first.prev())];
    for (table, below) in below {
        sql.statement(format_args!(
            "DELETE FROM {table} WHERE conversation_id = {conversation} AND seq < {below} LIMIT {ROWS}"
        ));
    }
    let mut changed = vec![members];
    changed.extend(conn.ask(&sql)?.iter().skip(1).map(|answer| answer.changed));
    Ok(changed)
}

/// Raises the cursors of some members to `upto`, so that nobody waits for entries that are gone. Returns how many; with
/// [`ROWS`], more may be left. Locks rows by key only.
fn pass_over(conn: &mut Connection, conversation: ConversationId, upto: Seq) -> Result<u64, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT user_id FROM member FORCE INDEX (PRIMARY) WHERE conversation_id = {conversation} AND device = 0 \
         AND (delivered_seq < {upto} OR read_seq < {upto}) ORDER BY user_id LIMIT {ROWS}"
    ));
    let rows = conn.rows(&sql)?;
    let users = rows.iter().map(|row| row.user(0)).collect::<Result<Vec<UserId>, Failure>>()?;
    if users.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new();
    sql.push(format_args!(
        "UPDATE member FORCE INDEX (PRIMARY) SET delivered_seq = GREATEST(delivered_seq, {upto}), \
         read_seq = GREATEST(read_seq, {upto}) WHERE conversation_id = {conversation} AND device = 0 AND user_id IN "
    ))
    .set(&users)
    .end();
    conn.ask(&sql)?;
    Ok(users.len() as u64)
}

/// How often `first_seq` has been raised.
pub fn rounds(conn: &mut Connection) -> Result<u64, Failure> {
    Ok(load(conn)?.rounds)
}

fn load(conn: &mut Connection) -> Result<Retention, Failure> {
    let mut sql = Sql::new();
    sql.statement("SELECT months, seen_at, held_until, kept_from, rounds FROM retention WHERE one = 1");
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Retention::default()) };
    Ok(Retention {
        months: row.unsigned(0)?,
        seen_at: row.time(1)?,
        held_until: row.time(2)?,
        kept_from: row.unsigned(3)?,
        rounds: row.unsigned(4)?,
    })
}

fn save(conn: &mut Connection, row: &Retention) -> Result<(), Failure> {
    let Retention { months, seen_at, held_until, kept_from, rounds } = *row;
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "REPLACE INTO retention (one, months, seen_at, held_until, kept_from, rounds) \
         VALUES (1,{months},{seen_at},{held_until},{kept_from},{rounds})"
    ));
    conn.ask(&sql).map(drop)
}
