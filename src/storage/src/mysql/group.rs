//! Reads of groups and their members. Their changes go through an appender: see [`super::change`].

use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::record::{Record, page_of};
use super::sql::Sql;
use crate::page::Rows;
use logic::contract::group::{Found, Member, Read};
use logic::contract::{self, Denial};
use wire::group::Group;
use wire::{ConversationId, Page, UserId};

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
