//! Months and days of UTC, as the numbers that name tables: 202611 and 20261121.

use wire::UnixMillis;

/// The last millisecond of the year 9999, after which no month has a table. A later time is damaged.
pub const TIME_MAX: UnixMillis = UnixMillis(253_402_300_799_999);

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A month, YYYYMM.
pub type Month = u32;
/// A day, YYYYMMDD.
pub type Day = u32;

/// The month of a point in time.
pub fn month_of(time: UnixMillis) -> Month {
    let (year, month, _) = civil(time.0 / DAY_MS);
    year * 100 + month
}

/// The day of a point in time.
pub fn day_of(time: UnixMillis) -> Day {
    let (year, month, day) = civil(time.0 / DAY_MS);
    (year * 100 + month) * 100 + day
}

/// The day `days` after the day of a point in time.
pub fn day_after(time: UnixMillis, days: u64) -> Day {
    day_of(UnixMillis(time.0 + days * DAY_MS))
}

/// The first millisecond of the next day.
pub fn next_day(time: UnixMillis) -> UnixMillis {
    UnixMillis((time.0 / DAY_MS + 1) * DAY_MS)
}

/// The month after.
pub fn next_month(month: Month) -> Month {
    if month % 100 == 12 { month + 89 } else { month + 1 }
}

/// The first millisecond of a month.
pub fn start_of(month: Month) -> UnixMillis {
    UnixMillis(days_before(month / 100, month % 100) * DAY_MS)
}

/// A point in time as people write it: 2026-11-21 09:05.
pub fn day_and_time(time: UnixMillis) -> String {
    let (year, month, day) = civil(time.0 / DAY_MS);
    let minute = time.0 % DAY_MS / 60_000;
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u32, u32, u32) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// Days from 1970-01-01 to the first of a month; the inverse of [`civil`].
fn days_before(year: u32, month: u32) -> u64 {
    let year = u64::from(year) - u64::from(month <= 2);
    let shifted = u64::from(if month > 2 { month - 3 } else { month + 9 });
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * shifted + 2) / 5;
    year / 400 * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(day_of(UnixMillis(0)), 19_700_101);
        assert_eq!(day_of(UnixMillis(951_782_400_000)), 20_000_229);
        assert_eq!(day_of(UnixMillis(1_798_761_599_999)), 20_261_231);
        assert_eq!(month_of(UnixMillis(1_798_761_600_000)), 202_701);
        assert_eq!(day_and_time(UnixMillis(1_798_761_599_999)), "2026-12-31 23:59");
        assert_eq!(next_month(202_612), 202_701);
        assert_eq!(next_month(202_601), 202_602);
    }

    #[test]
    fn a_month_begins_at_its_first_moment() {
        let mut month = 197_001;
        while month < 240_001 {
            let start = start_of(month);
            assert_eq!(day_of(start), month * 100 + 1);
            if start.0 > 0 {
                assert_eq!(next_month(month_of(UnixMillis(start.0 - 1))), month);
            }
            month = next_month(month);
        }
    }
}
