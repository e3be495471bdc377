//! Which months are dropped, and when: the decision that both stores share, and what of it is kept in the database.
//!
//! Kept are the current month and as many whole months before it as the setting says. A decision is recorded before
//! anything is dropped, so that whatever interrupts the work, a later start or another node finishes it:
//!
//! ```text
//!   decide -> rounds + 1 -> raise first_seq of each conversation -> rounds + 1 -> drop the tables
//! ```

use crate::calendar::{self, Month};
use wire::UnixMillis;

const HOUR_MS: u64 = 60 * 60 * 1000;
/// A clock that is ahead of the last look by more than this has jumped, or nobody has looked for long.
const JUMP_MS: u64 = 48 * HOUR_MS;
/// For how long nothing is dropped after such a jump, or once more is to be dropped than before.
pub const HOLD_MS: u64 = 24 * HOUR_MS;
/// A later look is recorded if it is later by this much.
const RECORDED_MS: u64 = HOUR_MS;

/// The row of the table `retention`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The setting at the last look; 0: none was there.
    pub months: u32,
    /// The clock at the last look; 0: nobody has looked.
    pub seen_at: UnixMillis,
    /// Until then nothing is decided.
    pub held_until: UnixMillis,
    /// Months before this one are dropped, or are being dropped.
    pub kept_from: Month,
    /// Rises when conversations begin to be raised and when all of them are, so that others see it. Odd in between.
    pub rounds: u64,
}

/// Why nothing is dropped for a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The clock was last seen at this time, long before.
    Jumped(UnixMillis),
    /// The setting has become smaller, or was turned on.
    Shortened,
    /// The clock is behind the first month that is kept.
    Behind(Month),
}

impl Retention {
    /// Decides at `now` with a setting of `months`. Returns what the row becomes, which may be this one, and why it is
    /// held if that begins now.
    ///
    /// A clock that is wrong for less than a day therefore drops nothing, nor does a setting that is corrected within a
    /// day.
    pub fn look(&self, now: UnixMillis, months: u32) -> (Retention, Option<Hold>) {
        let mut next = *self;
        let this_month = calendar::month_of(now);
        if months == 0 {
            if self.months != 0 {
                // So that turning it on again is held, however soon.
                (next.months, next.seen_at) = (0, now);
            }
            return (next, None);
        }
        let hold = if self.months == 0 || months < self.months {
            Some(Hold::Shortened)
        } else if now.0 > self.seen_at.0.saturating_add(JUMP_MS) {
            Some(Hold::Jumped(self.seen_at))
        } else if now < self.seen_at && this_month < self.kept_from {
            Some(Hold::Behind(self.kept_from))
        } else {
            None
        };
        let is_recorded = now.0.abs_diff(self.seen_at.0) < RECORDED_MS && now >= self.seen_at;
        if hold.is_some() || months != self.months || !is_recorded {
            (next.months, next.seen_at) = (months, now);
        }
        let latest = UnixMillis(now.0 + HOLD_MS);
        next.held_until = if hold.is_some() { latest } else { next.held_until.min(latest) };
        if now >= next.held_until {
            next.kept_from = next.kept_from.max(months_before(this_month, months));
        }
        (next, hold)
    }
}

/// The earliest time of an entry that is stored at `now`: while the clock is behind, no entry is dated in a month that
/// has been dropped.
pub fn dated(now: UnixMillis, kept_from: Month) -> UnixMillis {
    match calendar::month_of(now) < kept_from {
        true => calendar::start_of(kept_from),
        false => now,
    }
}

impl Hold {
    /// The line for the log.
    pub fn sentence(self, now: UnixMillis, months: u32) -> String {
        if let Hold::Behind(kept_from) = self {
            return format!(
                "the clock shows {}, but months before {} have been dropped: messages are dated by the beginning of that \
                 month until the clock has passed it",
                calendar::day_and_time(now),
                text(kept_from)
            );
        }
        let until = calendar::day_and_time(UnixMillis(now.0 + HOLD_MS));
        let from = text(months_before(calendar::month_of(now), months));
        let why = match self {
            Hold::Jumped(before) => format!(
                "the clock shows {}, but was last seen at {}; if it is right, nothing has to be done",
                calendar::day_and_time(now),
                calendar::day_and_time(before)
            ),
            Hold::Shortened | Hold::Behind(_) => format!("storage.retention_months is {months} now"),
        };
        format!("{why}: the messages of months before {from} are dropped from {until} UTC on, not earlier")
    }
}

/// The month `count` months before; not before the year 1.
fn months_before(month: Month, count: u32) -> Month {
    let number = (month / 100 * 12 + month % 100 - 1).saturating_sub(count).max(12);
    number / 12 * 100 + number % 12 + 1
}

