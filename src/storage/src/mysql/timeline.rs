//! Timelines as their members see them.

use super::connection::{Connection, rows_of};
use super::conversation;
use super::failure::Failure;
use super::fence::{self, InForce};
use super::former;
use super::last_message;
use super::pages::{self, Wanted};
use super::readers;
use super::record::{Answer, Record, page_of, undamaged};
use super::sql::CASE_MAX;
use super::sql::Sql;
use super::unread;
use crate::header_cache::HeaderCache;
use crate::listing::{Activity, Part, Place, Scan};
use crate::overview::{Columns, Overview};
use crate::page::{Rows, is_fed, is_too_long};
use crate::unread::{Question, Range};
use logic::contract::timeline::{
    Counted, CountedRange, CursorMove, Found, Read, UNREAD_MAX, UNREAD_SCAN, UnreadCount, UnreadPage, Write,
};
use logic::contract::{self, Denial, Epoch, Fence, Written, timeline};
use std::collections::BTreeMap;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Direction, Seq, UserId};

pub fn write(conn: &mut Connection, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::MoveCursors(moves) => move_all(conn, moves),
        Write::Set { user, conversation, change } => conversation::set(conn, *user, *conversation, *change),
        Write::Clear { user, conversation, upto } => conversation::clear(conn, *user, *conversation, *upto),
    }
}

pub fn read(conn: &mut Connection, headers: &HeaderCache, read: &Read) -> Result<contract::Found, Failure> {
    let found = match *read {
        Read::Standing { user, conversation } => Found::Standing(match overview(conn, user, conversation)? {
            Some(overview) => Some(overview.standing()),
            None => former::standing(conn, conversation, user)?,
        }),
        Read::View { user, conversation, read } => match overview(conn, user, conversation)? {
            Some(overview) => {
                let overview = overview.read_upto(read);
                let counts = unread::counts(conn, headers, &[overview.unread_question(user)])?;
                Found::View(Some(Box::new(overview.view(counts[0]))))
            }
            None => Found::View(None),
        },
        Read::Unread { user, after } => {
            let mut sql = Sql::new();
            ask_unread(&mut sql, user, after);
            let mut page = undelivered(&conn.ask(&sql)?)?;
            if after > ConversationId(0) {
                page.rows.retain(|row| !row.has_left);
            }
            Found::Unread(page)
        }
        Read::Feed { conversation, member, after, limit, bytes } => {
            let reader = member;
            let wanted = Wanted { conversation, member, reader, as_they_are: true, with_changes: true };
            let page = pages::after(conn, wanted, after, limit.max(1) as usize, is_fed(bytes))?;
            Found::Feed { messages: page.messages, more: page.more, first: page.first }
        }
        Read::History { user, conversation, direction, limit, with_changes } => {
            match overview(conn, user, conversation)? {
                Some(overview) => {
                    let reader = Some(user);
                    let wanted =
                        Wanted { conversation, member: None, reader, as_they_are: true, with_changes };
                    history(conn, wanted, overview.first, direction, limit as usize)?
                }
                None => return Ok(contract::Found::Denied(Denial::Forbidden)),
            }
        }
        Read::Conversations { user, before, limit, with_unread, with_last } => {
            let mut sql = Sql::new();
            let scan = ask_conversations(&mut sql, user, before, limit as usize);
            let answers = conn.ask(&sql)?;
            let columns = Columns { unread: with_unread, last: with_last };
            let (entries, more) = conversations(conn, headers, user, scan, &answers, columns)?;
            Found::Conversations { entries, more }
        }
        Read::Count { user, ref ranges } => Found::Counts(count(conn, headers, user, ranges)?),
        Read::Readers { user, conversation, seq, page } => match overview(conn, user, conversation)? {
            Some(overview) => readers::readers(conn, user, &overview, seq, page)?,
            None => return Ok(contract::Found::Denied(Denial::Forbidden)),
        },
    };
    Ok(contract::Found::Timeline(found))
}

/// The cursors `(delivered, read)` of a member.
type Cursors = (Seq, Seq);

