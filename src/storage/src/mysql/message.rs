//! Group commit: a batch of messages of any size in two round trips to the server.
//!
//! ```text
//!   1  START TRANSACTION; lock the conversations in id order; look up the cids; read the clock
//!      (and a third, only if needed: read the members of groups that have changed)
//!   2  INSERT messages; INSERT cids; UPDATE conversations; COMMIT
//! ```
//!
//! Everything that decides whether a message may be stored is read after the locks are taken, so of concurrent changes
//! the first to commit wins. A conversation that another transaction has locked is left for the next batch.

use super::connection::{Connection, KEPT_FROM, NOW};
use super::end::{self, END_COLUMNS, End};
use super::failure::{Failure, Undone};
use super::fence::{self, InForce};
use super::listing::{self, Relisted};
use super::member_cache::{MemberCache, Members};
use super::member_list::{self, Group};
use super::record::{Record, first};
use super::references::{Question, Referred};
use super::sent;
use super::sql::{CASE_MAX, Sql};
use super::totals;
use crate::calendar::{self, Month};
use crate::listing::Listed;
use crate::retention;
use foldhash::{HashMap, HashMapExt};
use logic::contract::message::{Append, BadReference, Stored};
use logic::contract::{Denial, Epoch, Fence, Ticket, TokenHash, Written, message};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{ConversationId, References, Seq, UnixMillis};

/// A message that could not be stored for this long is rejected. A stalled node can hold a conversation's lock only for
/// a shorter time.
pub const LATE: Duration = Duration::from_secs(5);

/// A message to be appended to a conversation.
#[derive(Debug)]
pub struct QueuedAppend {
    pub ticket: Ticket,
    /// The target, which may not exist.
    pub conversation: ConversationId,
    pub append: Append,
    /// That of a client without a session, which must be in force.
    pub token: Option<TokenHash>,
    pub since: Instant,
    /// The answer to a commit that contained it was lost, so it may be stored.
    pub is_in_doubt: bool,
}

/// The outcome of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored by this commit, or by an earlier one whose answer was lost.
    Stored(Stored),
    Duplicate(Stored),
    /// The sender gave the `cid` to a change.
    Taken,
    /// The sender is not a member.
    Forbidden,
    /// It may not refer to what it refers to.
    BadReference(BadReference),
    /// The sender's session has ended.
    Superseded,
    /// It waited too long and is rejected.
    Late,
    /// A fault that does not pass.
    Failed,
    /// The conversation is locked by another transaction.
    Elsewhere,
}

/// The changes that a batch will make, decided while its conversations are locked.
#[derive(Debug, Default)]
pub struct Plan {
    /// The outcome of each entry once the plan is executed.
    pub verdicts: Vec<Verdict>,
    /// The entries to write, by index, and where they are stored.
    new: Vec<(usize, Stored)>,
    ends: Vec<End>,
    relisted: Vec<Relisted>,
    now: UnixMillis,
}

