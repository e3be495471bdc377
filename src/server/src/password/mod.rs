//! The password thread: one Argon2id job at a time, off the logic thread.
//!
//! It has one buffer for all jobs, allocated at the first job and released after [`IDLE`] without one. A busy server
//! therefore does not allocate 19 MiB a login, and an idle one does not hold them.

mod hasher;

use hasher::Hasher;
use logic::{PasswordJob, PasswordResult, Ticket};
use runtime::queue::Outbox;
use runtime::watchdog::Role;
use runtime::worker::{Mailbox, Next, Worker};
use std::io;
use std::time::Duration;

const QUEUE_BATCHES: usize = 64;
/// The buffer is released after this long without a job.
const IDLE: Duration = Duration::from_secs(10);

pub type Jobs = Vec<(Ticket, PasswordJob)>;
/// In the order of the jobs.
pub type Results = Vec<(Ticket, PasswordResult)>;

/// Starts the thread. New hashes cost `memory_kib` of memory and `iterations` passes over it; each result is sent to
/// `to_logic` as soon as it is available.
///
/// [`Worker::stop`] finishes the current job and drops those that wait.
///
/// # Errors
/// If Argon2 does not allow the cost, or the system cannot start another thread.
pub fn start(
    memory_kib: u32,
    iterations: u32,
    to_logic: Outbox<Results>,
) -> io::Result<(Worker, Outbox<Jobs>)> {
    let hasher = Hasher::new(memory_kib, iterations).map_err(io::Error::other)?;
    Worker::with_mailbox(Role::Password, "password", QUEUE_BATCHES, move |jobs| run(hasher, jobs, &to_logic))
}

fn run(mut hasher: Hasher, mut jobs: Mailbox<Jobs>, to_logic: &Outbox<Results>) {
    loop {
        match jobs.next(hasher.holds_memory().then_some(IDLE)) {
            Next::Batch(batch) => {
                for (ticket, job) in batch {
                    if jobs.is_stopping() || to_logic.send(vec![(ticket, hasher.run(&job))]).is_err() {
                        return;
                    }
                }
            }
            Next::Idle => hasher.release(),
            Next::Stop => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::queue::{Bell, Gone, queue};
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn results_arrive_in_order_and_a_sleeping_thread_stops() {
        let bell = Arc::new(Bell::new());
        let (to_logic, results) = queue(8, &bell);
        let (thread, jobs) = start(8, 1, to_logic).unwrap();
        let batch = |tickets: std::ops::Range<u64>| -> Vec<_> {
            tickets.map(|n| (Ticket(n), PasswordJob::Hash { password: n.to_string().into() })).collect()
        };
        jobs.send(batch(0..20)).unwrap();
        jobs.send(batch(20..30)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut answered = Vec::new();
        while answered.len() < 30 && Instant::now() < deadline {
            match results.try_recv().unwrap() {
                Some(batch) => answered.extend(batch.into_iter().map(|(ticket, _)| ticket.0)),
                None => bell.wait(Some(Duration::from_secs(1)), || !results.is_empty()),
            }
        }
        assert_eq!(answered, (0..30).collect::<Vec<_>>());
        thread.stop();
        assert_eq!(jobs.send(batch(0..1)), Err(Gone), "the thread has ended");
    }

    #[test]
    fn a_stop_drops_queued_jobs() {
        let bell = Arc::new(Bell::new());
        let (to_logic, _results) = queue(10_000, &bell);
        let (thread, jobs) = start(8 * 1024, 2, to_logic).unwrap();
        let job = || PasswordJob::Verify { hash: None, password: "secret".into() };
        jobs.send((0..100_000).map(|n| (Ticket(n), job())).collect()).unwrap();
        let started = Instant::now();
        thread.stop();
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
