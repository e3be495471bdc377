//! Names of accounts: claiming them, and finding accounts by them.

use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use std::collections::BTreeMap;
use wire::name::{fold, key, skeletons};

/// Accounts whose names are claimed in one transaction.
const CLAIMED_AT_ONCE: usize = 1_000;

/// An SQL condition for the account of this name: by its key, otherwise by its plain form where that belongs to exactly
/// one account.
pub fn is_named(name: &str) -> Sql {
    let plain = fold(name);
    let mut sql = Sql::new();
    sql.push("id = COALESCE((SELECT id FROM user WHERE name_key = ")
        .bytes(key(name).as_bytes())
        .push("), (SELECT MIN(folded.id) FROM (SELECT id FROM user WHERE name_key = ")
        .bytes(plain.as_bytes())
        .push(" UNION SELECT user_id FROM name_fold WHERE fold = ")
        .bytes(plain.as_bytes())
        .push(") AS folded HAVING COUNT(*) = 1))");
    sql
}

/// Asks for the accounts with these plain forms, where each belongs to exactly one: the form, and the account.
pub fn ask_folded<'f>(sql: &mut Sql, folds: impl Iterator<Item = &'f String> + Clone) {
    let list = |sql: &mut Sql| {
        sql.push("(")
            .list(",", folds.clone(), |sql, fold| {
                sql.bytes(fold.as_bytes());
            })
            .push(")");
    };
    sql.push("SELECT fold, MIN(id) FROM (SELECT name_key AS fold, id FROM user WHERE name_key IN ");
    list(sql);
    sql.push(" UNION SELECT fold, user_id FROM name_fold WHERE fold IN ");
    list(sql);
    sql.push(") AS folded GROUP BY fold HAVING COUNT(*) = 1").end();
}

/// Whether another account has the plain form of a new name, or a name that looks like it: one row, 1 or 0. The claims of
/// the new name, of the account `LAST_INSERT_ID()`, are made already, so a concurrent claim of the same is seen.
pub fn ask_taken(sql: &mut Sql, name: &str) {
    let plain = fold(name);
    sql.push("SELECT EXISTS (SELECT 1 FROM name_claim WHERE skeleton IN (")
        .list(",", skeletons(name), |sql, skeleton| {
            sql.bytes(skeleton.as_bytes());
        })
        // ASCII names share skeletons among themselves.
        .push(format_args!(
            ") AND user_id <> LAST_INSERT_ID() AND NOT (is_ascii AND {})",
            u8::from(name.is_ascii())
        ))
        .push(") OR EXISTS (SELECT 1 FROM user WHERE id <> LAST_INSERT_ID() AND name_key = ")
        .bytes(plain.as_bytes())
        .push(") OR EXISTS (SELECT 1 FROM name_fold WHERE user_id <> LAST_INSERT_ID() AND fold = ")
        .bytes(plain.as_bytes())
        .push(")")
        .end();
}

/// Claims the names of accounts; each account is an SQL expression for its id.
pub fn claim<'n>(sql: &mut Sql, accounts: impl Iterator<Item = (String, &'n str)>) {
    struct Claim {
        user: String,
        is_ascii: bool,
    }
    let (mut claims, mut folds) = (BTreeMap::<String, Claim>::new(), Vec::new());
    for (user, name) in accounts {
        for skeleton in skeletons(name) {
            let new = Claim { user: user.clone(), is_ascii: true };
            claims.entry(skeleton).or_insert(new).is_ascii &= name.is_ascii();
        }
        let plain = fold(name);
        if plain != key(name) {
            folds.push((plain, user));
        }
    }
    // In the order of the key, so that concurrent claims wait for each other instead of failing.
    sql.push("INSERT INTO name_claim (skeleton, user_id, is_ascii) VALUES ")
        .list(",", &claims, |sql, (skeleton, claim)| {
            sql.push("(").bytes(skeleton.as_bytes());
            sql.push(format_args!(",{},{})", claim.user, u8::from(claim.is_ascii)));
        })
        .push(" ON DUPLICATE KEY UPDATE is_ascii = LEAST(is_ascii, VALUES(is_ascii))")
        .end();
    if !folds.is_empty() {
        folds.sort_unstable();
        sql.push("INSERT IGNORE INTO name_fold (fold, user_id) VALUES ")
            .list(",", &folds, |sql, (plain, user)| {
                sql.push("(").bytes(plain.as_bytes()).push(format_args!(",{user})"));
            })
            .end();
    }
}

/// Claims the names of accounts that were created before names were claimed, or by a node of that time.
pub fn claim_existing(conn: &mut Connection) -> Result<(), Failure> {
    loop {
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT id, name FROM user WHERE id > (SELECT user_id FROM name_claimed WHERE id = 1) ORDER BY id \
             LIMIT {CLAIMED_AT_ONCE}"
        ));
        let rows = conn.rows(&sql)?;
        let Some(last) = rows.last() else { return Ok(()) };
        let accounts: Result<Vec<_>, Failure> =
            rows.iter().map(|row| Ok((row.user(0)?.to_string(), row.text(1)?))).collect();
        let mut sql = conn.begin();
        claim(&mut sql, accounts?.into_iter());
        sql.statement(format_args!("UPDATE name_claimed SET user_id = GREATEST(user_id, {})", last.user(0)?))
            .statement("COMMIT");
        conn.ask(&sql)?;
    }
}