impl Plan {
    /// Locks the conversations and decides every entry. `clock` is the database's clock at the last batch.
    pub fn make(
        conn: &mut Connection,
        cache: &mut MemberCache,
        clock: &mut Option<UnixMillis>,
        entries: &[QueuedAppend],
    ) -> Result<Plan, Failure> {
        let mut conversations: Vec<ConversationId> = entries.iter().map(|entry| entry.conversation).collect();
        conversations.sort_unstable();
        conversations.dedup();
        let is_fenced = |entry: &&QueuedAppend| entry.append.epoch != Epoch::NONE;
        let fenced: Vec<_> = entries.iter().filter(is_fenced).map(|entry| entry.append.sender).collect();
        let tokens: Vec<&TokenHash> = entries.iter().filter_map(|entry| entry.token.as_ref()).collect();
        let mut in_force;
        let (locked, found, now, dated) = loop {
            let days = sent::days(match *clock {
                Some(time) => time,
                None => conn.now()?,
            });
            let mut sql = conn.begin();
            let opening = sql.statements();
            sql.push(format_args!(
                "SELECT id, kind, low_id, high_id, {END_COLUMNS} FROM conversation FORCE INDEX (PRIMARY) WHERE id IN "
            ))
            .set(&conversations)
                .push(" ORDER BY id FOR UPDATE SKIP LOCKED")
                .end()
                .statement(format_args!("SELECT {NOW}, {KEPT_FROM}"));
            let cids = entries.iter().map(|entry| (entry.append.sender, &*entry.append.cid));
            sent::ask(&mut sql, days, cids);
            if !fenced.is_empty() {
                sql.push(fence::sessions(fenced.iter().copied())).end();
            }
            if !tokens.is_empty() {
                sql.push(fence::tokens(tokens.iter().copied())).end();
            }
            let answers = conn.ask(&sql)?;
            let [locked, time, sent, fences @ ..] = &answers[opening..] else {
                unreachable!("one answer for each statement")
            };
            let (sessions, known) = fences.split_at(usize::from(!fenced.is_empty()));
            in_force = InForce::of(sessions.first().map_or(&[], |answer| &answer.rows[..]))?;
            in_force.add_tokens(known.first().map_or(&[], |answer| &answer.rows[..]))?;
            let time = first(&time.rows)?;
            let now = time.time(0)?;
            let dated = retention::dated(now, time.month(1)?);
            *clock = Some(now);
            if days[0] == calendar::day_of(now) {
                break (locked_ends(&locked.rows, cache)?, sent::found(&sent.rows)?, now, dated);
            }
            // The first batch of a day looked at the tables of the day before: repeat with today's.
            conn.roll_back()?;
        };
        let Locked { mut ends, unknown } = locked;
        member_list::read(conn, cache, &unknown)?;
        let missing = missing(conn, cache, &conversations, &ends)?;
        let referred = Referred::read(conn, &questions(entries, &ends))?;

        let mut plan = Plan { now, ..Plan::default() };
        let mut of_batch: HashMap<(wire::UserId, &str), Stored> = HashMap::new();
        for (number, entry) in entries.iter().enumerate() {
            let (sender, cid) = (entry.append.sender, &*entry.append.cid);
            let found = sent::place(&found, sender, cid).or_else(|| of_batch.get(&(sender, cid)).copied());
            let at = ends.binary_search_by_key(&entry.conversation, |end| end.conversation);
            let verdict = match (found, at) {
                // It was absent at the first attempt and only this thread could have stored it since: that commit
                // succeeded and only its answer was lost.
                (Some(place), Ok(_)) if entry.is_in_doubt => Verdict::Stored(place),
                (Some(_), Err(_)) if entry.is_in_doubt => Verdict::Elsewhere,
                (Some(place), _) => Verdict::Duplicate(place),
                (None, Err(_)) if missing.contains(&entry.conversation) => Verdict::Forbidden,
                (None, Err(_)) => Verdict::Elsewhere,
                (None, Ok(at)) => {
                    let end = &mut ends[at];
                    let known = cache
                        .at(end.conversation, end.version)
                        .expect("the members of every locked conversation were read");
                    // Whether the sender may write is decided here, after the lock.
                    if !in_force.includes(Fence { user: sender, epoch: entry.append.epoch })
                        || !in_force.admits(entry.token.as_ref())
                    {
                        Verdict::Superseded
                    } else if known.members.binary_search(&sender).is_err() || !entry.append.fits(known.kind)
                    {
                        Verdict::Forbidden
                    } else if entry.since.elapsed() > LATE {
                        Verdict::Late
                    } else if let Some(references) = &entry.append.references
                        && let Err(why) = referred.check(number, &known.members, end.last, references)
                    {
                        Verdict::BadReference(why)
                    } else {
                        let place = end.next(dated);
                        end.added.message(sender, entry.append.references.as_deref());
                        of_batch.insert((sender, cid), place);
                        plan.new.push((number, place));
                        Verdict::Stored(place)
                    }
                }
            };
            plan.verdicts.push(verdict);
        }
        tell_changes(conn, &mut plan.verdicts)?;
        ends.retain(|end| end.is_changed);
        for end in ends.iter().filter(|end| !end.listed.holds(end.time)) {
            let known = cache.at(end.conversation, end.version).expect("as above");
            plan.relisted.push(Relisted {
                conversation: end.conversation,
                from: end.listed,
                to: Listed::after(end.time, known.members.len()),
                members: Arc::clone(&known.members),
            });
        }
        plan.ends = ends;
        read_earlier_members(conn, cache, entries, &plan.verdicts)?;
        Ok(plan)
    }

    pub fn execute(&self, conn: &mut Connection, entries: &[QueuedAppend]) -> Result<(), Undone> {
        if self.new.is_empty() {
            return Ok(conn.roll_back()?);
        }
        let sql = self.statements(entries);
        let before_commit = sql.statements() - 1;
        conn.ask(&sql).map(drop).map_err(|failure| Undone::at_commit(failure, before_commit))
    }