/// See [`logic::contract::timeline::CursorStep::apply`]. Only updates rows, so that a user who is not a member does not
/// become one; in key order, so that two nodes never deadlock; and never past the end.
fn move_all(conn: &mut Connection, moves: &[CursorMove]) -> Result<Written, Failure> {
    let fenced = moves.iter().filter(|step| step.epoch != Epoch::NONE).map(|step| step.user);
    let mut fenced = fenced.peekable();
    let mut in_force = InForce::default();
    if fenced.peek().is_some() {
        let mut sql = Sql::new();
        sql.push(fence::sessions(fenced)).end();
        in_force = InForce::of(&conn.rows(&sql)?)?;
    }
    let fence_of = |step: &CursorMove| Fence { user: step.user, epoch: step.epoch };
    let (mut sorted, left_out): (Vec<&CursorMove>, Vec<_>) =
        moves.iter().partition(|step| in_force.includes(fence_of(step)));
    // The sort is stable, so moves of one member keep their order.
    sorted.sort_by_key(|step| (step.conversation, step.user));
    for of_some in
        sorted.chunk_by(|a, b| a.conversation == b.conversation).collect::<Vec<_>>().chunks(CASE_MAX)
    {
        move_some(conn, of_some)?;
    }
    let left_out = left_out.into_iter().map(|step| (step.conversation, fence_of(step))).collect();
    Ok(Written::Timeline(timeline::Written::CursorsMoved { left_out }))
}

fn move_some(conn: &mut Connection, moves: &[&[&CursorMove]]) -> Result<(), Failure> {
    let mut sql = Sql::new();
    sql.push(
        "SELECT conversation_id, user_id, delivered_seq, read_seq FROM member FORCE INDEX (PRIMARY) WHERE ",
    );
    let users = |of_one: &&[&CursorMove]| of_one.iter().map(|step| step.user).collect::<Vec<_>>();
    sql.push(of_members(moves.iter().map(|of_one| (of_one[0].conversation, users(of_one)))));
    sql.push(" ORDER BY conversation_id, user_id FOR UPDATE").end();
    sql.push("SELECT id, last_seq FROM conversation WHERE id IN ")
        .set(moves.iter().map(|of_one| of_one[0].conversation));
    sql.end();
    let answers = conn.ask(&sql)?;
    let [members, ends] = &answers[..] else { unreachable!("one answer for each statement") };
    let ends = undamaged(&ends.rows, |row| Ok((row.conversation(0)?, row.seq(1)?)))?;
    let ends: BTreeMap<ConversationId, Seq> = ends.into_iter().collect();
    let mut cursors: BTreeMap<(ConversationId, UserId), (Cursors, Cursors)> = BTreeMap::new();
    let stand = |row: &Record| Ok(((row.conversation(0)?, row.user(1)?), (row.seq(2)?, row.seq(3)?)));
    for (member, stand) in undamaged(&members.rows, stand)? {
        cursors.insert(member, (stand, stand));
    }
    for step in moves.iter().copied().flatten() {
        if let Some((_, stand)) = cursors.get_mut(&(step.conversation, step.user)) {
            let end = ends.get(&step.conversation).copied().unwrap_or_default();
            let (delivered, read) = step.step.apply(stand.0, stand.1);
            *stand = (delivered.min(end).max(stand.0), read.min(end).max(stand.1));
        }
    }
    for of_one in moves.iter().flat_map(|of_one| of_one.chunk_by(|a, b| a.user == b.user)) {
        let (conversation, user) = (of_one[0].conversation, of_one[0].user);
        if !cursors.contains_key(&(conversation, user)) {
            former::move_cursor(conn, conversation, user, of_one.iter().map(|of_one| of_one.step))?;
        }
    }
    cursors.retain(|_, (before, after)| before != after);
    let moved: Vec<_> = cursors.into_iter().map(|(key, (_, stand))| (key, stand)).collect();
    let mut sql = Sql::new();
    for moved in moved.chunks(CASE_MAX) {
        update(&mut sql, moved);
    }
    if sql.statements() > 0 { conn.ask(&sql).map(drop) } else { Ok(()) }
}

