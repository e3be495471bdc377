//! Where results go: standard output, a file of JSON lines, an HTML page.

use super::run_report::RunReport;
use super::{html, json};
use crate::args::{CommonArgs, Workload};
use crate::error::Error;
use crate::measure::{Measurement, Sample};
use crate::outcome::Outcome;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};

/// Checks, before a run that may be long, that the processes named by the options exist and that the results can be
/// written.
///
/// # Errors
/// The process or file that fails.
pub fn check(common: &CommonArgs) -> Result<(), Error> {
    let beside = common.beside.iter().map(|(_, pid)| *pid);
    let processes: Vec<u32> = common.server_pid.iter().copied().chain(beside).collect();
    Sample::take(&processes)?;
    for file in [&common.json, &common.report].into_iter().flatten() {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Error::io(format!("write {}", file.display()), error))?;
    }
    Ok(())
}

/// Prints the results, and writes them to the files of the options. A file that cannot be written makes the outcome
/// faulty.
pub fn publish(workload: &Workload, measurements: Vec<Measurement>) -> Outcome {
    let common = workload.common();
    let report = RunReport::new(workload, measurements);
    let mut outcome = report.outcome();
    let mut note = |what: &str, written: io::Result<()>| match written {
        // A closed pipe is no reason to fail.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("chatbench: cannot write {what}: {error}");
            outcome = Outcome::Faulty;
        }
        _ => {}
    };
    // Each file is written separately, so that one failure does not prevent the others.
    note("to stdout", write!(io::stdout(), "{report}"));
    if let Some(file) = &common.json {
        let line = Value::Object(json::result(&report));
        let append = || writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{line}");
        note(&file.display().to_string(), append());
    }
    if let Some(file) = &common.report {
        note(&file.display().to_string(), fs::write(file, html::render(&report)));
    }
    outcome
}
