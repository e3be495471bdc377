//! Resolves the targets of messages: names to users, and pairs of users to direct conversations, which are created if
//! they are missing. Neither mapping ever changes, so results are cached.

use super::connection::{Connection, NOW};
use super::failure::Failure;
use super::name;
use super::record::{Record, first, undamaged};
use super::sent;
use super::sql::Sql;
use super::usage::{add_charge, ask_usages, usage};
use crate::account_usage::{AccountUsage, Charge};
use foldhash::{HashMap, HashMapExt, HashSet};
use logic::contract::message::Append;
use logic::contract::{Denial, Quota, Written, message};
use std::collections::BTreeSet;
use wire::{ConversationId, Target, UserId};

/// The number of names and of pairs that are kept.
const KEPT_MAX: usize = 1 << 20;

/// The most messages that are resolved with one query, so that a packet stays below
/// [`PACKET`](super::connection::PACKET): the longest name takes 1.5 KiB of a statement, a `cid` in both its days 0.4
/// KiB.
const LOOK_MAX: usize = 2_048;

/// The most plain forms that are looked up with one query: one takes up to 6.6 KiB of a statement.
const FOLDS_MAX: usize = 512;

/// Two users, the lower id first.
type Pair = (UserId, UserId);

#[derive(Debug)]
pub struct Targets {
    users: HashMap<Box<str>, UserId>,
    pairs: HashMap<Pair, ConversationId>,
    /// Pairs whose conversation the last look-up did not create, because its opener's quota is used up.
    over_quota: HashMap<Pair, UserId>,
}

impl Targets {
    pub fn new() -> Targets {
        Targets { users: HashMap::new(), pairs: HashMap::new(), over_quota: HashMap::new() }
    }

    /// The conversation of a message, if it is known.
    pub fn conversation(&self, append: &Append) -> Option<ConversationId> {
        match append.target {
            Target::Conversation(conversation) | Target::Group(conversation) => Some(conversation),
            _ => self.pairs.get(&pair(append.sender, self.peer(&append.target)?)).copied(),
        }
    }

    /// Resolves the targets of these messages. What is unknown afterwards does not exist.
    pub fn learn(&mut self, conn: &mut Connection, appends: &[&Append]) -> Result<(), Failure> {
        if self.users.len() > KEPT_MAX || self.pairs.len() > KEPT_MAX {
            *self = Targets::new();
        }
        self.over_quota.clear();
        appends.chunks(LOOK_MAX).try_for_each(|some| self.learn_some(conn, some))
    }

    fn learn_some(&mut self, conn: &mut Connection, appends: &[&Append]) -> Result<(), Failure> {
        self.learn_names(conn, appends)?;
        let to_pair = |append: &&Append| {
            let peer = self.peer(&append.target)?;
            let pair = pair(append.sender, peer);
            (!self.pairs.contains_key(&pair)).then_some((pair, peer))
        };
        let mut wanted: Vec<(Pair, UserId)> = appends.iter().filter_map(to_pair).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.learn_pairs(conn, &wanted)?;
        wanted.retain(|(pair, _)| !self.pairs.contains_key(pair));
        let peers = existing(conn, wanted.iter().map(|(_, peer)| *peer))?;
        wanted.retain(|(_, peer)| peers.contains(peer));
        // Two users who write to each other at once open one conversation.
        wanted.dedup_by_key(|(pair, _)| *pair);
        self.over_quota.extend(make(conn, &mut wanted)?);
        self.learn_pairs(conn, &wanted)
    }

    /// The outcomes of messages whose targets do not exist: denials, or duplicates of messages that were sent before.
    pub fn refusals(&self, conn: &mut Connection, appends: &[&Append]) -> Result<Vec<Written>, Failure> {
        let days = sent::days(conn.now()?);
        let mut found = sent::Found::default();
        for some in appends.chunks(LOOK_MAX) {
            let mut sql = Sql::new();
            sent::ask(&mut sql, days, some.iter().map(|append| (append.sender, &*append.cid)));
            found.extend(sent::found(&conn.rows(&sql)?)?);
        }
        let refusal = |append: &&Append| match sent::place(&found, append.sender, &append.cid) {
            Some(stored) => Written::Message(message::Written::Duplicate(stored)),
            None if self.is_over_quota(append) => Written::Denied(Denial::Quota(Quota::Conversations)),
            None => Written::Denied(Denial::NotFound),
        };
        Ok(appends.iter().map(refusal).collect())
    }

    fn is_over_quota(&self, append: &Append) -> bool {
        let pair = self.peer(&append.target).map(|peer| pair(append.sender, peer));
        pair.and_then(|pair| self.over_quota.get(&pair)) == Some(&append.sender)
    }

    fn peer(&self, target: &Target) -> Option<UserId> {
        match target {
            Target::User(user) => Some(*user),
            Target::Name(name) => self.users.get(&*wire::name::key(name)).copied(),
            Target::Conversation(_) | Target::Group(_) => None,
        }
    }

    fn learn_names(&mut self, conn: &mut Connection, appends: &[&Append]) -> Result<(), Failure> {
        let unknown = |append: &&Append| match &append.target {
            Target::Name(name) => {
                Some(wire::name::key(name)).filter(|key| !self.users.contains_key(key.as_str()))
            }
            _ => None,
        };
        let keys: HashSet<String> = appends.iter().filter_map(unknown).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new();
        sql.push("SELECT id, name_key FROM user WHERE name_key IN (")
            .list(",", &keys, |sql, key| {
                sql.bytes(key.as_bytes());
            })
            .push(")")
            .end();
        for (key, user) in undamaged(&conn.rows(&sql)?, |row| Ok((row.text(1)?, row.user(0)?)))? {
            self.users.insert(key.into(), user);
        }
        self.learn_folded(conn, appends)
    }

