//! The metrics, by the conventions of Prometheus. `docs/metrics.md` lists them; a test compares the two.

use super::observed::{Observed, bounds};
use super::process;
use net::TransportKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use runtime::counters::BOUNDS_US;
use std::fmt;
use wire::{Dialect, Errno};

macro_rules! families {
    ($($NAME:ident = $name:literal, $kind:ident, $unit:expr, $help:literal;)*) => {
        $(const $NAME: Family = Family { name: $name, kind: MetricType::$kind, unit: $unit, help: $help };)*

        #[cfg(test)]
        const FAMILIES: &[Family] = &[$($NAME,)*];
    };
}

/// A metric of which there may be several, told apart by labels.
#[derive(Debug)]
struct Family {
    name: &'static str,
    kind: MetricType,
    unit: Option<Unit>,
    help: &'static str,
}

families! {
    BUILD = "chatserver_build", Info, None, "The version of the server";
    UPTIME = "chatserver_uptime", Gauge, Some(Unit::Seconds), "Time since the start";
    READY = "chatserver_ready", Gauge, None, "1: clients may be sent here; the same as /readyz";
    CONNECTIONS = "chatserver_connections", Gauge, None, "Open connections of clients, by dialect and transport";
    CLOSED = "chatserver_connections_closed", Counter, None, "Connections of clients that have ended";
    HANDSHAKES = "chatserver_tls_handshakes", Counter, None, "TLS handshakes that were completed";
    RECEIVED = "chatserver_received", Counter, Some(Unit::Bytes), "Bytes read from clients, without TLS";
    SENT = "chatserver_sent", Counter, Some(Unit::Bytes), "Bytes written to clients, without TLS";
    TURNS = "chatserver_turns", Counter, None, "Turns of the loop of each thread";
    SESSIONS = "chatserver_sessions", Gauge, None, "Sessions with a connection";
    LOGINS = "chatserver_logins", Counter, None, "Logins that succeeded";
    REQUESTS = "chatserver_requests", Counter, None, "Requests that were answered, by the name of the errno";
    PENDING = "chatserver_pending_requests", Gauge, None, "Requests that wait for storage, a password hash or Redis";
    STORED = "chatserver_messages_stored", Counter, None, "Messages of clients that were stored, each once";
    DELIVERED = "chatserver_messages_delivered", Counter, None, "Messages and other entries sent to connections";
    DELIVERY = "chatserver_delivery", Histogram, Some(Unit::Seconds),
        "Time from an accepted SEND to its answer and delivery, in whole milliseconds rounded up";
    APPENDS = "chatserver_appends_in_flight", Gauge, None, "Messages that wait for the commit that stores them";
    COMMIT = "chatserver_commit", Histogram, Some(Unit::Seconds), "Time that a batch of writes takes until it is durable";
    WRITES = "chatserver_writes", Counter, None, "Writes in these batches";
    QUEUES = "chatserver_queue_batches", Gauge, None, "Batches that wait in the queue of a thread";
    STORAGE_UP = "chatserver_storage_up", Gauge, None, "0: the database is unreachable, or SQLite refuses writes";
    BUS_UP = "chatserver_bus_up", Gauge, None, "1: the connection to Redis stands; only on nodes of a cluster";
    UNFILED = "chatserver_unfiled_messages", Gauge, None, "Durable messages that are not in the tables of SQLite yet";
    SEARCH_LAG = "chatserver_search_lag", Gauge, Some(Unit::Seconds), "Age of the latest moment that is fully indexed";
    CERTIFICATE = "chatserver_certificate_expiry", Gauge, Some(Unit::Seconds),
        "Time until the certificate expires; only with TLS";
    MEMORY = "process_resident_memory", Gauge, Some(Unit::Bytes), "Resident memory of the process";
    CPU = "process_cpu", Counter, Some(Unit::Seconds), "Processor time of the process";
    DESCRIPTORS = "process_open_fds", Gauge, None, "Open file descriptors of the process";
}

#[cfg(test)]
impl Family {
    /// The name of its series as Prometheus shows it, without the suffixes of a histogram.
    fn full_name(&self) -> String {
        let unit = self.unit.as_ref().map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let suffix = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        format!("{}{unit}{suffix}", self.name)
    }
}

/// The names of all metrics.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = String> {
    FAMILIES.iter().map(Family::full_name)
}

/// All metrics, in the text format of OpenMetrics.
pub fn encode(observed: &Observed) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Readings::of(observed)));
    let mut text = String::new();
    encode_text(&mut text, &registry).expect("writing to a String cannot fail");
    text
}

