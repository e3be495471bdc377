//! `chatbench compare-servers`: compares the cost of two servers by interleaved pairs of runs.
//!
//! A machine drifts: its clock rate, its caches and its neighbours change within minutes. So the two servers alternate,
//! and which of them goes first alternates from pair to pair. The table shows medians, and beside the median difference
//! within the pairs its interquartile range: a smaller difference is noise.

use crate::args::{CompareServersArgs, Placement};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::testbed::launch::can_pin;
use crate::testbed::runs::{Against, RUNS, Run};
use crate::testbed::{SETTINGS, Testbed, Trial, existing};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// The keys of CPU time, without their unit of work.
const CPU: &str = "server_us_per_";
/// The key of resident memory, used for `idle`, where only connections take memory.
const MEMORY: &str = "rss_bytes_per_connection";
/// The key of the CPU time of each thread.
const THREADS: &str = "server_threads_cpu_ns";
/// How the names of the threads begin that keep the search index and answer from it.
const SEARCH: &str = "search";
/// Figures besides the cost.
const FURTHER: [(&str, &str); 4] = [
    ("delivered_per_second", "deliveries/s"),
    ("delivery_p99_us", "p99 us"),
    ("logins_per_second", "logins/s"),
    ("login_p99_us", "p99 us"),
];
/// A ratio of medians this close to 1 is no difference.
const TOLERANCE: f64 = 0.03;

/// One figure of one run, measured on both servers in every pair.
#[derive(Debug)]
struct Series {
    run: &'static str,
    title: String,
    old: Vec<f64>,
    new: Vec<f64>,
}

/// Runs the pairs and prints the table.
///
/// # Errors
/// A server or the generator could not be started, or a signal ended the comparison.
pub fn run(args: &CompareServersArgs) -> Result<Outcome, Error> {
    let runs = chosen(&args.run)?;
    let servers = [existing(&args.old)?, existing(&args.new)?];
    let placement = if args.pin { Placement::Pinned } else { Placement::Free };
    if args.pin && !can_pin() {
        return Err(Error::Usage("--pin needs taskset (util-linux) and CPUs 0 and 1".to_owned()));
    }
    let testbed = Testbed::new()?;
    for (run, server) in runs.iter().flat_map(|run| servers.map(|server| (run, server))) {
        if run.against == Against::Server && !testbed.supports(server, run) {
            let (settings, server) = (run.settings.join(", "), server.display());
            return Err(Error::Usage(format!(
                "{server} does not know {settings}, which `{}` needs",
                run.name
            )));
        }
    }
    let (mut series, mut outcome) = (Vec::new(), Outcome::Clean);
    for pair in 0..args.pairs {
        for run in &runs {
            let mut results = [None, None];
            let order = if pair.is_multiple_of(2) { [0, 1] } else { [1, 0] };
            for which in order {
                let name = format!("{}: {}", ["old", "new"][which], run.name);
                let (server, seconds) = (servers[which], args.seconds);
                let settings = [&args.old_set, &args.new_set][which];
                let trial = Trial { server, placement, run, name: &name, seconds, is_shown: false, settings };
                let measured = testbed.run(&trial)?;
                if measured.is_clean {
                    results[which] = measured.result;
                } else {
                    println!("{name}: the run was not clean; this pair does not count");
                    outcome = Outcome::Faulty;
                }
            }
            let [Some(old), Some(new)] = results else { continue };
            println!("pair {}/{}, {}: {}", pair + 1, args.pairs, run.name, brief(&old, &new));
            if let Some(file) = &args.json {
                append(file, [&old, &new])?;
            }
            record(&mut series, run.name, &old, &new);
        }
    }
    print!("\n{}", table(&series));
    println!("Settings other than the defaults: {}", SETTINGS.join(", "));
    Ok(outcome)
}

