//! What a run says: a table for a person, one line of JSON for a program.

use crate::Outcome;
use crate::args::workload::{CommonArgs, Workload};
use crate::clock::MILLISECOND;
use crate::error::Error;
use crate::measure::{CutShort, Latency, Quantiles, Sample, Tally, Usage, ratio};
use crate::page;
use crate::results::{BOTTLENECK, ENDED_EARLY};
use crate::workload::{Baseline, Measurement, plural};
use jiff::{Timestamp, Unit};
use serde_json::{Map, Value, json};
use std::fmt::{self, Display};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use wire::Dialect;

/// A measured part that is shorter, ns, says nothing of what bounded it.
const TELLING: u64 = 100 * MILLISECOND;
/// A generator that stood still for longer, ns, has measured itself.
const STOOD_STILL: u64 = 200 * MILLISECOND;
/// A generator that used, or could have used, more of its cores than this was what bounded the run.
const SATURATED: f64 = 0.95;
/// A generator that was so late itself makes latencies that say nothing of the server: us, and as a part of theirs.
const LATE_US: f64 = 200.0;
const LATE_PART: f64 = 0.2;
/// A thread that used less of a core, in per cent, is not told.
const TOLD_SHARE: f64 = 0.05;
/// Steps of a histogram that is written to a file, in each power of two.
const STEPS: f64 = 8.0;

/// The version of the generator.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What came of a run, with what it was.
#[derive(Debug)]
pub struct Report {
    /// What to call it.
    pub name: String,
    /// What was run, in words.
    pub title: String,
    /// What was run, as its options say: name and number.
    pub options: Map<String, Value>,
    pub parts: Vec<Measurement>,
    /// When, as RFC 3339 writes it.
    pub date: String,
    threads_table: bool,
}

/// Looks whether the processes are there that the options name, and whether results can be written to where they say:
/// before a run that might be long.
///
/// # Errors
/// Something is not so.
pub fn check(common: &CommonArgs) -> Result<(), Error> {
    let beside = common.beside.iter().map(|(_, pid)| *pid);
    let processes: Vec<u32> = common.server_pid.iter().copied().chain(beside).collect();
    Sample::take(&processes)?;
    for file in [&common.json, &common.report].into_iter().flatten() {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Error::io(format!("write {}", file.display()), error))?;
    }
    Ok(())
}

/// Prints what came of a run, and writes it where its options say. What cannot be written is told, and no clean outcome.
pub fn publish(workload: &Workload, parts: Vec<Measurement>) -> Outcome {
    let common = workload.common();
    let report = Report::new(workload, parts);
    let mut outcome = report.outcome();
    let mut note = |what: &str, written: io::Result<()>| match written {
        // A pipe that nobody reads any more is no reason to fail.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("chatbench: cannot write {what}: {error}");
            outcome = Outcome::Faulty;
        }
        _ => {}
    };
    // Each by itself: what cannot be written to one place may be written to the other.
    note("to stdout", write!(io::stdout(), "{report}"));
    if let Some(file) = &common.json {
        let line = Value::Object(report.json());
        let append = || writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{line}");
        note(&file.display().to_string(), append());
    }
    if let Some(file) = &common.report {
        note(&file.display().to_string(), fs::write(file, page::render(&report)));
    }
    outcome
}

impl Report {
    /// What came of `workload`.
    pub fn new(workload: &Workload, parts: Vec<Measurement>) -> Report {
        let common = workload.common();
        let (title, options) = describe(workload);
        let name = common.name.clone().unwrap_or_else(|| title.clone());
        let date = Timestamp::now().round(Unit::Second).unwrap_or_default().to_string();
        Report { name, title, options, parts, date, threads_table: common.threads_table }
    }

    /// Whether all went well.
    pub fn outcome(&self) -> Outcome {
        let is_clean = |part: &Measurement| {
            part.tally.faults.are_none() && part.tally.errors.is_none() && !measured_nothing(part)
        };
        if self.parts.iter().all(is_clean) { Outcome::Clean } else { Outcome::Faulty }
    }

