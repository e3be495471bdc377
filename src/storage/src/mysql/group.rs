//! Groups and their members.

use super::connection::{Connection, NOW, rows_of};
use super::failure::Failure;
use super::fence;
use super::record::{Record, first, page_of};
use super::sql::Sql;
use super::usage::{add_charge, ask_usage, usage};
use crate::account_usage::Charge;
use crate::column::OWNER;
use crate::page::Rows;
use logic::contract::group::{Found, Member, Read, Write};
use logic::contract::{self, Denial, Epoch, Fence, Quota, Ticket, Written, group};
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
    ask_usage(&mut sql, owner);
    let mut usage = usage(conn.rows(&sql)?.first())?;
    if let Err(quota) = usage.charge(Charge::Group, &conn.quotas, now) {
        return Ok(Written::Denied(Denial::Quota(quota)));
    }
    let mut sql = Sql::new();
    sql.push("INSERT INTO conversation (kind, name, description, updated_at, listed_until) VALUES (1,")
        .text(name)
        .push(",")
        .text(desc)
        .push(format_args!(",{now},{now})"))
        .end()
        .statement(format_args!(
            "INSERT INTO member (conversation_id, user_id, kind, role) VALUES (LAST_INSERT_ID(), {owner}, 1, {OWNER})"
        ))
        .statement(format_args!(
            "INSERT INTO listing (user_id, slack, listed_until, conversation_id) \
             VALUES ({owner}, 0, {now}, LAST_INSERT_ID())"
        ));
    add_charge(&mut sql, owner, Charge::Group, now);
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
        "SELECT kind, last_seq, slack, listed_until, member_version FROM conversation WHERE id = {conversation} \
         FOR UPDATE SKIP LOCKED"
    ))
    .statement(format_args!("SELECT kind FROM conversation WHERE id = {conversation}"))
    .statement(format_args!(
        "SELECT 1 FROM member WHERE conversation_id = {conversation} AND user_id = {user}"
    ))
    .statement(format_args!("SELECT {NOW}"));
    ask_usage(&mut sql, user);
    let answers = conn.ask(&sql)?;
    let [locked, there, member, time, used] = &answers[opening..] else {
        unreachable!("one answer for each statement")
    };
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
        (Some(row), _) if is_full(conn, *conversation, row.number(4)?)? => {
            Written::Denied(Denial::Quota(Quota::Members))
        }
        (Some(row), _) => {
            let now = first(&time.rows)?.time(0)?;
            let charged = usage(used.rows.first())?.charge(Charge::Conversation, &conn.quotas, now);
            if let Err(quota) = charged {
                conn.ask(sql.statement("ROLLBACK"))?;
                return Ok(Some(Written::Denied(Denial::Quota(quota))));
            }
            let (last, slack, until) = (row.seq(1)?, row.number(2)?, row.number(3)?);
            sql.statement(format_args!(
                "INSERT INTO member (conversation_id, user_id, kind, joined_seq, delivered_seq, read_seq) \
                 VALUES ({conversation}, {user}, 1, {last}, {last}, {last})"
            ))
            .statement(format_args!(
                "INSERT IGNORE INTO listing (user_id, slack, listed_until, conversation_id) \
                 VALUES ({user}, {slack}, {until}, {conversation})"
            ))
            .statement(format_args!(
                "UPDATE conversation SET member_version = member_version + 1 WHERE id = {conversation}"
            ));
            add_charge(&mut sql, user, Charge::Conversation, now);
            *commits = true;
            Written::Done
        }
    };
    conn.ask(sql.statement("COMMIT"))?;
    Ok(Some(written))
}

/// Whether a group has as many members as it may have. Its version counts every change of the members, so it is at
/// least their number.
fn is_full(conn: &mut Connection, conversation: ConversationId, version: i64) -> Result<bool, Failure> {
    let most = i64::from(conn.quotas.members);
    if most == 0 || version < most {
        return Ok(false);
    }
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!(
            "SELECT COUNT(*) FROM member WHERE conversation_id = {conversation} AND device = 0"
        ));
    })?;
    Ok(first(&rows)?.number(0)? >= most)
}

pub fn ask_groups(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT c.id, c.name, c.description, m.role FROM member m FORCE INDEX (member_kind) \
         STRAIGHT_JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.kind = 1 AND m.conversation_id > {} AND m.device = 0 \
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
        "SELECT conversation_id FROM member FORCE INDEX (member_kind) \
         WHERE user_id = {user} AND kind = 1 AND device = 0 ORDER BY conversation_id"
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
        "SELECT u.id, u.name, m.role FROM member m FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = m.user_id \
         WHERE m.conversation_id = {conversation} AND m.user_id > {} AND m.device = 0 ORDER BY m.user_id LIMIT {}",
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
