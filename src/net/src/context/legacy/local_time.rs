//! Times as legacy clients show them: in this machine's zone, as those clients' own servers do.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use wire::UnixMillis;

/// Formats times. The last one is cached, because most messages of a moment have the same.
#[derive(Debug)]
pub(crate) struct LocalTime {
    zone: TimeZone,
    second: u64,
    text: String,
}

impl LocalTime {
    /// The zone of this machine: `TZ`, else /etc/localtime.
    pub fn of_this_machine() -> LocalTime {
        LocalTime::of(TimeZone::system())
    }

    fn of(zone: TimeZone) -> LocalTime {
        LocalTime { zone, second: u64::MAX, text: String::new() }
    }

    /// The time as `2021-01-01 12:00:00`; a time beyond the year 9999 as that of the epoch.
    pub fn text(&mut self, time: UnixMillis) -> &str {
        let second = time.0 / 1000;
        if self.second != second {
            let timestamp = Timestamp::from_second(second as i64).unwrap_or_default();
            self.second = second;
            self.text = timestamp.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_in_the_zone() {
        let mut utc = LocalTime::of(TimeZone::UTC);
        assert_eq!(utc.text(UnixMillis(1_609_502_400_999)), "2021-01-01 12:00:00");
        assert_eq!(utc.text(UnixMillis(1_609_502_401_000)), "2021-01-01 12:00:01");
        assert_eq!(utc.text(UnixMillis::MAX), "1970-01-01 00:00:00");
        let mut shanghai = LocalTime::of(TimeZone::fixed(jiff::tz::offset(8)));
        assert_eq!(shanghai.text(UnixMillis(1_609_502_400_000)), "2021-01-01 20:00:00");
    }
}
