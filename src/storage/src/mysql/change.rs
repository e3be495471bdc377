//! Changes of a conversation, each in one transaction with the system entry that tells of it.
//!
//! Each is a job of an appender, which keeps it in order with the messages of its conversation. After a COMMIT without
//! an answer the `cid` of the entry shows whether the change was made. For a group that exists, its lock proves that the
//! lost transaction has ended. For a new group, the primary key of `sent` admits only one of the two transactions, so
//! that the other fails and looks again.

use super::connection::{Connection, KEPT_FROM, NOW};
use super::end::{END_COLUMNS, End};
use super::entry_change;
use super::failure::{Failure, Undone};
use super::member_cache::{MemberCache, Members};
use super::member_change;
use super::message::members_at;
use super::record::first;
use super::sql::Sql;
use super::system_entry::{append_entry, insert_entry, made};
use super::transaction::Transaction;
use super::usage::add_charge;
use crate::account_usage::Charge;
use crate::calendar;
use crate::column::role_number;
use crate::retention;
use logic::contract::change;
use logic::contract::entry::Actor;
use logic::contract::group::{self, Write};
use logic::contract::message::Stored;
use logic::contract::{Denial, Fence, Quota, Ticket, Written};
use std::sync::Arc;
use std::time::Instant;
use wire::entry::Event;
use wire::group::Role;
use wire::{ConversationId, ConversationKind, Seq, UserId};

/// What is changed, together with an entry.
#[derive(Debug)]
pub enum Work {
    Group(Write),
    Entry(change::Write),
}

/// A change to be made.
#[derive(Debug)]
pub struct Change {
    pub ticket: Ticket,
    /// The session on whose behalf it is made; `None`: the write is not fenced.
    pub fence: Option<Fence>,
    pub work: Work,
    pub since: Instant,
    /// The answer to a commit that contained it was lost, so it may be made.
    pub is_in_doubt: bool,
}

impl Change {
    pub fn new(ticket: Ticket, fence: Option<Fence>, work: Work, since: Instant) -> Change {
        Change { ticket, fence, work, since, is_in_doubt: false }
    }

    /// The conversation that it changes; `None`: a new one.
    pub fn conversation(&self) -> Option<ConversationId> {
        match &self.work {
            Work::Group(Write::Create { .. }) => None,
            Work::Group(Write::Join { conversation, .. }) => Some(*conversation),
            Work::Group(Write::Change(change)) => Some(change.conversation),
            Work::Entry(write) => Some(write.conversation),
        }
    }

    pub fn actor(&self) -> &Actor {
        match &self.work {
            Work::Group(Write::Create { by, .. } | Write::Join { by, .. }) => by,
            Work::Group(Write::Change(change)) => &change.by,
            Work::Entry(write) => &write.by,
        }
    }

    /// Tries once; `None`: the conversation is locked by another transaction. `commits` is called before the change may
    /// become visible.
    pub fn execute(
        &self,
        conn: &mut Connection,
        cache: &mut MemberCache,
        commits: &mut dyn FnMut(),
    ) -> Result<Option<Written>, Undone> {
        let mut sql = conn.begin();
        sql.statement(format_args!("SELECT {NOW}, {KEPT_FROM}"));
        let answers = conn.ask(&sql)?;
        let times = first(&answers[answers.len() - 1].rows)?;
        let now = times.time(0)?;
        let dated = retention::dated(now, times.month(1)?);
        let mut transaction = Transaction { conn, cache, now, dated, commits };
        match &self.work {
            Work::Group(Write::Create { by, name, desc }) => {
                self.create(&mut transaction, by, name, desc).map(Some)
            }
            Work::Group(Write::Join { by, conversation }) => self.join(&mut transaction, by, *conversation),
            Work::Group(Write::Change(change)) => {
                member_change::make(&mut transaction, self.fence, self.is_in_doubt, change)
            }
            Work::Entry(write) => entry_change::make(&mut transaction, self.fence, self.is_in_doubt, write),
        }
    }

    fn create(
        &self,
        transaction: &mut Transaction<'_>,
        by: &Actor,
        name: &str,
        desc: &str,
    ) -> Result<Written, Undone> {
        let written = |entry| Written::Group(group::Written::Created(entry));
        let members: Arc<[UserId]> = [by.user].into();
        if self.is_in_doubt
            && let Some(stored) = transaction.find(by, " FOR UPDATE")?
        {
            transaction.conn.roll_back()?;
            return Ok(written(made(by, by.announcement(Event::Created), stored, members)));
        }
        if !transaction.is_in_force(self.fence)? {
            transaction.conn.roll_back()?;
            return Ok(Written::Superseded);
        }
        if let Err(quota) = transaction.charge(by.user, Charge::Group)? {
            transaction.conn.roll_back()?;
            return Ok(Written::Denied(Denial::Quota(quota)));
        }
        let (time, month) = (transaction.dated, calendar::month_of(transaction.dated));
        let mut sql = Sql::new();
        sql.push("INSERT INTO conversation ")
            .push(
                "(kind, name, description, last_seq, month, updated_at, changed_at, listed_until, maker_id) ",
            )
            .push("VALUES (1,")
            .text(name)
            .push(",")
            .text(desc)
            .push(format_args!(",1,{month},{time},{time},{time},{})", by.user))
            .end()
            .statement(format_args!(
                "INSERT INTO member (conversation_id, user_id, kind, role, read_seq) \
                 VALUES (LAST_INSERT_ID(),{},1,{},1)",
                by.user,
                role_number(Role::Creator)
            ))
            .statement(format_args!(
                "INSERT INTO listing (user_id, slack, listed_until, conversation_id) \
                 VALUES ({},0,{time},LAST_INSERT_ID())",
                by.user
            ))
            .statement(format_args!(
                "INSERT INTO segment (conversation_id, month, first_seq) VALUES (LAST_INSERT_ID(),{month},1)"
            ));
        // The id is not known yet, and the text of an entry does not depend on it.
        let stored = Stored { conversation: ConversationId(0), seq: Seq(1), time };
        let told = by.announcement(Event::Created);
        insert_entry(&mut sql, by, &told, stored, "LAST_INSERT_ID()", transaction.now);
        add_charge(&mut sql, by.user, Charge::Group, transaction.now);
        let id = transaction.commit(&mut sql)?;
        let stored = Stored { conversation: ConversationId(id as u32), ..stored };
        Ok(written(made(by, told, stored, members)))
    }

