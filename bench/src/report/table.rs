//! A result as a table on a terminal.

use super::bottleneck::bottleneck;
use super::run_report::RunReport;
use crate::format::grouped;
use crate::measure::{Baseline, Measurement, Quantiles, Tally, Usage, ratio};
use std::fmt::{self, Display};

/// Threads below this share of a core, in per cent, are left out.
const SMALLEST_SHARE: f64 = 0.05;

impl Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.description.title)?;
        for measurement in &self.measurements {
            if !measurement.name.is_empty() {
                writeln!(f, "  -- {}", measurement.name)?;
            }
            write_measurement(f, measurement, self.has_threads_table)?;
        }
        Ok(())
    }
}

fn write_measurement(
    f: &mut fmt::Formatter<'_>,
    measurement: &Measurement,
    has_threads_table: bool,
) -> fmt::Result {
    let Measurement { tally, unit, .. } = measurement;
    let (word, seconds) = (measurement.done_word(), tally.nanoseconds as f64 / 1e9);
    let (rate, done) = (tally.per_second(), grouped(tally.done));
    let rate = if rate < 100.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) };
    writeln!(f, "  {word:<11} {rate}/s ({done} in {seconds:.2} s)")?;
    if tally.cut_short.measured {
        writeln!(f, "  NOTE: ended early by Ctrl-C")?;
    }
    if tally.cut_short.drain {
        writeln!(f, "  NOTE: Ctrl-C ended the drain: messages still in transit count as lost")?;
    }
    write_latencies(f, measurement)?;
    if tally.sent > 0 {
        write_faults(f, tally)?;
    }
    if let Some(server) = &tally.server {
        write_server(f, measurement, server)?;
        if has_threads_table {
            write_threads(f, tally, server, unit)?;
        }
        write_server_totals(f, tally, server)?;
    }
    for (name, used) in &tally.beside {
        let (us, share) = (tally.us_each(used.cpu_ns), tally.cores(used.cpu_ns) * 100.0);
        writeln!(f, "  {name:<11} {us:.2} us CPU a {unit}, {share:.1} % of a core")?;
    }
    if !measurement.counts.is_empty() {
        let counts = measurement.counts.iter().map(|(name, count)| format!("{name} {}", grouped(*count)));
        writeln!(f, "  counted     {}", counts.collect::<Vec<_>>().join(", "))?;
    }
    write_generator(f, tally)?;
    if let Some(note) = bottleneck(measurement) {
        writeln!(f, "  NOTE: {note}")?;
    }
    for (name, count) in tally.errors.iter() {
        writeln!(f, "  ERROR: {name} {count}")?;
    }
    for difference in &measurement.differences {
        writeln!(f, "  DIFFERENT: {difference}")?;
    }
    if measurement.is_empty() {
        writeln!(
            f,
            "  ERROR: no {unit} was completed in the measured time: measure longer, or use a larger load"
        )?;
    }
    tally.errors.hints().try_for_each(|(name, hint)| writeln!(f, "  {name}: {hint}"))
}

fn write_latencies(f: &mut fmt::Formatter<'_>, measurement: &Measurement) -> fmt::Result {
    let Measurement { tally, latency, .. } = measurement;
    let mut rows = vec![(&**latency, &tally.latency)];
    if latency != "ack" {
        rows.push(("ack", &tally.ack));
    }
    rows.push(("lateness", &tally.lag));
    rows.retain(|(_, latency)| latency.count() > 0);
    if !rows.is_empty() {
        writeln!(f, "  latency, us {:>10} {:>10} {:>10} {:>10}", "p50", "p99", "p99.9", "max")?;
    }
    for (name, latency) in rows {
        let Quantiles { p50, p99, p999, max } = latency.quantiles();
        writeln!(f, "    {name:<10}{p50:>10.1} {p99:>10.1} {p999:>10.1} {max:>10.1}")?;
    }
    Ok(())
}

fn write_faults(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    let faults = tally.faults.named().into_iter().filter(|(_, count)| *count > 0);
    let faults: Vec<_> =
        faults.map(|(name, count)| format!("{} {}", name.replace('_', " "), grouped(count))).collect();
    match &faults[..] {
        [] => writeln!(f, "  messages    none lost, duplicated, out of order, wrong or unanswered"),
        faults => writeln!(f, "  FAULTY: {}", faults.join(", ")),
    }
}

fn write_server(f: &mut fmt::Formatter<'_>, measurement: &Measurement, server: &Usage) -> fmt::Result {
    let us = measurement.tally.us_each(server.cpu_ns);
    let (user, unit) = (us * server.user_share, &measurement.unit);
    writeln!(f, "  server      {us:.2} us CPU a {unit} ({user:.2} user, {:.2} system)", us - user)?;
    measurement.baseline.as_ref().map_or(Ok(()), |baseline| write_memory(f, baseline, server))
}

fn write_memory(f: &mut fmt::Formatter<'_>, baseline: &Baseline, server: &Usage) -> fmt::Result {
    let [all, anonymous] = baseline.bytes_per_connection(server).map(|bytes| bytes / 1024.0);
    let (mib, count) = (baseline.rss_kib as f64 / 1024.0, grouped(u64::from(baseline.connections)));
    if all <= 0.0 {
        return writeln!(
            f,
            "              no more memory than the {mib:.1} MiB before its {count} connections"
        );
    }
    writeln!(f, "              {all:.2} KiB resident memory a connection ({anonymous:.2} anonymous)")?;
    writeln!(f, "              above the {mib:.1} MiB before its {count} connections")
}

fn write_threads(f: &mut fmt::Formatter<'_>, tally: &Tally, server: &Usage, unit: &str) -> fmt::Result {
    for (name, cpu_ns) in &server.threads {
        let (us, share) = (tally.us_each(*cpu_ns), tally.cores(*cpu_ns) * 100.0);
        if share >= SMALLEST_SHARE {
            writeln!(f, "    {name:<16} {us:>8.2} us a {unit} {share:>6.1} % of a core")?;
        }
    }
    Ok(())
}

fn write_server_totals(f: &mut fmt::Formatter<'_>, tally: &Tally, server: &Usage) -> fmt::Result {
    let (share, starved) = (tally.cores(server.cpu_ns) * 100.0, tally.cores(server.starved_ns) * 100.0);
    let [rss, peak] = [server.rss_kib, tally.peak_rss_kib(server)].map(|kib| kib as f64 / 1024.0);
    writeln!(
        f,
        "              {share:.1} % of a core, {starved:.1} % waiting for a core; memory {rss:.1} MiB, peak {peak:.1} MiB"
    )?;
    let [voluntary, involuntary] = server
        .switches
        .map(|count| grouped(ratio(count as f64 * 1e9, tally.nanoseconds as f64).round() as u64));
    writeln!(f, "              {voluntary} voluntary and {involuntary} involuntary context switches/s")
}

fn write_generator(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    let own = &tally.generator;
    let (share, starved) = (tally.cores(own.cpu_ns) * 100.0, tally.cores(own.starved_ns) * 100.0);
    let processes =
        if tally.generators > 1 { format!("{} processes, ", tally.generators) } else { String::new() };
    let preempted = grouped(own.switches[1]);
    writeln!(
        f,
        "  generator   {processes}{share:.1} % of a core, {starved:.1} % waiting for a core, preempted {preempted} times"
    )
}
