//! Changes of entries: each is one transaction of the tables `changed` and `reaction` and the entry that tells of it.

use super::changed::{self, Key};
use super::end::{END_COLUMNS, End};
use super::failure::{Failure, Undone};
use super::member_cache::Members;
use super::message::members_at;
use super::pages::{self, Wanted};
use super::sql::Sql;
use super::totals;
use super::transaction::Transaction;
use crate::calendar;
use crate::changed::Changed;
use crate::column::{Sort, change_content};
use logic::contract::change::{Place, Refused, What, Write, Written as Outcome};
use logic::contract::entry::{Actor, Entry};
use logic::contract::{Denial, Fence, Written};
use logic::rights::{self, Asked, Step};
use std::sync::Arc;
use wire::group::Role;
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

/// Makes a change and commits it; `None`: the conversation is locked by another transaction. `is_in_doubt`: it may have
/// been made before.
pub fn make(
    transaction: &mut Transaction<'_>,
    fence: Option<Fence>,
    is_in_doubt: bool,
    write: &Write,
) -> Result<Option<Written>, Undone> {
    let outcome = match Locked::lock(transaction, write.by.user, write.conversation)? {
        Lock::Elsewhere => None,
        Lock::Absent => Some(Err(Written::Denied(Denial::Forbidden))),
        Lock::Taken(locked) => Some(prepare(transaction, fence, is_in_doubt, locked, write)?),
    };
    match outcome {
        Some(Ok(prepared)) => prepared.commit(transaction).map(Some),
        Some(Err(written)) => transaction.undo(Some(written)),
        None => transaction.undo(None),
    }
}

enum Lock {
    Taken(Locked),
    /// Another transaction holds it.
    Elsewhere,
    /// There is no such conversation.
    Absent,
}

/// A locked conversation.
struct Locked {
    kind: ConversationKind,
    /// The members of a direct conversation.
    pair: Option<[UserId; 2]>,
    end: End,
    /// The user's role, and the first entry that it sees; `None`: it is no member.
    member: Option<(Role, Seq)>,
}

impl Locked {
    fn lock(
        transaction: &mut Transaction<'_>,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Lock, Failure> {
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT kind, low_id, high_id, first_seq, {END_COLUMNS} FROM conversation WHERE id = {conversation} \
             FOR UPDATE SKIP LOCKED"
        ))
        .statement(format_args!("SELECT 1 FROM conversation WHERE id = {conversation}"))
        .statement(format_args!(
            "SELECT role, GREATEST(joined_seq, cleared_seq) + 1 FROM member \
             WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
        ));
        let answers = transaction.conn.ask(&sql)?;
        let [locked, there, member] = &answers[..] else { unreachable!("one answer for each statement") };
        let Some(row) = locked.rows.first() else {
            return Ok(if there.rows.is_empty() { Lock::Absent } else { Lock::Elsewhere });
        };
        let member = member.rows.first();
        let member =
            member.map(|member| Ok::<_, Failure>((member.role(0)?, member.seq(1)?.max(row.seq(3)?))));
        let pair = match (row.maybe_user(1)?, row.maybe_user(2)?) {
            (Some(low), Some(high)) => Some([low, high]),
            _ => None,
        };
        let (kind, end) = (row.kind(0)?, End::read(conversation, row, 4)?);
        Ok(Lock::Taken(Locked { kind, pair, end, member: member.transpose()? }))
    }

    /// All members, by id.
    fn members(&self, transaction: &mut Transaction<'_>) -> Result<Arc<[UserId]>, Failure> {
        match self.pair {
            Some([low, high]) if low == high => Ok([low].into()),
            Some(pair) => Ok(pair.into()),
            None => transaction.members(&self.end),
        }
    }
}

/// A change that may be made: its statements, and the entry that tells of it.
struct Prepared {
    sql: Sql,
    entry: Entry,
    kind: ConversationKind,
    version: i64,
}

/// Decides a change while its conversation is locked. The inner error is its outcome where nothing is to be done.
fn prepare(
    transaction: &mut Transaction<'_>,
    fence: Option<Fence>,
    is_in_doubt: bool,
    locked: Locked,
    write: &Write,
) -> Result<Result<Prepared, Written>, Failure> {
    let Write { by, conversation, seq, .. } = write;
    let (conversation, seq) = (*conversation, *seq);
    // Nobody else can have made a change in doubt, whatever has become of the session.
    if let Some(stored) = transaction.find(by, "")? {
        let told = entry_at(transaction, stored.conversation, stored.seq)?;
        return Ok(Err(match told {
            Some(told) if write.is_told_by(&told) && is_in_doubt => {
                let members = members_at(transaction.conn, conversation, stored.seq)?;
                let message = write.entry(locked.kind, stored);
                Written::Change(Outcome::Made(Entry { message, members }))
            }
            Some(told) if write.is_told_by(&told) => unchanged(Place { seq: stored.seq, time: stored.time }),
            _ => Written::Denied(Denial::Conflict),
        }));
    }
    if !transaction.is_in_force(fence)? {
        return Ok(Err(Written::Superseded));
    }
    let Some((role, first_seen)) = locked.member else {
        return Ok(Err(Written::Denied(Denial::Forbidden)));
    };
    let row = changed::row(transaction.conn, conversation, seq)?;
    let row = row.unwrap_or(Changed { seq, ..Changed::default() });
    let is_in_view = (first_seen..=locked.end.last).contains(&seq);
    let mut entry = if is_in_view { entry_at(transaction, conversation, seq)? } else { None };
    if let Some(entry) = &mut entry {
        row.clone().lay_over(Arc::make_mut(entry), Some(by.user));
    }
    let sender_role = match entry.as_deref() {
        Some(entry) => transaction.role_of(conversation, entry.from)?,
        None => Role::Normal,
    };
    let asked = Asked { entry: entry.as_deref(), role, sender_role, now: transaction.now };
    match (rights::change(write, asked), entry) {
        (Err(why), _) => Ok(Err(refused(why))),
        (Ok(_), None) => Ok(Err(refused(Refused::Absent))),
        (Ok(Step::IsDone), Some(entry)) => Ok(Err(unchanged(row.told(&entry)))),
        (Ok(Step::Make), Some(entry)) => statements(transaction, locked, write, row, &entry),
    }
}