    /// The result as one flat object; what belongs to a named part has its name before its own.
    pub fn json(&self) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("name".into(), json!(self.name));
        line.insert("clean".into(), json!(self.outcome() == Outcome::Clean));
        line.insert("date".into(), json!(self.date));
        line.insert("chatbench".into(), json!(VERSION));
        let ended_early = self.parts.iter().any(|part| part.tally.cut != CutShort::default());
        line.insert(ENDED_EARLY.into(), json!(ended_early));
        line.extend(self.options.clone());
        for part in &self.parts {
            let prefix = if part.name.is_empty() { String::new() } else { format!("{}_", part.name) };
            put_part(&mut |key: &str, value: Value| drop(line.insert(format!("{prefix}{key}"), value)), part);
        }
        line
    }
}

/// Whether nothing was done that ought to have been.
fn measured_nothing(Measurement { tally, unit, name, .. }: &Measurement) -> bool {
    // A short run may see no heartbeat, nobody may have left, and a storm may be over before the others were due.
    tally.done == 0 && !(unit == "heartbeat" || name == "returns" || name == "others")
}

/// What a workload is, in words and in numbers.
fn describe(workload: &Workload) -> (String, Map<String, Value>) {
    let pace = |window: Option<u32>, rate: Option<u32>, unit: &str| match (window, rate) {
        (Some(window), _) => format!("window {window}"),
        (_, rate) => format!("{} {unit}/s", grouped(u64::from(rate.unwrap_or_default()))),
    };
    let (kind, title, options) = match workload {
        Workload::Pairs(args) => {
            let over = match args.conversations {
                1 => String::new(),
                many => format!(" over {} conversations", grouped(u64::from(many * args.pairs))),
            };
            let pace = pace(args.pace.window, args.pace.rate, "messages");
            let title = format!("{} pairs{over}, {pace}, {} bytes", args.pairs, args.size);
            let (window, rate) = (args.pace.window, args.pace.rate);
            let options = json!({"pairs": args.pairs, "conversations": args.conversations, "window": window,
                "rate": rate, "size": args.size});
            ("pairs", title, options)
        }
        Workload::Group(args) => {
            let (groups, members, senders) = (args.groups, args.members, args.senders);
            let pace = pace(args.pace.window, args.pace.rate, "messages");
            let title =
                format!("{groups} groups of {members}, {senders} senders, {pace}, {} bytes", args.size);
            let (window, rate) = (args.pace.window, args.pace.rate);
            let options = json!({"groups": groups, "members": members, "senders": senders, "window": window,
                "rate": rate, "size": args.size});
            ("group", title, options)
        }
        Workload::Login(args) => {
            let by = match args.common.dialect.dialect() {
                Dialect::Tlv => format!("{:?}", args.by).to_lowercase(),
                // It knows no tokens.
                Dialect::Legacy => "password".to_owned(),
            };
            let title = format!(
                "logins of {} accounts by {by}, {}",
                args.count,
                pace(args.window, args.rate, "logins")
            );
            ("login", title, json!({"count": args.count, "window": args.window, "rate": args.rate, "by": by}))
        }
        Workload::Storm(args) => {
            let title = format!(
                "{} clients reconnect at once, {} pairs send {} messages/s",
                grouped(u64::from(args.connections)),
                args.pairs,
                grouped(u64::from(args.rate))
            );
            ("storm", title, json!({"connections": args.connections, "pairs": args.pairs, "rate": args.rate}))
        }
        Workload::Idle(args) => {
            let title = format!("{} idle logged-in connections", grouped(u64::from(args.connections)));
            ("idle", title, json!({"connections": args.connections, "heartbeat": args.heartbeat}))
        }
        Workload::Offline(args) => {
            let messages = grouped(u64::from(args.messages));
            let title = format!("{messages} messages of {} bytes to {} absent users", args.size, args.pairs);
            let options = json!({"messages": args.messages, "pairs": args.pairs, "window": args.window,
                "size": args.size});
            ("offline", title, options)
        }
        Workload::Mixed(args) => {
            let (circles, members, rate) = (args.circles, args.members, grouped(u64::from(args.rate)));
            let title = format!("{circles} circles of {members} friends, {rate} acts/s, seed {}", args.seed);
            let options = json!({"circles": circles, "members": members, "rate": args.rate, "seed": args.seed,
                "mix": args.mix.0, "size": args.size});
            ("mixed", title, options)
        }
    };
    let CommonArgs { dialect, address, ramp, warmup, .. } = workload.common();
    let dialect = format!("{dialect:?}").to_lowercase();
    let mut all = Map::new();
    all.insert("workload".into(), json!(kind));
    all.insert("dialect".into(), json!(dialect));
    all.insert("addresses".into(), json!(address.len()));
    all.insert("ramp".into(), json!(ramp));
    all.insert("warmup".into(), json!(warmup));
    if let Value::Object(options) = options {
        all.extend(options);
    }
    let title = if dialect == "legacy" { format!("legacy: {title}") } else { title };
    (title, all)
}

