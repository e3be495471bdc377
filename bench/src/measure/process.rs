//! CPU time, memory and context switches of processes, from `/proc` (proc(5)).

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};

/// A thread's usage since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Thread {
    name: String,
    /// Time on a CPU, from `schedstat`; `stat` counts in ticks of 10 ms.
    cpu_ns: u64,
    /// Time in which it was runnable but had no CPU, from `schedstat`.
    starved_ns: u64,
    /// Voluntary and involuntary context switches.
    switches: [u64; 2],
}

/// The usage of some processes since they started.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    threads: BTreeMap<(u32, u32), Thread>,
    user_ns: u64,
    system_ns: u64,
    rss_kib: u64,
    anonymous_kib: u64,
}

/// The usage of some processes between two samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_ns: u64,
    /// Time in which threads were runnable but had no CPU.
    pub starved_ns: u64,
    /// The share of CPU time in user mode, 0 to 1, by the kernel's ticks.
    pub user_share: f64,
    /// Resident memory at the second sample.
    pub rss_kib: u64,
    /// Resident memory that is not mapped from files.
    pub anonymous_kib: u64,
    /// Voluntary and involuntary context switches.
    pub switches: [u64; 2],
    /// CPU time of the threads that existed at the second sample, by name, ns; the busiest first.
    pub threads: Vec<(String, u64)>,
    /// The total usage at the two samples.
    pub(crate) totals: [Totals; 2],
}

/// The total usage of some processes since they started; plain sums, so that two measurements can be joined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    cpu_ns: u64,
    starved_ns: u64,
    switches: [u64; 2],
    user_ns: u64,
    system_ns: u64,
    threads: BTreeMap<String, u64>,
}

impl Totals {
    fn of(sample: &Sample) -> Totals {
        let (user_ns, system_ns) = (sample.user_ns, sample.system_ns);
        let mut totals = Totals { user_ns, system_ns, ..Totals::default() };
        for Thread { name, cpu_ns, starved_ns, switches } in sample.threads.values() {
            totals.cpu_ns += cpu_ns;
            totals.starved_ns += starved_ns;
            totals.switches.iter_mut().zip(switches).for_each(|(sum, more)| *sum += more);
            *totals.threads.entry(name.clone()).or_default() += cpu_ns;
        }
        totals
    }

    /// A number that grows with time, which tells the earlier of two samples.
    fn used(&self) -> u64 {
        self.user_ns + self.system_ns + self.cpu_ns
    }
}

impl Sample {
    /// Samples all of `pids`.
    ///
    /// # Errors
    /// A process does not exist, or is a zombie.
    pub fn take(pids: &[u32]) -> Result<Sample, Error> {
        let mut sample = Sample::default();
        for &pid in pids {
            sample.add(pid).map_err(|error| Error::io(format!("sample process {pid}"), error))?;
        }
        Ok(sample)
    }

    fn add(&mut self, pid: u32) -> io::Result<()> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ended = || io::Error::new(ErrorKind::NotFound, "it has ended");
        // A zombie has no VmRSS.
        self.rss_kib += find(&status, "VmRSS:").ok_or_else(ended)?;
        self.anonymous_kib += field(&status, "RssAnon:");
        let [user, system] = times(&stat);
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        self.user_ns += user * tick;
        self.system_ns += system * tick;
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = entry?.path();
            let Some(tid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
            let read = |file: &str| fs::read_to_string(path.join(file));
            // A thread may end while it is sampled.
            let (Ok(schedstat), Ok(status)) = (read("schedstat"), read("status")) else { continue };
            let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim();
            let mut times = schedstat.split(' ').map(|ns| ns.trim().parse().unwrap_or(0));
            let (cpu_ns, starved_ns) = (times.next().unwrap_or(0), times.next().unwrap_or(0));
            let switches =
                [field(&status, "voluntary_ctxt_switches:"), field(&status, "nonvoluntary_ctxt_switches:")];
            self.threads.insert((pid, tid), Thread { name: name.to_owned(), cpu_ns, starved_ns, switches });
        }
        Ok(())
    }

    pub fn rss_kib(&self) -> u64 {
        self.rss_kib
    }

    pub fn anonymous_kib(&self) -> u64 {
        self.anonymous_kib
    }

    /// The usage since `before`.
    pub fn since(&self, before: &Sample) -> Usage {
        let fresh = Thread::default();
        let (mut cpu_ns, mut starved_ns, mut switches) = (0, 0, [0; 2]);
        let mut threads = BTreeMap::<&str, u64>::new();
        for (id, thread) in &self.threads {
            let earlier = before.threads.get(id).unwrap_or(&fresh);
            let used = thread.cpu_ns.saturating_sub(earlier.cpu_ns);
            cpu_ns += used;
            starved_ns += thread.starved_ns.saturating_sub(earlier.starved_ns);
            *threads.entry(&thread.name).or_default() += used;
            for (sum, (now, then)) in switches.iter_mut().zip(thread.switches.iter().zip(earlier.switches)) {
                *sum += now.saturating_sub(then);
            }
        }
        let user = self.user_ns.saturating_sub(before.user_ns);
        let system = self.system_ns.saturating_sub(before.system_ns);
        // The CPU time of an ended thread is contained in the process's ticks only.
        if before.threads.keys().any(|id| !self.threads.contains_key(id)) {
            cpu_ns = cpu_ns.max(user + system);
        }
        let threads = busiest_first(threads.into_iter().map(|(name, used)| (name.to_owned(), used)));
        let user_share = user as f64 / (user + system).max(1) as f64;
        let (rss_kib, anonymous_kib) = (self.rss_kib, self.anonymous_kib);
        let totals = [Totals::of(before), Totals::of(self)];
        Usage { cpu_ns, starved_ns, user_share, rss_kib, anonymous_kib, switches, threads, totals }
    }
}