fn update(sql: &mut Sql, moved: &[((ConversationId, UserId), Cursors)]) {
    let case = |sql: &mut Sql, column: &str, value: &dyn Fn(&Cursors) -> Seq| {
        // Both ids as one number.
        sql.push(column).push(" = CASE conversation_id * 4294967296 + user_id");
        for ((conversation, user), stand) in moved {
            let key = u64::from(conversation.0) << 32 | u64::from(user.0);
            sql.push(format_args!(" WHEN {key} THEN {}", value(stand)));
        }
        sql.push(" END");
    };
    sql.push("UPDATE member FORCE INDEX (PRIMARY) SET ");
    case(sql, "delivered_seq", &|stand| stand.0);
    sql.push(", ");
    case(sql, "read_seq", &|stand| stand.1);
    let of_one = moved.chunk_by(|a, b| a.0.0 == b.0.0);
    let members = of_one.map(|of_one| (of_one[0].0.0, of_one.iter().map(|((_, user), _)| *user).collect()));
    sql.push(" WHERE ").push(of_members(members)).end();
}

/// An SQL condition for these members, with all their devices.
fn of_members(members: impl Iterator<Item = (ConversationId, Vec<UserId>)>) -> Sql {
    let mut sql = Sql::new();
    sql.push("device = 0 AND (").list(" OR ", members, |sql, (conversation, mut users)| {
        users.dedup();
        sql.push(format_args!("conversation_id = {conversation} AND user_id IN ")).set(users);
    });
    sql.push(")");
    sql
}

/// The columns of [`overview_of`], for a conversation `c` and its member `m`.
const OVERVIEW: &str = "c.id, c.kind, NULLIF(IF(c.low_id = m.user_id, c.high_id, c.low_id), m.user_id) AS peer, c.last_seq, c.updated_at, \
                        GREATEST(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1), m.delivered_seq, m.read_seq, \
                        m.is_pinned, m.is_muted, m.hidden_seq, c.message_seq, \
                        IF(c.low_id = c.high_id, c.low_id, NULL) AS notes_of, c.has_changes";

/// The number of columns in [`OVERVIEW`].
const OVERVIEW_COLUMNS: usize = 14;

/// What [`OVERVIEW`] needs of a member besides its key.
const OF_MEMBER: &str = "joined_seq, cleared_seq, delivered_seq, read_seq, is_pinned, is_muted, hidden_seq";

/// A direct conversation is hidden until it has a message.
const IS_VISIBLE: &str = "m.device = 0 AND (c.kind <> 0 OR c.last_seq > 0)";

fn overview_of(row: &Record) -> Result<Overview, Failure> {
    Ok(Overview {
        conversation: row.conversation(0)?,
        kind: row.kind(1)?,
        peer: row.maybe_user(2)?,
        last: row.seq(3)?,
        time: row.time(4)?,
        first: row.seq(5)?,
        delivered: row.seq(6)?,
        read: row.seq(7)?,
        is_pinned: row.number(8)? != 0,
        is_muted: row.number(9)? != 0,
        hidden_at: row.maybe_seq(10)?,
        last_message: row.seq(11)?,
        notes_of: row.maybe_user(12)?,
        has_changes: row.number(13)? != 0,
    })
}

fn overview(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Overview>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT {OVERVIEW} FROM member m JOIN conversation c ON c.id = m.conversation_id \
             WHERE m.conversation_id = {conversation} AND m.user_id = {user} AND m.device = 0"
        ));
    })?;
    rows.first().map(overview_of).transpose()
}