    /// The statements of the second round trip.
    fn statements(&self, entries: &[QueuedAppend]) -> Sql {
        let mut sql = Sql::new();
        let mut by_month: Vec<(Month, Stored, &Append)> = self
            .new
            .iter()
            .map(|&(number, place)| (calendar::month_of(place.time), place, &entries[number].append))
            .collect();
        by_month.sort_unstable_by_key(|&(month, place, _)| (month, place.conversation, place.seq));
        for of_one in by_month.chunk_by(|a, b| a.0 == b.0) {
            let refers = |(_, _, append): &(Month, Stored, &Append)| append.references.is_some();
            let refs = if of_one.iter().any(refers) { ", refs" } else { "" };
            sql.push(format_args!(
                "INSERT INTO message_{:06} (conversation_id, seq, sender_id, cid, type, content{refs}, created_at) VALUES ",
                of_one[0].0
            ));
            sql.list(",", of_one, |sql, (_, place, append)| {
                sql.push(format_args!("({},{},{},", place.conversation, place.seq, append.sender))
                    .bytes(append.cid.as_bytes())
                    .push(",")
                    .text(append.content_type())
                    .push(",")
                    .text(&append.content);
                if !refs.is_empty() {
                    let references = append.references.as_deref().map(References::to_json);
                    sql.push(",").maybe_text(references.as_deref());
                }
                sql.push(format_args!(",{})", place.time));
            });
            sql.end();
        }
        self.insert_sent(&mut sql, entries);
        let entered: Vec<(&End, Seq)> =
            self.ends.iter().filter_map(|end| Some((end, end.entered?))).collect();
        if !entered.is_empty() {
            sql.push("INSERT INTO segment (conversation_id, month, first_seq) VALUES ");
            sql.list(",", entered, |sql, (end, first)| {
                sql.push(format_args!("({},{},{first})", end.conversation, end.month));
            });
            sql.end();
        }
        for ends in self.ends.chunks(CASE_MAX) {
            end::update(&mut sql, ends);
        }
        let reached = self.ends.iter().filter(|end| end.added.low.is_some());
        let reached = reached.filter(|end| totals::reach_block(end.before, end.last));
        totals::keep(&mut sql, &reached.map(|end| end.conversation).collect::<Vec<_>>());
        listing::relist(&mut sql, &self.relisted);
        sql.statement("COMMIT");
        sql
    }

    fn insert_sent(&self, sql: &mut Sql, entries: &[QueuedAppend]) {
        let mut by_key: Vec<(&Append, Stored)> =
            self.new.iter().map(|&(number, place)| (&entries[number].append, place)).collect();
        by_key.sort_unstable_by_key(|(append, _)| (append.sender, &*append.cid));
        sql.push(format_args!(
            "INSERT INTO sent_{:08} (sender_id, cid, conversation_id, seq, created_at) VALUES ",
            calendar::day_of(self.now)
        ));
        sql.list(",", by_key, |sql, (append, place)| {
            sql.push(format_args!("({},", append.sender))
                .bytes(append.cid.as_bytes())
                .push(format_args!(",{},{},{})", place.conversation, place.seq, place.time));
        });
        sql.end();
    }
}

pub fn outcome(
    QueuedAppend { ticket, append, .. }: QueuedAppend,
    verdict: Verdict,
    cache: &MemberCache,
) -> (Ticket, Written) {
    let written = match verdict {
        Verdict::Late | Verdict::Elsewhere => Written::Unavailable,
        Verdict::Failed => Written::Failed,
        Verdict::Taken => Written::Denied(Denial::Conflict),
        Verdict::Forbidden => Written::Denied(Denial::Forbidden),
        Verdict::BadReference(why) => Written::Denied(Denial::Reference(why)),
        Verdict::Superseded => Written::Superseded,
        Verdict::Duplicate(stored) => Written::Message(message::Written::Duplicate(stored)),
        Verdict::Stored(stored) => match cache.of_message(stored.conversation, stored.seq) {
            Some((kind, members)) => {
                let message = append.into_message(kind, stored);
                Written::Message(message::Written::Appended { message, members })
            }
            None => Written::Message(message::Written::Duplicate(stored)),
        },
    };
    (ticket, written)
}

