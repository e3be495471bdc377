//! What the kernel knows about this process (proc(5)).

use std::fs;

/// Resident memory; `None` where `/proc` is not mounted.
pub fn memory_bytes() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Processor time of all threads since the start, seconds.
pub fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything. Behind it, utime and stime are the 12th and the 13th field.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Open file descriptors.
pub fn open_descriptors() -> Option<u64> {
    // The directory that is read is one of them.
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1)
}
