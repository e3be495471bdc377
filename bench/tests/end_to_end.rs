//! The program against an in-process relay: exit code 0 where all is well, 1 for each single thing that is not.

// What a test cannot go on without may panic, in its helpers too.
#![allow(clippy::unwrap_used)]

use chatbench::relay::Relay;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A relay on a thread of this process, until it is dropped.
struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(fault: Option<&str>) -> Running {
        let fault = fault.map(|fault| fault.parse().unwrap());
        let mut relay = Relay::bind("127.0.0.1:0".parse().unwrap(), fault).unwrap();
        let (address, stop) = (relay.address(), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || relay.run(&stop).unwrap()
        });
        Running { address, stop, thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn command(workload: &str, address: SocketAddr, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbench"));
    command.args([workload, "--address", &address.to_string()]).args(options.split(' '));
    command
}

fn chatbench(workload: &str, address: SocketAddr, options: &str) -> Output {
    command(workload, address, options).output().unwrap()
}

/// Registers so many accounts: the file that names them.
fn accounts(relay: &Running, folder: &Path, count: u32) -> PathBuf {
    let file = folder.join("accounts");
    let made = chatbench("accounts", relay.address, &format!("--count {count} --file {}", file.display()));
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    file
}

/// The last result in a file.
fn result_of(file: &Path) -> serde_json::Value {
    let lines = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(lines.lines().next_back().unwrap()).unwrap()
}

/// Runs a workload and returns its exit code and its line of JSON.
fn measure(workload: &str, fault: Option<&str>, options: &str) -> (Option<i32>, serde_json::Value) {
    let (relay, folder) = (Running::start(fault), tempfile::tempdir().unwrap());
    let file = folder.path().join("result.json");
    let options = format!("{options} --seconds 0.5 --warmup 0.1 --drain 1 --json {}", file.display());
    let output = chatbench(workload, relay.address, &options);
    let line = std::fs::read_to_string(file).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), serde_json::from_str(&line).unwrap())
}

/// Runs `pairs` and returns its exit code and its line of JSON.
fn pairs(fault: Option<&str>, options: &str) -> (Option<i32>, serde_json::Value) {
    measure("pairs", fault, options)
}

#[test]
fn a_good_relay_is_a_clean_run_at_a_window_and_at_a_rate() {
    for options in
        ["--pairs 3 --window 16", "--pairs 40 --window 1 --size 32", "--pairs 2 --window 4 --size 32768"]
    {
        let (code, result) = pairs(None, options);
        assert_eq!(code, Some(0), "{options}: {result}");
        assert!(result["delivered"].as_u64().unwrap() > 100, "{options}: {result}");
    }
    let (code, result) = pairs(None, "--pairs 7 --rate 2000");
    assert_eq!(code, Some(0), "{result}");
    // 0.1 s of warm-up and 0.5 s; a machine that stalls may make either longer, but never send less than the rate.
    let sent = result["sent"].as_u64().unwrap();
    assert!((1_150..=2_000).contains(&sent), "{result}");
    assert!(
        result["lag_p50_us"].is_number() && result["delivery_p99_us"].as_f64().unwrap() > 0.0,
        "{result}"
    );
}

#[test]
fn each_single_fault_is_noticed_and_named() {
    for (fault, count) in [
        ("drop:100", "lost"),
        ("duplicate:100", "duplicated"),
        ("reorder:100", "out_of_order"),
        ("corrupt:100", "wrong_content"),
    ] {
        for (workload, load) in [
            ("pairs", "--pairs 2 --window 8"),
            ("pairs", "--pairs 3 --rate 2000"),
            ("pairs", "--pairs 2 --window 8 --conversations 5"),
            ("pairs", "--pairs 2 --window 8 --dialect legacy"),
            ("group", "--members 4 --window 3"),
        ] {
            let (code, result) = measure(workload, Some(fault), load);
            assert_eq!((code, &result[count]), (Some(1), &1.into()), "{fault} {load}: {result}");
        }
    }
}

#[test]
fn every_shape_of_load_is_clean_where_nothing_is_wrong() {
    for (workload, load) in [
        ("pairs", "--pairs 3 --window 8 --conversations 7"),
        ("pairs", "--pairs 3 --window 8 --dialect legacy"),
        ("pairs", "--pairs 3 --rate 500 --ramp 0.2 --dialect legacy"),
        ("pairs", "--pairs 6 --window 4 --processes 3"),
        ("group", "--groups 2 --members 9 --senders 3 --window 2"),
        ("login", "--count 20 --window 5"),
        ("login", "--count 20 --rate 200"),
        ("storm", "--connections 30 --pairs 2 --rate 200"),
    ] {
        let (code, result) = measure(workload, None, load);
        assert_eq!((code, &result["clean"]), (Some(0), &true.into()), "{workload} {load}: {result}");
    }
}