impl Usage {
    /// The usage of the same processes from the earlier start of two measurements to the later end.
    #[must_use]
    pub fn widened(self, other: Usage) -> Usage {
        let ([one, end], [another, other_end]) = (self.totals, other.totals);
        let begin = if another.used() < one.used() { another } else { one };
        let end = if other_end.used() > end.used() { other_end } else { end };
        let user = end.user_ns.saturating_sub(begin.user_ns);
        let system = end.system_ns.saturating_sub(begin.system_ns);
        let threads = busiest_first(end.threads.iter().map(|(name, now)| {
            let before = begin.threads.get(name).copied().unwrap_or(0);
            (name.clone(), now.saturating_sub(before))
        }));
        Usage {
            cpu_ns: end.cpu_ns.saturating_sub(begin.cpu_ns).max(self.cpu_ns).max(other.cpu_ns),
            starved_ns: end.starved_ns.saturating_sub(begin.starved_ns),
            user_share: user as f64 / (user + system).max(1) as f64,
            rss_kib: self.rss_kib.max(other.rss_kib),
            anonymous_kib: self.anonymous_kib.max(other.anonymous_kib),
            switches: [0, 1].map(|at: usize| end.switches[at].saturating_sub(begin.switches[at])),
            threads,
            totals: [begin, end],
        }
    }

    /// CPU time of the busiest thread, ns.
    pub fn busiest_ns(&self) -> u64 {
        self.threads.iter().map(|(_, used)| *used).max().unwrap_or(0)
    }

    /// Adds the usage of other processes in the same time.
    pub fn add(&mut self, other: Usage) {
        let whole = (self.cpu_ns + other.cpu_ns).max(1) as f64;
        self.user_share =
            (self.user_share * self.cpu_ns as f64 + other.user_share * other.cpu_ns as f64) / whole;
        self.cpu_ns += other.cpu_ns;
        self.starved_ns += other.starved_ns;
        self.rss_kib += other.rss_kib;
        self.anonymous_kib += other.anonymous_kib;
        self.switches.iter_mut().zip(other.switches).for_each(|(sum, more)| *sum += more);
        self.threads.extend(other.threads);
    }
}

fn busiest_first(threads: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut threads: Vec<_> = threads.collect();
    threads.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
    threads
}

/// The CPU time of some processes since they started, ns, in steps of 10 ms: one read a process, cheap enough to sample
/// during a run. An ended process counts as 0.
pub fn ticks(pids: &[u32]) -> u64 {
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let used = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(0, |stat| times(&stat).iter().sum())
    };
    pids.iter().map(used).sum::<u64>() * tick
}

/// Resident memory of some processes, KiB; one read a process.
pub fn resident(pids: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64 / 1024;
    let pages = |pid: &u32| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0)
    };
    pids.iter().map(pages).sum::<u64>() * page
}

/// `utime` and `stime`, fields 14 and 15 of `stat`. The second field, the name, may contain spaces and parentheses.
fn times(stat: &str) -> [u64; 2] {
    let behind_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = behind_name.split(' ').skip(11).map(|ticks| ticks.parse().unwrap_or(0));
    [fields.next().unwrap_or(0), fields.next().unwrap_or(0)]
}

/// The number after `name` in a `status` file.
fn find(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The number after `name`, or 0.
fn field(status: &str, name: &str) -> u64 {
    find(status, name).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(times("7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 111 222 13"), [111, 222]);
    }

    #[test]
    fn the_cpu_time_of_this_process_is_sampled() {
        let pid = std::process::id();
        let before = Sample::take(&[pid]).unwrap();
        let until = Instant::now() + Duration::from_millis(120);
        let mut sum = 0u64;
        while Instant::now() < until {
            sum = black_box(sum + 1);
        }
        let usage = Sample::take(&[pid]).unwrap().since(&before);
        assert!(usage.cpu_ns > 10_000_000, "{usage:?}");
        assert!(usage.rss_kib > 100 && usage.anonymous_kib <= usage.rss_kib);
        assert!(Sample::take(&[u32::MAX]).is_err());
    }

    #[test]
    fn a_zombie_is_not_sampled() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        // A process that is just exiting has given back its memory, but is no zombie yet.
        while !fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ") {
            assert!(Instant::now() < until, "the process does not end");
            std::thread::yield_now();
        }
        assert!(Sample::take(&[child.id()]).is_err(), "an ended process is still sampled");
        child.wait().unwrap();
    }

    #[test]
    fn usage_is_joined_from_the_earlier_start_to_the_later_end() {
        let at = |cpu_ns: u64| {
            let thread =
                Thread { name: "loop".into(), cpu_ns, starved_ns: 2 * cpu_ns, switches: [cpu_ns, 1] };
            Sample { threads: [((1, 1), thread)].into(), user_ns: cpu_ns, rss_kib: 7, ..Sample::default() }
        };
        let (early, late) = (at(200).since(&at(100)), at(450).since(&at(150)));
        for whole in [early.clone().widened(late.clone()), late.widened(early)] {
            assert_eq!((whole.cpu_ns, whole.starved_ns, whole.switches), (350, 700, [350, 0]));
            assert_eq!((whole.rss_kib, whole.user_share), (7, 1.0));
            assert_eq!(whole.threads, [("loop".to_owned(), 350)]);
        }
    }
}
