//! How a workload is divided over several generator processes.

use super::worker::Worker;
use super::workload::Workload;

impl Workload {
    /// Connections that are open at the same time.
    pub fn connections(&self) -> u64 {
        let (count, each) = match self {
            Workload::Pairs(args) => (args.pairs, 2),
            Workload::Group(args) => (args.groups, args.members),
            Workload::Login(args) => (args.window.unwrap_or(args.count), 1),
            Workload::Storm(args) => (args.connections + 2 * args.pairs, 1),
            Workload::Idle(args) => (args.connections, 1),
            Workload::Offline(args) => (args.pairs, 2),
            Workload::Mixed(args) => (args.circles, args.members),
        };
        u64::from(count) * u64::from(each)
    }

    /// The number of accounts in use.
    pub fn accounts(&self) -> u32 {
        match self {
            Workload::Login(args) => args.count,
            other => other.connections() as u32,
        }
    }

    /// The largest number of processes that leaves none idle.
    pub fn processes_max(&self) -> u32 {
        match self {
            Workload::Pairs(args) => args.pairs.min(args.pace.rate.unwrap_or(u32::MAX)),
            Workload::Group(args) => args.groups.min(args.pace.rate.unwrap_or(u32::MAX)),
            Workload::Login(args) => args.count.min(args.window.or(args.rate).unwrap_or(u32::MAX)),
            Workload::Storm(args) => args.connections.min(args.pairs).min(args.rate),
            Workload::Idle(args) => args.connections,
            Workload::Offline(args) => args.pairs.min(args.messages),
            Workload::Mixed(args) => args.circles.min(args.rate),
        }
        .max(1)
    }

    /// The number of measurements; before each of them all processes wait for each other.
    pub fn rounds(&self) -> u32 {
        if let Workload::Offline(_) = self { 2 } else { 1 }
    }

    /// Accounts used by the processes before `worker`.
    pub fn accounts_before(&self, worker: Worker) -> u32 {
        (0..worker.number).map(|number| self.share_of(Worker { number, ..worker }).accounts()).sum()
    }

    /// The share of `worker`.
    pub fn share_of(&self, worker: Worker) -> Workload {
        let mut part = self.clone();
        let cut = |number: &mut u32| *number = worker.slice(*number).1;
        // Every sender has the same pace in every process, and every process has some work.
        let share = |number: &mut u32, lanes: u32| *number = worker.share(*number, lanes).max(1);
        let share_some = |number: &mut Option<u32>, lanes| number.iter_mut().for_each(|it| share(it, lanes));
        match &mut part {
            Workload::Pairs(args) => {
                share_some(&mut args.pace.rate, args.pairs);
                cut(&mut args.pairs);
            }
            Workload::Group(args) => {
                share_some(&mut args.pace.rate, args.groups);
                cut(&mut args.groups);
            }
            Workload::Login(args) => {
                share_some(&mut args.window, args.count);
                share_some(&mut args.rate, args.count);
                cut(&mut args.count);
            }
            Workload::Storm(args) => {
                share(&mut args.rate, args.pairs);
                cut(&mut args.connections);
                cut(&mut args.pairs);
            }
            Workload::Idle(args) => cut(&mut args.connections),
            Workload::Offline(args) => {
                share(&mut args.messages, args.pairs);
                cut(&mut args.pairs);
            }
            Workload::Mixed(args) => {
                share(&mut args.rate, args.circles);
                cut(&mut args.circles);
                args.seed = args.seed.wrapping_add(u64::from(worker.number));
            }
        }
        part.common_mut().worker = Some(worker);
        part
    }
}
