//! Changes of a group's members and their roles: each is one transaction of the tables `member` and `former_member` and the
//! entry that tells of it.

use super::end::{END_COLUMNS, End};
use super::failure::{Failure, Undone};
use super::former;
use super::member_cache::Members;
use super::message::members_at;
use super::record::Record;
use super::sql::Sql;
use super::system_entry::{append_entry, made};
use super::transaction::Transaction;
use crate::column::role_number;
use logic::contract::entry::Entry;
use logic::contract::group::{Change, What, Written as Outcome};
use logic::contract::{Denial, Fence, Written};
use logic::rights;
use logic::rights::group::{Asked, Step};
use std::sync::Arc;
use wire::group::Role;
use wire::{ConversationId, ConversationKind, UserId};

/// Makes a change and commits it; `None`: the group is locked by another transaction. `is_in_doubt`: it may have been made
/// before.
pub fn make(
    transaction: &mut Transaction<'_>,
    fence: Option<Fence>,
    is_in_doubt: bool,
    change: &Change,
) -> Result<Option<Written>, Undone> {
    let outcome = match Locked::lock(transaction, change)? {
        Lock::Elsewhere => None,
        Lock::NoGroup => Some(Err(Written::Denied(Denial::Forbidden))),
        Lock::Taken(locked) => {
            Some(decide(transaction, fence, is_in_doubt, &locked, change)?.map(|step| (step, locked)))
        }
    };
    match outcome {
        Some(Ok((Step::Bar, _))) => {
            let mut sql = Sql::new();
            change.target().into_iter().for_each(|user| bar(&mut sql, change.conversation, user));
            transaction.commit(&mut sql)?;
            Ok(Some(Written::Group(Outcome::Unchanged)))
        }
        Some(Ok((_, locked))) => commit(transaction, locked, change).map(Some),
        Some(Err(written)) => transaction.undo(Some(written)),
        None => transaction.undo(None),
    }
}

enum Lock {
    Taken(Locked),
    /// Another transaction holds it.
    Elsewhere,
    /// There is no such group.
    NoGroup,
}

/// A locked group.
struct Locked {
    end: End,
    /// The actor's role; `None`: it is no member.
    role: Option<Role>,
    /// The role of the user concerned; `None`: it is no member.
    target: Option<Role>,
    /// Whether the user concerned was a member and is not any more.
    has_left: bool,
    /// The name of the user concerned.
    name: Box<str>,
    /// Who made the group.
    maker: UserId,
    /// How many members the group has, or 2 where it has more.
    members: usize,
}

impl Locked {
    fn lock(transaction: &mut Transaction<'_>, change: &Change) -> Result<Lock, Failure> {
        let conversation = change.conversation;
        let (by, target) = (change.by.user, change.target().unwrap_or(change.by.user));
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT {END_COLUMNS} FROM conversation WHERE id = {conversation} FOR UPDATE SKIP LOCKED"
        ))
        .statement(format_args!("SELECT kind, maker_id FROM conversation WHERE id = {conversation}"))
        .statement(format_args!(
            "SELECT user_id, role FROM member \
             WHERE conversation_id = {conversation} AND user_id IN ({by}, {target}) AND device = 0"
        ))
        .statement(format_args!("SELECT name FROM user WHERE id = {target}"))
        .statement(format_args!(
            "SELECT user_id FROM member WHERE conversation_id = {conversation} AND device = 0 LIMIT 2"
        ))
        .statement(format_args!(
            "SELECT user_id FROM former_member WHERE conversation_id = {conversation} AND user_id = {target}"
        ));
        let answers = transaction.conn.ask(&sql)?;
        let [locked, there, roles, name, some, former] = &answers[..] else {
            unreachable!("one answer for each statement")
        };
        let maker = match there.rows.first() {
            Some(row) if row.kind(0)? == ConversationKind::Group => row.user(1)?,
            _ => return Ok(Lock::NoGroup),
        };
        let Some(row) = locked.rows.first() else { return Ok(Lock::Elsewhere) };
        let role_of = |user: UserId| -> Result<Option<Role>, Failure> {
            let is_of = |row: &&Record| row.user(0).is_ok_and(|of| of == user);
            roles.rows.iter().find(is_of).map(|row| row.role(1)).transpose()
        };
        Ok(Lock::Taken(Locked {
            end: End::read(conversation, row, 0)?,
            role: role_of(by)?,
            target: role_of(target)?,
            has_left: !former.rows.is_empty(),
            maker,
            name: name.rows.first().map_or(Ok(""), |row| row.text(0))?.into(),
            members: some.rows.len(),
        }))
    }
}

