//! Sessions: tokens, claims fenced by epoch, and the data a client needs to begin one.

use super::claim;
use super::connection::Connection;
use super::device;
use super::failure::Failure;
use super::record::Answer;
use super::sql::Sql;
use super::token::{holder, insert_token, kept_client, revoke_token, use_token};
use super::{contact, group, timeline};
use crate::header_cache::HeaderCache;
use crate::machine::Random;
use crate::networks;
use crate::overview::Columns;
use crate::token::{self, KeptClient, OfRegister};
use logic::contract::session::{Found, LOGIN_LIST_MAX, LoginView, Read, Write};
use logic::contract::{Client, Denial, Token, TokenHash, Written, session};
use std::sync::Arc;
use wire::{ConversationId, Page, UnixMillis, UserId};

pub fn write(
    conn: &mut Connection,
    now: UnixMillis,
    random: &mut Random,
    write: &Write,
) -> Result<Written, Failure> {
    match write {
        Write::CreateToken { user, password, client } => {
            create_token(conn, now, random, *user, &password.0, client)
        }
        Write::ExtendToken { token, client } => extend_token(conn, now, token, client),
        Write::RevokeToken(hash) => revoke_one(conn, now, hash),
        Write::Revoke { user, which } => device::revoke(conn, now, *user, *which),
        Write::Settle => Ok(Written::Done),
        Write::Claim(claim) => claim::claim(conn, now, claim),
        Write::Abandon { user, node, claim, grace } => claim::abandon(conn, now, *user, node, *claim, *grace),
        Write::Lose { fence, silent } => claim::lose(conn, now, *fence, *silent),
        Write::End { fence, grace, token } => claim::end(conn, now, *fence, *grace, token.as_ref()),
        Write::Touch(heard) => claim::touch(conn, now, heard),
    }
}

/// Whether a write that may have been executed can be repeated without harm.
pub fn may_be_repeated(write: &Write) -> bool {
    match write {
        // A second token that no client received simply expires.
        Write::CreateToken { .. }
        | Write::ExtendToken { .. }
        | Write::RevokeToken(_)
        // Its sessions stay ended, and their nodes find out by themselves.
        | Write::Revoke { .. }
        | Write::Settle
        // It finds the session that its first attempt may have made.
        | Write::Claim(_)
        | Write::Abandon { .. }
        | Write::Lose { .. }
        | Write::End { .. }
        | Write::Touch(_) => true,
    }
}

/// The accounts whose rows a write locks before those of sessions.
pub fn accounts_of(write: &Write) -> Vec<UserId> {
    match write {
        Write::Claim(claim) => vec![claim.user],
        Write::Revoke { user, .. } | Write::Abandon { user, .. } => vec![*user],
        Write::Lose { fence, .. } | Write::End { fence, .. } => vec![fence.user],
        Write::Touch(heard) => heard.iter().map(|(fence, _)| fence.user).collect(),
        Write::CreateToken { .. } | Write::ExtendToken { .. } | Write::RevokeToken(_) | Write::Settle => {
            Vec::new()
        }
    }
}

pub fn read(conn: &mut Connection, headers: &HeaderCache, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::LoginView { user, with_last } => {
            Ok(Found::LoginView(Box::new(login_view(conn, headers, *user, *with_last)?)))
        }
        Read::Devices { user, live } => Ok(Found::Devices(device::devices(conn, *user, live)?)),
        Read::Holder { token } => Ok(Found::Holder(holder(conn, token)?.map(Box::new))),
    }
}

fn create_token(
    conn: &mut Connection,
    now: UnixMillis,
    random: &mut Random,
    user: UserId,
    password: &str,
    client: &Client,
) -> Result<Written, Failure> {
    let token = token::make(random, now);
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT name, networks, password FROM user WHERE id = {user} FOR UPDATE"))
        .statement(format_args!(
            "SELECT hash FROM token WHERE user_id = {user} AND expires_at <= {now} ORDER BY expires_at DESC \
             LIMIT 1000 OFFSET {}",
            token::ENDED_MAX
        ));
    let answers = conn.ask(&sql)?;
    let [users, surplus] = &answers[..] else { unreachable!("one answer for each statement") };
    let Some(row) = users.rows.first() else { return Ok(Written::Denied(Denial::NotFound)) };
    if row.text(2)? != password {
        return Ok(Written::Denied(Denial::Conflict));
    }
    let name = Arc::from(row.text(0)?);
    let mut sql = Sql::new();
    logged_in(&mut sql, now, user, networks::with(row.maybe_bytes(1)?.unwrap_or_default(), client.network()));
    // Of REGISTER's token: a later login than the first ends it, the first takes it over. Columns are set from left to
    // right, each from the values before it.
    sql.statement(format_args!(
        "UPDATE token SET expires_at = IF(of_register = 2, LEAST(expires_at, {now}), expires_at), \
         of_register = IF(of_register = 1, 2, 0) WHERE user_id = {user} AND of_register > 0"
    ));
    for row in &surplus.rows {
        sql.push("DELETE FROM token WHERE hash = ").bytes(row.bytes(0)?).end();
    }
    let kept = KeptClient::default().after(client);
    insert_token(&mut sql, now, user, &token, &kept, OfRegister::No);
    conn.ask(&sql)?;
    let KeptClient { device, kind, .. } = kept;
    Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
        user,
        name,
        token,
        device,
        kind,
    }))))
}

