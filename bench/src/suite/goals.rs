//! The goals of the suite's figures, and the rows of the README's table.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    AtMost,
    AtLeast,
}

/// A figure and its goal.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub title: &'static str,
    pub run: &'static str,
    /// The key of the figure in the result.
    pub key: &'static str,
    /// Converts the figure to `unit`.
    pub scale: f64,
    pub unit: &'static str,
    pub relation: Relation,
    pub goal: f64,
    /// The run whose figure is the lower bound.
    pub floor: Option<&'static str>,
    /// The run by whose figure this one is divided.
    pub divisor: Option<&'static str>,
}

impl Goal {
    /// As a multiple of the figure of `run`.
    const fn over(self, run: &'static str) -> Goal {
        Goal { divisor: Some(run), ..self }
    }

    /// With the figure of `run` as the lower bound.
    const fn above(self, run: &'static str) -> Goal {
        Goal { floor: Some(run), ..self }
    }

    /// Converted to another unit.
    const fn times(self, scale: f64) -> Goal {
        Goal { scale, ..self }
    }
}

const fn at_most(
    title: &'static str,
    run: &'static str,
    key: &'static str,
    goal: f64,
    unit: &'static str,
) -> Goal {
    Goal { title, run, key, scale: 1.0, unit, relation: Relation::AtMost, goal, floor: None, divisor: None }
}

const fn at_least(
    title: &'static str,
    run: &'static str,
    key: &'static str,
    goal: f64,
    unit: &'static str,
) -> Goal {
    Goal { relation: Relation::AtLeast, ..at_most(title, run, key, goal, unit) }
}

const US: &str = "server_us_per_message";
const PER_SECOND: &str = "delivered_per_second";

pub const GOALS: &[Goal] = &[
    at_most("50 pairs, window 64: CPU", "window 64", US, 3.0, "us/message").above("window 64, relay"),
    at_least("50 pairs, window 64", "window 64", PER_SECOND, 300_000.0, "messages/s")
        .above("window 64, relay"),
    at_most("  the same, 1 KiB: CPU", "window 64, 1 KiB", US, 5.0, "us/message"),
    at_most("  the same, 5,000 conversations: CPU", "window 64, 5000 conversations", US, 7.0, "us/message"),
    at_most("500 pairs, window 1: CPU", "window 1", US, 13.0, "us/message").above("window 1, relay"),
    at_least("500 pairs, window 1", "window 1", PER_SECOND, 55_000.0, "messages/s").above("window 1, relay"),
    at_most("20,000/s: delivery p50", "20000/s", "delivery_p50_us", 400.0, "us").above("20000/s, relay"),
    at_most("20,000/s: delivery p99", "20000/s", "delivery_p99_us", 1_000.0, "us").above("20000/s, relay"),
    at_most("20,000/s: CPU", "20000/s", US, 20.0, "us/message").above("20000/s, relay"),
    at_most(
        "group of 500, window 1: CPU",
        "group of 500, window 1",
        "server_us_per_delivery",
        3.2,
        "us/delivery",
    )
    .above("group of 500, window 1, relay"),
    at_most(
        "group of 500, window 16: CPU",
        "group of 500, window 16",
        "server_us_per_delivery",
        0.7,
        "us/delivery",
    ),
    at_most("legacy, 50 pairs, window 1: CPU", "legacy, 50 pairs", US, 14.0, "us/message"),
    at_most("legacy, 500 pairs, window 1: CPU", "legacy, 500 pairs", US, 14.0, "us/message")
        .above("legacy, 500 pairs, relay"),
    at_most("legacy, 20,000/s: CPU", "legacy, 20000/s", US, 20.0, "us/message"),
    at_most("9,000 idle: resident a connection", "idle 9000", "rss_bytes_per_connection", 1.5, "KiB")
        .times(1.0 / 1024.0),
    at_most("19,000 idle: resident a connection", "idle 19000", "rss_bytes_per_connection", 1.0, "KiB")
        .times(1.0 / 1024.0),
    at_most("19,000 idle: CPU", "idle 19000", "server_of_core", 3.0, "% of a core").times(100.0),
    at_least("logins by token", "logins", "logins_per_second", 15_000.0, "logins/s"),
    at_least(
        "  the same, 50 conversations an account",
        "logins, 50 conversations",
        "logins_per_second",
        15_000.0,
        "logins/s",
    ),
    at_least(
        "  the same, all of them read",
        "logins, 50 read conversations",
        "logins_per_second",
        15_000.0,
        "logins/s",
    ),
    at_most("9,000 reconnect: all back within", "storm", "seconds", 3.0, "s"),
    at_most("  delivery p99 of other users meanwhile", "storm", "others_delivery_p99_us", 50.0, "ms")
        .times(1e-3),
    at_least("1,000,000 to offline users: stored", "offline", "store_stored_per_second", 0.0, "messages/s"),
    at_least("  delivered at login", "offline", "deliver_delivered_per_second", 0.0, "messages/s"),
    at_most("  peak memory of the server", "offline", "deliver_server_rss_peak_kib", 512.0, "MiB")
        .times(1.0 / 1024.0),
    at_most(
        "10,000 connections, 10,000/s: CPU",
        "10000 connections, 10000/s",
        US,
        f64::INFINITY,
        "us/message",
    )
    .above("10000 connections, 10000/s, relay"),
    at_most("  the same, relative to 100 connections", "10000 connections, 10000/s", US, 1.3, "")
        .over("100 connections, 10000/s"),
    at_most("a day of chat, 5,000 actions/s: delivery p99", "mixed", "delivery_p99_us", f64::INFINITY, "us"),
];