#[test]
fn several_processes_count_as_one() {
    let (code, result) = measure("pairs", None, "--pairs 4 --rate 2000 --processes 2");
    assert_eq!((code, &result["generators"]), (Some(0), &2.into()), "{result}");
    // 0.6 s at this rate, but for what was due at the very end.
    assert!((1_150..=2_000).contains(&result["sent"].as_u64().unwrap()), "{result}");
    // A fault that one of them saw fails the run.
    let (code, result) = measure("pairs", Some("drop:100"), "--pairs 4 --window 4 --processes 2");
    assert_eq!((code, &result["lost"]), (Some(1), &1.into()), "{result}");
}

#[test]
fn a_page_and_a_comparison_are_made_of_results() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let (page, json) = (folder.path().join("page.html"), folder.path().join("result.json"));
    let files = format!("--report {} --json {}", page.display(), json.display());
    let run =
        chatbench("pairs", relay.address, &format!("--pairs 2 --window 8 --seconds 1 --warmup 0 {files}"));
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("name=\"viewport\"") && page.matches("<svg").count() == 4, "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "it needs nothing else");
    let mut compare = Command::new(env!("CARGO_BIN_EXE_chatbench"));
    let output = compare.arg("compare").arg(&json).arg(&json).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("delivered_per_second") && text.contains("1.000"),
        "{text}"
    );
}

#[test]
fn a_loss_with_nothing_behind_it_is_noticed() {
    // With one outstanding nothing follows the lost message: only the drain's deadline tells.
    let (code, result) = pairs(Some("drop:100"), "--pairs 1 --window 1");
    assert_eq!((code, &result["lost"]), (Some(1), &1.into()), "{result}");
    assert_eq!(result["sent"], 99, "the message that opens the conversation is the relay's first: {result}");
}

#[test]
fn refusals_and_lost_connections_fail_a_run_too() {
    let (code, result) = pairs(Some("refuse:100"), "--pairs 2 --window 8");
    assert_eq!((code, &result["trouble"]["RATE_LIMITED"]), (Some(1), &1.into()), "{result}");
    assert_eq!(result["lost"], 0, "what was refused is not lost: {result}");
    let (code, result) = pairs(Some("disconnect:100"), "--pairs 2 --window 8");
    assert_eq!((code, &result["trouble"]["disconnected"]), (Some(1), &1.into()), "{result}");
}

#[test]
fn idle_connections_are_logged_in_from_a_file_and_beat() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let file = accounts(&relay, folder.path(), 50);
    let result = folder.path().join("result.json");
    let (pid, file, json) = (std::process::id(), file.display(), result.display());
    let options =
        format!("--connections 50 --accounts {file} --heartbeat 0.2 --seconds 0.5 --server-pid {pid}");
    let idle = chatbench("idle", relay.address, &format!("{options} --json {json}"));
    assert_eq!(idle.status.code(), Some(0), "{idle:?}");
    let result = result_of(&result);
    assert!((100..=150).contains(&result["heartbeats"].as_u64().unwrap()), "{result}");
    assert!(result["rss_bytes_per_connection"].is_number(), "{result}");
}

#[test]
fn what_cannot_be_run_ends_with_2() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = chatbench("pairs", unused, "--pairs 1 --window 1");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot connect to"), "{output:?}");
    for (workload, options, why) in [
        ("pairs", "--pairs 1", "required"),
        ("storm", "--connections 9 --ramp 1", "--ramp"),
        ("group", "--members 3 --senders 4 --window 1", "--senders 4 is more than --members 3"),
        ("idle", "--connections 9 --heartbeat 0", "--heartbeat"),
        ("pairs", "--pairs 1 --window 1 --size 901 --dialect legacy", "900"),
        // Known before a run that may take hours, and before anything is written into a database.
        ("pairs", "--pairs 1 --window 1 --json a --report a", "two different files"),
        ("pairs", "--pairs 1 --window 1 --beside db=99999999", "sample process 99999999"),
        ("pairs", "--pairs 1 --window 1 --json /nowhere/a.json", "cannot write /nowhere/a.json"),
        ("pairs", "--pairs 1 --window 1 --report /nowhere/a.html", "cannot write /nowhere/a.html"),
        ("accounts", "--count 1 --file /nowhere/accounts", "cannot write /nowhere/accounts"),
    ] {
        let output = chatbench(workload, unused, options);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
    }
}

/// Waits until `is_so`; whether that was in time.
fn is_within(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// The same, for what must come.
fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(is_within(Duration::from_secs(60), is_so), "not within a minute: {what}");
}

/// The processes that `pid` has started.
fn children(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// What a process's `status` says of `what`.
fn status(pid: u32, what: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0").trim().to_owned()
}

fn catches_ctrl_c(pid: u32) -> bool {
    u64::from_str_radix(&status(pid, "SigCgt:"), 16).unwrap() & 1 << (Signal::INT.as_raw() - 1) != 0
}

/// How often a process has slept: at an even pace, once for each message.
fn sleeps(pid: u32) -> u64 {
    status(pid, "voluntary_ctxt_switches:").parse().unwrap()
}

#[test]
fn several_processes_share_a_file_of_accounts_and_what_each_lane_does() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let file = accounts(&relay, folder.path(), 12);
    // Five pairs are two and three: no account may be in both processes, the relay would say so.
    let load = format!(
        "--pairs 5 --rate 1000 --processes 2 --seconds 0.5 --warmup 0.1 --accounts {}",
        file.display()
    );
    let run = chatbench("pairs", relay.address, &load);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
}