/// Records a login, with its networks if they changed.
fn logged_in(sql: &mut Sql, now: UnixMillis, user: UserId, networks: Option<Vec<u8>>) {
    sql.push(format_args!("UPDATE user SET last_login = {now}"));
    if let Some(networks) = networks {
        sql.push(", networks = ").bytes(&networks);
    }
    sql.push(format_args!(" WHERE id = {user}")).end();
}

fn extend_token(
    conn: &mut Connection,
    now: UnixMillis,
    text: &str,
    client: &Client,
) -> Result<Written, Failure> {
    let token = token::with_text(text.into(), now);
    let mut sql = Sql::new();
    sql.push(
        "SELECT u.id, u.name, t.expires_at, t.of_register, u.networks, t.device, t.kind, t.address \
         FROM token t JOIN user u ON u.id = t.user_id WHERE t.hash = ",
    )
    .bytes(&token.hash)
    .push(format_args!(" AND t.expires_at > {now}"))
    .end();
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::TokenInvalid)) };
    let (user, name, expires) = (row.user(0)?, Arc::from(row.text(1)?), row.time(2)?);
    let networks = networks::with(row.maybe_bytes(4)?.unwrap_or_default(), client.network());
    let before = kept_client(row, 5)?;
    let kept = before.after(client);
    let is_unchanged = row.number(3)? == OfRegister::No as i64 && kept == before;
    let mut sql = Sql::new();
    if is_unchanged && token::is_fresh(expires, now) {
        if networks.is_some() {
            logged_in(&mut sql, now, user, networks);
            conn.ask(&sql)?;
        }
        let (token, KeptClient { device, kind, .. }) = (Token { expires, ..token }, kept);
        return Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
            user,
            name,
            token,
            device,
            kind,
        }))));
    }
    // The account's row before the token's, as everywhere.
    logged_in(&mut sql, now, user, networks);
    use_token(&mut sql, now, &token, &kept);
    // If another node has just done the same, nothing is changed.
    sql.push(format_args!("SELECT 1 FROM token WHERE expires_at > {now} AND hash = "))
        .bytes(&token.hash)
        .end();
    if conn.rows(&sql)?.is_empty() {
        return Ok(Written::Denied(Denial::TokenInvalid));
    }
    let KeptClient { device, kind, .. } = kept;
    Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
        user,
        name,
        token,
        device,
        kind,
    }))))
}

fn revoke_one(conn: &mut Connection, now: UnixMillis, hash: &TokenHash) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    revoke_token(&mut sql, now, hash);
    conn.ask(&sql)?;
    Ok(Written::Done)
}

/// Reads everything in one round trip, unless the account has very many conversations or unread messages.
fn login_view(
    conn: &mut Connection,
    headers: &HeaderCache,
    user: UserId,
    with_last: bool,
) -> Result<LoginView, Failure> {
    let page = Page { after: 0, limit: LOGIN_LIST_MAX as u32 };
    let mut sql = Sql::new();
    contact::ask_friends(&mut sql, user, page);
    contact::ask_friend_ids(&mut sql, user);
    group::ask_groups(&mut sql, user, page);
    let scan = timeline::ask_conversations(&mut sql, user, None, LOGIN_LIST_MAX);
    timeline::ask_unread(&mut sql, user, ConversationId(0));
    let answers = conn.ask(&sql)?;
    let rows = |at: usize| answers.get(at).map_or(&[][..], |answer: &Answer| &answer.rows);
    let (listing, unread) = (3, 3 + timeline::CONVERSATIONS_ANSWERS);
    let unread = timeline::undelivered(&answers[unread..unread + timeline::UNREAD_ANSWERS])?;
    let (friends, friends_more) = contact::friends(rows(0), page)?;
    let (groups, groups_more) = group::groups(rows(2), page)?;
    let (conversations, conversations_more) = timeline::conversations(
        conn,
        headers,
        user,
        scan,
        &answers[listing..listing + timeline::CONVERSATIONS_ANSWERS],
        Columns { unread: true, last: with_last },
    )?;
    Ok(LoginView {
        friends,
        friends_more,
        friend_ids: contact::ids(rows(1))?,
        groups,
        groups_more,
        conversations: conversations.into(),
        conversations_more,
        unread,
    })
}