/// The statements of a change that may be made. `row`: that of the entry before it.
fn statements(
    transaction: &mut Transaction<'_>,
    mut locked: Locked,
    write: &Write,
    mut row: Changed,
    entry: &Message,
) -> Result<Result<Prepared, Written>, Failure> {
    let Write { by, conversation, seq, what } = write;
    let (conversation, seq) = (*conversation, *seq);
    let mut first_others = Vec::new();
    if let What::React { reaction, on } = what {
        let key = Key { conversation, seq, user: by.user, reaction };
        let mut sql = Sql::new();
        changed::ask_reaction(&mut sql, key);
        let told = changed::reaction(&transaction.conn.rows(&sql)?)?;
        if let Some(outcome) = row.reactions.outcome(reaction, *on, told, transaction.now) {
            return Ok(Err(Written::Change(outcome)));
        }
        if !on {
            first_others = changed::first_others(transaction.conn, key)?;
        }
    }
    let stored = locked.end.next(transaction.dated);
    let told = Place { seq: stored.seq, time: stored.time };
    let mut sql = Sql::new();
    match what {
        What::React { reaction, on } => {
            let key = Key { conversation, seq, user: by.user, reaction };
            row.change = told.seq;
            if *on {
                changed::add_reaction(&mut sql, key, told);
                row.reactions.add(reaction, by.user);
            } else {
                row.reactions.take_back(reaction, first_others);
                changed::delete_reaction(&mut sql, key);
            }
        }
        What::Edit { content, .. } => {
            changed::empty_edit(&mut sql, conversation, &row);
            row.edit(content, told);
        }
        What::Recall { .. } => {
            changed::empty_edit(&mut sql, conversation, &row);
            changed::empty(&mut sql, entry);
            changed::note_recall(&mut sql, entry, told.seq);
            row.recall(told);
        }
    }
    changed::write(&mut sql, conversation, &row);
    let message = write.entry(locked.kind, stored);
    append(&mut sql, &locked.end, by, &message, transaction);
    let members = locked.members(transaction)?;
    let entry = Entry { message, members };
    Ok(Ok(Prepared { sql, entry, kind: locked.kind, version: locked.end.version }))
}

impl Prepared {
    fn commit(mut self, transaction: &mut Transaction<'_>) -> Result<Written, Undone> {
        transaction.commit(&mut self.sql)?;
        let (kind, version, members) = (self.kind, self.version, Arc::clone(&self.entry.members));
        let Message { conversation, seq, .. } = *self.entry.message;
        transaction.cache.put(conversation, Members { kind, version, as_of: seq, members });
        Ok(Written::Change(Outcome::Made(self.entry)))
    }
}

/// Adds the statements that append an entry which tells of a change.
fn append(sql: &mut Sql, end: &End, by: &Actor, entry: &Message, transaction: &Transaction<'_>) {
    let Message { conversation, seq, time, content_type, content, .. } = entry;
    let change = entry.change().expect("it was made as an entry of a change");
    sql.statement(format_args!(
        "UPDATE conversation SET last_seq = {seq}, month = {}, changed_at = {time}, has_changes = 1, \
         uncounted = uncounted + (kind = 0) WHERE id = {conversation}",
        end.month
    ));
    if totals::reach_block(seq.prev(), *seq) {
        totals::keep(sql, &[*conversation]);
    }
    if end.entered.is_some() {
        sql.statement(format_args!(
            "INSERT INTO segment (conversation_id, month, first_seq) VALUES ({conversation},{},{seq})",
            end.month
        ));
    }
    sql.push(format_args!(
        "INSERT INTO message_{:06} (conversation_id, seq, sender_id, cid, type, content, status, created_at) \
         VALUES ({conversation},{seq},{},",
        calendar::month_of(*time),
        by.user
    ))
    .bytes(by.cid.as_bytes())
    .push(",")
    .text(content_type)
    .push(",")
    .text(&change_content(change, content))
    .push(format_args!(",{},{time})", Sort::Change.status()))
    .end()
    .push(format_args!(
        "INSERT INTO sent_{:08} (sender_id, cid, conversation_id, seq, created_at) VALUES ({},",
        calendar::day_of(transaction.now),
        by.user
    ))
    .bytes(by.cid.as_bytes())
    .push(format_args!(",{conversation},{seq},{time})"))
    .end();
}

/// An entry as it was stored.
fn entry_at(
    transaction: &mut Transaction<'_>,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Arc<Message>>, Failure> {
    let page = pages::after(transaction.conn, Wanted::as_stored(conversation), seq.prev(), 1, |_| false)?;
    Ok(page.messages.into_iter().next().filter(|entry| entry.seq == seq))
}

fn unchanged(place: Place) -> Written {
    Written::Change(Outcome::Unchanged(place))
}

fn refused(why: Refused) -> Written {
    Written::Change(Outcome::Refused(why))
}