/// The messages of locked conversations that refer to something.
fn questions<'a>(entries: &'a [QueuedAppend], ends: &[End]) -> Vec<Question<'a>> {
    let question = |(number, QueuedAppend { conversation, append, .. }): (usize, &'a QueuedAppend)| {
        let references = append.references.as_deref()?;
        let end = &ends[ends.binary_search_by_key(conversation, |end| end.conversation).ok()?];
        let (conversation, sender, last) = (*conversation, append.sender, end.last);
        Some(Question { number, conversation, sender, references, last })
    };
    entries.iter().enumerate().filter_map(question).collect()
}

/// Tells the duplicates of messages from messages whose `cid` belongs to a change.
fn tell_changes(conn: &mut Connection, verdicts: &mut [Verdict]) -> Result<(), Failure> {
    let duplicate = |verdict: &Verdict| match *verdict {
        Verdict::Duplicate(stored) => Some(stored),
        _ => None,
    };
    let places: Vec<Stored> = verdicts.iter().filter_map(duplicate).collect();
    let changes = sent::changes_among(conn, &places)?;
    for verdict in verdicts {
        if duplicate(verdict).is_some_and(|stored| changes.contains(&stored)) {
            *verdict = Verdict::Taken;
        }
    }
    Ok(())
}

struct Locked {
    ends: Vec<End>,
    /// Those whose members must be read.
    unknown: Vec<Group>,
}

fn locked_ends(rows: &[Record], cache: &mut MemberCache) -> Result<Locked, Failure> {
    let mut locked = Locked { ends: Vec::with_capacity(rows.len()), unknown: Vec::new() };
    for row in rows {
        let conversation = row.conversation(0)?;
        let mut end = End::read(conversation, row, 4)?;
        end.added.low = row.maybe_user(2)?;
        let version = end.version;
        if cache.at(conversation, version).is_none() {
            let kind = row.kind(1)?;
            match (row.maybe_user(2)?, row.maybe_user(3)?) {
                // The members of a direct conversation never change.
                (Some(low), Some(high)) => {
                    let members = if low == high { Arc::from([low]) } else { Arc::from([low, high]) };
                    cache.put(conversation, Members { kind, version, as_of: end.before, members });
                }
                _ => locked.unknown.push(Group::of(&end)),
            }
        }
        locked.ends.push(end);
    }
    Ok(locked)
}

/// Reads the members at the seqs of messages that an earlier commit stored, whose answer was lost. Others may have
/// joined since.
fn read_earlier_members(
    conn: &mut Connection,
    cache: &mut MemberCache,
    entries: &[QueuedAppend],
    verdicts: &[Verdict],
) -> Result<(), Failure> {
    for (entry, verdict) in entries.iter().zip(verdicts) {
        if let (true, Verdict::Stored(Stored { conversation, seq, .. })) = (entry.is_in_doubt, *verdict) {
            let members = members_at(conn, conversation, seq)?;
            cache.put_at(conversation, seq, members);
        }
    }
    Ok(())
}

/// The members of a conversation at a seq, by id.
pub fn members_at(
    conn: &mut Connection,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Arc<[wire::UserId]>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT user_id FROM member WHERE conversation_id = {conversation} AND device = 0 AND joined_seq < {seq} \
         UNION SELECT user_id FROM former_member \
         WHERE conversation_id = {conversation} AND joined_seq < {seq} AND left_seq >= {seq} ORDER BY user_id"
    ));
    conn.rows(&sql)?.iter().map(|row| row.user(0)).collect()
}

/// The conversations that were not locked because they do not exist. One that was seen before exists forever.
fn missing(
    conn: &mut Connection,
    cache: &MemberCache,
    conversations: &[ConversationId],
    locked: &[End],
) -> Result<Vec<ConversationId>, Failure> {
    let is_locked = |id: &ConversationId| locked.binary_search_by_key(id, |end| end.conversation).is_ok();
    let unseen = conversations.iter().filter(|id| !is_locked(id) && cache.get(**id).is_none());
    let mut unseen: Vec<ConversationId> = unseen.copied().collect();
    if !unseen.is_empty() {
        let mut sql = Sql::new();
        sql.push("SELECT id FROM conversation WHERE id IN ").set(&unseen).end();
        for row in conn.rows(&sql)? {
            let there = row.conversation(0)?;
            unseen.retain(|id| *id != there);
        }
    }
    Ok(unseen)
}
