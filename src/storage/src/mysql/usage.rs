//! The table `account_usage`: what each account uses of its quotas.

use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::account_usage::{AccountUsage, Charge};
use crate::calendar;
use wire::{UnixMillis, UserId};

/// Asks for the usage of an account and locks its row until the transaction ends.
pub fn ask_usage(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!("{COLUMNS} WHERE user_id = {user} FOR UPDATE"));
}

/// Asks for the usage of some accounts and locks their rows, in the order of their ids.
pub fn ask_usages(sql: &mut Sql, users: impl IntoIterator<Item = UserId>) {
    sql.push(format_args!("{COLUMNS} FORCE INDEX (PRIMARY) WHERE user_id IN "))
        .set(users)
        .push(" ORDER BY user_id FOR UPDATE")
        .end();
}

const COLUMNS: &str =
    "SELECT user_id, groups_owned, groups_made, day, friends, conversations FROM account_usage";

pub fn usage(row: Option<&Record>) -> Result<AccountUsage, Failure> {
    let Some(row) = row else { return Ok(AccountUsage::default()) };
    let number = |column| Ok::<_, Failure>(row.number(column)? as u32);
    Ok(AccountUsage {
        groups: number(1)?,
        groups_made: number(2)?,
        day: number(3)?,
        friends: number(4)?,
        conversations: number(5)?,
    })
}

/// Takes a charge for a friend back.
pub fn refund_friend(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!(
        "UPDATE account_usage SET friends = friends - 1 WHERE user_id = {user} AND friends > 0"
    ));
}

/// Records a charge. Relative, because the account's first row may have been created meanwhile.
pub fn add_charge(sql: &mut Sql, user: UserId, what: Charge, now: UnixMillis) {
    let (groups, friends) = (u8::from(what == Charge::Group), u8::from(what == Charge::Friend));
    let conversations = u8::from(what != Charge::Friend);
    let today = calendar::day_of(now);
    sql.push(format_args!(
        "INSERT INTO account_usage (user_id, groups_owned, groups_made, day, friends, conversations) \
         VALUES ({user}, {groups}, {groups}, {today}, {friends}, {conversations}) ON DUPLICATE KEY UPDATE \
         friends = friends + {friends}, conversations = conversations + {conversations}"
    ));
    if what == Charge::Group {
        // Assignments are carried out from left to right.
        sql.push(format_args!(
            ", groups_owned = groups_owned + 1, groups_made = IF(day = {today}, groups_made + 1, 1), day = {today}"
        ));
    }
    sql.end();
}
