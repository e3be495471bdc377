//! A result as one flat JSON object.

use super::bottleneck::bottleneck;
use super::run_report::{RunReport, VERSION};
use crate::measure::{CutShort, Latency, Measurement, Quantiles};
use crate::outcome::Outcome;
use crate::results::{BOTTLENECK, ENDED_EARLY};
use serde_json::{Map, Value, json};

/// Steps of a written histogram in each power of two.
const STEPS: f64 = 8.0;

/// The result; the keys of a named measurement start with its name.
pub fn result(report: &RunReport) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("name".into(), json!(report.name));
    line.insert("clean".into(), json!(report.outcome() == Outcome::Clean));
    line.insert("date".into(), json!(report.date));
    line.insert("chatbench".into(), json!(VERSION));
    let ended_early =
        report.measurements.iter().any(|measured| measured.tally.cut_short != CutShort::default());
    line.insert(ENDED_EARLY.into(), json!(ended_early));
    line.extend(report.description.options.clone());
    for measurement in &report.measurements {
        let name = &measurement.name;
        let prefix = if name.is_empty() { String::new() } else { format!("{name}_") };
        let mut put = |key: &str, value: Value| drop(line.insert(format!("{prefix}{key}"), value));
        put_measurement(&mut put, measurement);
    }
    line
}

fn put_measurement(put: &mut impl FnMut(&str, Value), measurement: &Measurement) {
    let Measurement { tally, unit, latency, .. } = measurement;
    let word = measurement.done_word();
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
        put("server_rss_peak_kib", json!(tally.peak_rss_kib(server)));
        put("server_voluntary_switches", json!(server.switches[0]));
        put("server_involuntary_switches", json!(server.switches[1]));
        let threads: Vec<Value> = server.threads.iter().map(|(name, ns)| json!([name, ns])).collect();
        put("server_threads_cpu_ns", json!(threads));
        if let Some(base) = &measurement.baseline {
            let [all, anonymous] = base.bytes_per_connection(server);
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
    put(BOTTLENECK, json!(bottleneck(measurement).is_some()));
    put("counts", json!(measurement.counts));
    if !measurement.differences.is_empty() {
        put("differences", json!(measurement.differences));
    }
    put("trouble", json!(tally.errors));
    put("moments", json!(tally.intervals));
    put("histogram_us", json!(histogram(&tally.latency)));
}

/// A coarser histogram: the upper end of every step, us, and its count.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarser_histogram_keeps_the_count() {
        let mut latency = Latency::default();
        (1..10_000).for_each(|n| latency.record(n * 1_000));
        let steps = histogram(&latency);
        assert!(steps.len() < 120, "{}", steps.len());
        assert_eq!(steps.iter().map(|step| step.1).sum::<u64>(), 9_999);
        assert!(steps.windows(2).all(|two| two[0].0 < two[1].0));
    }
}
