//! Sessions: tokens, claims fenced by epoch, and the data a client needs to begin one.
//!
//! A single process on a file keeps its sessions in memory and never claims one. Claims exist here so that the
//! conformance suite runs the tests of several nodes on every store.

use super::column::{self, undamaged};
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::claim::{EndPlan, Plan, Row, changes_status, set_status};
use crate::column::{End, LEFT, NODE_KEPT_MS, client_kind_number, kick_code_number};
use crate::error::StoreError;
use crate::fault::At;
use crate::networks;
use crate::token::{self, KeptClient, OfRegister};
use logic::contract::node::{ENDED_KEPT_MS, SILENT_MS};
use logic::contract::session::{self, Claim, ClaimId, Ended, Revoked, Which};
use logic::contract::token::{DEVICES_MAX, Device};
use logic::contract::{Client, Denial, Epoch, Fence, Found, Token, TokenHash, Tokens, Written};
use rusqlite::OptionalExtension;
use std::sync::Arc;
use wire::session::KickCode;
use wire::{DeviceId, UnixMillis, UserId};

impl SqliteStore {
    pub(super) fn write_session(
        &mut self,
        batch: &Batch,
        write: session::Write,
    ) -> Result<Written, StoreError> {
        match write {
            session::Write::CreateToken { user, password, client } => {
                self.create_token(batch, user, &password.0, &client)
            }
            session::Write::ExtendToken { token, client } => self.extend_token(batch, token, &client),
            session::Write::RevokeToken(hash) => {
                self.revoke_token(batch.now, &hash)?;
                Ok(Written::Done)
            }
            session::Write::Revoke { user, which } => self.revoke(batch, user, which),
            session::Write::Settle => Ok(Written::Done),
            session::Write::Claim(claim) => self.claim(batch, &claim),
            session::Write::Abandon { user, node, claim, grace } => {
                let rows = self.sessions(user)?;
                let (mut was_last, mut changes_status) = (false, false);
                if let Some(own) = rows.iter().find(|row| *row.node == *node && row.claim == claim) {
                    EndPlan { was_last, changes_status, .. } =
                        EndPlan::make(&rows, own.epoch, None, grace, batch.now);
                    self.forget_session(user, own.epoch)?;
                }
                Ok(Written::Session(session::Written::Ended { was_last, changes_status }))
            }
            session::Write::Lose { fence, silent } => self.lose(batch, fence, silent),
            session::Write::End { fence, grace, token } => self.end(batch, fence, grace, token.as_ref()),
            session::Write::Touch(heard) => {
                for (fence, silent) in heard {
                    let sql = "UPDATE account_session SET heard_at = max(heard_at, ?3) WHERE user_id = ?1 AND epoch = ?2";
                    let at = batch.now.0.saturating_sub(silent) as i64;
                    self.conn.prepare_cached(sql)?.execute((fence.user.0, fence.epoch.0, at))?;
                }
                Ok(Written::Done)
            }
        }
    }