    /// Looks up the names that no account has as a key. No new account may have the plain form of another's name, so the
    /// results may be kept.
    fn learn_folded(&mut self, conn: &mut Connection, appends: &[&Append]) -> Result<(), Failure> {
        let unknown = |append: &&Append| match &append.target {
            Target::Name(name) => {
                let key = wire::name::key(name);
                (!self.users.contains_key(key.as_str())).then(|| (wire::name::fold(name), key))
            }
            _ => None,
        };
        let mut names: Vec<(String, String)> = appends.iter().filter_map(unknown).collect();
        names.sort_unstable();
        names.dedup();
        for some in names.chunks(FOLDS_MAX) {
            let mut sql = Sql::new();
            name::ask_folded(&mut sql, some.iter().map(|(fold, _)| fold));
            for row in conn.rows(&sql)? {
                let (fold, user) = (row.text(0)?, row.user(1)?);
                let from = some.partition_point(|(of, _)| of.as_str() < fold);
                for (_, key) in some[from..].iter().take_while(|(of, _)| of == fold) {
                    self.users.insert(key.as_str().into(), user);
                }
            }
        }
        Ok(())
    }

    fn learn_pairs(&mut self, conn: &mut Connection, wanted: &[(Pair, UserId)]) -> Result<(), Failure> {
        if wanted.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new();
        sql.push("SELECT id, low_id, high_id FROM conversation WHERE ").push(of_pairs(wanted)).end();
        let pair = |row: &Record| Ok(((row.user(1)?, row.user(2)?), row.conversation(0)?));
        self.pairs.extend(undamaged(&conn.rows(&sql)?, pair)?);
        Ok(())
    }
}

fn pair(one: UserId, other: UserId) -> Pair {
    (one.min(other), one.max(other))
}

/// Those of the users that exist.
fn existing(conn: &mut Connection, users: impl Iterator<Item = UserId>) -> Result<HashSet<UserId>, Failure> {
    let users: HashSet<UserId> = users.collect();
    if users.is_empty() {
        return Ok(users);
    }
    let mut sql = Sql::new();
    sql.push("SELECT id FROM user WHERE id IN ").set(&users).end();
    conn.rows(&sql)?.iter().map(|row| row.user(0)).collect()
}

/// Creates direct conversations with both members, or the one of notes, in one transaction. If another node does the
/// same, the unique key admits one of the two, and both read the result. Conversations whose opener's quota is used up
/// are removed from `wanted` and returned with the opener.
fn make(conn: &mut Connection, wanted: &mut Vec<(Pair, UserId)>) -> Result<Vec<(Pair, UserId)>, Failure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let opener = |(low, high): Pair, peer: UserId| if peer == low { high } else { low };
    let mut sql = conn.begin();
    let opening = sql.statements();
    sql.statement(format_args!("SELECT {NOW}"));
    let openers: BTreeSet<UserId> = wanted.iter().map(|(pair, peer)| opener(*pair, *peer)).collect();
    ask_usages(&mut sql, openers);
    let answers = conn.ask(&sql)?;
    let [time, used] = &answers[opening..] else { unreachable!("one answer for each statement") };
    let now = first(&time.rows)?.time(0)?;
    let mut usages: HashMap<UserId, AccountUsage> = HashMap::new();
    for row in &used.rows {
        usages.insert(row.user(0)?, usage(Some(row))?);
    }
    let (mut over_quota, mut sql) = (Vec::new(), Sql::new());
    wanted.retain(|&(pair, peer)| {
        let opener = opener(pair, peer);
        let usage = usages.entry(opener).or_default();
        let is_within = usage.charge(Charge::Conversation, &conn.quotas, now).is_ok();
        match is_within {
            true => add_charge(&mut sql, opener, Charge::Conversation, now),
            false => over_quota.push((pair, opener)),
        }
        is_within
    });
    if wanted.is_empty() {
        conn.roll_back()?;
        return Ok(over_quota);
    }
    sql.push("INSERT IGNORE INTO conversation (kind, low_id, high_id, updated_at, listed_until) VALUES ")
        .list(",", &*wanted, |sql, ((low, high), _)| {
            sql.push(format_args!("(0,{low},{high},{NOW},{NOW})"));
        });
    sql.end();
    let pairs = of_pairs(wanted);
    sql.statement(format_args!(
        "INSERT IGNORE INTO member (conversation_id, user_id) SELECT id, low_id FROM conversation WHERE {pairs} \
         UNION ALL SELECT id, high_id FROM conversation WHERE {pairs}"
    ));
    sql.statement(format_args!(
        "INSERT IGNORE INTO listing (user_id, slack, listed_until, conversation_id) \
         SELECT low_id, slack, listed_until, id FROM conversation WHERE {pairs} \
         UNION ALL SELECT high_id, slack, listed_until, id FROM conversation WHERE {pairs}"
    ));
    sql.statement("COMMIT");
    conn.ask(&sql)?;
    Ok(over_quota)
}

/// An SQL condition for these pairs, a range of the unique key each.
fn of_pairs(wanted: &[(Pair, UserId)]) -> Sql {
    let mut sql = Sql::new();
    sql.list(" OR ", wanted, |sql, ((low, high), _)| {
        sql.push(format_args!("low_id = {low} AND high_id = {high}"));
    });
    sql
}
