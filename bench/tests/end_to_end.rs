//! The program against an in-process relay: exit code 0 for a clean run, and 1 for every single fault.

// Test helpers may panic as well.
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

/// A relay on a thread of this process; stops on drop.
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

/// Registers `count` accounts; returns their file.
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
fn a_run_without_faults_is_clean_at_a_window_and_at_a_rate() {
    for options in
        ["--pairs 3 --window 16", "--pairs 40 --window 1 --size 32", "--pairs 2 --window 4 --size 32768"]
    {
        let (code, result) = pairs(None, options);
        assert_eq!(code, Some(0), "{options}: {result}");
        assert!(result["delivered"].as_u64().unwrap() > 100, "{options}: {result}");
    }
    let (code, result) = pairs(None, "--pairs 7 --rate 2000");
    assert_eq!(code, Some(0), "{result}");
    // 0.1 s of warm-up and 0.5 s. On a machine that stalls both may be longer, but the rate never drops.
    let sent = result["sent"].as_u64().unwrap();
    assert!((1_150..=2_000).contains(&sent), "{result}");
    assert!(
        result["lag_p50_us"].is_number() && result["delivery_p99_us"].as_f64().unwrap() > 0.0,
        "{result}"
    );
}

#[test]
fn every_single_fault_is_detected_and_named() {
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
fn every_kind_of_load_is_clean_without_faults() {
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
fn several_processes_are_reported_as_one() {
    let (code, result) = measure("pairs", None, "--pairs 4 --rate 2000 --processes 2");
    assert_eq!((code, &result["generators"]), (Some(0), &2.into()), "{result}");
    // 0.6 s at this rate, apart from what was due at the very end.
    assert!((1_150..=2_000).contains(&result["sent"].as_u64().unwrap()), "{result}");
    // A fault seen by one process fails the run.
    let (code, result) = measure("pairs", Some("drop:100"), "--pairs 4 --window 4 --processes 2");
    assert_eq!((code, &result["lost"]), (Some(1), &1.into()), "{result}");
}

#[test]
fn results_are_rendered_as_a_page_and_compared() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let (page, json) = (folder.path().join("page.html"), folder.path().join("result.json"));
    let files = format!("--report {} --json {}", page.display(), json.display());
    let run =
        chatbench("pairs", relay.address, &format!("--pairs 2 --window 8 --seconds 1 --warmup 0 {files}"));
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("name=\"viewport\"") && page.matches("<svg").count() == 4, "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "the page must be self-contained");
    let mut compare = Command::new(env!("CARGO_BIN_EXE_chatbench"));
    let output = compare.arg("compare").arg(&json).arg(&json).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("delivered_per_second") && text.contains("1.000"),
        "{text}"
    );
}

#[test]
fn a_loss_of_the_last_message_is_detected() {
    // With one outstanding message nothing follows the lost one, so only the end of the drain reveals it.
    let (code, result) = pairs(Some("drop:100"), "--pairs 1 --window 1");
    assert_eq!((code, &result["lost"]), (Some(1), &1.into()), "{result}");
    assert_eq!(
        result["sent"], 99,
        "the relay counts the message that opens the conversation as well: {result}"
    );
}

#[test]
fn refusals_and_lost_connections_fail_a_run() {
    let (code, result) = pairs(Some("refuse:100"), "--pairs 2 --window 8");
    assert_eq!((code, &result["trouble"]["RATE_LIMITED"]), (Some(1), &1.into()), "{result}");
    assert_eq!(result["lost"], 0, "a refused message is not lost: {result}");
    let (code, result) = pairs(Some("disconnect:100"), "--pairs 2 --window 8");
    assert_eq!((code, &result["trouble"]["disconnected"]), (Some(1), &1.into()), "{result}");
}

