//! The ends of conversations, advanced by what is appended.

use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use super::totals::Added;
use crate::calendar::{self, Month};
use crate::listing::Listed;
use logic::contract::message::Stored;
use wire::{ConversationId, Seq, UnixMillis};

/// The columns of an [`End`].
pub const END_COLUMNS: &str =
    "last_seq, month, member_version, GREATEST(updated_at, changed_at), slack, listed_until";

/// The end of a conversation, advanced by what is appended.
#[derive(Debug)]
pub struct End {
    pub conversation: ConversationId,
    pub last: Seq,
    pub month: Month,
    /// The member version.
    pub version: i64,
    /// The time of the last entry.
    pub time: UnixMillis,
    /// The first entry of a month, if the conversation enters one.
    pub entered: Option<Seq>,
    pub listed: Listed,
    pub is_changed: bool,
    /// The last entry before those that are appended, and what these add to the totals.
    pub before: Seq,
    pub added: Added,
}

impl End {
    /// Reads [`END_COLUMNS`], which begin at `column`.
    pub fn read(conversation: ConversationId, row: &Record, column: usize) -> Result<End, Failure> {
        Ok(End {
            conversation,
            last: row.seq(column)?,
            month: row.month(column + 1)?,
            version: row.number(column + 2)?,
            time: row.time(column + 3)?,
            entered: None,
            listed: Listed { slack: row.number(column + 4)? as u64, until: row.time(column + 5)? },
            is_changed: false,
            before: row.seq(column)?,
            added: Added::default(),
        })
    }

    /// Assigns the next seq and time, at or after `now`. The clock may go back, but no message is dated before the one before it, and a
    /// conversation never returns to a month that it has left.
    pub fn next(&mut self, now: UnixMillis) -> Stored {
        self.last = self.last.next();
        self.time = self.time.max(now);
        let month = calendar::month_of(self.time);
        match self.month.cmp(&month) {
            std::cmp::Ordering::Less => (self.month, self.entered) = (month, Some(self.last)),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => self.time = calendar::start_of(self.month),
        }
        self.is_changed = true;
        Stored { conversation: self.conversation, seq: self.last, time: self.time }
    }
}

/// Updates the ends of some conversations in one statement.
pub fn update(sql: &mut Sql, ends: &[End]) {
    let case = |sql: &mut Sql, column: &str, value: &dyn Fn(&End) -> u64| {
        sql.push(column).push(" = CASE id");
        for end in ends {
            sql.push(format_args!(" WHEN {} THEN {}", end.conversation, value(end)));
        }
        sql.push(" END");
    };
    sql.push("UPDATE conversation FORCE INDEX (PRIMARY) SET ");
    case(sql, "last_seq", &|end| end.last.0);
    // Columns are set from left to right, each from the values before it.
    sql.push(", message_seq = last_seq");
    // Nearly always equal for all of them.
    if ends.iter().all(|end| (end.month, end.time) == (ends[0].month, ends[0].time)) {
        sql.push(format_args!(", month = {}, updated_at = {}", ends[0].month, ends[0].time));
    } else {
        sql.push(", ");
        case(sql, "month", &|end| end.month.into());
        sql.push(", ");
        case(sql, "updated_at", &|end| end.time.0);
    }
    for column in 0..ends[0].added.columns().len() {
        let added = ends.iter().map(|end| (end.conversation, end.added.columns()[column]));
        let mut added = added.filter(|(_, (_, count))| *count > 0).peekable();
        if let Some((_, (name, _))) = added.peek().copied() {
            sql.push(format_args!(", {name} = {name} + CASE id"));
            for (conversation, (_, count)) in added {
                sql.push(format_args!(" WHEN {conversation} THEN {count}"));
            }
            sql.push(" ELSE 0 END");
        }
    }
    sql.push(" WHERE id IN ").set(ends.iter().map(|end| end.conversation)).end();
}
