//! Many sessions in the rules alone: what does each keep, and how long does an event take?

use crate::hall::Hall;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

/// Logs `users` in, pair by pair, lets every tenth pair say something, and prints bytes a session and time an event.
pub fn tell(users: u32) -> ExitCode {
    let users = users.next_multiple_of(2).max(2);
    // Beside the rules this program keeps a connection id and half a list of members for each.
    let (before, start) = (resident(), Instant::now());
    let mut hall = Hall::new(users, 2);
    let (took, events) = (start.elapsed(), hall.events);
    let bytes = resident().saturating_sub(before) as f64 / f64::from(users);
    let login = took.as_nanos() as f64 / events as f64;
    println!(
        "{} sessions logged in: {bytes:.0} resident bytes each, {login:.0} ns an event",
        hall.sessions()
    );
    let (start, before) = (Instant::now(), resident());
    (0..users as usize / 2).step_by(10).for_each(|pair| hall.say(pair));
    let (took, events) = (start.elapsed(), hall.events - events);
    let (each, grown) = (took.as_nanos() as f64 / events as f64, resident().saturating_sub(before) >> 10);
    println!("one message in every tenth pair: {each:.0} ns an event, {grown} KiB more");
    ExitCode::SUCCESS
}

/// Resident memory of this process, bytes (proc(5), statm counts pages of 4 KiB on the machines this is for).
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
