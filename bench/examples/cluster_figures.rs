//! The cost of messages between two nodes: a private MariaDB and Redis, two nodes and the generator, all on this
//! machine. `make bench-cluster` measures and writes the table in `bench/README.md`.
//!
//!     cluster_figures [--seconds D] [--dry-run]    measured seconds of each run (default 10); do not write the table
//!
//! All services are started in the same way as in the tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "it uses the support code of the tests")]

#[path = "../../src/server/tests/support/mariadb.rs"]
#[allow(dead_code, reason = "tests do more with it")]
mod mariadb;
#[path = "../../src/server/tests/support/ports.rs"]
mod ports;
#[path = "../../src/server/tests/support/service.rs"]
#[allow(dead_code, reason = "the cluster to try out does more with it")]
mod service;
#[path = "../../src/server/tests/support/supervised.rs"]
#[allow(dead_code, reason = "tests do more with it")]
mod supervised;
#[path = "../../src/server/tests/support/system.rs"]
mod system;

use mariadb::MariaDb;
use serde_json::{Map, Value};
use service::{Service, built};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// A run and its goals.
struct Run {
    title: &'static str,
    options: &'static str,
    /// The prefix of its keys.
    part: &'static str,
    unit: &'static str,
    rate: &'static str,
    /// The lowest rate a second, and the highest CPU time of the nodes for each message or delivery, us.
    goals: (Option<f64>, Option<f64>),
}

const RUNS: [Run; 3] = [
    Run {
        title: "50 pairs, 64 outstanding each, every pair over both nodes",
        options: "pairs --pairs 50 --window 64",
        part: "",
        unit: "message",
        rate: "delivered_per_second",
        goals: (Some(30_000.0), Some(12.0)),
    },
    Run {
        title: "group of 500 over both nodes, 16 outstanding, a delivery",
        options: "group --members 500 --window 16",
        part: "",
        unit: "delivery",
        rate: "delivered_per_second",
        goals: (None, Some(4.0)),
    },
    Run {
        title: "to offline users, stored",
        options: "offline --messages 500000 --pairs 50 --drain 120",
        part: "store_",
        unit: "message",
        rate: "stored_per_second",
        goals: (Some(40_000.0), None),
    },
];
/// The time limit of the offline run, which ends when everything is delivered, seconds.
const AT_MOST: &str = "300";
/// Settings that differ from the defaults: one sender stands for many users, and hundreds register before the clock
/// starts.
const SETTINGS: [&str; 9] = [
    "http.listen=",
    "ops.listen=",
    "limits.messages_per_second=0",
    "limits.requests_per_second=0",
    "limits.groups_made_day=0",
    "registration.per_address_hour=0",
    "password.memory_kib=8",
    "password.iterations=1",
    "log.level=warn",
];
/// A larger buffer pool and log; the durability settings are the defaults.
const DATABASE: [&str; 2] = ["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M"];
const BEGIN: &str = "<!-- cluster figures: written by `make bench-cluster` -->";
const END: &str = "<!-- cluster figures: end -->";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().position(|word| word == "--seconds");
    let seconds = seconds.map_or("10", |at| &*arguments[at + 1]);
    let folder = tempfile::Builder::new().prefix("chatbench-cluster-").tempdir().unwrap();
    let database = MariaDb::start_in(folder.path().join("mariadb"), &DATABASE);
    let redis = Service::redis(folder.path());
    let (mut table, mut is_faulty) = (String::new(), false);
    for run in &RUNS {
        let figures = measure(run, seconds, folder.path(), &database, &redis);
        is_faulty |= figures.is_none();
        table += &row(run, &figures.unwrap_or_default());
    }
    let head = "| | per second | both nodes, each | MariaDB, each | Redis, each | goals |\n|---|---|---|---|---|---|\n";
    println!("{head}{table}");
    if is_faulty {
        return ExitCode::FAILURE;
    }
    if !arguments.iter().any(|word| word == "--dry-run") {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let text = fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(BEGIN).expect("the page has the first marker");
        let (_, after) = rest.split_once(END).expect("the page has the second marker");
        fs::write(&page, format!("{before}{BEGIN}\n\n{head}{table}\n{END}{after}")).unwrap();
        println!("Updated the table in {}", page.display());
    }
    ExitCode::SUCCESS
}

