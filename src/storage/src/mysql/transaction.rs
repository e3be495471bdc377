//! The open transaction of a change that an entry tells of.

use super::connection::{Connection, rows_of};
use super::end::End;
use super::failure::{Failure, Undone};
use super::fence;
use super::member_cache::MemberCache;
use super::member_list::{self, Group};
use super::record::{Record, first};
use super::sent;
use super::sql::Sql;
use super::usage::{ask_usage, usage};
use crate::account_usage::Charge;
use logic::contract::entry::Actor;
use logic::contract::message::Stored;
use logic::contract::{Epoch, Fence, Quota, Written};
use std::sync::Arc;
use wire::group::Role;
use wire::{ConversationId, UnixMillis, UserId};

pub struct Transaction<'a> {
    pub conn: &'a mut Connection,
    pub cache: &'a mut MemberCache,
    pub now: UnixMillis,
    /// The earliest time of its entry.
    pub dated: UnixMillis,
    /// Called before it may be committed.
    pub commits: &'a mut dyn FnMut(),
}

impl Transaction<'_> {
    /// Whether the session on whose behalf the change is made may make it.
    pub fn is_in_force(&mut self, fence: Option<Fence>) -> Result<bool, Failure> {
        match fence {
            Some(fence) if fence.epoch != Epoch::NONE => fence::is_in_force(self.conn, fence),
            _ => Ok(true),
        }
    }

    /// Makes nothing, with this outcome.
    pub fn undo(&mut self, outcome: Option<Written>) -> Result<Option<Written>, Undone> {
        self.conn.roll_back()?;
        Ok(outcome)
    }

    /// Where an entry with the actor's `cid` is stored. `lock`: waits for transactions that are storing it.
    pub fn find(&mut self, by: &Actor, lock: &str) -> Result<Option<Stored>, Failure> {
        let mut sql = Sql::new();
        for day in sent::days(self.now) {
            sql.push(format_args!(
                "SELECT conversation_id, seq, created_at FROM sent_{day:08} WHERE sender_id = {} AND cid = ",
                by.user
            ))
            .bytes(by.cid.as_bytes())
            .push(lock)
            .end();
        }
        let answers = self.conn.ask(&sql)?;
        let mut rows = answers.iter().flat_map(|answer| &answer.rows);
        let place = |row: &Record| {
            Ok(Stored { conversation: row.conversation(0)?, seq: row.seq(1)?, time: row.time(2)? })
        };
        rows.next().map(place).transpose()
    }

    /// The role of a user in a conversation; of who is no member, that of a member.
    pub fn role_of(&mut self, conversation: ConversationId, user: UserId) -> Result<Role, Failure> {
        let rows = rows_of(self.conn, |sql| {
            sql.statement(format_args!(
                "SELECT role FROM member WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0"
            ));
        })?;
        rows.first().map_or(Ok(Role::Normal), |row| row.role(0))
    }

    /// The members of a locked group.
    pub fn members(&mut self, end: &End) -> Result<Arc<[UserId]>, Failure> {
        if self.cache.at(end.conversation, end.version).is_none() {
            member_list::read(self.conn, self.cache, &[Group::of(end)])?;
        }
        Ok(self
            .cache
            .at(end.conversation, end.version)
            .map_or_else(Arc::default, |known| Arc::clone(&known.members)))
    }

    /// Whether the account may have one more; locks its row until the transaction ends.
    pub fn charge(&mut self, user: UserId, what: Charge) -> Result<Result<(), Quota>, Failure> {
        let mut sql = Sql::new();
        ask_usage(&mut sql, user);
        let mut usage = usage(self.conn.rows(&sql)?.first())?;
        Ok(usage.charge(what, &self.conn.quotas, self.now))
    }

    /// Whether a locked group has as many members as it may have. Its version counts every change of the members, so it
    /// is at least their number.
    pub fn is_full(&mut self, conversation: ConversationId, version: i64) -> Result<bool, Failure> {
        let most = i64::from(self.conn.quotas.members);
        if most == 0 || version < most {
            return Ok(false);
        }
        let rows = rows_of(self.conn, |sql| {
            sql.statement(format_args!(
                "SELECT COUNT(*) FROM member WHERE conversation_id = {conversation} AND device = 0"
            ));
        })?;
        Ok(first(&rows)?.number(0)? >= most)
    }

    /// Executes the statements and commits. Returns the id that the first statement made, if it made one.
    pub fn commit(&mut self, sql: &mut Sql) -> Result<u64, Undone> {
        let before_commit = sql.statements();
        sql.statement("COMMIT");
        (self.commits)();
        let answers = self.conn.ask(sql).map_err(|failure| Undone::at_commit(failure, before_commit))?;
        Ok(answers[0].made)
    }
}
