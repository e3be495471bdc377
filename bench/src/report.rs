//! What a run says: a table for a person, one line of JSON for a program.

use crate::Outcome;
use crate::error::Error;
use crate::ledger::Faults;
use crate::measure::{Measured, Quantiles, Usage};
use crate::workload::Trouble;
use serde_json::{Map, Value, json};
use std::fmt::{self, Display};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// A generator that used more of a core than this was what bounded the run.
const SATURATED: f64 = 0.95;

/// A result: `Display` is the table.
pub trait Report: Display {
    /// Whether all went well.
    fn outcome(&self) -> Outcome;
    /// The result as one flat object; every key occurs once.
    fn json(&self) -> Map<String, Value>;
}

/// Prints a report, and appends it to a file where one is given.
pub fn publish(report: &impl Report, file: Option<&Path>) -> Result<Outcome, Error> {
    // A pipe that nobody reads any more is no reason to fail.
    let _ = write!(std::io::stdout(), "{report}");
    if let Some(file) = file {
        let append = || -> std::io::Result<()> {
            let line = Value::Object(report.json());
            writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{line}")
        };
        append().map_err(|error| Error::io(format!("append to {}", file.display()), error))?;
    }
    Ok(report.outcome())
}

/// What came of the workload `pairs`.
#[derive(Debug)]
pub struct PairsReport {
    /// How many pairs.
    pub pairs: u32,
    /// Messages outstanding in each, or ...
    pub window: Option<u32>,
    /// ... messages a second in all.
    pub rate: Option<u32>,
    /// Bytes of each content.
    pub size: u32,
    /// Seconds before the measured ones.
    pub warmup: f64,
    /// Messages sent in the whole run.
    pub sent: u64,
    /// Messages delivered in the measured window.
    pub delivered: u64,
    /// From when a message counts to its reply.
    pub acknowledgement: Quantiles,
    /// From when a message counts to its delivery.
    pub delivery: Quantiles,
    /// From when a message was due to when it was sent, at a fixed rate.
    pub lag: Option<Quantiles>,
    /// What went wrong with messages.
    pub faults: Faults,
    /// What else went wrong.
    pub trouble: Trouble,
    /// The window, and what was used in it.
    pub measured: Measured,
    /// Tell the server's threads apart.
    pub threads_table: bool,
}

impl PairsReport {
    fn per_second(&self) -> f64 {
        ratio(self.delivered as f64 * 1e9, self.measured.nanoseconds as f64)
    }

    /// Microseconds of CPU for each message delivered.
    fn us_per_message(&self, cpu_ns: u64) -> f64 {
        ratio(cpu_ns as f64 / 1e3, self.delivered as f64)
    }
}

impl Report for PairsReport {
    fn outcome(&self) -> Outcome {
        let is_clean = self.faults.are_none() && self.trouble.is_none() && self.delivered > 0;
        if is_clean { Outcome::Clean } else { Outcome::Faulty }
    }

    fn json(&self) -> Map<String, Value> {
        let mut line = Map::new();
        let mut put = |key: String, value: Value| drop(line.insert(key, value));
        put("workload".into(), json!("pairs"));
        put("pairs".into(), json!(self.pairs));
        put("window".into(), json!(self.window));
        put("rate".into(), json!(self.rate));
        put("size".into(), json!(self.size));
        put("sent".into(), json!(self.sent));
        put("delivered".into(), json!(self.delivered));
        put("delivered_per_second".into(), json!(self.per_second()));
        let named =
            [("ack", Some(self.acknowledgement)), ("delivery", Some(self.delivery)), ("lag", self.lag)];
        for (name, quantiles) in named.into_iter().filter_map(|(name, quantiles)| Some((name, quantiles?))) {
            let Quantiles { p50, p99, p999, max } = quantiles;
            for (quantile, us) in [("p50", p50), ("p99", p99), ("p999", p999), ("max", max)] {
                put(format!("{name}_{quantile}_us"), json!(us));
            }
        }
        self.faults.named().into_iter().for_each(|(name, count)| put(name.into(), json!(count)));
        if let Some(server) = &self.measured.server {
            let us = self.us_per_message(server.cpu_ns);
            put("server_us_per_message".into(), json!(us));
            put("server_user_us_per_message".into(), json!(us * server.user_share));
            put("server_system_us_per_message".into(), json!(us * (1.0 - server.user_share)));
        }
        put_common(&mut put, &self.measured, &self.trouble);
        line
    }
}