    fn create_token(
        &mut self,
        batch: &Batch,
        user: UserId,
        password: &str,
        client: &Client,
    ) -> Result<Written, StoreError> {
        let sql = "SELECT networks, password = ?2 FROM user WHERE id = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.conn.prepare_cached(sql)?.query_row((user.0, password), row).optional();
        let found: Option<(Option<Vec<u8>>, bool)> = found.at("user", user)?;
        let Some((networks, is_current)) = found else { return Ok(Written::Denied(Denial::NotFound)) };
        if !is_current {
            return Ok(Written::Denied(Denial::Conflict));
        }
        let networks = networks::with(&networks.unwrap_or_default(), client.network());
        let Some(name) = self.logged_in(batch.now, user, networks.as_deref()).at("user", user)? else {
            return Ok(Written::Denied(Denial::NotFound));
        };
        // Of REGISTER's token: a later login than the first ends it, the first takes it over.
        let sql = "UPDATE token SET expires_at = iif(of_register = 2, min(expires_at, ?2), expires_at), \
                   of_register = iif(of_register = 1, 2, 0) WHERE user_id = ?1 AND of_register > 0";
        self.conn.prepare_cached(sql)?.execute((user.0, batch.now.0 as i64))?;
        let sql = "DELETE FROM token WHERE hash IN (SELECT hash FROM token WHERE user_id = ?1 AND expires_at <= ?2 \
                   ORDER BY expires_at DESC LIMIT -1 OFFSET ?3)";
        self.conn.prepare_cached(sql)?.execute((user.0, batch.now.0 as i64, token::ENDED_MAX as i64))?;
        let kept = KeptClient::default().after(client);
        let token = self.new_token(batch.now, user, &kept, OfRegister::No)?;
        let KeptClient { device, kind, .. } = kept;
        Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
            user,
            name,
            token,
            device,
            kind,
        }))))
    }

    fn extend_token(
        &mut self,
        batch: &Batch,
        text: Box<str>,
        client: &Client,
    ) -> Result<Written, StoreError> {
        let (now, token) = (batch.now, token::with_text(text, batch.now));
        let sql = "SELECT user_id, expires_at, of_register, name, networks, device, kind, address \
                   FROM token t JOIN user u ON u.id = t.user_id WHERE hash = ?1 AND expires_at > ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((token.hash, now.0 as i64))?;
        let Some(row) = rows.next()? else { return Ok(Written::Denied(Denial::TokenInvalid)) };
        let user = UserId(row.get(0).at("token", "of an account")?);
        let expires = column::time(row, 1).at("token", user)?;
        let of_register: i64 = row.get(2).at("token", user)?;
        let name: String = row.get(3).at("user", user)?;
        let networks: Option<Vec<u8>> = row.get(4).at("user", user)?;
        let before = kept_client(row, 5).at("token", user)?;
        let (name, networks) = (name.into(), networks::with(&networks.unwrap_or_default(), client.network()));
        drop(rows);
        let kept = before.after(client);
        let kind = kept.kind;
        let is_unchanged = of_register == OfRegister::No as i64 && kept == before;
        if is_unchanged && token::is_fresh(expires, now) {
            if networks.is_some() {
                self.logged_in(now, user, networks.as_deref())?;
            }
            let (token, device) = (Token { expires, ..token }, kept.device);
            return Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
                user,
                name,
                token,
                device,
                kind,
            }))));
        }
        // Of REGISTER's token: the session that begins lives by it, as by any other.
        let sql = "UPDATE token SET expires_at = ?2, of_register = 0, device = ?3, kind = ?4, address = ?5, \
                   last_used_at = ?6 WHERE hash = ?1";
        let (kind_number, address) = (client_kind_number(kind), kept.address_text());
        let values =
            (token.hash, token.expires.0 as i64, kept.device.as_deref(), kind_number, address, now.0 as i64);
        self.conn.prepare_cached(sql)?.execute(values)?;
        self.logged_in(now, user, networks.as_deref())?;
        let device = kept.device;
        Ok(Written::Session(session::Written::TokenReady(Box::new(session::TokenReady {
            user,
            name,
            token,
            device,
            kind,
        }))))
    }

    /// Revokes a token, and REGISTER's where that belongs to the same login.
    fn revoke_token(&self, now: UnixMillis, hash: &TokenHash) -> Result<(), StoreError> {
        let sql = "UPDATE token SET expires_at = min(expires_at, ?2) WHERE hash = ?1 OR \
                   user_id = (SELECT user_id FROM token WHERE hash = ?1) AND of_register = 2";
        self.conn.prepare_cached(sql)?.execute((hash, now.0 as i64))?;
        Ok(())
    }

    /// Revokes tokens of an account, and ends the sessions that live by them.
    fn revoke(&self, batch: &Batch, user: UserId, which: Which) -> Result<Written, StoreError> {
        let tokens = match which {
            Which::One(id) => {
                let sql = "SELECT hash FROM token WHERE user_id = ?1 AND id = ?2";
                let mut select = self.conn.prepare_cached(sql)?;
                let hash = select.query_row((user.0, id.0), |row| row.get(0)).optional().at("token", user)?;
                let Some(hash) = hash else { return Ok(Written::Denied(Denial::NotFound)) };
                Tokens::One(hash)
            }
            Which::Token(hash) => Tokens::One(hash),
            Which::AllBut(kept) => Tokens::AllBut(kept),
        };
        let revoked = self.revoke_tokens(batch.now, user, tokens, KickCode::Revoked)?;
        Ok(Written::Session(session::Written::Revoked(Box::new(revoked))))
    }

    /// Revokes these tokens of an account, and ends the sessions that live by them.
    pub(super) fn revoke_tokens(
        &self,
        now: UnixMillis,
        user: UserId,
        tokens: Tokens,
        code: KickCode,
    ) -> Result<Revoked, StoreError> {
        match tokens {
            Tokens::One(hash) => self.revoke_token(now, &hash)?,
            Tokens::AllBut(kept) => {
                let sql =
                    "UPDATE token SET expires_at = ?2 WHERE user_id = ?1 AND expires_at > ?2 AND hash <> ?3";
                self.conn.prepare_cached(sql)?.execute((user.0, now.0 as i64, kept))?;
            }
        }
        let rows = self.sessions(user)?;
        let (ended, stay): (Vec<&Row>, Vec<&Row>) =
            rows.iter().filter(|row| row.may_write()).partition(|row| tokens.include(&row.token));
        for row in &ended {
            self.mark_ended(now, user, row.epoch, code, None)?;
        }
        // Nobody else tells the friends for a node that is gone.
        let is_gone = ended.iter().any(|row| row.end.is_none()) && !stay.iter().any(|row| row.is_held(now));
        let stay: Vec<&Row> = stay.into_iter().filter(|row| row.is_held(now)).collect();
        let changes_status = changes_status(&stay, ended.iter().copied().filter(|row| row.end.is_none()));
        let ended =
            ended.into_iter().map(|row| Ended { node: row.node.clone(), epoch: row.epoch, why: code });
        Ok(Revoked { tokens, ended: ended.collect(), is_gone, changes_status })
    }

    /// The sessions of an account, as far as they are remembered.
    pub(super) fn sessions(&self, user: UserId) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT s.epoch, s.node, s.claim, s.token_hash, s.device, s.kind, s.heard_at, s.lost_at, s.changed_at, \
                       s.end_code, s.ended_by, n.seen_at, s.is_away, s.status_text, s.status_at \
                   FROM account_session s LEFT JOIN node n ON n.name = s.node WHERE s.user_id = ?1 ORDER BY s.epoch";
        let mut select = self.conn.prepare_cached(sql)?;
        let rows = select.query_map([user.0], |row| {
            Ok(Row {
                epoch: Epoch(row.get(0)?),
                node: row.get(1)?,
                claim: ClaimId(row.get::<_, i64>(2)? as u64),
                token: row.get(3)?,
                device: row.get(4)?,
                kind: column::client_kind(row, 5)?,
                heard_at: column::time(row, 6)?,
                lost_at: column::maybe_time(row, 7)?,
                changed_at: column::time(row, 8)?,
                end: row.get::<_, Option<i64>>(9)?.map(End::of),
                ended_by: row.get::<_, Option<u32>>(10)?.map(Epoch),
                seen_at: column::maybe_time(row, 11)?,
                status: set_status(row.get(12)?, row.get(13)?, column::maybe_time(row, 14)?),
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>().at("session", user)
    }

    fn mark_ended(
        &self,
        now: UnixMillis,
        user: UserId,
        epoch: Epoch,
        why: KickCode,
        by: Option<Epoch>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE account_session SET end_code = ?3, changed_at = ?4, ended_by = ?5 \
                   WHERE user_id = ?1 AND epoch = ?2";
        let values = (user.0, epoch.0, kick_code_number(why), now.0 as i64, by.map(|by| by.0));
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn forget_session(&self, user: UserId, epoch: Epoch) -> Result<(), StoreError> {
        let sql = "DELETE FROM account_session WHERE user_id = ?1 AND epoch = ?2";
        self.conn.prepare_cached(sql)?.execute((user.0, epoch.0))?;
        Ok(())
    }

    pub(super) fn new_token(
        &mut self,
        now: UnixMillis,
        user: UserId,
        client: &KeptClient,
        of_register: OfRegister,
    ) -> Result<Token, StoreError> {
        let token = token::make(&mut self.random, now);
        let sql = "INSERT INTO token (hash, user_id, expires_at, of_register, id, device, kind, address, created_at, \
                   last_used_at) SELECT ?1, ?2, ?3, ?4, coalesce(max(id), 0) + 1, ?5, ?6, ?7, ?8, ?8 \
                   FROM token WHERE user_id = ?2";
        let KeptClient { device, kind, .. } = client;
        let values = (
            token.hash,
            user.0,
            token.expires.0 as i64,
            of_register as i64,
            device.as_deref(),
            client_kind_number(*kind),
            client.address_text(),
            now.0 as i64,
        );
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(token)
    }

    /// Records a login, with its networks if they changed, and returns the account's name.
    fn logged_in(
        &self,
        now: UnixMillis,
        user: UserId,
        networks: Option<&[u8]>,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let sql =
            "UPDATE user SET last_login = ?2, networks = coalesce(?3, networks) WHERE id = ?1 RETURNING name";
        let mut update = self.conn.prepare_cached(sql)?;
        let values = (user.0, now.0 as i64, networks);
        let name: Option<String> = update.query_row(values, |row| row.get(0)).optional()?;
        Ok(name.map(Arc::from))
    }

    /// Deletes at most `limit` tokens that identify no client any more, and returns how many it deleted.
    pub(super) fn prune_tokens(&self, now: UnixMillis, limit: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM token WHERE hash IN (SELECT hash FROM token WHERE expires_at <= ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((token::forgotten_before(now).0 as i64, limit))?)
    }

    /// Deletes at most `limit` sessions that have been over for long, and returns how many it deleted.
    pub(super) fn prune_sessions(&self, now: UnixMillis, limit: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM account_session WHERE (user_id, epoch) IN (SELECT s.user_id, s.epoch FROM account_session s \
                       LEFT JOIN node n ON n.name = s.node \
                       WHERE s.changed_at < ?1 AND s.end_code IS NOT NULL OR s.changed_at < ?2 AND n.name IS NULL \
                           OR s.lost_at < ?2 LIMIT ?3)";
        let before = |ms: u64| now.0.saturating_sub(ms) as i64;
        let values = (before(ENDED_KEPT_MS), before(NODE_KEPT_MS), limit);
        Ok(self.conn.prepare_cached(sql)?.execute(values)?)
    }

    fn claim(&self, batch: &Batch, claim: &Claim) -> Result<Written, StoreError> {
        let (now, user) = (batch.now, claim.user);
        let sql = "SELECT 1 FROM token WHERE hash = ?1 AND expires_at <= ?2";
        if self.conn.prepare_cached(sql)?.exists((claim.token, now.0 as i64))? {
            return Ok(Written::Denied(Denial::TokenInvalid));
        }
        let sql = "SELECT session_epoch FROM user WHERE id = ?1";
        let latest = self.conn.prepare_cached(sql)?.query_row([user.0], |row| row.get(0)).optional();
        let Some(latest) = latest.at("user", user)? else { return Ok(Written::Denied(Denial::NotFound)) };
        let next = next_epoch(latest).at("user", user)?;
        let plan = match Plan::make(claim, &self.sessions(user)?, next, now) {
            Ok(plan) => plan,
            Err(refused) => return Ok(refused),
        };
        let epoch = plan.claimed.epoch;
        for token in &plan.revoked {
            self.revoke_token(now, token)?;
        }
        for (ended, why) in plan.ends {
            self.mark_ended(now, user, ended, why, Some(epoch))?;
        }
        for expired in plan.expired {
            self.mark_ended(now, user, expired, KickCode::Login, None)?;
        }
        for outdated in plan.outdated {
            self.forget_session(user, outdated)?;
        }
        if plan.is_new {
            let sql = "UPDATE user SET session_epoch = ?2 WHERE id = ?1";
            self.conn.prepare_cached(sql)?.execute((user.0, epoch.0))?;
            let sql = "INSERT INTO account_session (user_id, epoch, node, claim, token_hash, device, kind, heard_at, changed_at, \
                           is_away, status_text, status_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)";
            let set = plan.claimed.status.as_ref();
            let values = (
                user.0,
                epoch.0,
                &*claim.node,
                claim.id.0 as i64,
                claim.token,
                claim.device.as_deref(),
                client_kind_number(claim.kind),
                now.0 as i64,
                set.is_some_and(|set| set.status.is_away),
                set.and_then(|set| set.status.text.as_deref()),
                set.map(|set| set.at as i64),
            );
            self.conn.prepare_cached(sql)?.execute(values)?;
        }
        Ok(Written::Session(session::Written::Claimed(Box::new(plan.claimed))))
    }

    fn lose(&self, batch: &Batch, fence: Fence, silent: u64) -> Result<Written, StoreError> {
        let sql = "UPDATE account_session SET lost_at = coalesce(lost_at, ?3), heard_at = max(heard_at, ?4) \
                   WHERE user_id = ?1 AND epoch = ?2 AND end_code IS NULL";
        let now = batch.now.0;
        let values = (fence.user.0, fence.epoch.0, now as i64, now.saturating_sub(silent) as i64);
        Ok(match self.conn.prepare_cached(sql)?.execute(values)? {
            0 => Written::Superseded,
            _ => Written::Done,
        })
    }

    fn end(
        &self,
        batch: &Batch,
        fence: Fence,
        grace: u64,
        token: Option<&TokenHash>,
    ) -> Result<Written, StoreError> {
        let Fence { user, epoch } = fence;
        let plan = EndPlan::make(&self.sessions(user)?, epoch, token, grace, batch.now);
        let sql = "UPDATE account_session SET end_code = ?3, changed_at = ?4 \
                   WHERE user_id = ?1 AND epoch = ?2 AND end_code IS NULL";
        self.conn.prepare_cached(sql)?.execute((user.0, epoch.0, LEFT, batch.now.0 as i64))?;
        if let Some(token) = token.filter(|_| plan.revokes) {
            self.revoke_token(batch.now, token)?;
        }
        let EndPlan { was_last, changes_status, .. } = plan;
        Ok(Written::Session(session::Written::Ended { was_last, changes_status }))
    }

    /// Whether a session may write: it has not ended, or by itself and may have sent something before.
    pub(super) fn is_in_force(&self, Fence { user, epoch }: Fence) -> Result<bool, StoreError> {
        if epoch == Epoch::NONE {
            return Ok(true);
        }
        let sql =
            "SELECT 1 FROM account_session WHERE user_id = ?1 AND epoch = ?2 AND coalesce(end_code, ?3) = ?3";
        Ok(self.conn.prepare_cached(sql)?.exists((user.0, epoch.0, LEFT))?)
    }
}

fn next_epoch(latest: u32) -> Result<Epoch, StoreError> {
    let next = latest.checked_add(1).map(Epoch);
    next.ok_or_else(|| StoreError::Fault("the epoch is out of range".to_owned()))
}

/// Reads what is kept of a client, in the columns `device`, `kind` and `address`. A damaged address is one that is not
/// known.
fn kept_client(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<KeptClient> {
    let address: Option<Box<str>> = row.get(first + 2)?;
    Ok(KeptClient {
        device: row.get(first)?,
        kind: column::client_kind(row, first + 1)?,
        address: address.and_then(|text| text.parse().ok()),
    })
}

impl View<'_> {
    pub(super) fn read_session(&mut self, read: &session::Read) -> Result<Found, StoreError> {
        let found = match read {
            session::Read::LoginView { user, with_last } => {
                let view = self.login_view(*user, *with_last).at("member", format_args!("(any, {user})"))?;
                session::Found::LoginView(Box::new(view))
            }
            session::Read::Devices { user, live } => session::Found::Devices(self.devices(*user, live)?),
            session::Read::Holder { token } => session::Found::Holder(self.holder(token)?.map(Box::new)),
        };
        Ok(Found::Session(found))
    }

    fn devices(&self, user: UserId, live: &[TokenHash]) -> Result<Vec<Device>, StoreError> {
        let sql = "SELECT id, hash, device, kind, address, created_at, last_used_at, expires_at, \
                       EXISTS (SELECT 1 FROM account_session s JOIN node n ON n.name = s.node WHERE s.user_id = ?1 \
                           AND s.token_hash = hash AND s.end_code IS NULL AND s.lost_at IS NULL AND n.seen_at > ?2) \
                   FROM token WHERE user_id = ?1 AND of_register <> 2 ORDER BY last_used_at DESC, id DESC";
        let silent_since = self.now.0.saturating_sub(SILENT_MS) as i64;
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, silent_since))?;
        let (devices, _) = undamaged("token", &mut rows, |row| {
            let token: TokenHash = row.get(1)?;
            let KeptClient { device, kind, address } = kept_client(row, 2)?;
            let (created, last_used) = (column::time(row, 5)?, column::time(row, 6)?);
            let online: bool = row.get(8)?;
            let is_in_force = column::time(row, 7)? > self.now || online || live.contains(&token);
            let id = DeviceId(row.get(0)?);
            let device = Device { id, token, device, kind, address, created, last_used, online };
            Ok(is_in_force.then_some(device))
        })?;
        Ok(devices.into_iter().flatten().take(DEVICES_MAX).collect())
    }
}
