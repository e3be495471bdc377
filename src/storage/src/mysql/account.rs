//! Accounts.

use super::connection::{Connection, rows_of};
use super::device;
use super::failure::{Cause, Failure};
use super::name;
use super::record::{Record, first, undamaged};
use super::sql::Sql;
use super::token::insert_token;
use crate::machine::Random;
use crate::networks;
use crate::token::{self, KeptClient, OfRegister};
use logic::contract::account::{Credentials, Found, Login, PasswordChange, Profile, Read, Write};
use logic::contract::session::Revoked;
use logic::contract::{Denial, Tokens, Written, account};
use wire::account::{Find, FoundUser, FoundUsers, Who};
use wire::session::KickCode;
use wire::{UnixMillis, UserId};

pub fn write(
    conn: &mut Connection,
    now: UnixMillis,
    random: &mut Random,
    write: &Write,
) -> Result<Written, Failure> {
    match write {
        Write::Create { name, password, nick } => create(conn, now, random, name, password, nick.as_deref()),
        Write::ChangePassword(change) => change_password(conn, now, change),
    }
}

/// Whether a write that may have been executed can be repeated without harm. A second account would be a wrong answer; a
/// change of the password is recognized by the new hash, which is like no other.
pub fn may_be_repeated(write: &Write) -> bool {
    match write {
        Write::Create { .. } => false,
        Write::ChangePassword(_) => true,
    }
}

/// The account whose sessions a write ends.
pub fn account_of(write: &Write) -> Option<UserId> {
    match write {
        Write::Create { .. } => None,
        Write::ChangePassword(change) => Some(change.user),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::Id(who) => Ok(Found::Id(id_of(conn, who)?)),
        Read::Credentials(login) => Ok(Found::Credentials(credentials(conn, login)?.map(Box::new))),
        Read::Find(find) => Ok(Found::Users(find_users(conn, find)?)),
        Read::Profile { user, who } => Ok(Found::Profile(profile(conn, *user, who)?.map(Box::new))),
    }
}

fn create(
    conn: &mut Connection,
    now: UnixMillis,
    random: &mut Random,
    name: &str,
    password: &str,
    nick: Option<&str>,
) -> Result<Written, Failure> {
    let token = token::make(random, now);
    let mut sql = Sql::new();
    // What follows is undone if another name looks like this one.
    sql.statement("SAVEPOINT account")
        .push("INSERT INTO user (name, name_key, password, nick, created_at, last_login) VALUES (")
        .text(name)
        .push(",")
        .bytes(wire::name::key(name).as_bytes())
        .push(",")
        .text(password)
        .push(",")
        .maybe_text(nick)
        .push(format_args!(",{now},{now})"))
        .end();
    name::claim(&mut sql, [("LAST_INSERT_ID()".to_owned(), name)].into_iter());
    name::ask_taken(&mut sql, name);
    let answers = match conn.ask(&sql) {
        Ok(answers) => answers,
        // Only the statement was rolled back, not the transaction.
        Err(Failure { cause: Cause::Duplicate, after: 1, .. }) => {
            return Ok(Written::Denied(Denial::NameTaken));
        }
        Err(failure) => return Err(failure),
    };
    let taken = answers.last().map(|answer| first(&answer.rows)).transpose()?;
    if taken.map(|row| row.number(0)).transpose()? != Some(0) {
        conn.ask(Sql::new().statement("ROLLBACK TO SAVEPOINT account"))?;
        return Ok(Written::Denied(Denial::NameTaken));
    }
    let (user, mut sql) = (UserId(answers[1].made as u32), Sql::new());
    insert_token(&mut sql, now, user, &token, &KeptClient::default(), OfRegister::Unused);
    conn.ask(&sql)?;
    Ok(Written::Account(account::Written::Created { user, token }))
}

