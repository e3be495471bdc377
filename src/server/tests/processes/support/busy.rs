//! A machine that does much else: how it shows, and what it adds to a bound.

use std::fs;
use std::thread;
use std::time::Duration;

/// What a bound is raised by: this long on an idle machine, and as many times that as there are tasks for each core.
///
/// A test asserts the protocol's own bound plus this. The former is the same everywhere; only what the machine adds
/// grows with its load.
pub fn slack(idle: Duration) -> Duration {
    idle.mul_f64(tasks_per_core().max(1.0))
}

/// Tasks that want to run, now or over the last minute, for each core (proc_loadavg(5)); this test is one of them.
fn tasks_per_core() -> f64 {
    let loadavg = fs::read_to_string("/proc/loadavg").unwrap();
    let words: Vec<&str> = loadavg.split_whitespace().collect();
    let last_minute: f64 = words[0].parse().unwrap();
    let (running, _) = words[3].split_once('/').expect("running tasks stand before all tasks");
    let running: f64 = running.parse().unwrap();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    last_minute.max(running) / cores as f64
}
