//! Every workload against the real server: all runs are clean, except when the server is killed.

// Test helpers may panic as well.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A server on a database of its own; killed on drop.
struct Server {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Server {
    fn start(folder: TempDir) -> Server {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_chatbench")).with_file_name("chatserver");
        assert!(program.exists(), "{} is missing: cargo build --workspace", program.display());
        let mut command = Command::new(program);
        command.arg(format!("--set=storage.url=sqlite:{}", folder.path().join("chat.db").display()));
        command.args(["--set=limits.messages_per_second=0", "--set=limits.requests_per_second=0"]);
        command.args(["--set=registration.per_address_hour=0", "--set=limits.groups_made_day=0"]);
        command.arg("--set=password.memory_kib=8");
        command.args(["--set=password.iterations=1", "--set=log.level=error", "127.0.0.1", "0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut announced = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut announced).unwrap();
        let address = announced.split(' ').find(|word| word.starts_with("127.0.0.1:")).unwrap();
        Server { address: address.to_owned(), child, folder }
    }

    fn fresh() -> Server {
        Server::start(tempfile::tempdir().unwrap())
    }

    /// The generator's command with `options` against this server, and the path of its result.
    fn generator(&self, options: &str) -> (Command, PathBuf) {
        let result = self.folder.path().join("result.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatbench"));
        command.args(options.split(' ')).args(["--address", &self.address, "--warmup", "0.2"]);
        command.args(["--server-pid", &self.child.id().to_string(), "--json"]).arg(&result);
        (command, result)
    }

    /// Runs the generator; returns its exit code and result.
    fn measure(&self, options: &str) -> (Option<i32>, Value) {
        let (mut command, result) = self.generator(options);
        let output = command.output().unwrap();
        let text = std::fs::read_to_string(result).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code(), serde_json::from_str(text.lines().next_back().unwrap()).unwrap())
    }