#[test]
fn a_slow_drain_is_ended_by_ctrl_c_and_what_was_measured_is_told() {
    // The message that is dropped is waited for.
    let (relay, folder) = (Running::start(Some("drop:20")), tempfile::tempdir().unwrap());
    let file = folder.path().join("result.json");
    let load = "--pairs 1 --window 1 --seconds 0.5 --warmup 0 --drain 3600 --json";
    let mut run = command("pairs", relay.address, &format!("{load} {}", file.display())).spawn().unwrap();
    until("it listens", || catches_ctrl_c(run.id()));
    // Half a second is measured. On a machine that stands still for so long the first ends that, and the next the drain.
    for _ in 0..2 {
        if !is_within(Duration::from_secs(2), || run.try_wait().unwrap().is_some()) {
            kill_process(Pid::from_child(&run), Signal::INT).unwrap();
        }
    }
    assert_eq!(run.wait().unwrap().code(), Some(1));
    let result = result_of(&file);
    assert_eq!((&result["lost"], &result["ended_early"]), (&1.into(), &true.into()), "{result}");
    assert_eq!(result["delivered"], 18, "{result}");
}

#[test]
fn a_run_whose_results_cannot_be_written_is_no_clean_run() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let page = folder.path().join("page.html");
    let load =
        format!("--pairs 1 --window 1 --seconds 0.2 --warmup 0 --json /dev/full --report {}", page.display());
    let run = chatbench("pairs", relay.address, &load);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("cannot write /dev/full"), "{run:?}");
    assert!(std::fs::read_to_string(page).unwrap().contains("</html>"));
}

#[test]
fn no_process_of_a_run_outlives_the_first() {
    let relay = Running::start(None);
    let mut run = command("pairs", relay.address, "--pairs 4 --rate 1000 --seconds 3600 --processes 3")
        .spawn()
        .unwrap();
    let mut workers = Vec::new();
    until("it has started three", || {
        workers = children(run.id());
        workers.len() == 3
    });
    // One that was only just started must not be caught between its start and its first step.
    until("they are at work", || workers.iter().all(|pid| catches_ctrl_c(*pid)));
    run.kill().unwrap();
    run.wait().unwrap();
    until("they are gone", || workers.iter().all(|pid| !Path::new(&format!("/proc/{pid}/exe")).exists()));
}

#[test]
fn a_client_that_has_logged_in_gives_its_descriptor_back() {
    let relay = Running::start(None);
    let mut shell = Command::new("sh");
    // Not one in a hundred may be open at once.
    let load = "--count 3000 --window 4 --seconds 1 --warmup 0 --drain 5";
    shell.args(["-c", &format!("ulimit -n 120 && exec \"$0\" login --address {} {load}", relay.address)]);
    let output = shell.arg(env!("CARGO_BIN_EXE_chatbench")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_process_that_is_named_twice_is_counted_once() {
    let mut server = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = server.id();
    let rss = |pids: &str| {
        let (code, result) = pairs(None, &format!("--pairs 2 --window 4 {pids}"));
        assert_eq!(code, Some(0), "{result}");
        assert!(result["rss_bytes_per_connection"].is_number(), "{result}");
        result["server_rss_kib"].as_f64().unwrap()
    };
    let (once, twice) =
        (rss(&format!("--server-pid {pid}")), rss(&format!("--server-pid {pid} --server-pid {pid}")));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(once > 0.0 && twice < 1.5 * once, "{once} {twice}");
}

#[test]
fn ctrl_c_ends_a_run_early_and_what_was_measured_is_told() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    for processes in [1, 2] {
        let file = folder.path().join("result.json");
        let load = format!(
            "--pairs 4 --rate 1000 --seconds 3600 --warmup 0 --processes {processes} --json {}",
            file.display()
        );
        let mut command = command("pairs", relay.address, &load);
        let run = command.stdout(Stdio::piped()).spawn().unwrap();
        // What comes earlier just ends it.
        until("all of it listens", || {
            let workers = children(run.id());
            (processes == 1 || workers.len() == processes)
                && workers.iter().chain([&run.id()]).all(|pid| catches_ctrl_c(*pid))
        });
        let at_work = if processes == 1 { vec![run.id()] } else { children(run.id()) };
        let before: Vec<_> = at_work.iter().map(|pid| sleeps(*pid)).collect();
        until("each has sent something", || {
            at_work.iter().zip(&before).all(|(pid, before)| sleeps(*pid) > before + 50)
        });
        // The first one only, as by kill: it tells the others.
        kill_process(Pid::from_child(&run), Signal::INT).unwrap();
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("ended early by Ctrl-C"), "{output:?}");
        let result = result_of(&file);
        assert_eq!((&result["ended_early"], &result["lost"]), (&true.into(), &0.into()), "{result}");
        assert!(result["sent"].as_u64().unwrap() > 0, "{result}");
    }
}
