//! What the kernel says about a process (proc(5)).

use super::PATIENCE;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Clock ticks a second of the times in `/proc/PID/stat`: fixed in the kernel's interface to programs.
const TICKS: u64 = 100;

/// The most memory that the process ever held at once, MiB.
pub fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// CPU time that the process has used, in user and kernel mode.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program, in parentheses, may hold anything; `utime` and `stime` are the fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// How many descriptors the process has open.
pub fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// Allows a running process this many descriptors, and no more.
pub fn limit_descriptors(pid: u32, count: u64) {
    let limit = Rlimit { current: Some(count), maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Some(id(pid)), Resource::Nofile, limit).unwrap();
}

/// Takes care that this process and those it starts from now on may open `count` descriptors.
pub fn need_descriptors(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        let enough = maximum.is_none_or(|maximum| maximum >= count);
        assert!(enough, "this test opens {count} files: raise the hard limit (`ulimit -Hn {count}`)");
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    }
}

/// Sends a signal to a process that this test has started and not yet waited for.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(id(pid), signal).unwrap();
}

/// Stops a process and returns when every thread of it stands still: until then it may go on with what it reads.
#[track_caller]
pub fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    let deadline = Instant::now() + PATIENCE;
    while !is_frozen(pid) {
        assert!(Instant::now() < deadline, "process {pid} has not stopped within {PATIENCE:?}");
        thread::yield_now();
    }
}

/// Lets a stopped process go on.
pub fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

/// Whether every thread of the process is stopped. A thread may end meanwhile, and no stopped process starts one.
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