#[test]
fn idle_connections_log_in_from_a_file_and_send_heartbeats() {
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
fn a_run_that_cannot_be_made_ends_with_2() {
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
        // Detected before a run that may take hours, and before anything is written to a database.
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

/// Waits until `is_so` holds; returns whether it did within `patience`.
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

/// Waits up to a minute until `is_so` holds.
fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(is_within(Duration::from_secs(60), is_so), "not within a minute: {what}");
}

/// The child processes of `pid`.
fn children(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The value of `what` in the `status` file of a process.
fn status(pid: u32, what: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0").trim().to_owned()
}

fn catches_ctrl_c(pid: u32) -> bool {
    u64::from_str_radix(&status(pid, "SigCgt:"), 16).unwrap() & 1 << (Signal::INT.as_raw() - 1) != 0
}

/// Voluntary context switches: at an even pace, one for each message.
fn sleeps(pid: u32) -> u64 {
    status(pid, "voluntary_ctxt_switches:").parse().unwrap()
}

#[test]
fn several_processes_use_different_accounts_of_a_file() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    let file = accounts(&relay, folder.path(), 12);
    // Five pairs are divided into two and three. An account in both processes would cause errors.
    let load = format!(
        "--pairs 5 --rate 1000 --processes 2 --seconds 0.5 --warmup 0.1 --accounts {}",
        file.display()
    );
    let run = chatbench("pairs", relay.address, &load);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
}

#[test]
fn ctrl_c_ends_a_slow_drain_and_the_results_are_reported() {
    // The drain waits for the dropped message.
    let (relay, folder) = (Running::start(Some("drop:20")), tempfile::tempdir().unwrap());
    let file = folder.path().join("result.json");
    let load = "--pairs 1 --window 1 --seconds 0.5 --warmup 0 --drain 3600 --json";
    let mut run = command("pairs", relay.address, &format!("{load} {}", file.display())).spawn().unwrap();
    until("it handles Ctrl-C", || catches_ctrl_c(run.id()));
    // Half a second is measured. On a machine that stalls for that long, the first Ctrl-C ends the measured phase, and
    // the second the drain.
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
fn a_run_whose_results_cannot_be_written_is_faulty() {
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
fn no_worker_process_outlives_its_parent() {
    let relay = Running::start(None);
    let mut run = command("pairs", relay.address, "--pairs 4 --rate 1000 --seconds 3600 --processes 3")
        .spawn()
        .unwrap();
    let mut workers = Vec::new();
    until("it has started three workers", || {
        workers = children(run.id());
        workers.len() == 3
    });
    // A worker must have requested the death signal before its parent is killed.
    until("the workers are running", || workers.iter().all(|pid| catches_ctrl_c(*pid)));
    run.kill().unwrap();
    run.wait().unwrap();
    until("the workers have ended", || {
        workers.iter().all(|pid| !Path::new(&format!("/proc/{pid}/exe")).exists())
    });
}

#[test]
fn a_finished_login_frees_its_descriptor() {
    let relay = Running::start(None);
    let mut shell = Command::new("sh");
    // 3,000 logins with at most 120 descriptors.
    let load = "--count 3000 --window 4 --seconds 1 --warmup 0 --drain 5";
    shell.args(["-c", &format!("ulimit -n 120 && exec \"$0\" login --address {} {load}", relay.address)]);
    let output = shell.arg(env!("CARGO_BIN_EXE_chatbench")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_process_named_twice_is_counted_once() {
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
fn ctrl_c_ends_a_run_early_and_the_results_are_reported() {
    let (relay, folder) = (Running::start(None), tempfile::tempdir().unwrap());
    for processes in [1, 2] {
        let file = folder.path().join("result.json");
        let load = format!(
            "--pairs 4 --rate 1000 --seconds 3600 --warmup 0 --processes {processes} --json {}",
            file.display()
        );
        let mut command = command("pairs", relay.address, &load);
        let run = command.stdout(Stdio::piped()).spawn().unwrap();
        // An earlier Ctrl-C ends the program.
        until("all processes handle Ctrl-C", || {
            let workers = children(run.id());
            (processes == 1 || workers.len() == processes)
                && workers.iter().chain([&run.id()]).all(|pid| catches_ctrl_c(*pid))
        });
        let senders = if processes == 1 { vec![run.id()] } else { children(run.id()) };
        let before: Vec<_> = senders.iter().map(|pid| sleeps(*pid)).collect();
        until("each process has sent messages", || {
            senders.iter().zip(&before).all(|(pid, before)| sleeps(*pid) > before + 50)
        });
        // Only the parent, which passes it on.
        kill_process(Pid::from_child(&run), Signal::INT).unwrap();
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("ended early by Ctrl-C"), "{output:?}");
        let result = result_of(&file);
        assert_eq!((&result["ended_early"], &result["lost"]), (&true.into(), &0.into()), "{result}");
        assert!(result["sent"].as_u64().unwrap() > 0, "{result}");
    }
}