impl Display for PairsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = match (self.window, self.rate) {
            (Some(window), _) => format!("window {window}"),
            (_, rate) => format!("{} messages/s", grouped(u64::from(rate.unwrap_or_default()))),
        };
        let seconds = self.measured.nanoseconds as f64 / 1e9;
        let Self { pairs, size, warmup, .. } = self;
        writeln!(
            f,
            "{pairs} pairs, {load}, {size} bytes, {seconds:.1} s measured after {warmup:.1} s of warm-up"
        )?;
        let per_second = grouped(self.per_second().round() as u64);
        writeln!(f, "  delivered   {per_second} messages/s ({} in all)", grouped(self.delivered))?;
        writeln!(f, "  latency, us {:>10} {:>10} {:>10} {:>10}", "p50", "p99", "p99.9", "max")?;
        let rows =
            [("ack", Some(self.acknowledgement)), ("delivery", Some(self.delivery)), ("sent late", self.lag)];
        for (name, Quantiles { p50, p99, p999, max }) in
            rows.into_iter().filter_map(|(name, q)| Some((name, q?)))
        {
            writeln!(f, "    {name:<9} {p50:>10.1} {p99:>10.1} {p999:>10.1} {max:>10.1}")?;
        }
        let faults = self.faults.named().map(|(name, count)| format!("{} {count}", name.replace('_', " ")));
        writeln!(f, "  messages    {}", faults.join(", "))?;
        if let Some(server) = &self.measured.server {
            let us = self.us_per_message(server.cpu_ns);
            let user = us * server.user_share;
            writeln!(f, "  server      {us:.2} us CPU a message ({user:.2} user, {:.2} system)", us - user)?;
            if self.threads_table {
                for (name, cpu_ns) in &server.threads {
                    let (us, share) =
                        (self.us_per_message(*cpu_ns), of_core(*cpu_ns, &self.measured) * 100.0);
                    writeln!(f, "    {name:<16} {us:>8.2} us a message {share:>6.1} % of a core")?;
                }
            }
        }
        write_common(f, &self.measured, &self.trouble)
    }
}

/// What came of the workload `idle`.
#[derive(Debug)]
pub struct IdleReport {
    /// How many connections.
    pub connections: u32,
    /// Heartbeats answered in the measured window.
    pub heartbeats: u64,
    /// From when a heartbeat was due to its answer.
    pub heartbeat: Quantiles,
    /// Resident memory of the server after one login, and its part that is not of files, KiB.
    pub one_login_kib: [u64; 2],
    /// What went wrong.
    pub trouble: Trouble,
    /// The window, and what was used in it.
    pub measured: Measured,
    /// Tell the server's threads apart.
    pub threads_table: bool,
}

impl IdleReport {
    /// Resident bytes, all and those that are not of files, that each connection but the first cost.
    fn bytes_per_connection(&self, server: &Usage) -> [f64; 2] {
        let grown =
            |now: u64, then: u64| (now as f64 - then as f64) * 1024.0 / f64::from(self.connections - 1);
        [grown(server.rss_kib, self.one_login_kib[0]), grown(server.anonymous_kib, self.one_login_kib[1])]
    }
}

impl Report for IdleReport {
    fn outcome(&self) -> Outcome {
        if self.trouble.is_none() { Outcome::Clean } else { Outcome::Faulty }
    }

    fn json(&self) -> Map<String, Value> {
        let mut line = Map::new();
        let mut put = |key: String, value: Value| drop(line.insert(key, value));
        put("workload".into(), json!("idle"));
        put("connections".into(), json!(self.connections));
        put("heartbeats".into(), json!(self.heartbeats));
        put("heartbeat_p50_us".into(), json!(self.heartbeat.p50));
        put("heartbeat_p99_us".into(), json!(self.heartbeat.p99));
        if let Some(server) = &self.measured.server {
            let [all, anonymous] = self.bytes_per_connection(server);
            put("one_login_rss_kib".into(), json!(self.one_login_kib[0]));
            put("rss_bytes_per_connection".into(), json!(all));
            put("anonymous_bytes_per_connection".into(), json!(anonymous));
        }
        put_common(&mut put, &self.measured, &self.trouble);
        line
    }
}

impl Display for IdleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.measured.nanoseconds as f64 / 1e9;
        let connections = grouped(u64::from(self.connections));
        writeln!(f, "{connections} idle logged-in connections, {seconds:.1} s measured")?;
        let Quantiles { p50, p99, .. } = self.heartbeat;
        writeln!(f, "  heartbeats  {} answered, p50 {p50:.1} us, p99 {p99:.1} us", grouped(self.heartbeats))?;
        if let Some(server) = &self.measured.server {
            let [all, anonymous] = self.bytes_per_connection(server).map(|bytes| bytes / 1024.0);
            let one = self.one_login_kib[0] as f64 / 1024.0;
            writeln!(f, "  server      {all:.2} KiB resident a connection ({anonymous:.2} not of files)")?;
            writeln!(f, "              beyond {one:.1} MiB after one login")?;
            for (name, cpu_ns) in server.threads.iter().filter(|_| self.threads_table) {
                writeln!(f, "    {name:<16} {:>6.2} % of a core", of_core(*cpu_ns, &self.measured) * 100.0)?;
            }
        }
        write_common(f, &self.measured, &self.trouble)
    }
}

