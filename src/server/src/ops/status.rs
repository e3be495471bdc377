//! The state of the server for people and programs.

use super::observed::{Observed, quantile};
use super::process;
use serde_json::{Value, json};
use wire::Errno;

/// The state as a JSON object. Members that do not apply are null.
pub fn status(observed: &Observed) -> Value {
    let commits = observed.commits();
    let stored = observed.readout.stored();
    let refused: u64 = observed.readout.answers()[1..].iter().sum();
    let seconds = |us: Option<u64>| us.map(|us| us as f64 / 1e6);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "node": observed.node,
        "uptime_seconds": observed.started.elapsed().as_secs(),
        "healthy": observed.health().is_ok(),
        "ready": observed.readiness().is_ok(),
        "not_ready": observed.readiness().err(),
        "database": observed.is_storage_up(),
        "redis": observed.is_bus_up(),
        "connections": observed.connections(),
        "sessions": observed.readout.sessions.get(),
        "messages_stored": stored.count(),
        "messages_delivered": observed.of_reactors(|reactor| reactor.delivered.get()),
        "delivery_p50_seconds": quantile(&stored, 0.5),
        "delivery_p99_seconds": quantile(&stored, 0.99),
        "commit_p50_seconds": seconds(commits.quantile_us(0.5)),
        "commit_p99_seconds": seconds(commits.quantile_us(0.99)),
        "requests": observed.readout.answers()[usize::from(Errno::Ok.number())] + refused,
        "refused": refused,
        "pending_requests": observed.readout.pending.get(),
        "unfiled_messages": observed.unfiled(),
        "search_lag_seconds": observed.search_lag(),
        "certificate_expires_in_seconds": observed.lifecycle.certificate_seconds(),
        "memory_bytes": process::memory_bytes(),
    })
}
