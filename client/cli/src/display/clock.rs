//! Times of day in the local time zone.

use jiff::fmt::strtime;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use wire::UnixMillis;

/// `12:03` today, `03-21 12:03` on another day.
pub fn short(time: UnixMillis) -> String {
    let zone = TimeZone::system();
    match i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(time) => format(&time.to_zoned(zone.clone()), &Timestamp::now().to_zoned(zone)),
        None => "--:--".to_owned(),
    }
}

/// A time in a format of strftime's manner.
pub fn shown(time: UnixMillis, format: &str) -> String {
    let time = i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.and_then(|time| strtime::format(format, &time.to_zoned(TimeZone::system())).ok())
        .unwrap_or_else(|| "--:--".to_owned())
}

/// The present time in a format of strftime's manner.
pub fn now(format: &str) -> String {
    shown(UnixMillis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()), format)
}

/// Whether this is a format that prints something harmless.
pub fn is_format(format: &str) -> bool {
    !format.is_empty()
        && !format.chars().any(char::is_control)
        && strtime::format(format, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)).is_ok()
}

/// `2026-01-30 12:00`, in local time.
pub fn minute(time: UnixMillis) -> String {
    shown(time, "%Y-%m-%d %H:%M")
}

/// The day, `2026-03-21`.
pub fn date(time: UnixMillis) -> String {
    match i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d").to_string(),
        None => "----------".to_owned(),
    }
}

fn format(time: &Zoned, now: &Zoned) -> String {
    let pattern = if time.date() == now.date() { "%H:%M" } else { "%m-%d %H:%M" };
    time.strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_is_shown_with_its_date() {
        let at = |text: &str| text.parse::<Zoned>().unwrap();
        let time = at("2026-03-21T09:05[UTC]");
        assert_eq!(format(&time, &at("2026-03-21T23:59[UTC]")), "09:05");
        assert_eq!(format(&time, &at("2026-03-22T00:01[UTC]")), "03-21 09:05");
        assert_eq!(short(UnixMillis(u64::MAX)), "--:--");
        assert_eq!(date(UnixMillis(1_700_000_000_000)).len(), "2023-11-14".len());
        assert_eq!(date(UnixMillis(u64::MAX)), "----------");
    }
}