/// What a part's units of work are called once they are done.
fn done_word(part: &Measurement) -> String {
    match (&*part.unit, &*part.latency) {
        (_, "ack") => "stored".into(),
        ("message" | "delivery", _) => "delivered".into(),
        (other, _) => plural(other),
    }
}

fn put_part(put: &mut impl FnMut(&str, Value), part: &Measurement) {
    let Measurement { tally, unit, latency, .. } = part;
    let word = done_word(part);
    put("seconds", json!(tally.nanoseconds as f64 / 1e9));
    put(&word, json!(tally.done));
    put(&format!("{word}_per_second"), json!(tally.per_second()));
    put("sent", json!(tally.sent));
    for (name, latency) in [(&**latency, &tally.latency), ("ack", &tally.ack), ("lag", &tally.lag)] {
        if latency.count() == 0 {
            continue;
        }
        let Quantiles { p50, p99, p999, max } = latency.quantiles();
        for (quantile, us) in [("p50", p50), ("p99", p99), ("p999", p999), ("max", max)] {
            put(&format!("{name}_{quantile}_us"), json!(us));
        }
    }
    tally.faults.named().into_iter().for_each(|(name, count)| put(name, json!(count)));
    if let Some(server) = &tally.server {
        let us = tally.us_each(server.cpu_ns);
        put(&format!("server_us_per_{unit}"), json!(us));
        put(&format!("server_user_us_per_{unit}"), json!(us * server.user_share));
        put(&format!("server_system_us_per_{unit}"), json!(us * (1.0 - server.user_share)));
        put("server_of_core", json!(tally.cores(server.cpu_ns)));
        put("server_starved_of_core", json!(tally.cores(server.starved_ns)));
        put("server_rss_kib", json!(server.rss_kib));
        put("server_rss_peak_kib", json!(peak(tally, server)));
        put("server_voluntary_switches", json!(server.switches[0]));
        put("server_involuntary_switches", json!(server.switches[1]));
        let threads: Vec<Value> = server.threads.iter().map(|(name, ns)| json!([name, ns])).collect();
        put("server_threads_cpu_ns", json!(threads));
        if let Some(base) = &part.base {
            let [all, anonymous] = per_connection(base, server);
            put("base_rss_kib", json!([base.rss_kib, base.anonymous_kib]));
            put("rss_bytes_per_connection", json!(all));
            put("anonymous_bytes_per_connection", json!(anonymous));
        }
    }
    for (name, used) in &tally.beside {
        put(&format!("{name}_us_per_{unit}"), json!(tally.us_each(used.cpu_ns)));
        put(&format!("{name}_of_core"), json!(tally.cores(used.cpu_ns)));
    }
    put("generator_of_core", json!(tally.cores(tally.generator.cpu_ns)));
    put("generator_starved_of_core", json!(tally.cores(tally.generator.starved_ns)));
    put("generators", json!(tally.generators));
    put(BOTTLENECK, json!(bottleneck(part).is_some()));
    put("counts", json!(part.counts));
    put("trouble", json!(tally.errors));
    put("moments", json!(tally.intervals));
    put("histogram_us", json!(histogram(&tally.latency)));
}