/// Asks for a page of conversations in which the member is behind; answered by [`UNREAD_ANSWERS`] answers.
pub fn ask_unread(sql: &mut Sql, user: UserId, after: ConversationId) {
    let memberships = format!(
        "FROM member FORCE INDEX (member_user) WHERE user_id = {user} AND conversation_id > {after} AND device = 0 \
         ORDER BY conversation_id"
    );
    sql.statement(format_args!("SELECT conversation_id {memberships} LIMIT 1 OFFSET {}", UNREAD_SCAN - 1));
    sql.statement(format_args!(
        "SELECT {OVERVIEW} FROM (SELECT conversation_id, user_id, device, {OF_MEMBER} {memberships} \
         LIMIT {UNREAD_SCAN}) m STRAIGHT_JOIN conversation c ON c.id = m.conversation_id \
         WHERE c.last_seq > m.delivered_seq AND {IS_VISIBLE} ORDER BY m.conversation_id LIMIT {}",
        UNREAD_MAX + 1
    ));
    former::ask_behind(sql, user);
}

pub const UNREAD_ANSWERS: usize = 3;

/// A page of conversations in which the member is behind, preceded by the groups that it has left.
pub fn undelivered(answers: &[Answer]) -> Result<UnreadPage, Failure> {
    let [scanned, behind, left] = answers else { unreachable!("one answer for each statement") };
    let (mut rows, more) = page_of(&behind.rows, UNREAD_MAX, |row| overview_of(row).map(Overview::unread))?;
    let next = match more {
        true => rows.last().map(|last| last.conversation),
        false => scanned.rows.first().map(|row| row.conversation(0)).transpose()?,
    };
    rows.splice(0..0, former::behind(&left.rows)?);
    Ok(UnreadPage { rows, next })
}

/// A page of conversations that is being read.
pub type ConversationsScan = Scan<Listed>;

/// A row of CONVERSATIONS, whose unread messages are not counted yet.
#[derive(Debug)]
pub struct Listed {
    overview: Overview,
    name: Box<str>,
    /// The peer's cursors `[delivered, read]` in a direct conversation.
    peer_cursors: [Option<Seq>; 2],
}

impl Activity for Listed {
    fn place(&self) -> Place {
        self.overview.place()
    }
}

/// Asks for the latest conversations below a bound; answered by [`CONVERSATIONS_ANSWERS`] answers.
pub fn ask_conversations(
    sql: &mut Sql,
    user: UserId,
    before: Option<Place>,
    limit: usize,
) -> ConversationsScan {
    let scan = ConversationsScan::new(before, limit);
    scan.first().into_iter().for_each(|part| ask_part(sql, user, part));
    scan
}

pub const CONVERSATIONS_ANSWERS: usize = 3;

/// Asks for a part of the listing. The join order is fixed: a plan that begins with another table would read more rows.
fn ask_part(sql: &mut Sql, user: UserId, part: Part) {
    let (until, id) = part.below;
    sql.statement(format_args!(
        "SELECT {OVERVIEW}, COALESCE(u.name, c.name), p.delivered_seq, p.read_seq, l.listed_until \
         FROM (SELECT user_id, conversation_id, listed_until FROM listing WHERE user_id = {user} AND slack = {} \
         AND (listed_until < {until} OR listed_until = {until} AND conversation_id < {id}) \
         ORDER BY listed_until DESC, conversation_id DESC LIMIT {}) l \
         STRAIGHT_JOIN member m ON m.conversation_id = l.conversation_id AND m.user_id = l.user_id AND m.device = 0 \
         STRAIGHT_JOIN conversation c ON c.id = l.conversation_id \
         LEFT JOIN member p ON c.kind = 0 AND p.conversation_id = c.id AND p.device = 0 \
         AND p.user_id = IF(c.low_id = m.user_id, c.high_id, c.low_id) LEFT JOIN user u ON u.id = p.user_id \
         ORDER BY l.listed_until DESC, l.conversation_id DESC",
        part.slack, part.rows
    ));
}