fn change_password(
    conn: &mut Connection,
    now: UnixMillis,
    change: &PasswordChange,
) -> Result<Written, Failure> {
    let PasswordChange { user, old, new, token } = change;
    let tokens = Tokens::AllBut(*token);
    let done = |revoked| Written::Account(account::Written::PasswordChanged(Box::new(revoked)));
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT password FROM user WHERE id = {user} FOR UPDATE"));
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::NotFound)) };
    let password = row.text(0)?;
    if password == &**new {
        // Made already.
        return Ok(done(Revoked { tokens, ended: Vec::new(), is_gone: false, changes_status: false }));
    }
    if password != &**old {
        return Ok(Written::Denied(Denial::Conflict));
    }
    let mut sql = Sql::new();
    sql.push("UPDATE user SET password = ")
        .text(new)
        .push(", password_by = ")
        .bytes(token)
        .push(format_args!(" WHERE id = {user}"))
        .end();
    conn.ask(&sql)?;
    Ok(done(device::revoke_tokens(conn, now, *user, tokens, KickCode::Password)?))
}

fn id_of(conn: &mut Connection, who: &Who) -> Result<Option<UserId>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.push("SELECT id FROM user WHERE ").push(is_user(who)).end();
    })?;
    rows.first().map(|row| row.user(0)).transpose()
}

fn credentials(conn: &mut Connection, login: &Login) -> Result<Option<Credentials>, Failure> {
    let known = login.known.as_deref().map(token::hash);
    let rows = rows_of(conn, |sql| {
        sql.push("SELECT id, password, networks, password_by, ");
        match &known {
            Some(hash) => sql.push("(SELECT user_id FROM token WHERE hash = ").bytes(hash).push(")"),
            None => sql.push("NULL"),
        };
        sql.push(" FROM user WHERE ").push(is_user(&login.who)).end();
    })?;
    let credentials = |row: &Record| {
        let user = row.user(0)?;
        let is_known = row.maybe_number(4)? == Some(i64::from(user.0));
        Ok(Credentials {
            user,
            hash: row.text(1)?.into(),
            is_familiar: networks::contain(row.maybe_bytes(2)?.unwrap_or_default(), login.network),
            known: known.filter(|_| is_known),
            changed_by: row.maybe_bytes(3)?.and_then(|hash| hash.try_into().ok()),
        })
    };
    rows.first().map(credentials).transpose()
}

fn profile(conn: &mut Connection, user: UserId, who: &Who) -> Result<Option<Profile>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.push("SELECT id, name, nick, created_at, friend_id, remark, tag FROM user LEFT JOIN friend")
            .push(format_args!(" ON user_id = {user} AND friend_id = id WHERE "))
            .push(is_user(who))
            .end();
    })?;
    let profile = |row: &Record| {
        Ok(Profile {
            user: row.user(0)?,
            name: row.text(1)?.into(),
            nick: Some(row.text(2)?).filter(|nick| !nick.is_empty()).map(Into::into),
            created: row.time(3)?,
            friend: row.maybe_number(4)?.map(|_| row.notes(5)).transpose()?,
        })
    };
    rows.first().map(profile).transpose()
}

fn find_users(conn: &mut Connection, find: &Find) -> Result<FoundUsers, Failure> {
    const COLUMNS: &str = "SELECT id, name, nick FROM user";
    let id = find.id();
    let mut sql = Sql::new();
    if let Some(id) = id {
        sql.statement(format_args!("{COLUMNS} WHERE id = {id}"));
    }
    if let Some(keys) = find.keys() {
        sql.push(format_args!("{COLUMNS} FORCE INDEX (name_key) WHERE name_key >= "))
            .bytes(&keys.start)
            .push(" AND name_key < ")
            .bytes(&keys.end)
            .push(format_args!(" ORDER BY name_key LIMIT {}", find.limit + 2))
            .end();
    }
    let user = |row: &Record| {
        let nick = row.maybe_text(2)?.filter(|nick| !nick.is_empty()).map(Into::into);
        Ok(FoundUser { id: row.user(0)?, name: row.text(1)?.into(), nick })
    };
    let mut users: Vec<FoundUser> = Vec::new();
    for (at, answer) in conn.ask(&sql)?.iter().enumerate() {
        let found = undamaged(&answer.rows, user)?;
        // The one of the first statement may be among those of the second.
        users.extend(found.into_iter().filter(|found| at == 0 || Some(found.id) != id));
    }
    let more = users.len() > find.limit as usize;
    users.truncate(find.limit as usize);
    Ok(FoundUsers { users, more })
}

/// An SQL condition for this user.
pub fn is_user(who: &Who) -> Sql {
    match who {
        Who::Id(id) => {
            let mut sql = Sql::new();
            sql.push(format_args!("id = {id}"));
            sql
        }
        Who::Name(name) => name::is_named(name),
    }
}