fn put_common(put: &mut impl FnMut(String, Value), measured: &Measured, trouble: &Trouble) {
    put("seconds".into(), json!(measured.nanoseconds as f64 / 1e9));
    if let Some(server) = &measured.server {
        put("server_of_core".into(), json!(of_core(server.cpu_ns, measured)));
        put("server_rss_kib".into(), json!(server.rss_kib));
        put("server_voluntary_switches".into(), json!(server.switches[0]));
        put("server_involuntary_switches".into(), json!(server.switches[1]));
        let threads: Vec<Value> = server.threads.iter().map(|(name, ns)| json!([name, ns])).collect();
        put("server_threads_cpu_ns".into(), json!(threads));
    }
    put("generator_of_core".into(), json!(of_core(measured.generator.cpu_ns, measured)));
    put(
        "trouble".into(),
        Value::Object(trouble.iter().map(|(name, n)| (name.to_owned(), json!(n))).collect()),
    );
}

fn write_common(f: &mut fmt::Formatter<'_>, measured: &Measured, trouble: &Trouble) -> fmt::Result {
    if let Some(server) = &measured.server {
        let share = of_core(server.cpu_ns, measured) * 100.0;
        let rss = server.rss_kib as f64 / 1024.0;
        let second = measured.nanoseconds as f64 / 1e9;
        let [waited, made_to] =
            server.switches.map(|count| grouped(ratio(count as f64, second).round() as u64));
        writeln!(f, "              {share:.1} % of a core, {rss:.1} MiB resident")?;
        writeln!(f, "              {waited} voluntary and {made_to} involuntary context switches/s")?;
    }
    // Where nothing else runs on its core it is never made to wait: what it waits for others is in the latencies.
    let (share, preempted) = (of_core(measured.generator.cpu_ns, measured), measured.generator.switches[1]);
    writeln!(f, "  generator   {:.1} % of a core, preempted {} times", share * 100.0, grouped(preempted))?;
    if share > SATURATED {
        writeln!(f, "  NOTE: the generator was the bottleneck; the server can do more than this")?;
    }
    for (name, count) in trouble.iter() {
        writeln!(f, "  TROUBLE: {name} {count}")?;
    }
    if let Some(hint) = trouble.hint() {
        writeln!(f, "  {hint}")?;
    }
    Ok(())
}

/// Which part of one core `cpu_ns` is, in the measured window.
fn of_core(cpu_ns: u64, measured: &Measured) -> f64 {
    ratio(cpu_ns as f64, measured.nanoseconds as f64)
}

/// A ratio; 0 where nothing was measured.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> PairsReport {
        PairsReport {
            pairs: 2,
            window: Some(1),
            rate: None,
            size: 64,
            warmup: 0.0,
            sent: 1_234_567,
            delivered: 1_000_000,
            acknowledgement: Quantiles { p50: 10.0, ..Default::default() },
            delivery: Quantiles::default(),
            lag: None,
            faults: Faults::default(),
            trouble: Trouble::default(),
            measured: Measured {
                nanoseconds: 2_000_000_000,
                server: Some(Usage { cpu_ns: 1_500_000_000, user_share: 0.5, ..Default::default() }),
                generator: Usage::default(),
            },
            threads_table: false,
        }
    }

    #[test]
    fn the_figures_are_those_of_the_window() {
        let report = clean();
        assert_eq!(report.outcome(), Outcome::Clean);
        let json = report.json();
        assert_eq!(json["delivered_per_second"], 500_000.0);
        assert_eq!(json["server_us_per_message"], 1.5);
        assert_eq!(json["ack_p50_us"], 10.0);
        assert!(report.to_string().contains("500,000 messages/s (1,000,000 in all)"), "{report}");
    }

    #[test]
    fn any_fault_or_trouble_fails_the_run_and_is_told() {
        let faulty: [fn(&mut Faults); 7] = [
            |f| f.lost = 1,
            |f| f.duplicated = 1,
            |f| f.out_of_order = 1,
            |f| f.wrong_content = 1,
            |f| f.wrong_seq = 1,
            |f| f.unanswered = 1,
            |f| f.stray_replies = 1,
        ];
        for (fault, name) in faulty.iter().zip(Faults::default().named().map(|named| named.0)) {
            let mut report = clean();
            fault(&mut report.faults);
            assert_eq!((report.outcome(), &report.json()[name]), (Outcome::Faulty, &json!(1)));
        }
        let mut report = clean();
        report.trouble.note("RATE_LIMITED");
        assert_eq!(report.outcome(), Outcome::Faulty);
        assert!(report.to_string().contains("limits.messages_per_second=0"));
        assert_eq!(PairsReport { delivered: 0, ..clean() }.outcome(), Outcome::Faulty);
    }

    #[test]
    fn a_generator_at_its_limit_says_so() {
        let mut report = clean();
        report.measured.generator.cpu_ns = 1_950_000_000;
        assert!(report.to_string().contains("the generator was the bottleneck"));
    }
}
