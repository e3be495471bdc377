//! What an account uses of its quotas, shared by both stores. Each store keeps it in the table `account_usage` and
//! changes it in the transaction of the write that is charged.

use crate::calendar::{self, Day};
use logic::contract::{Quota, Quotas};
use wire::UnixMillis;

/// A row of the table; an account without one has used nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountUsage {
    /// Groups that it owns.
    pub groups: u32,
    /// Groups that it created on `day`.
    pub groups_made: u32,
    pub day: Day,
    /// Friends that it added.
    pub friends: u32,
    /// Conversations that it created, joined or opened.
    pub conversations: u32,
}

/// What is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// A group that it creates.
    Group,
    /// A group that it joins, or a direct conversation that it opens.
    Conversation,
    /// A friend that it adds.
    Friend,
}

impl AccountUsage {
    /// Adds a charge, unless a quota forbids it.
    pub fn charge(&mut self, what: Charge, quotas: &Quotas, now: UnixMillis) -> Result<(), Quota> {
        let is_used_up = |used: u32, most: u32| most > 0 && used >= most;
        let today = calendar::day_of(now);
        let made_today = if self.day == today { self.groups_made } else { 0 };
        match what {
            Charge::Group if is_used_up(self.groups, quotas.groups) => return Err(Quota::Groups),
            Charge::Group if is_used_up(made_today, quotas.groups_made_day) => {
                return Err(Quota::GroupsMadeDay { until: calendar::next_day(now) });
            }
            Charge::Group | Charge::Conversation if is_used_up(self.conversations, quotas.conversations) => {
                return Err(Quota::Conversations);
            }
            Charge::Friend if is_used_up(self.friends, quotas.friends) => return Err(Quota::Friends),
            _ => {}
        }
        match what {
            Charge::Group => {
                (self.groups, self.groups_made, self.day) = (self.groups + 1, made_today + 1, today);
                self.conversations += 1;
            }
            Charge::Conversation => self.conversations += 1,
            Charge::Friend => self.friends += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(1_769_774_400_000);
    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn each_charge_has_its_quota() {
        let quotas = Quotas { groups: 3, groups_made_day: 2, friends: 1, conversations: 4, members: 0 };
        let mut usage = AccountUsage::default();
        let until = UnixMillis(NOON.0 + 12 * HOUR_MS);
        let tomorrow = UnixMillis(until.0);
        assert_eq!(usage.charge(Charge::Group, &quotas, NOON), Ok(()));
        assert_eq!(usage.charge(Charge::Group, &quotas, NOON), Ok(()));
        assert_eq!(usage.charge(Charge::Group, &quotas, NOON), Err(Quota::GroupsMadeDay { until }));
        assert_eq!(usage.charge(Charge::Group, &quotas, tomorrow), Ok(()));
        assert_eq!(usage.charge(Charge::Group, &quotas, tomorrow), Err(Quota::Groups));
        assert_eq!(usage.charge(Charge::Conversation, &quotas, tomorrow), Ok(()));
        assert_eq!(usage.charge(Charge::Conversation, &quotas, tomorrow), Err(Quota::Conversations));
        assert_eq!(usage.charge(Charge::Friend, &quotas, tomorrow), Ok(()));
        assert_eq!(usage.charge(Charge::Friend, &quotas, tomorrow), Err(Quota::Friends));
        let expected =
            AccountUsage { groups: 3, groups_made: 1, day: 20_260_131, friends: 1, conversations: 4 };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_quota_of_zero_is_none() {
        let mut usage = AccountUsage::default();
        for what in [Charge::Group, Charge::Conversation, Charge::Friend].repeat(1_000) {
            assert_eq!(usage.charge(what, &Quotas::default(), NOON), Ok(()));
        }
    }
}
