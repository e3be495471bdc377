//! Counts the instructions of a process, with valgrind or with the hardware counters of perf.

use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The same count in every run of the same program.
    Valgrind,
    /// Hardware counters: nearly the same count in every run.
    Perf,
}

impl Counter {
    /// A counter that works on this machine.
    pub fn find() -> Option<Counter> {
        let mut valgrind = Command::new("valgrind");
        valgrind.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if valgrind.status().is_ok_and(|status| status.success()) {
            return Some(Counter::Valgrind);
        }
        // Many virtual machines have perf but no hardware counters.
        Counter::Perf.count_of("true", &[]).is_ok().then_some(Counter::Perf)
    }

    pub fn name(self) -> &'static str {
        match self {
            Counter::Valgrind => "valgrind --tool=callgrind",
            Counter::Perf => "perf stat -e instructions:u",
        }
    }

    /// The instructions of this program with the arguments `args`.
    pub fn count(self, args: &[&str]) -> Result<u64, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        self.count_of(&own.to_string_lossy(), args)
    }

    fn count_of(self, program: &str, args: &[&str]) -> Result<u64, String> {
        let mut command = match self {
            Counter::Valgrind => Command::new("valgrind"),
            Counter::Perf => Command::new("perf"),
        };
        match self {
            Counter::Valgrind => command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]),
            Counter::Perf => command.args(["stat", "-x,", "-e", "instructions:u", "--"]),
        };
        let output = command.arg(program).args(args).output().map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let count = match self {
            Counter::Valgrind => {
                stderr.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
            }
            Counter::Perf => stderr.lines().find_map(|line| {
                let (count, rest) = line.split_once(',')?;
                rest.contains("instructions").then(|| count.parse().ok()).flatten()
            }),
        };
        count.filter(|_| output.status.success()).ok_or_else(|| stderr.trim().to_owned())
    }
}