/// Makes a run with two new nodes on a new database; `None` if the run was faulty.
fn measure(
    run: &Run,
    seconds: &str,
    folder: &Path,
    database: &MariaDb,
    redis: &Service,
) -> Option<Map<String, Value>> {
    let name = database.new_name();
    let nodes = ["n1", "n2"].map(|node| {
        Service::start(node, &built("chatserver"), folder, |address| {
            let own = [
                format!("storage.url={}", database.url(&name)),
                format!("cluster.redis=redis://{}", redis.address),
                format!("cluster.node={node}"),
            ];
            let settings = SETTINGS.map(str::to_owned);
            let words = own.into_iter().chain(settings).flat_map(|setting| ["--set".to_owned(), setting]);
            words.chain([address.ip().to_string(), address.port().to_string()]).collect()
        })
    });
    let result = folder.join("result.json");
    let _ = fs::remove_file(&result);
    let mut generator = Command::new(built("chatbench"));
    generator.args(run.options.split(' ')).args(["--name", run.title, "--threads-table"]);
    generator.args(["--seconds", if run.part.is_empty() { seconds } else { AT_MOST }]);
    for node in &nodes {
        let (address, pid) = (node.address.to_string(), node.process.pid.to_string());
        generator.args(["--address", &address, "--server-pid", &pid]);
    }
    for (name, pid) in [("mariadb", database.pid), ("redis", redis.process.pid)] {
        generator.args(["--beside", &format!("{name}={pid}")]);
    }
    let status = generator.arg("--json").arg(&result).status().unwrap();
    // Offline users may return at either node.
    if run.part.is_empty() {
        check_that_pairs_span_nodes(database, &name);
    }
    if !status.success() {
        return None;
    }
    let line = fs::read_to_string(&result).unwrap();
    match serde_json::from_str(line.lines().next_back()?).unwrap() {
        Value::Object(figures) => Some(figures),
        _ => None,
    }
}

/// Checks that the two users of every pair are at different nodes.
fn check_that_pairs_span_nodes(database: &MariaDb, name: &str) {
    let pairs = |and: &str| -> u64 {
        let sql = format!(
            "SELECT COUNT(*) FROM {name}.conversation c JOIN {name}.session a ON a.user_id = c.low_id \
             JOIN {name}.session b ON b.user_id = c.high_id WHERE c.kind = 0 {and}"
        );
        mysql::from_row(database.ask(&sql).remove(0))
    };
    let (all, spanning) = (pairs(""), pairs("AND a.node <> b.node"));
    assert_eq!(all, spanning, "both users of some pairs are at the same node");
    println!("{spanning} of {all} pairs span both nodes\n");
}

fn row(run: &Run, figures: &Map<String, Value>) -> String {
    let figure =
        |key: String| figures.get(&format!("{}{key}", run.part)).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let rate = figure(run.rate.to_owned());
    let each = |who: &str| figure(format!("{who}_us_per_{}", run.unit));
    let [nodes, mariadb, redis] = ["server", "mariadb", "redis"].map(each);
    let word = |is_met| if is_met { "met" } else { "missed" };
    let (at_least, at_most) = run.goals;
    let goals = [
        at_least.map(|goal| format!("{goal:.0}/s: {}", word(rate >= goal))),
        at_most.map(|goal| format!("{goal:.0} us: {}", word(nodes <= goal))),
    ];
    let goals: Vec<String> = goals.into_iter().flatten().collect();
    let title = run.title;
    format!(
        "| {title} | {rate:.0} | {nodes:.2} us | {mariadb:.2} us | {redis:.2} us | {} |\n",
        goals.join(", ")
    )
}