    fn join(
        &self,
        transaction: &mut Transaction<'_>,
        by: &Actor,
        conversation: ConversationId,
    ) -> Result<Option<Written>, Undone> {
        let user = by.user;
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT kind, {END_COLUMNS} FROM conversation WHERE id = {conversation} FOR UPDATE SKIP LOCKED"
        ))
        .statement(format_args!("SELECT kind FROM conversation WHERE id = {conversation}"))
        .statement(format_args!(
            "SELECT 1 FROM member WHERE conversation_id = {conversation} AND user_id = {user}"
        ))
        .statement(format_args!(
            "SELECT dismissed_at IS NOT NULL OR EXISTS \
             (SELECT 1 FROM barred WHERE conversation_id = {conversation} AND user_id = {user}) \
             FROM conversation WHERE id = {conversation}"
        ));
        let answers = transaction.conn.ask(&sql)?;
        let [locked, there, member, takes_nobody_in] = &answers[..] else {
            unreachable!("one answer for each statement")
        };
        let refusal = match (locked.rows.first(), there.rows.first()) {
            (_, None) => Some(Written::Denied(Denial::NotFound)),
            (_, Some(row)) if row.number(0)? == 0 => Some(Written::Denied(Denial::NotFound)),
            (None, Some(_)) => {
                transaction.conn.roll_back()?;
                return Ok(None);
            }
            _ if self.is_in_doubt
                && let Some(joined) = self.joined_before(transaction, by, conversation)? =>
            {
                Some(joined)
            }
            _ if !transaction.is_in_force(self.fence)? => Some(Written::Superseded),
            _ if !member.rows.is_empty() => Some(Written::Denied(Denial::Conflict)),
            _ if first(&takes_nobody_in.rows)?.number(0)? != 0 => Some(Written::Denied(Denial::Forbidden)),
            (Some(row), _) if transaction.is_full(conversation, row.number(3)?)? => {
                Some(Written::Denied(Denial::Quota(Quota::Members)))
            }
            _ => {
                let charged = transaction.charge(user, Charge::Conversation)?;
                charged.err().map(|quota| Written::Denied(Denial::Quota(quota)))
            }
        };
        if let Some(written) = refusal {
            transaction.conn.roll_back()?;
            return Ok(Some(written));
        }
        let mut end = End::read(conversation, first(&locked.rows)?, 1)?;
        let (last, version) = (end.last, end.version);
        let stored = end.next(transaction.dated);
        let members = transaction.members(&end)?;
        let members = match members.binary_search(&user) {
            Ok(_) => members,
            Err(at) => members[..at].iter().chain([&user]).chain(&members[at..]).copied().collect(),
        };
        let seq = stored.seq;
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "DELETE FROM former_member WHERE conversation_id = {conversation} AND user_id = {user}"
        ))
        .statement(format_args!(
            "INSERT INTO member (conversation_id, user_id, kind, joined_seq, delivered_seq, read_seq) \
             VALUES ({conversation},{user},1,{last},{last},{seq})"
        ))
        .statement(format_args!(
            "INSERT IGNORE INTO listing (user_id, slack, listed_until, conversation_id) \
             SELECT {user}, slack, listed_until, id FROM conversation WHERE id = {conversation}"
        ));
        let told = by.announcement(Event::Joined);
        append_entry(&mut sql, &end, by, &told, stored, true, transaction.now);
        add_charge(&mut sql, user, Charge::Conversation, transaction.now);
        transaction.commit(&mut sql)?;
        let head = Members {
            kind: ConversationKind::Group,
            version: version + 1,
            as_of: seq,
            members: Arc::clone(&members),
        };
        transaction.cache.put(conversation, head);
        Ok(Some(Written::Group(group::Written::Joined(made(by, told, stored, members)))))
    }

    /// The outcome of a join whose commit was in doubt, if it was made.
    fn joined_before(
        &self,
        transaction: &mut Transaction<'_>,
        by: &Actor,
        conversation: ConversationId,
    ) -> Result<Option<Written>, Failure> {
        let Some(stored) = transaction.find(by, "")? else { return Ok(None) };
        let members = members_at(transaction.conn, conversation, stored.seq)?;
        let entry = made(by, by.announcement(Event::Joined), stored, members);
        Ok(Some(Written::Group(group::Written::Joined(entry))))
    }
}
