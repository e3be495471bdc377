//! System calls of the server for each message, counted by strace.
//!
//! Tracing slows the server down many times over, so these are separate runs of which only the counts are reported. The
//! difference of a long run and a short one leaves out the set-up.

use crate::args::Placement;
use crate::error::Error;
use crate::results;
use crate::testbed::Testbed;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Seconds of the two runs.
const SECONDS: [&str; 2] = ["1", "4"];
/// Calls below this number a message are reported as one sum.
const RARE: f64 = 0.005;

/// Counts for 500 pairs with a window of 1, and for 50 pairs with a window of 64; `None` where strace is missing or not
/// permitted.
pub fn count(testbed: &Testbed, server: &Path, placement: Placement) -> Result<Option<Vec<Value>>, Error> {
    let has_strace = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !has_strace.is_ok_and(|status| status.success()) {
        println!("[system calls] not counted: strace is not installed (apt-get install strace)");
        return Ok(None);
    }
    let loads = [("window 1", "pairs --pairs 500 --window 1"), ("window 64", "pairs --pairs 50 --window 64")];
    let mut counted = Vec::new();
    for (name, options) in loads {
        let mut counts = Vec::new();
        for seconds in SECONDS {
            let Some(count) = count_one(testbed, server, placement, options, seconds)? else {
                return Ok(None);
            };
            counts.push(count);
        }
        let calls = each(&counts[0], &counts[1]);
        println!("[system calls, {name}] a message, by strace -c -f:");
        let (often, rare): (Vec<_>, Vec<_>) = calls.iter().partition(|(_, each)| *each >= RARE);
        for (call, each) in &often {
            println!("  {call:<20} {each:>7.3}");
        }
        let sum = |calls: &[&(String, f64)]| calls.iter().map(|(_, each)| each).sum::<f64>();
        println!("  {:<20} {:>7.3}", "others", sum(&rare));
        println!("  {:<20} {:>7.3}", "all", sum(&often) + sum(&rare));
        let calls: serde_json::Map<String, Value> =
            calls.into_iter().map(|(call, each)| (call, json!(each))).collect();
        counted.push(json!({"name": format!("system calls, {name}"), "workload": "strace", "calls": calls}));
    }
    Ok(Some(counted))
}

/// Calls by name, and the number of messages sent meanwhile.
#[derive(Debug)]
struct Count {
    calls: BTreeMap<String, u64>,
    messages: f64,
}

/// Additional calls of the long run for each additional message, the most frequent first.
fn each(short: &Count, long: &Count) -> Vec<(String, f64)> {
    let more = |(call, count): (&String, &u64)| {
        let beyond = *count as f64 - short.calls.get(call).copied().unwrap_or(0) as f64;
        (call.clone(), beyond.max(0.0) / (long.messages - short.messages).max(1.0))
    };
    let mut calls: Vec<_> = long.calls.iter().map(more).collect();
    calls.sort_by(|one, other| other.1.total_cmp(&one.1));
    calls
}

fn count_one(
    testbed: &Testbed,
    server: &Path,
    placement: Placement,
    options: &str,
    seconds: &str,
) -> Result<Option<Count>, Error> {
    let launched = testbed.start_server(server, placement, &testbed.fresh_database()?, &[])?;
    let (trace, result) = (testbed.folder().join("strace"), testbed.folder().join("traced.json"));
    let mut generator = testbed.generator(placement);
    generator.args(options.split(' ')).args(["--address", &launched.address.to_string(), "--warmup", "0"]);
    generator.args(["--seconds", seconds, "--json"]).arg(&result).stdout(Stdio::null());
    let mut generator = generator.spawn().map_err(|error| Error::io("start the generator", error))?;
    let mut strace = Command::new("strace");
    strace
        .args(["-c", "-f", "-q", "-U", "calls,name", "-o"])
        .arg(&trace)
        .args(["-p", &launched.pid().to_string()]);
    let tracer = strace.stderr(Stdio::null()).spawn();
    let mut tracer = tracer.map_err(|error| Error::io("start strace", error))?;
    let status = generator.wait().map_err(|error| Error::io("wait for the generator", error))?;
    // strace ends with the server, and then writes its table.
    drop(launched);
    tracer.wait().map_err(|error| Error::io("wait for strace", error))?;
    let table = std::fs::read_to_string(&trace).unwrap_or_default();
    let calls = parse(&table);
    if calls.is_empty() {
        println!("[system calls] not counted: strace is not permitted to trace (ptrace)");
        return Ok(None);
    }
    if !status.success() {
        return Err(Error::Usage("the run under strace failed; see above".to_owned()));
    }
    let results = results::load(&result)?;
    let sent = results.last().and_then(|result| result.get("sent")?.as_f64()).unwrap_or(0.0);
    Ok(Some(Count { calls, messages: sent }))
}

/// Parses the output of `strace -c -U calls,name`.
fn parse(table: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let (count, name) = (fields.next()?.parse().ok()?, fields.next()?);
        (name != "total").then(|| (name.to_owned(), count))
    };
    table.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_parsed() {
        let table = "    calls syscall\n--------- ----------------\n      120 sendto\n      300 futex\n--------- ----------------\n      420 total\n";
        let calls = parse(table);
        assert_eq!((calls.len(), calls["futex"], calls["sendto"]), (2, 300, 120));
        let short = Count { calls: BTreeMap::from([("futex".to_owned(), 100)]), messages: 10.0 };
        let long = Count { calls, messages: 110.0 };
        assert_eq!(each(&short, &long), [("futex".to_owned(), 2.0), ("sendto".to_owned(), 1.2)]);
        assert!(parse("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n").is_empty());
    }
}