type Labels = Vec<(&'static str, String)>;

/// The values of all metrics at one moment.
#[derive(Debug, Default)]
struct Readings(Vec<(&'static Family, Vec<(Labels, Value)>)>);

#[derive(Debug)]
enum Value {
    Count(u64),
    Number(f64),
    /// The upper bound of each bucket with what it holds, not cumulative.
    Histogram {
        sum: f64,
        buckets: Vec<(f64, u64)>,
    },
    /// The labels say it.
    Info,
}

impl Readings {
    fn of(observed: &Observed) -> Readings {
        let mut all = Readings::default();
        let readout = &observed.readout;
        let flag = |holds: bool| Value::Number(f64::from(u8::from(holds)));
        let reactors = |count: fn(&net::Counters) -> u64| Value::Count(observed.of_reactors(count));

        all.add(&BUILD, [(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], Value::Info)]);
        all.one(&UPTIME, Value::Number(observed.started.elapsed().as_secs_f64()));
        all.one(&READY, flag(observed.readiness().is_ok()));
        all.add(&CONNECTIONS, net::DIALECTS.iter().flat_map(|&dialect| open(observed, dialect)));
        all.one(&CLOSED, reactors(|reactor| reactor.closed.get()));
        all.one(&HANDSHAKES, reactors(|reactor| reactor.handshakes.get()));
        all.one(&RECEIVED, reactors(|reactor| reactor.received_bytes.get()));
        all.one(&SENT, reactors(|reactor| reactor.sent_bytes.get()));
        let turns = observed.reactors.iter().enumerate().map(|(index, reactor)| {
            (vec![("thread", format!("reactor-{index}"))], Value::Count(reactor.turns.get()))
        });
        let logic = (vec![("thread", "logic".to_owned())], Value::Count(readout.turns.get()));
        all.add(&TURNS, turns.chain([logic]));
        all.one(&SESSIONS, Value::Number(readout.sessions.get() as f64));
        all.one(&LOGINS, Value::Count(readout.logins.get()));
        let answers = readout.answers();
        all.add(
            &REQUESTS,
            Errno::ALL.iter().map(|errno| {
                let labels = vec![("errno", errno.name().to_owned())];
                (labels, Value::Count(answers[usize::from(errno.number())]))
            }),
        );
        all.one(&PENDING, Value::Number(readout.pending.get() as f64));
        let stored = readout.stored();
        all.one(&STORED, Value::Count(stored.count()));
        all.one(&DELIVERED, reactors(|reactor| reactor.delivered.get()));
        let buckets = bounds().map(finite).zip(stored.buckets).collect();
        all.one(&DELIVERY, Value::Histogram { sum: stored.total_ms as f64 / 1e3, buckets });
        all.one(&APPENDS, Value::Number(readout.appends.get() as f64));
        let commits = observed.commits();
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::MAX]);
        let buckets = bounds.zip(commits.buckets).collect();
        all.one(&COMMIT, Value::Histogram { sum: commits.total_us as f64 / 1e6, buckets });
        all.one(&WRITES, Value::Count(observed.storage.iter().map(|thread| thread.writes.get()).sum()));
        all.add(
            &QUEUES,
            observed.queues.iter().map(|queue| {
                (vec![("queue", queue.name.to_owned())], Value::Number((queue.waiting)() as f64))
            }),
        );
        all.one(&STORAGE_UP, flag(observed.is_storage_up()));
        all.optional(&BUS_UP, observed.is_bus_up().map(flag));
        all.one(&UNFILED, Value::Number(observed.unfiled() as f64));
        all.optional(&SEARCH_LAG, observed.search_lag().map(Value::Number));
        let expiry = observed.lifecycle.certificate_seconds();
        all.optional(&CERTIFICATE, expiry.map(|seconds| Value::Number(seconds as f64)));
        all.optional(&MEMORY, process::memory_bytes().map(|bytes| Value::Number(bytes as f64)));
        all.optional(&CPU, process::cpu_seconds().map(Value::Number));
        all.optional(&DESCRIPTORS, process::open_descriptors().map(|count| Value::Number(count as f64)));
        all
    }

    fn add(&mut self, family: &'static Family, values: impl IntoIterator<Item = (Labels, Value)>) {
        self.0.push((family, values.into_iter().collect()));
    }

    fn one(&mut self, family: &'static Family, value: Value) {
        self.add(family, [(Vec::new(), value)]);
    }

    /// Adds a metric that not every server has.
    fn optional(&mut self, family: &'static Family, value: Option<Value>) {
        if let Some(value) = value {
            self.one(family, value);
        }
    }
}

fn open(observed: &Observed, dialect: Option<Dialect>) -> [(Labels, Value); net::TRANSPORTS.len()] {
    let name = match dialect {
        None => "none",
        Some(Dialect::Tlv) => "tlv",
        Some(Dialect::Legacy) => "legacy",
    };
    net::TRANSPORTS.map(|transport| {
        let carrier = match transport {
            TransportKind::Tcp => "tcp",
            TransportKind::Tls => "tls",
            TransportKind::WebSocket => "ws",
            TransportKind::SecureWebSocket => "wss",
        };
        let labels = vec![("dialect", name.to_owned()), ("transport", carrier.to_owned())];
        let open = observed.of_reactors(|reactor| reactor.open(dialect, transport));
        (labels, Value::Number(open as f64))
    })
}

/// The library takes this for infinity.
fn finite(bound: f64) -> f64 {
    bound.min(f64::MAX)
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (family, values) in &self.0 {
            let Family { name, kind, unit, help } = family;
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for (labels, value) in values {
                match value {
                    Value::Info => metric.encode_info(&labels.as_slice())?,
                    value if labels.is_empty() => value.encode(*kind, &mut metric)?,
                    value => value.encode(*kind, &mut metric.encode_family(&labels.as_slice())?)?,
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, kind: MetricType, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match (self, kind) {
            (Value::Count(count), _) => metric.encode_counter::<NoLabelSet, _, f64>(count, None),
            (Value::Number(number), MetricType::Counter) => {
                metric.encode_counter::<NoLabelSet, _, f64>(number, None)
            }
            (Value::Number(number), _) => metric.encode_gauge(number),
            (Value::Histogram { sum, buckets }, _) => {
                let count = buckets.iter().map(|&(_, count)| count).sum();
                metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
            (Value::Info, _) => Ok(()),
        }
    }
}
