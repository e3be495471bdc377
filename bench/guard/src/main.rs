//! Counts the instructions of the chat server's hot paths and compares them with stored figures.
//!
//! ```text
//!   guard                 every path under valgrind or perf; exit code 1 if one grew by more than a quarter
//!   guard sessions [N]    N logged-in sessions in the rules alone: memory for each, time for an event
//! ```
//!
//! Instruction counts, unlike times, do not depend on the load of the machine. Each path runs twice with different
//! numbers of units, and the difference counts, so that start and set-up cancel out.

#![forbid(unsafe_code)]

mod count;
mod harness;
mod paths;
mod sessions;

use count::Counter;
use paths::PATHS;
use std::process::ExitCode;

/// The stored figures: one name and number a line.
const FIGURES: &str = include_str!("../figures.txt");
/// The largest allowed ratio to the stored figure.
const MARGIN: f64 = 1.25;
/// Units of the two runs of a path.
const UNITS: [u64; 2] = [500, 2_500];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => guard(),
        ["sessions"] => sessions::measure(1_000_000),
        ["sessions", number] => match number.parse() {
            Ok(number) => sessions::measure(number),
            Err(_) => usage(),
        },
        // The program that the counters run.
        ["path", name, units] => match (PATHS.iter().find(|path| path.name == name), units.parse()) {
            (Some(path), Ok(units)) => {
                (path.run)(units);
                ExitCode::SUCCESS
            }
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: guard | guard sessions [N]");
    ExitCode::from(2)
}

fn guard() -> ExitCode {
    let Some(counter) = Counter::find() else {
        println!(
            "guard: NOT COUNTED: valgrind is not installed, and perf has no hardware counters (apt-get install valgrind)"
        );
        return ExitCode::SUCCESS;
    };
    println!("instructions a unit, counted by {}", counter.name());
    let mut has_grown = false;
    for path in PATHS {
        let counts = UNITS.map(|units| counter.count(&["path", path.name, &units.to_string()]));
        let [Ok(few), Ok(many)] = counts else {
            println!("  {:<8} NOT COUNTED: {counts:?}", path.name);
            has_grown = true;
            continue;
        };
        let each = many.saturating_sub(few) as f64 / (UNITS[1] - UNITS[0]) as f64;
        let Some(figure) = figure(path.name) else {
            println!("  {:<8} {each:>9.0}  no stored figure for {}", path.name, path.unit);
            has_grown = true;
            continue;
        };
        let (ratio, is_more) = (each / figure, each > figure * MARGIN);
        let verdict = match ratio {
            _ if is_more => "GROWN: make it cheaper, or store the new figure in bench/guard/figures.txt",
            ratio if ratio < 1.0 / MARGIN => "much lower: store the new figure in bench/guard/figures.txt",
            _ => "unchanged",
        };
        println!(
            "  {:<8} {each:>9.0}  stored {figure:>9.0}, ratio {ratio:.2}, {verdict} ({})",
            path.name, path.unit
        );
        has_grown |= is_more;
    }
    if has_grown { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn figure(name: &str) -> Option<f64> {
    let lines = FIGURES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_figure_and_runs() {
        for path in PATHS {
            assert!(figure(path.name).is_some_and(|figure| figure > 1.0), "{}", path.name);
            (path.run)(130);
        }
    }
}
