//! Groups and their members.

use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::fence;
use super::record::{Record, page_of};
use super::sql::Sql;
use crate::column::OWNER;
use crate::page::Rows;
use logic::contract::group::{Found, Member, Read, Write};
use logic::contract::{self, Denial, Epoch, Fence, Ticket, Written, group};
use std::time::Instant;
use wire::group::Group;
use wire::{ConversationId, Page, UnixMillis, UserId};

/// Executes what does not touch an existing conversation. Joins go through the conversation's appender: see [`Join`].
pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::Create { owner, name, desc } => create_group(conn, now, *owner, name, desc),
        Write::Join { .. } => unreachable!("the router sends joins to an appender"),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<contract::Found, Failure> {
    let found = match read {
        Read::Groups { user, page } => {
            let rows = rows_of(conn, |sql| ask_groups(sql, *user, *page))?;
            let (groups, more) = groups(&rows, *page)?;
            Found::Groups { groups, more }
        }
        Read::GroupIds { user } => Found::GroupIds(group_ids(conn, *user)?),
        Read::Members { user, conversation, page } => return members(conn, *user, *conversation, *page),
    };
    Ok(contract::Found::Group(found))
}

fn create_group(
    conn: &mut Connection,
    now: UnixMillis,
    owner: UserId,
    name: &str,
    desc: &str,
) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    sql.push("INSERT INTO conversation (kind, name, description, updated_at) VALUES (1,")
        .text(name)
        .push(",")
        .text(desc)
        .push(format_args!(",{now})"))
        .end()
        .statement(format_args!(
            "INSERT INTO member (conversation_id, user_id, role) VALUES (LAST_INSERT_ID(), {owner}, {OWNER})"
        ));
    Ok(Written::Group(group::Written::Created(ConversationId(conn.ask(&sql)?[0].made as u32))))
}

/// A request to become a member.
#[derive(Debug)]
pub struct Join {
    pub ticket: Ticket,
    /// The user; [`Epoch::NONE`]: the write is not fenced.
    pub fence: Fence,
    pub conversation: ConversationId,
    pub since: Instant,
    /// The answer to a commit that contained it was lost, so it may be done.
    pub is_in_doubt: bool,
}

impl Join {
    pub fn new(ticket: Ticket, fence: Fence, conversation: ConversationId, since: Instant) -> Join {
        Join { ticket, fence, conversation, since, is_in_doubt: false }
    }
}

/// Executes a join; `None`: the group is locked by another transaction. `commits` is set once it may have been
/// committed.
pub fn admit(conn: &mut Connection, join: &Join, commits: &mut bool) -> Result<Option<Written>, Failure> {
    let Join { fence, conversation, .. } = join;
    let user = fence.user;
    let mut sql = conn.begin();
    let opening = sql.statements();
    sql.statement(format_args!(
        "SELECT kind, last_seq FROM conversation WHERE id = {conversation} FOR UPDATE SKIP LOCKED"
    ))
    .statement(format_args!("SELECT kind FROM conversation WHERE id = {conversation}"))
    .statement(format_args!(
        "SELECT 1 FROM member WHERE conversation_id = {conversation} AND user_id = {user}"
    ));
    let answers = conn.ask(&sql)?;
    let [locked, there, member] = &answers[opening..] else { unreachable!("one answer for each statement") };
    let mut sql = Sql::new();
    let written = match (locked.rows.first(), there.rows.first()) {
        (_, None) => Written::Denied(Denial::NotFound),
        (_, Some(row)) if row.number(0)? == 0 => Written::Denied(Denial::NotFound),
        (None, Some(_)) => {
            conn.ask(sql.statement("ROLLBACK"))?;
            return Ok(None);
        }
        // Once the lock is held, a commit in doubt is decided: if the user is a member now, it succeeded.
        _ if join.is_in_doubt && !member.rows.is_empty() => Written::Done,
        _ if fence.epoch != Epoch::NONE && !fence::is_in_force(conn, *fence)? => Written::Superseded,
        _ if !member.rows.is_empty() => Written::Denied(Denial::Conflict),
        (Some(row), _) => {
            let last = row.seq(1)?;
            sql.statement(format_args!(
                "INSERT INTO member (conversation_id, user_id, joined_seq, delivered_seq, read_seq) \
                 VALUES ({conversation}, {user}, {last}, {last}, {last})"
            ))
            .statement(format_args!(
                "UPDATE conversation SET member_version = member_version + 1 WHERE id = {conversation}"
            ));
            *commits = true;
            Written::Done
        }
    };
    conn.ask(sql.statement("COMMIT"))?;
    Ok(Some(written))
}

pub fn ask_groups(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT c.id, c.name, c.description, m.role FROM member m JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.conversation_id > {} AND m.device = 0 AND c.kind = 1 \
         ORDER BY m.conversation_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
}

pub fn groups(rows: &[Record], page: Page) -> Result<Rows<Group>, Failure> {
    page_of(rows, page.limit as usize, |row| {
        Ok(Group {
            conversation: row.conversation(0)?,
            name: row.text(1)?.into(),
            desc: row.text(2)?.into(),
            role: row.role(3)?,
        })
    })
}

fn group_ids(conn: &mut Connection, user: UserId) -> Result<Vec<ConversationId>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT c.id FROM member m JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.device = 0 AND c.kind = 1 ORDER BY c.id"
    ));
    conn.rows(&sql)?.iter().map(|row| row.conversation(0)).collect()
}

fn members(
    conn: &mut Connection,
    user: UserId,
    conversation: ConversationId,
    page: Page,
) -> Result<contract::Found, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT 1 FROM member WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
    ))
    .statement(format_args!(
        "SELECT u.id, u.name, m.role FROM member m JOIN user u ON u.id = m.user_id WHERE m.conversation_id = \
         {conversation} AND m.user_id > {} AND m.device = 0 ORDER BY m.user_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
    let answers = conn.ask(&sql)?;
    let [asker, rows] = &answers[..] else { unreachable!("one answer for each statement") };
    if asker.rows.is_empty() {
        return Ok(contract::Found::Denied(Denial::Forbidden));
    }
    let member =
        |row: &Record| Ok(Member { user: row.user(0)?, name: row.text(1)?.into(), role: row.role(2)? });
    let (members, more) = page_of(&rows.rows, page.limit as usize, member)?;
    Ok(contract::Found::Group(Found::Members { members, more }))
}