/// A month as people write it: 2026-11.
pub fn text(month: Month) -> String {
    format!("{}-{:02}", month / 100, month % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * HOUR_MS;

    fn at(month: Month, day: u64) -> UnixMillis {
        UnixMillis(calendar::start_of(month).0 + (day - 1) * DAY_MS)
    }

    /// Looks each hour up to `end` and returns the row.
    fn run(mut row: Retention, from: UnixMillis, end: UnixMillis, months: u32) -> Retention {
        let mut now = from;
        while now <= end {
            row = row.look(now, months).0;
            now.0 += HOUR_MS;
        }
        row
    }

    #[test]
    fn months_are_dropped_at_the_turn_of_a_month() {
        let row = run(Retention::default(), at(202_610, 10), at(202_611, 1), 3);
        assert_eq!(row.kept_from, 202_608);
        let before = UnixMillis(at(202_611, 1).0 - 1);
        assert_eq!(run(Retention::default(), at(202_610, 10), before, 3).kept_from, 202_607);
        assert_eq!(run(row, at(202_611, 1), at(202_702, 1), 3).kept_from, 202_611);
        assert_eq!(months_before(202_601, 1), 202_512);
        assert_eq!(months_before(202_612, 12), 202_512);
        assert_eq!(months_before(202_612, 1_200), 192_612);
        assert_eq!(text(202_601), "2026-01");
    }

    #[test]
    fn without_a_setting_nothing_is_decided() {
        let row = Retention::default();
        assert_eq!(row.look(at(202_610, 10), 0), (row, None));
        let decided = run(row, at(202_610, 10), at(202_611, 2), 3);
        let off = decided.look(at(202_612, 1), 0).0;
        assert_eq!(off.kept_from, decided.kept_from, "what is decided is finished");
    }

    #[test]
    fn what_was_turned_off_is_held_when_it_is_turned_on_again() {
        let hours = |time: UnixMillis, count: u64| UnixMillis(time.0 + count * HOUR_MS);
        let begin = at(202_610, 10);
        let typo = Retention::default().look(begin, 1).0;
        let off = typo.look(hours(begin, 1), 0).0;
        for months in [12, 1] {
            let (on, hold) = off.look(hours(begin, 30), months);
            assert_eq!((on.kept_from, hold), (0, Some(Hold::Shortened)), "{months}");
        }
        // Over the turn of a month.
        let begin = at(202_611, 1);
        let row = run(Retention::default(), at(202_610, 10), hours(begin, 29 * 24), 3);
        let off = row.look(hours(begin, 29 * 24 + 1), 0).0;
        let (on, hold) = off.look(hours(begin, 30 * 24 + 1), 3);
        assert_eq!((on.kept_from, hold), (row.kept_from, Some(Hold::Shortened)));
        // Two nodes that do not agree.
        let mut row = Retention::default();
        for minute in 0..3 * 24 * 60 {
            let now = UnixMillis(begin.0 + minute * 60_000);
            row = row.look(now, [0, 3][minute as usize % 2]).0;
        }
        assert_eq!(row.kept_from, 0);
    }

    #[test]
    fn a_day_passes_before_the_first_drop_and_before_more_is_dropped() {
        let (row, hold) = Retention::default().look(at(202_610, 10), 3);
        assert_eq!((row.kept_from, hold), (0, Some(Hold::Shortened)));
        let row = run(row, at(202_610, 10), UnixMillis(at(202_610, 11).0 - 1), 3);
        assert_eq!(row.kept_from, 0);
        let row = run(row, at(202_610, 11), at(202_610, 11), 3);
        assert_eq!(row.kept_from, 202_607);
        let (shorter, hold) = row.look(at(202_610, 12), 1);
        assert_eq!((shorter.kept_from, hold), (202_607, Some(Hold::Shortened)));
        assert_eq!(shorter.look(at(202_610, 12), 3).1, None, "it was set back");
        assert_eq!(run(shorter, at(202_610, 12), at(202_610, 13), 1).kept_from, 202_609);
        let longer = run(row, at(202_610, 12), at(202_610, 20), 12);
        assert_eq!(longer.kept_from, 202_607, "what is gone is gone");
    }

    #[test]
    fn a_clock_that_jumps_drops_nothing_for_a_day() {
        let row = run(Retention::default(), at(202_610, 10), at(202_610, 20), 1);
        assert_eq!(row.kept_from, 202_609);
        let (jumped, hold) = row.look(at(203_610, 20), 1);
        assert_eq!((jumped.kept_from, hold), (202_609, Some(Hold::Jumped(row.seen_at))));
        let jumped = run(jumped, at(203_610, 20), UnixMillis(at(203_610, 21).0 - 1), 1);
        assert_eq!(jumped.kept_from, 202_609);
        // It is set back, and nothing was lost.
        let back = run(jumped, at(202_610, 21), at(202_610, 25), 1);
        assert_eq!(back.kept_from, 202_609);
        assert_eq!(run(back, at(202_610, 25), at(202_611, 1), 1).kept_from, 202_610);
        // It stays.
        assert_eq!(run(jumped, at(203_610, 21), at(203_610, 21), 1).kept_from, 203_609);
    }

    #[test]
    fn nothing_is_dated_in_a_dropped_month_while_the_clock_is_behind() {
        let row = run(Retention::default(), at(202_610, 10), at(202_610, 20), 1);
        assert_eq!(row.kept_from, 202_609);
        let (behind, hold) = row.look(at(202_501, 1), 1);
        assert_eq!((behind.kept_from, hold), (202_609, Some(Hold::Behind(202_609))));
        assert_eq!(behind.look(UnixMillis(at(202_501, 1).0 + 60_000), 1).1, None, "said once");
        assert_eq!(dated(at(202_501, 1), behind.kept_from), calendar::start_of(202_609));
        assert_eq!(dated(at(202_609, 1), behind.kept_from), at(202_609, 1));
        assert_eq!(dated(at(202_501, 1), 0), at(202_501, 1), "nothing has been dropped");
    }
}