/// Decides a change while its group is locked: it is to be made, or [`Step::Bar`]. The inner error is its outcome where
/// nothing is to be done.
fn decide(
    transaction: &mut Transaction<'_>,
    fence: Option<Fence>,
    is_in_doubt: bool,
    locked: &Locked,
    change: &Change,
) -> Result<Result<Step, Written>, Failure> {
    let (by, conversation) = (&change.by, change.conversation);
    // Nobody else can have made a change in doubt, whatever has become of the session.
    if is_in_doubt && let Some(stored) = transaction.find(by, "")? {
        let members = members_at(transaction.conn, conversation, stored.seq)?;
        let message = by.entry(change.announcement(&locked.name), stored);
        return Ok(Err(Written::Group(Outcome::Changed(Entry { message, members }))));
    }
    if !transaction.is_in_force(fence)? {
        return Ok(Err(Written::Superseded));
    }
    let Some(role) = locked.role else { return Ok(Err(Written::Denied(Denial::Forbidden))) };
    let Locked { target, has_left, members, .. } = *locked;
    let asked = Asked { role, target, has_left: has_left && target.is_none(), members };
    Ok(match rights::group::change(change, asked) {
        Ok(step @ (Step::Make | Step::Bar)) => Ok(step),
        Ok(Step::IsDone) => Err(Written::Group(Outcome::Unchanged)),
        Err(why) => Err(Written::Group(Outcome::Refused(why))),
    })
}

fn commit(transaction: &mut Transaction<'_>, mut locked: Locked, change: &Change) -> Result<Written, Undone> {
    let (by, conversation) = (&change.by, change.conversation);
    let version = locked.end.version;
    let members = transaction.members(&locked.end)?;
    let stored = locked.end.next(transaction.dated);
    let mut sql = Sql::new();
    match change.what {
        What::Leave => {
            former::end_membership(&mut sql, by.user, stored);
            let is_dismissed = locked.members == 1;
            if is_dismissed {
                dismiss(&mut sql, conversation, transaction);
            }
            discharge(&mut sql, by.user, is_dismissed.then_some(locked.maker));
        }
        What::Remove { user, bar: is_barred } => {
            former::end_membership(&mut sql, user, stored);
            discharge(&mut sql, user, None);
            if is_barred {
                bar(&mut sql, conversation, user);
            }
        }
        What::SetRole { user, role } => set_role(&mut sql, conversation, user, role),
        What::Transfer { user } => {
            set_role(&mut sql, conversation, by.user, Role::Admin);
            set_role(&mut sql, conversation, user, Role::Creator);
        }
    }
    let removed = change.removed();
    let told = change.announcement(&locked.name);
    append_entry(&mut sql, &locked.end, by, &told, stored, removed.is_some(), transaction.now);
    transaction.commit(&mut sql)?;
    let is_left = |member: &&UserId| Some(**member) != removed;
    let left: Arc<[UserId]> = match removed {
        Some(_) => members.iter().filter(is_left).copied().collect(),
        None => Arc::clone(&members),
    };
    let version = version + i64::from(removed.is_some());
    let head = Members { kind: ConversationKind::Group, version, as_of: stored.seq, members: left };
    transaction.cache.put(conversation, head);
    Ok(Written::Group(Outcome::Changed(made(by, told, stored, members))))
}

/// Counts one conversation less of who has left, and where the group is dismissed one less of who made it. Accounts are
/// locked by id.
fn discharge(sql: &mut Sql, leaver: UserId, maker: Option<UserId>) {
    for (user, less) in discharged(leaver, maker) {
        sql.statement(format_args!("UPDATE account_usage SET {less} WHERE user_id = {user}"));
    }
}

fn discharged(leaver: UserId, maker: Option<UserId>) -> Vec<(UserId, &'static str)> {
    let of_leaver = (leaver, "conversations = GREATEST(conversations, 1) - 1");
    let of_maker = maker.map(|maker| (maker, "groups_owned = GREATEST(groups_owned, 1) - 1"));
    let mut updates: Vec<_> = of_maker.into_iter().chain([of_leaver]).collect();
    updates.sort_unstable_by_key(|(user, _)| *user);
    updates
}

/// The user does not join the group again.
fn bar(sql: &mut Sql, conversation: ConversationId, user: UserId) {
    sql.statement(format_args!(
        "INSERT IGNORE INTO barred (conversation_id, user_id) VALUES ({conversation}, {user})"
    ));
}

/// Nobody joins the group any more.
fn dismiss(sql: &mut Sql, conversation: ConversationId, transaction: &Transaction<'_>) {
    sql.statement(format_args!(
        "UPDATE conversation SET dismissed_at = {} WHERE id = {conversation}",
        transaction.now
    ));
}

fn set_role(sql: &mut Sql, conversation: ConversationId, user: UserId, role: Role) {
    sql.statement(format_args!(
        "UPDATE member SET role = {} WHERE conversation_id = {conversation} AND user_id = {user} AND device = 0",
        role_number(role)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_locked_by_id_also_where_another_one_made_the_group() {
        let users = |leaver, maker: Option<u32>| {
            let updates = discharged(UserId(leaver), maker.map(UserId));
            updates.into_iter().map(|(user, _)| user.0).collect::<Vec<_>>()
        };
        assert_eq!(users(5, Some(9)), [5, 9]);
        assert_eq!(users(9, Some(5)), [5, 9]);
        assert_eq!(users(5, Some(5)), [5, 5]);
        assert_eq!(users(5, None), [5]);
    }
}
