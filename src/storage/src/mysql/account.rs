//! Accounts and their tokens.

use super::failure::{Cause, Failure};
use super::link::Link;
use super::sql::Sql;
use crate::{Random, token};
use logic::contract::{Denial, Token, TokenHash, Written, account, session};
use std::sync::Arc;
use wire::{UnixMillis, UserId};

/// Carries out [`logic::contract::account::Write::Create`].
pub fn create(
    link: &mut Link,
    now: UnixMillis,
    random: &mut Random,
    name: &str,
    password: &str,
    nick: Option<&str>,
) -> Result<Written, Failure> {
    let token = token::make(random, now);
    let mut sql = Sql::new();
    sql.push("INSERT INTO user (name, name_key, password, nick, created_at, last_login) VALUES (")
        .text(name)
        .push(",")
        .bytes(wire::name::key(name).as_bytes())
        .push(",")
        .text(password)
        .push(",")
        .maybe_text(nick)
        .push(format_args!(",{now},{now})"))
        .end();
    insert_token(&mut sql, "LAST_INSERT_ID()", &token, None);
    match link.ask(&sql) {
        Ok(answers) => {
            Ok(Written::Account(account::Written::Created { user: UserId(answers[0].made as u32), token }))
        }
        // The statement alone was undone, not the transaction.
        Err(Failure { cause: Cause::Duplicate, after: 0, .. }) => Ok(Written::Denied(Denial::NameTaken)),
        Err(failure) => Err(failure),
    }
}

/// Carries out [`logic::contract::session::Write::CreateToken`].
pub fn create_token(
    link: &mut Link,
    now: UnixMillis,
    random: &mut Random,
    user: UserId,
    device: Option<&str>,
) -> Result<Written, Failure> {
    let token = token::make(random, now);
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT name FROM user WHERE id = {user}"));
    let rows = link.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::NotFound)) };
    let name = Arc::from(row.text(0)?);
    let mut sql = Sql::new();
    sql.statement(format_args!("UPDATE user SET last_login = {now} WHERE id = {user}"));
    insert_token(&mut sql, &user.to_string(), &token, device);
    link.ask(&sql)?;
    Ok(Written::Session(session::Written::TokenReady { user, name, token }))
}

/// Carries out [`logic::contract::session::Write::ExtendToken`].
pub fn extend_token(link: &mut Link, now: UnixMillis, text: &str) -> Result<Written, Failure> {
    let token = token::with_text(text.into(), now);
    let mut sql = Sql::new();
    sql.push(
        "SELECT u.id, u.name, t.expires_at FROM token t JOIN user u ON u.id = t.user_id WHERE t.hash = ",
    )
    .bytes(&token.hash)
    .push(format_args!(" AND t.expires_at > {now}"))
    .end();
    let rows = link.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::TokenInvalid)) };
    let (user, name, expires) = (row.user(0)?, Arc::from(row.text(1)?), UnixMillis(row.number(2)? as u64));
    if token::is_fresh(expires, now) {
        return Ok(Written::Session(session::Written::TokenReady {
            user,
            name,
            token: Token { expires, ..token },
        }));
    }
    let mut sql = Sql::new();
    sql.push(format_args!("UPDATE token SET expires_at = {} WHERE hash = ", token.expires))
        .bytes(&token.hash)
        .end()
        .statement(format_args!("UPDATE user SET last_login = {now} WHERE id = {user}"));
    link.ask(&sql)?;
    Ok(Written::Session(session::Written::TokenReady { user, name, token }))
}

/// Carries out [`logic::contract::session::Write::RevokeToken`].
pub fn revoke_token(link: &mut Link, hash: &TokenHash) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    link.ask(sql.push("DELETE FROM token WHERE hash = ").bytes(hash).end())?;
    Ok(Written::Done)
}

/// Forgets expired tokens; at most `limit`, gives how many.
pub fn prune_tokens(link: &mut Link, limit: u64) -> Result<u64, Failure> {
    let now = link.now()?;
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "DELETE FROM token WHERE expires_at <= {now} ORDER BY expires_at LIMIT {limit}"
    ));
    Ok(link.ask(&sql)?.first().map_or(0, |answer| answer.changed))
}

fn insert_token(sql: &mut Sql, user: &str, token: &Token, device: Option<&str>) {
    sql.push("INSERT INTO token (hash, user_id, device, expires_at) VALUES (")
        .bytes(&token.hash)
        .push(format_args!(",{user},"))
        .maybe_text(device)
        .push(format_args!(",{})", token.expires))
        .end();
}