/// The standard runs by name.
fn chosen(names: &[String]) -> Result<Vec<&'static Run>, Error> {
    let find = |name: &String| {
        RUNS.iter().find(|run| run.name == *name && run.against == Against::Server).ok_or_else(|| {
            let servers = RUNS.iter().filter(|run| run.against == Against::Server);
            let names: Vec<&str> = servers.map(|run| run.name).collect();
            Error::Usage(format!("there is no run `{name}`; the runs are: {}", names.join("; ")))
        })
    };
    names.iter().map(find).collect()
}

/// What is compared of a result: of the workload `idle` the server's memory, of every other one its CPU time, with and
/// without the threads of the search index, the throughput and the latency.
fn figures(result: &Map<String, Value>) -> Vec<(String, f64)> {
    let number = |key: &str| result.get(key).and_then(Value::as_f64);
    if result.get("workload").and_then(Value::as_str) == Some("idle") {
        return number(MEMORY).map(|bytes| ("bytes a connection".to_owned(), bytes)).into_iter().collect();
    }
    let mut figures = Vec::new();
    for (key, value) in result {
        let (Some(unit), Some(all)) = (key.strip_prefix(CPU), value.as_f64()) else { continue };
        figures.push((format!("CPU us a {unit}"), all));
        if let Some(share) = share_of_search(result) {
            figures.push(("  without search".to_owned(), all * (1.0 - share)));
            figures.push(("  search alone".to_owned(), all * share));
        }
    }
    let further = FURTHER.iter().filter_map(|(key, title)| Some(((*title).to_owned(), number(key)?)));
    figures.extend(further);
    figures
}

/// The share of the threads of the search index in the server's CPU time; `None`: it is not known.
fn share_of_search(result: &Map<String, Value>) -> Option<f64> {
    let threads = result.get(THREADS)?.as_array()?;
    let of = |thread: &Value| Some((thread.get(0)?.as_str()?.starts_with(SEARCH), thread.get(1)?.as_f64()?));
    let (mut all, mut search) = (0.0, 0.0);
    for (is_search, nanoseconds) in threads.iter().filter_map(of) {
        all += nanoseconds;
        search += if is_search { nanoseconds } else { 0.0 };
    }
    (all > 0.0).then(|| search / all)
}

/// The figures that both results have.
fn pairs_of(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<(String, f64, f64)> {
    let after = figures(new);
    let other = |title: &str| after.iter().find(|(of_new, _)| of_new == title).map(|(_, figure)| *figure);
    figures(old).into_iter().filter_map(|(title, old)| other(&title).map(|new| (title, old, new))).collect()
}

fn brief(old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let each = pairs_of(old, new);
    let each = each.iter().map(|(title, old, new)| format!("{} {old:.3} -> {new:.3}", title.trim_start()));
    each.collect::<Vec<_>>().join(", ")
}

fn append(file: &std::path::Path, results: [&Map<String, Value>; 2]) -> Result<(), Error> {
    let append = || {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        results.into_iter().try_for_each(|result| writeln!(file, "{}", Value::Object(result.clone())))
    };
    append().map_err(|error| Error::io(format!("write {}", file.display()), error))
}

fn record(series: &mut Vec<Series>, run: &'static str, old: &Map<String, Value>, new: &Map<String, Value>) {
    for (title, old, new) in pairs_of(old, new) {
        let at = series.iter().position(|known| known.run == run && known.title == title);
        let at = at.unwrap_or_else(|| {
            series.push(Series { run, title, old: Vec::new(), new: Vec::new() });
            series.len() - 1
        });
        series[at].old.push(old);
        series[at].new.push(new);
    }
}

fn table(series: &[Series]) -> String {
    let mut text = format!(
        "{:<30} {:<19} {:>5} {:>10} {:>8} {:>10} {:>8} {:>7} {:>11} {:>8}  verdict\n",
        "medians", "", "pairs", "old", "IQR", "new", "IQR", "ratio", "new - old", "IQR"
    );
    for Series { run, title, old, new } in series {
        let (before, after) = (Quartiles::of(old), Quartiles::of(new));
        let differences: Vec<f64> = old.iter().zip(new).map(|(old, new)| new - old).collect();
        let difference = Quartiles::of(&differences);
        let ratio = if before.median > 0.0 { after.median / before.median } else { f64::NAN };
        let verdict = match difference.median {
            _ if (ratio - 1.0).abs() <= TOLERANCE => "within 3 %",
            median if median.abs() <= difference.range() => "within the noise",
            median if median < 0.0 => "lower",
            _ => "HIGHER",
        };
        let _ = writeln!(
            text,
            "{run:<30} {:<19} {:>5} {:>10.3} {:>8.3} {:>10.3} {:>8.3} {ratio:>7.3} {:>+11.3} {:>8.3}  {verdict}",
            title,
            old.len(),
            before.median,
            before.range(),
            after.median,
            after.range(),
            difference.median,
            difference.range(),
        );
    }
    text.push_str(
        "IQR: the interquartile range; `new - old` is the median of the differences within each pair\n",
    );
    text
}

/// The three points that cut sorted figures into four equal parts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quartiles {
    lower: f64,
    median: f64,
    upper: f64,
}

