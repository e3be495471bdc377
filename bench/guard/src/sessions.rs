//! Many sessions in the rules alone: memory for each, and time for an event.

use crate::harness::Harness;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

/// Logs `users` in, sends a message in every tenth pair, and prints bytes for each session and nanoseconds for each
/// event.
pub fn measure(users: u32) -> ExitCode {
    let users = users.next_multiple_of(2).max(2);
    // The figure includes what this program keeps for each user: a connection id and half a list of members.
    let (before, start) = (resident(), Instant::now());
    let mut harness = Harness::new(users, 2);
    let (took, events) = (start.elapsed(), harness.events);
    let bytes = resident().saturating_sub(before) as f64 / f64::from(users);
    let login = took.as_nanos() as f64 / events as f64;
    println!(
        "{} sessions logged in: {bytes:.0} bytes of resident memory each, {login:.0} ns an event",
        harness.sessions()
    );
    let (start, before) = (Instant::now(), resident());
    (0..users as usize / 2).step_by(10).for_each(|pair| harness.send_message(pair));
    let (took, events) = (start.elapsed(), harness.events - events);
    let (each, grown) = (took.as_nanos() as f64 / events as f64, resident().saturating_sub(before) >> 10);
    println!("a message in every tenth pair: {each:.0} ns an event, {grown} KiB more memory");
    ExitCode::SUCCESS
}

/// Resident memory of this process, bytes; proc(5): statm counts pages, which are assumed to have 4 KiB.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
