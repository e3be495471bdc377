//! The documented names, and values that are known beforehand.

use super::metrics::names;
use super::observed::quantile;
use super::{Lifecycle, Observed, Queue, Readout};
use http::Operations;
use logic::Milliseconds;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DOCUMENTED: [&str; 2] =
    [include_str!("../../../../docs/metrics.md"), include_str!("../../../../docs/zh/metrics.md")];

fn observed() -> Observed {
    Observed {
        node: "<n1>".into(),
        started: Instant::now(),
        lifecycle: Arc::default(),
        readout: Arc::default(),
        is_cluster: true,
        reactors: vec![Arc::default(), Arc::default()],
        storage: vec![Arc::default(), Arc::default()],
        queues: vec![Queue { name: "logic", waiting: Box::new(|| 3) }],
        search: None,
    }
}

#[test]
fn every_metric_is_documented_and_nothing_else() {
    for document in DOCUMENTED {
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let documented: BTreeSet<String> =
            rows.map(|(name, _)| name.to_owned()).filter(|name| is_name(name)).collect();
        let known: BTreeSet<String> = names().collect();
        assert_eq!(documented, known);
    }
}

#[test]
fn rules_and_dashboard_name_metrics_that_exist() {
    let rules = include_str!("../../../../conf/prometheus/chatserver.rules.yml");
    let dashboard = include_str!("../../../../conf/grafana/chatserver.json");
    let known: BTreeSet<String> = names().collect();
    for file in [rules, dashboard] {
        let words = file.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        let named = words.filter(|word| word.starts_with("chatserver_") || word.starts_with("process_"));
        let named: BTreeSet<&str> = named.map(|name| name.strip_suffix("_bucket").unwrap_or(name)).collect();
        assert!(named.len() >= 5, "{named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn every_metric_of_a_scrape_is_known_and_ends_as_openmetrics_demands() {
    let observed = observed();
    observed.lifecycle.use_certificate(1);
    let text = observed.metrics();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let known: BTreeSet<String> = names().collect();
    let mut shown = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let name = base.filter(|base| known.contains(*base)).unwrap_or(name);
        assert!(known.contains(name), "{line}");
        shown.insert(name.to_owned());
    }
    // Without an index there is no lag.
    let missing: Vec<_> = known.difference(&shown).collect();
    assert_eq!(missing, ["chatserver_search_lag_seconds"]);
}

#[test]
fn the_counters_of_threads_are_added() {
    let observed = observed();
    for (reactor, bytes) in observed.reactors.iter().zip([5, 7]) {
        reactor.received_bytes.add(bytes);
    }
    for thread in &observed.storage {
        thread.commits.record(Duration::from_micros(150));
        thread.writes.add(2);
    }
    observed.readout.hears_bus.set(true);
    let text = observed.metrics();
    for line in [
        "chatserver_received_bytes_total 12",
        "chatserver_writes_total 4",
        "chatserver_commit_seconds_bucket{le=\"0.0001\"} 0",
        "chatserver_commit_seconds_bucket{le=\"0.0002\"} 2",
        "chatserver_commit_seconds_bucket{le=\"+Inf\"} 2",
        "chatserver_commit_seconds_count 2",
        "chatserver_commit_seconds_sum 0.0003",
        "chatserver_queue_batches{queue=\"logic\"} 3.0",
        "chatserver_bus_up 1.0",
        "chatserver_connections{dialect=\"tlv\",transport=\"tls\"} 0.0",
        "chatserver_requests_total{errno=\"RATE_LIMITED\"} 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
}

#[test]
fn a_server_is_not_ready_while_it_drains_or_its_database_is_away() {
    let observed = observed();
    assert_eq!(observed.readiness(), Ok(()));
    observed.storage[1].is_away.set(true);
    assert_eq!(observed.readiness(), Err("the database is unreachable or refuses writes"));
    assert_eq!(observed.health(), Ok(()), "a restart does not bring the database back");
    observed.storage[1].is_away.set(false);
    assert_eq!(observed.readiness(), Ok(()));
    observed.lifecycle.is_draining.set(true);
    assert_eq!(observed.readiness(), Err("the server is stopping"));
    assert!(observed.page().contains("the server is stopping"));
}

#[test]
fn what_an_operator_has_named_is_text_on_the_page() {
    let page = observed().page();
    assert!(page.contains("&lt;n1&gt;") && !page.contains("<n1>"), "{page}");
}

#[test]
fn a_quantile_is_the_bound_of_its_bucket() {
    let mut times = Milliseconds::default();
    assert_eq!(quantile(&times, 0.5), None);
    times.buckets[0] = 90;
    times.buckets[3] = 9;
    times.buckets[Milliseconds::BUCKETS - 1] = 1;
    assert_eq!(quantile(&times, 0.5), Some(0.001));
    assert_eq!(quantile(&times, 0.99), Some(0.008));
    assert_eq!(quantile(&times, 1.0), None);
}

#[test]
fn a_certificate_that_has_expired_has_a_negative_time_left() {
    let lifecycle = Lifecycle::default();
    assert_eq!(lifecycle.certificate_seconds(), None);
    lifecycle.use_certificate(1_000);
    assert!(lifecycle.certificate_seconds().unwrap() < 0);
    assert_eq!(Readout::default().stored(), Milliseconds::default());
}