/// The server's largest resident memory that was seen, KiB.
fn peak(tally: &Tally, server: &Usage) -> u64 {
    tally.intervals.iter().map(|interval| interval.server_rss_kib).max().unwrap_or(0).max(server.rss_kib)
}

/// Resident bytes, all and those that are not of files, that each connection since `base` has cost.
fn per_connection(base: &Baseline, server: &Usage) -> [f64; 2] {
    [(server.rss_kib, base.rss_kib), (server.anonymous_kib, base.anonymous_kib)]
        .map(|(now, then)| ratio((now as f64 - then as f64) * 1024.0, f64::from(base.connections)))
}

/// A histogram with fewer steps: the upper end of each, us, and how many are in it.
pub fn histogram(latency: &Latency) -> Vec<(f64, u64)> {
    let mut steps: Vec<(i32, u64)> = Vec::new();
    for (ns, count) in latency.recorded() {
        let step = ((ns as f64).log2() * STEPS).ceil() as i32;
        match steps.last_mut() {
            Some(last) if last.0 == step => last.1 += count,
            _ => steps.push((step, count)),
        }
    }
    steps.into_iter().map(|(step, count)| ((f64::from(step) / STEPS).exp2() / 1e3, count)).collect()
}

/// Says so where the generator, not the server, bounded what was measured.
pub fn bottleneck(part: &Measurement) -> Option<String> {
    let Tally { generator, generators, lag, latency, nanoseconds, stood_still, .. } = &part.tally;
    if *nanoseconds < TELLING {
        return None;
    }
    if *stood_still > STOOD_STILL {
        return Some(format!(
            "the generator was the bottleneck: it stood still itself, for {:.1} s",
            *stood_still as f64 / 1e9
        ));
    }
    let processes = f64::from((*generators).max(1));
    let (used, starved) = (part.tally.cores(generator.cpu_ns), part.tally.cores(generator.starved_ns));
    // A thread is on one core at a time, and one of them that can do no more is enough.
    if used > SATURATED * processes || part.tally.cores(generator.busiest_ns()) > SATURATED {
        return Some(
            "the generator was the bottleneck: it used all of its core; the server can do more than this"
                .into(),
        );
    }
    if used + starved > SATURATED * processes && starved > 0.2 * used {
        let seconds = *nanoseconds as f64 / 1e9;
        return Some(format!(
            "the generator was the bottleneck: of {seconds:.1} s it had work and no CPU for {:.1} s",
            starved * seconds / processes
        ));
    }
    let (late, all) = (lag.quantiles().p99, latency.quantiles().p99);
    (lag.count() > 0 && late > LATE_US && late > LATE_PART * all).then(|| {
        format!("the generator was the bottleneck: at p99 it sent {late:.0} us late, of the {all:.0} us that are told")
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for part in &self.parts {
            if !part.name.is_empty() {
                writeln!(f, "  -- {}", part.name)?;
            }
            write_part(f, part, self.threads_table)?;
        }
        Ok(())
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &Measurement, threads_table: bool) -> fmt::Result {
    let Measurement { tally, unit, latency, .. } = part;
    let (word, seconds) = (done_word(part), tally.nanoseconds as f64 / 1e9);
    let (rate, done) = (tally.per_second(), grouped(tally.done));
    let rate = if rate < 100.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) };
    writeln!(f, "  {word:<11} {rate}/s ({done} in {seconds:.2} s)")?;
    if tally.cut.measured {
        writeln!(f, "  NOTE: ended by Ctrl-C before its time")?;
    }
    if tally.cut.drain {
        writeln!(f, "  NOTE: Ctrl-C ended the wait for what was under way, which counts as lost")?;
    }
    let is_ack = latency == "ack";
    let rows = [(&**latency, &tally.latency), ("ack", &tally.ack), ("begun late", &tally.lag)];
    let rows = rows.iter().enumerate().filter(|(at, (_, l))| l.count() > 0 && !(is_ack && *at == 1));
    for (number, (_, (name, latency))) in rows.enumerate() {
        if number == 0 {
            writeln!(f, "  latency, us {:>10} {:>10} {:>10} {:>10}", "p50", "p99", "p99.9", "max")?;
        }
        let Quantiles { p50, p99, p999, max } = latency.quantiles();
        writeln!(f, "    {name:<10}{p50:>10.1} {p99:>10.1} {p999:>10.1} {max:>10.1}")?;
    }
    if tally.sent > 0 {
        let faults = tally.faults.named().into_iter().filter(|(_, count)| *count > 0);
        let faults: Vec<_> =
            faults.map(|(name, count)| format!("{} {}", name.replace('_', " "), grouped(count))).collect();
        match &faults[..] {
            [] => writeln!(f, "  messages    none lost, duplicated, out of order, wrong or unanswered")?,
            faults => writeln!(f, "  FAULTY: {}", faults.join(", "))?,
        }
    }
    if let Some(server) = &tally.server {
        write_server(f, part, server, threads_table, unit)?;
    }
    for (name, used) in &tally.beside {
        let (us, share) = (tally.us_each(used.cpu_ns), tally.cores(used.cpu_ns) * 100.0);
        writeln!(f, "  {name:<11} {us:.2} us CPU a {unit}, {share:.1} % of a core")?;
    }
    if !part.counts.is_empty() {
        let counts: Vec<_> =
            part.counts.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
        writeln!(f, "  counted     {}", counts.join(", "))?;
    }
    let own = &tally.generator;
    let (share, starved) = (tally.cores(own.cpu_ns) * 100.0, tally.cores(own.starved_ns) * 100.0);
    let processes =
        if tally.generators > 1 { format!("{} processes, ", tally.generators) } else { String::new() };
    let preempted = grouped(own.switches[1]);
    writeln!(
        f,
        "  generator   {processes}{share:.1} % of a core, {starved:.1} % waiting for one, preempted {preempted} times"
    )?;
    if let Some(note) = bottleneck(part) {
        writeln!(f, "  NOTE: {note}")?;
    }
    for (name, count) in tally.errors.iter() {
        writeln!(f, "  TROUBLE: {name} {count}")?;
    }
    if measured_nothing(part) {
        writeln!(
            f,
            "  TROUBLE: in the measured time no {unit} was done: measure for longer, or give the load some"
        )?;
    }
    tally.errors.hints().try_for_each(|(name, hint)| writeln!(f, "  {name}: {hint}"))
}