    /// Runs the generator, checks that the run is clean, and returns its result.
    fn clean(&self, options: &str) -> Value {
        let (code, result) = self.measure(options);
        assert_eq!(code, Some(0), "{options}: {result}");
        result
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn pairs_and_groups_are_clean() {
    let server = Server::fresh();
    let result = server.clean("pairs --pairs 4 --window 8 --conversations 6 --seconds 1");
    assert!(result["server_us_per_message"].as_f64().unwrap() > 0.0, "{result}");
    server.clean("group --groups 2 --members 12 --senders 4 --window 2 --seconds 1");
}

#[test]
fn offline_users_receive_everything_in_order_at_login() {
    let result = Server::fresh().clean("offline --messages 5000 --pairs 3 --seconds 120 --drain 60");
    assert_eq!(
        (&result["store_stored"], &result["deliver_delivered"]),
        (&5_000.into(), &5_000.into()),
        "{result}"
    );
}

#[test]
fn messages_not_sent_in_time_are_reported_and_the_rest_is_delivered() {
    let load = "offline --messages 50000000 --pairs 3 --seconds 0.5 --drain 120";
    let (code, result) = Server::fresh().measure(load);
    assert_eq!((code, &result["deliver_lost"]), (Some(1), &0.into()), "{result}");
    assert!(result["store_trouble"]["not_sent"].as_u64().unwrap() > 0, "{result}");
    assert!(result["store_stored"].as_u64().unwrap() > 0, "{result}");
    // Nothing is sent during delivery.
    assert_eq!(result["deliver_sent"], result["store_sent"], "{result}");
}

#[test]
fn a_day_of_chat_with_users_who_leave_and_return_is_clean() {
    let options =
        "mixed --circles 3 --members 4 --rate 400 --mix 40:20:8:8:2:8:3:8:5 --seconds 3 --drain 60 --seed 5";
    let result = Server::fresh().clean(options);
    for act in [
        "direct messages",
        "group messages",
        "reads",
        "looks back",
        "new logins",
        "edits",
        "recalls",
        "reactions",
        "searches",
        "entries compared",
        "searches that found all",
    ] {
        assert!(result["counts"][act].as_u64().unwrap() > 0, "{act}: {result}");
    }
}

#[test]
fn every_load_is_clean_over_the_legacy_dialect() {
    let server = Server::fresh();
    let clean = |options: &str| server.clean(&format!("{options} --dialect legacy"));
    clean("pairs --pairs 4 --window 4 --seconds 0.5");
    clean("group --groups 2 --members 12 --senders 4 --window 2 --seconds 0.5");
    clean("login --count 20 --window 4 --seconds 0.5");
    clean("idle --connections 40 --seconds 0.5");
    let storm = clean("storm --connections 60 --pairs 4 --rate 200 --seconds 60");
    assert_eq!(storm["logins"], 60, "{storm}");
    let offline = clean("offline --messages 900 --pairs 3 --seconds 120 --drain 60");
    assert_eq!(
        (&offline["store_stored"], &offline["deliver_delivered"]),
        (&900.into(), &900.into()),
        "{offline}"
    );
}

#[test]
fn a_day_of_chat_over_the_legacy_dialect_is_clean() {
    let server = Server::fresh();
    let mixed = "mixed --dialect legacy --circles 3 --members 4 --rate 400 --seconds 3 --drain 60 --seed 5";
    let result = server.clean(&format!("{mixed} --mix 50:20:10:10:10"));
    let counts = result["counts"].as_object().unwrap();
    assert!(counts.values().all(|count| count.as_u64().unwrap() > 0), "{result}");
    assert!(counts.keys().eq(["direct messages", "group messages", "left out", "new logins"]), "{result}");
    // The legacy dialect has none of these actions.
    let (mut command, _) = server.generator(&format!("{mixed} --mix 0:0:1:1:0"));
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

#[test]
fn prepared_accounts_log_in_by_token_and_by_password() {
    let folder = tempfile::tempdir().unwrap();
    let (database, accounts) = (folder.path().join("chat.db"), folder.path().join("accounts"));
    let mut prepare = Command::new(env!("CARGO_BIN_EXE_chatbench"));
    prepare.arg("prepare").arg(format!("--database=sqlite:{}", database.display()));
    prepare.args(["--count", "80", "--password-memory-kib", "8", "--password-iterations", "1", "--file"]);
    assert!(prepare.arg(&accounts).status().unwrap().success());
    let server = Server::start(folder);
    let accounts = accounts.display();
    server.clean(&format!("login --count 40 --window 8 --seconds 0.5 --accounts {accounts}"));
    let idle =
        server.clean(&format!("idle --connections 80 --heartbeat 0.2 --seconds 0.5 --accounts {accounts}"));
    assert!(idle["heartbeats"].as_u64().unwrap() > 80, "{idle}");
    let storm = format!("storm --connections 60 --pairs 4 --rate 200 --seconds 60 --accounts {accounts}");
    let result = server.clean(&storm);
    assert_eq!(result["logins"], 60, "{result}");
    // Last, as a login by password replaces the session and invalidates its token. The server allows one password login
    // of an account at a time.
    server.clean(&format!("login --count 80 --rate 50 --seconds 0.5 --by password --accounts {accounts}"));
}

#[test]
fn a_server_that_is_killed_under_load_fails_the_run() {
    let mut server = Server::fresh();
    let (mut command, result) = server.generator("pairs --pairs 4 --rate 500 --seconds 60 --drain 1");
    let mut generator = command.stdout(Stdio::null()).spawn().unwrap();
    // The journal grows with the messages.
    let journal = server.folder.path().join("chat.db.journal-0");
    let size = || std::fs::metadata(&journal).map_or(0, |file| file.len());
    let (before, deadline) = (size(), std::time::Instant::now() + std::time::Duration::from_secs(60));
    while size() < before + (256 << 10) {
        assert!(std::time::Instant::now() < deadline, "no message was stored");
        assert!(generator.try_wait().unwrap().is_none(), "the run ended early");
        std::thread::yield_now();
    }
    server.child.kill().unwrap();
    assert_eq!(generator.wait().unwrap().code(), Some(1));
    let text = std::fs::read_to_string(result).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert!(result["trouble"]["disconnected"].as_u64().unwrap() > 0, "{result}");
    // The killed server is a zombie until this test waits for it, and cannot be sampled.
    assert!(result["trouble"]["server_ended"].as_u64().unwrap() > 0, "{result}");
    assert!(result["server_rss_kib"].is_null(), "{result}");
}

#[test]
fn two_servers_are_compared_by_interleaved_runs() {
    let server = PathBuf::from(env!("CARGO_BIN_EXE_chatbench")).with_file_name("chatserver");
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbench"));
    command.arg("compare-servers").args([&server, &server]).args(["--pairs", "2", "--seconds", "0.2"]);
    let output = command.arg("--json").arg(&results).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let table = text.lines().filter(|line| line.contains("CPU us a message") && !line.contains("->"));
    assert_eq!(table.count(), 2, "{text}");
    let names: Vec<String> = std::fs::read_to_string(&results).unwrap().lines().map(name_of).collect();
    let want = ["old: window 64", "new: window 64", "old: window 1", "new: window 1"];
    assert_eq!(names, [want, want].concat(), "{text}");
}

fn name_of(line: &str) -> String {
    let result: Value = serde_json::from_str(line).unwrap();
    result["name"].as_str().unwrap().to_owned()
}