impl Quartiles {
    /// Quartiles by linear interpolation between the two nearest figures (method 7 of Hyndman and Fan, 1996).
    fn of(figures: &[f64]) -> Quartiles {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Quartiles { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }

    /// The interquartile range.
    fn range(self) -> f64 {
        self.upper - self.lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(us: f64) -> Map<String, Value> {
        let threads = [("store", 3), ("search-index", 1)];
        let result =
            serde_json::json!({"server_us_per_message": us, "delivered": 9, MEMORY: 7, THREADS: threads});
        result.as_object().cloned().unwrap()
    }

    fn table_of(old: &[f64], new: &[f64]) -> String {
        let mut series = Vec::new();
        for (old, new) in old.iter().zip(new) {
            record(&mut series, "window 1", &result(*old), &result(*new));
        }
        assert_eq!(series.len(), 3, "what is compared");
        table(&series[..1])
    }

    #[test]
    fn the_threads_of_the_search_index_are_told_apart() {
        let of: Vec<f64> = figures(&result(8.0)).into_iter().map(|(_, figure)| figure).collect();
        assert_eq!(of, [8.0, 6.0, 2.0]);
        assert_eq!(share_of_search(&Map::new()), None);
    }

    #[test]
    fn quartiles_interpolate_between_figures() {
        let quartiles = Quartiles::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(quartiles, Quartiles { lower: 1.75, median: 2.5, upper: 3.25 });
        assert_eq!(Quartiles::of(&[7.0]).range(), 0.0);
    }

    #[test]
    fn a_difference_counts_beyond_three_per_cent_and_the_interquartile_range() {
        let close = table_of(&[10.0, 10.1, 10.2], &[10.2, 10.3, 10.4]);
        assert!(close.contains("within 3 %") && close.contains("1.020"), "{close}");
        let noisy = table_of(&[10.0, 11.0, 12.0], &[10.0, 12.0, 14.0]);
        assert!(noisy.contains("within the noise") && noisy.contains("1.091"), "{noisy}");
        let higher = table_of(&[10.0, 10.1, 10.2], &[12.0, 12.1, 12.2]);
        assert!(higher.contains("HIGHER") && higher.contains("+2.000"), "{higher}");
        assert!(table_of(&[12.0, 12.1, 12.2], &[10.0, 10.1, 10.2]).contains("lower"));
    }

    #[test]
    fn runs_are_chosen_by_name_and_never_against_the_relay() {
        assert_eq!(chosen(&["window 64".to_owned()]).unwrap()[0].name, "window 64");
        let error = chosen(&["window 64, relay".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("the runs are: window 64;"), "{error}");
    }
}