/// Completes a page from the answers to [`ask_conversations`]; nearly always these are enough, unless something is
/// unread or last messages are wanted.
pub fn conversations(
    conn: &mut Connection,
    headers: &HeaderCache,
    user: UserId,
    mut scan: ConversationsScan,
    answers: &[Answer],
    columns: Columns,
) -> Result<Rows<ConversationSummary>, Failure> {
    for (part, answer) in scan.first().into_iter().zip(answers) {
        add_part(&mut scan, part, &answer.rows)?;
    }
    while let Some(part) = scan.next() {
        let rows = rows_of(conn, |sql| ask_part(sql, user, part))?;
        add_part(&mut scan, part, &rows)?;
    }
    let (page, more) = scan.finish();
    let counts = match columns.unread {
        true => {
            let questions: Vec<_> = page.iter().map(|row| row.overview.unread_question(user)).collect();
            unread::counts(conn, headers, &questions)?
        }
        false => vec![UnreadCount::default(); page.len()],
    };
    let mut last = match columns.last {
        true => last_message::of(conn, page.iter().map(|row| &row.overview))?,
        false => BTreeMap::new(),
    };
    let summary = |(row, count): (Listed, UnreadCount)| {
        let Listed { overview, name, peer_cursors } = row;
        overview.entry(name, peer_cursors, count, last.remove(&overview.conversation))
    };
    Ok((page.into_iter().zip(counts).map(summary).collect(), more))
}

/// What ranges of the user's conversations count.
fn count(
    conn: &mut Connection,
    headers: &HeaderCache,
    user: UserId,
    ranges: &[CountedRange],
) -> Result<Vec<Option<Counted>>, Failure> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT {OVERVIEW} FROM member m FORCE INDEX (PRIMARY) STRAIGHT_JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.device = 0 AND m.conversation_id IN "
    ))
    .set(ranges.iter().map(|range| range.conversation))
    .end();
    let found = undamaged(&conn.rows(&sql)?, overview_of)?;
    let overview =
        |wanted: &CountedRange| found.iter().find(|found| found.conversation == wanted.conversation);
    let question = |wanted: &CountedRange| {
        let found = overview(wanted)?;
        // Never beyond the end, where entries may be stored at any moment.
        let after = wanted.after.max(found.first.prev());
        let range = Range { after, last: wanted.last.min(found.last) };
        Question::of(found.conversation, found.kind, user, found.peer, range, found.has_changes)
    };
    let questions: Vec<_> = ranges.iter().map(question).collect();
    let counts = unread::counts(conn, headers, &questions)?;
    let counted = |(wanted, count)| Some(Counted { first: overview(wanted)?.first, count });
    Ok(ranges.iter().zip(counts).map(counted).collect())
}

fn add_part(scan: &mut ConversationsScan, part: Part, rows: &[Record]) -> Result<(), Failure> {
    let last = rows.last().filter(|_| rows.len() == part.rows);
    scan.read(
        part,
        last.map(|row| Ok::<_, Failure>((row.time(OVERVIEW_COLUMNS + 3)?, row.conversation(0)?)))
            .transpose()?,
    );
    for row in rows {
        let overview = overview_of(row)?;
        // A direct conversation is hidden until it has a message.
        if overview.kind == ConversationKind::Direct && overview.last == Seq(0) {
            continue;
        }
        let [name, delivered, read] = [0, 1, 2].map(|column| OVERVIEW_COLUMNS + column);
        let peer_cursors = match overview.notes_of {
            Some(_) => [None; 2],
            None => [row.maybe_seq(delivered)?, row.maybe_seq(read)?],
        };
        scan.add(Listed { overview, name: row.text(name)?.into(), peer_cursors });
    }
    Ok(())
}

fn history(
    conn: &mut Connection,
    wanted: Wanted,
    first_seq: Seq,
    direction: Direction,
    limit: usize,
) -> Result<Found, Failure> {
    let page = match direction {
        Direction::After(bound) => {
            let after = bound.max(first_seq.prev());
            pages::after(conn, wanted, after, limit, is_too_long())?
        }
        Direction::Before(bound) => {
            let mut page = pages::before(conn, wanted, bound, first_seq, limit, is_too_long())?;
            page.messages.reverse();
            page
        }
    };
    Ok(Found::History { messages: page.messages, more: page.more, first_seq })
}