/// A row of the page's table; its columns are the modes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub title: &'static str,
    pub run: &'static str,
    /// The text, with `{}` for each figure.
    pub text: &'static str,
    /// The figures: key, factor, decimal places.
    pub figures: &'static [(&'static str, f64, usize)],
    /// The run that is the lower bound, in the same format.
    pub floor: Option<&'static str>,
}

impl Row {
    /// With `run` as the lower bound.
    const fn above(self, run: &'static str) -> Row {
        Row { floor: Some(run), ..self }
    }
}

const fn row(
    title: &'static str,
    run: &'static str,
    text: &'static str,
    figures: &'static [(&'static str, f64, usize)],
) -> Row {
    Row { title, run, text, figures, floor: None }
}

const CPU_AND_RATE: &[(&str, f64, usize)] = &[(US, 1.0, 1), (PER_SECOND, 1.0, 0)];
const CPU: &[(&str, f64, usize)] = &[(US, 1.0, 1)];
const DELIVERY: &[(&str, f64, usize)] = &[("server_us_per_delivery", 1.0, 2), (PER_SECOND, 1.0, 0)];
const LATENCY: &[(&str, f64, usize)] =
    &[("delivery_p50_us", 1e-3, 2), ("delivery_p99_us", 1e-3, 2), (US, 1.0, 1)];

pub const ROWS: &[Row] = &[
    row("50 pairs, 64 outstanding each", "window 64", "{} us, {}/s", CPU_AND_RATE).above("window 64, relay"),
    row("the same, 1 KiB", "window 64, 1 KiB", "{} us, {}/s", CPU_AND_RATE),
    row("the same, over 5,000 conversations", "window 64, 5000 conversations", "{} us, {}/s", CPU_AND_RATE),
    row("500 pairs, one outstanding", "window 1", "{} us, {}/s", CPU_AND_RATE).above("window 1, relay"),
    row("500 pairs, 20,000/s: delivery p50, p99", "20000/s", "{} ms, {} ms; {} us", LATENCY)
        .above("20000/s, relay"),
    row("group of 500, one outstanding, a delivery", "group of 500, window 1", "{} us, {}/s", DELIVERY)
        .above("group of 500, window 1, relay"),
    row("group of 500, 16 outstanding, a delivery", "group of 500, window 16", "{} us, {}/s", DELIVERY),
    row("legacy JSON, 50 pairs, one outstanding", "legacy, 50 pairs", "{} us, {}/s", CPU_AND_RATE),
    row("legacy JSON, 500 pairs, one outstanding", "legacy, 500 pairs", "{} us, {}/s", CPU_AND_RATE)
        .above("legacy, 500 pairs, relay"),
    row("legacy JSON, 500 pairs, 20,000/s", "legacy, 20000/s", "{} us", CPU),
    row("100 connections, 10,000/s", "100 connections, 10000/s", "{} us", CPU)
        .above("100 connections, 10000/s, relay"),
    row("10,000 connections, 10,000/s", "10000 connections, 10000/s", "{} us", CPU)
        .above("10000 connections, 10000/s, relay"),
    row(
        "19,000 idle, logged in, heartbeats",
        "idle 19000",
        "{} KiB each, {} % of a core",
        &[("rss_bytes_per_connection", 1.0 / 1024.0, 2), ("server_of_core", 100.0, 1)],
    ),
    row(
        "logins by token",
        "logins",
        "{}/s, {} us",
        &[("logins_per_second", 1.0, 0), ("server_us_per_login", 1.0, 0)],
    ),
    row(
        "9,000 reconnect at once: all back; p99 of other users",
        "storm",
        "{} s; {} ms",
        &[("seconds", 1.0, 2), ("others_delivery_p99_us", 1e-3, 1)],
    ),
    row(
        "1,000,000 to offline users: stored; delivered; peak memory",
        "offline",
        "{}/s; {}/s; {} MiB",
        &[
            ("store_stored_per_second", 1.0, 0),
            ("deliver_delivered_per_second", 1.0, 0),
            ("deliver_server_rss_peak_kib", 1.0 / 1024.0, 0),
        ],
    ),
    row(
        "a day of chat, 5,000 actions/s: delivery p50, p99",
        "mixed",
        "{} ms, {} ms",
        &[("delivery_p50_us", 1e-3, 2), ("delivery_p99_us", 1e-3, 2)],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::runs::RUNS;

    #[test]
    fn every_goal_and_every_row_names_a_run() {
        let exists = |name: &str| RUNS.iter().any(|run| run.name == name);
        assert!(GOALS.iter().all(|goal| {
            exists(goal.run) && goal.floor.is_none_or(exists) && goal.divisor.is_none_or(exists)
        }));
        assert!(ROWS.iter().all(|row| exists(row.run) && row.floor.is_none_or(exists)));
        assert!(ROWS.iter().all(|row| row.text.matches("{}").count() == row.figures.len()));
    }
}