fn write_server(
    f: &mut fmt::Formatter<'_>,
    part: &Measurement,
    server: &Usage,
    threads_table: bool,
    unit: &str,
) -> fmt::Result {
    let tally = &part.tally;
    let us = tally.us_each(server.cpu_ns);
    let user = us * server.user_share;
    writeln!(f, "  server      {us:.2} us CPU a {unit} ({user:.2} user, {:.2} system)", us - user)?;
    if let Some(base) = &part.base {
        let [all, anonymous] = per_connection(base, server).map(|bytes| bytes / 1024.0);
        let (mib, connections) = (base.rss_kib as f64 / 1024.0, grouped(u64::from(base.connections)));
        if all > 0.0 {
            writeln!(f, "              {all:.2} KiB resident a connection ({anonymous:.2} not of files)")?;
            writeln!(f, "              beyond {mib:.1} MiB before {connections} of them")?;
        } else {
            writeln!(
                f,
                "              no more memory than before its {connections} connections, {mib:.1} MiB"
            )?;
        }
    }
    if threads_table {
        for (name, cpu_ns) in &server.threads {
            let (us, share) = (tally.us_each(*cpu_ns), tally.cores(*cpu_ns) * 100.0);
            if share >= TOLD_SHARE {
                writeln!(f, "    {name:<16} {us:>8.2} us a {unit} {share:>6.1} % of a core")?;
            }
        }
    }
    let (share, starved) = (tally.cores(server.cpu_ns) * 100.0, tally.cores(server.starved_ns) * 100.0);
    let [rss, peak] = [server.rss_kib, peak(tally, server)].map(|kib| kib as f64 / 1024.0);
    writeln!(
        f,
        "              {share:.1} % of a core, {starved:.1} % waiting for one, {rss:.1} MiB resident, {peak:.1} at most"
    )?;
    let [waited, made_to] = server
        .switches
        .map(|count| grouped(ratio(count as f64 * 1e9, tally.nanoseconds as f64).round() as u64));
    writeln!(f, "              {waited} voluntary and {made_to} involuntary context switches/s")
}

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
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
    use crate::args::{Args, Task};
    use crate::ledger::Faults;
    use clap::Parser;

    fn tally() -> Tally {
        let mut tally = Tally {
            nanoseconds: 2_000_000_000,
            sent: 1_234_567,
            done: 1_000_000,
            server: Some(Usage { cpu_ns: 1_500_000_000, user_share: 0.5, ..Usage::default() }),
            generators: 1,
            ..Tally::default()
        };
        tally.ack.record(10_000);
        tally
    }

    fn report(tally: Tally) -> Report {
        let args = Args::parse_from(["chatbench", "pairs", "--pairs", "2", "--window", "1"]);
        let Task::Load(load) = args.task else { panic!("a load") };
        let part = Measurement {
            name: "".into(),
            unit: "message".into(),
            latency: "delivery".into(),
            tally,
            base: None,
            counts: Default::default(),
        };
        Report::new(&load, vec![part])
    }

    #[test]
    fn the_figures_are_those_of_the_window() {
        let report = report(tally());
        assert_eq!(report.outcome(), Outcome::Clean);
        let json = report.json();
        assert_eq!(json["delivered_per_second"], 500_000.0);
        assert_eq!(json["server_us_per_message"], 1.5);
        assert!((9.9..10.1).contains(&json["ack_p50_us"].as_f64().unwrap()));
        assert_eq!((&json["workload"], &json["pairs"]), (&json!("pairs"), &json!(2)));
        assert!(report.to_string().contains("500,000/s (1,000,000 in 2.00 s)"), "{report}");
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
            let mut tally = tally();
            fault(&mut tally.faults);
            let report = report(tally);
            assert_eq!((report.outcome(), &report.json()[name]), (Outcome::Faulty, &json!(1)));
        }
        let mut refused = tally();
        refused.errors.note("RATE_LIMITED");
        let report_of_refused = report(refused);
        assert_eq!(report_of_refused.outcome(), Outcome::Faulty);
        assert!(report_of_refused.to_string().contains("limits.messages_per_second=0"));
        assert_eq!(report(Tally { done: 0, ..tally() }).outcome(), Outcome::Faulty);
    }

    #[test]
    fn a_generator_at_its_limit_says_so() {
        let says = |change: fn(&mut Tally)| {
            let mut tally = tally();
            change(&mut tally);
            report(tally).to_string().contains("the generator was the bottleneck")
        };
        assert!(!says(|_| {}));
        assert!(says(|tally| tally.generator.cpu_ns = 1_950_000_000));
        assert!(says(|tally| {
            (tally.generators, tally.generator.cpu_ns) = (4, 4_000_000_000);
            tally.generator.threads = vec![("chatbench".into(), 1_950_000_000)];
        }));
        assert!(says(
            |tally| (tally.generator.cpu_ns, tally.generator.starved_ns) = (1_200_000_000, 790_000_000)
        ));
        assert!(says(|tally| {
            (0..100).for_each(|_| tally.lag.record(900_000));
            tally.latency.record(1_000_000);
        }));
    }

    #[test]
    fn a_histogram_is_made_coarse_and_keeps_its_count() {
        let mut latency = Latency::default();
        (1..10_000).for_each(|n| latency.record(n * 1_000));
        let steps = histogram(&latency);
        assert!(steps.len() < 120, "{}", steps.len());
        assert_eq!(steps.iter().map(|step| step.1).sum::<u64>(), 9_999);
        assert!(steps.windows(2).all(|two| two[0].0 < two[1].0));
    }
}
