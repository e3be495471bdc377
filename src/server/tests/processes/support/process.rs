//! Processes as the kernel shows them (proc(5)): memory, descriptors, signals, freezing.

use super::PATIENCE;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Clock ticks a second in `/proc/PID/stat`, fixed by the kernel's ABI.
const TICKS: u64 = 100;

/// The peak resident memory, MiB.
pub fn peak_mib(pid: u32) -> u64 {
    memory_mib(pid, "VmHWM:")
}

/// The resident memory now, MiB.
pub fn resident_mib(pid: u32) -> u64 {
    memory_mib(pid, "VmRSS:")
}

fn memory_mib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The CPU time used so far, user and kernel.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The program's name, in parentheses, may hold anything; `utime` and `stime` are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// How many descriptors the process has open.
pub fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// Sets the soft limit of open files of a running process.
pub fn limit_descriptors(pid: u32, count: u64) {
    let limit = Rlimit { current: Some(count), maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Some(id(pid)), Resource::Nofile, limit).unwrap();
}

/// Raises the soft limit of open files of this process and its children to at least `count`.
pub fn need_descriptors(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        let enough = maximum.is_none_or(|maximum| maximum >= count);
        assert!(enough, "this test opens {count} files: raise the hard limit (`ulimit -Hn {count}`)");
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    }
}

/// Sends a signal to a child that was not waited for yet.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(id(pid), signal).unwrap();
}

/// Stops a process and waits until every thread of it is stopped. Until then it may still act on its input.
#[track_caller]
pub fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    let deadline = Instant::now() + PATIENCE;
    while !is_frozen(pid) {
        assert!(Instant::now() < deadline, "process {pid} has not stopped within {PATIENCE:?}");
        thread::yield_now();
    }
}

/// Continues a stopped process.
pub fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

/// Whether every thread is in state T. A thread may end meanwhile; a stopped process starts none.
fn is_frozen(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok()).all(|stat| {
        let (_, fields) = stat.rsplit_once(") ").expect("the state stands behind the name");
        fields.starts_with('T')
    })
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).expect("a process's id is not 0")
}
