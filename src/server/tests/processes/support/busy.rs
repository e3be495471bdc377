//! How loaded the machine is, and what that adds to a time bound.

use std::fs;
use std::thread;
use std::time::Duration;

/// What to add to a time bound: `idle` on an idle machine, multiplied by the number of runnable tasks a core.
///
/// A test asserts a bound of the protocol plus this slack. The bound is the same everywhere; only the slack
/// grows with the load.
pub fn slack(idle: Duration) -> Duration {
    idle.mul_f64(tasks_per_core().max(1.0))
}

/// Runnable tasks a core, now or over the last minute, whichever is more (proc_loadavg(5)).
fn tasks_per_core() -> f64 {
    let loadavg = fs::read_to_string("/proc/loadavg").unwrap();
    let words: Vec<&str> = loadavg.split_whitespace().collect();
    let last_minute: f64 = words[0].parse().unwrap();
    let (running, _) = words[3].split_once('/').expect("running tasks stand before all tasks");
    let running: f64 = running.parse().unwrap();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    last_minute.max(running) / cores as f64
}
