//! The program in scripts: what it prints where, and its exit codes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "script/search.rs"]
mod search;
#[path = "../../core/tests/support/mod.rs"]
mod support;

use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::listening::Listening;
use support::{ME, PASSWORD};
use tempfile::TempDir;
use wire::session::{self, KickCode, Kicked};
use wire::{Mentions, Push, References, Seq, UnixMillis, UserId};

struct Script {
    listening: Listening,
    folder: TempDir,
}

impl Script {
    fn new() -> Script {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
        Script { listening: Listening::start(), folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatclient"));
        command
            .args(["127.0.0.1", &self.listening.port.to_string()])
            .args(arguments)
            .env("XDG_DATA_HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program with this stdin; returns exit code, stdout and stderr.
    fn run(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> (i32, String, String) {
        let mut child = self.command(arguments).spawn().unwrap();
        // A program that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().expect("no signal"), text(stdout), text(stderr))
    }

    /// Runs the program as user 1 with --json; returns exit code and objects.
    fn json(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> (i32, Vec<Value>) {
        let me = ["--user", "1", "--password-file", "password", "--json"];
        let (code, stdout, stderr) = self.run(&[&me, arguments].concat(), stdin);
        assert_eq!(stderr, "");
        (code, stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect())
    }

    fn texts(&self) -> Vec<String> {
        self.listening.server.lock().unwrap().texts(2, ME)
    }
}

fn results(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object["event"] == "result").collect()
}

#[test]
fn commands_run_in_order_and_print_one_object_per_line() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store(2, UserId(2), "evil \u{1b}[2J\u{9b}\u{202e}", None);
    let (code, objects) =
        script.json(&["--exec", "chat:2:one", "--exec", "chat:2:two: 你好", "--exec", "history:2"], "");
    assert_eq!(code, 0, "{objects:#?}");
    assert_eq!((&objects[0]["event"], &objects[0]["id"]), (&"login".into(), &1.into()));
    assert_eq!(objects[0]["unread"], serde_json::json!([{ "conversation": 2, "unread": 1, "mentions": 0 }]));
    let results = results(&objects);
    assert!(results.len() == 3 && results.iter().all(|result| result["ok"] == true), "{results:#?}");
    assert_eq!((&results[1]["seq"], &results[1]["command"]), (&3.into(), &"chat:2:two: 你好".into()));
    assert_eq!(results[2]["messages"][2]["content"], "two: 你好");
    let came = objects.iter().find(|object| object["event"] == "message").expect("the waiting message");
    assert_eq!(came["content"], "evil \u{1b}[2J\u{9b}\u{202e}", "the text itself is complete");
    assert_eq!(script.texts(), ["one", "two: 你好"]);
    // A script saves nothing.
    assert_eq!(fs::read_dir(script.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_profile_is_printed_in_lines_and_in_json() {
    let script = Script::new();
    let (code, objects) = script.json(&["--exec", "/profile li si"], "");
    assert_eq!(code, 0, "{objects:#?}");
    let profile = results(&objects)[0];
    assert_eq!((&profile["id"], &profile["nick"]), (&2.into(), &"Li".into()));
    assert_eq!(
        (&profile["created"], &profile["relation"]),
        (&1_700_000_000_000_u64.into(), &"friend".into())
    );

    let me = ["--user", "1", "--password-file", "password"];
    let (code, stdout, _) = script.run(&[&me[..], &["--exec", "/profile 2"]].concat(), "");
    assert_eq!(code, 0);
    assert!(stdout.contains("(2), a friend of yours\n  nick     Li\n  created  2023-11-1"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "{stdout:?}");
}

#[test]
fn a_script_lists_and_revokes_logins() {
    let script = Script::new();
    let commands = ["--exec", "/devices", "--exec", "/revoke 2", "--exec", "/revoke all"];
    let (code, objects) = script.json(&commands, "");
    assert_eq!(code, 0, "{objects:#?}");
    let found = &results(&objects)[0]["devices"];
    assert_eq!((&found[0]["id"], &found[0]["kind"]), (&1.into(), &"terminal".into()));
    assert_eq!((&found[0]["current"], &found[1]["online"]), (&true.into(), &false.into()));
    let revoked = script.listening.server.lock().unwrap().logins.revoked.clone();
    assert_eq!(revoked, [session::Revoke::One(wire::DeviceId(2)), session::Revoke::Others]);
    // The own one ends the session.
    let me = ["--user", "1", "--password-file", "password"];
    let (code, stdout, _) =
        script.run(&[&me[..], &["--exec", "/devices", "--exec", "/revoke 1"]].concat(), "");
    assert_eq!(code, 0);
    assert!(
        stdout.contains("logins (2):") && stdout.contains("mobile") && !stdout.contains('\u{1b}'),
        "{stdout:?}"
    );
    assert_eq!(script.listening.server.lock().unwrap().logins.revoked.len(), 2);
}

#[test]
fn json_contains_no_terminal_control_characters() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store(
        2,
        UserId(2),
        "\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}\u{e0041}",
        None,
    );
    let me = ["--user", "1", "--password-file", "password", "--json", "--wait", "1"];
    let (code, stdout, _) = script.run(&me, "");
    assert_eq!(code, 0);
    assert!(stdout.contains("\\u202e") && stdout.contains("\\udb40\\udc41"), "{stdout}");
    assert!(stdout.chars().all(|c| c == '\n' || !chatclient_core::sanitize::is_unsafe(c)), "{stdout:?}");
}

#[test]
fn a_line_that_is_not_a_command_fails_the_script_but_not_the_other_lines() {
    let script = Script::new();
    let (code, objects) =
        script.json(&[], b"chat:2:one\n\nchta:2:no\njust text\nchat:2:cut \xe4\xbd\nchat:2:two\r\n");
    assert_eq!(code, 1);
    let ok: Vec<_> = results(&objects).iter().map(|result| result["ok"] == true).collect();
    assert_eq!(ok, [true, false, false, false, true]);
    let error = |at: usize| results(&objects)[at]["error"].as_str().unwrap();
    assert!(error(1).contains("did you mean `chat`?") && error(3).contains("not UTF-8"), "{objects:#?}");
    assert_eq!(script.texts(), ["one", "two"]);
}

#[test]
fn what_arrives_between_the_commands_does_not_mix_with_their_results() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store(2, UserId(2), "while you were away", None);
    let arguments =
        ["--user", "1", "--password-file", "password", "--exec", "chat:nobody:x", "--exec", "chat:2:hi"];
    let (code, stdout, stderr) = script.run(&arguments, "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("chatclient: chat:nobody:x: there is no such user\n"), "{stderr}");
    assert!(stderr.contains("] user 2 (2): while you were away\n"), "{stderr}");
    let me = ["--user", "1", "--password-file", "password"];
    script.listening.server.lock().unwrap().store(2, UserId(2), "again", None);
    let quiet = script.run(&[&me[..], &["--quiet", "--exec", "history:2"]].concat(), "");
    assert_eq!((quiet.0, quiet.1.lines().count(), quiet.2.as_str()), (0, 3, ""), "{}", quiet.1);
    // Who waits for messages gets them as a result.
    script.listening.server.lock().unwrap().store(2, UserId(2), "at last", None);
    let waited = script.run(&[&me[..], &["--wait", "1"]].concat(), "");
    assert!(waited.0 == 0 && waited.1.ends_with("] user 2 (2): at last\n"), "{waited:?}");
    assert_eq!(waited.2, "");
}

#[test]
fn a_token_file_is_written_by_a_password_login_and_then_works_alone() {
    let script = Script::new();
    let both =
        ["--user", "1", "--password-file", "password", "--token-file", "token", "--exec", "chat:2:one"];
    assert_eq!(script.run(&both, "").0, 0);
    let token = script.folder.path().join("token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let alone = ["--token-file", "token", "--exec", "chat:2:two"];
    assert_eq!(script.run(&alone, ""), (0, String::new(), String::new()));
    fs::write(&token, format!("{}\n", "0".repeat(64))).unwrap();
    let (code, _, stderr) = script.run(&alone, "");
    assert_eq!((code, stderr.as_str()), (1, "chatclient: login failed: the token is not valid\n"));
    // With a password, an invalid token is replaced.
    assert_eq!(script.run(&both, "").0, 0);
    assert_eq!(script.run(&alone, "").0, 0);
    assert_eq!(script.texts(), ["one", "two", "one", "two"]);
}

#[test]
fn a_file_that_is_no_token_file_is_neither_sent_nor_shown_nor_overwritten() {
    let script = Script::new();
    let key = script.folder.path().join("key");
    let secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n";
    fs::write(&key, secret).unwrap();
    for mode in [0o600, 0o644] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        for arguments in [
            &["--token-file", "key", "--exec", "chat:2:x"][..],
            &["--user", "1", "--password-file", "password", "--token-file", "key", "--exec", "chat:2:x"],
        ] {
            let (code, stdout, stderr) = script.run(arguments, "");
            assert_eq!((code, stdout.as_str()), (2, ""));
            assert!(stderr.contains("key") && !stderr.contains("b3Blb"), "{stderr}");
        }
    }
    assert_eq!(fs::read_to_string(&key).unwrap(), secret);
    assert_eq!(script.texts(), Vec::<String>::new());
}

#[test]
fn wrong_usage_exits_with_2_and_does_nothing() {
    let script = Script::new();
    for arguments in [
        &["--exec", "chat:2:x"][..],
        &["--json"],
        &["--wait", "1"],
        &["--user", "1"],
        &["--password-file", "password"],
        &["--user", "1", "--password-file", "missing"],
        &["--token-file", "missing"],
        &["--user", "1", "--password-file", "password", "--wait", "x"],
        &["--user", "1", "--password-file", "password", "--exec", "chat:2:x", "--exec", "chta:2:x"],
        &["--user", "1", "--password-file", "password", "--exec", "hello"],
    ] {
        let (code, stdout, stderr) = script.run(arguments, "");
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty());
    }
    assert_eq!(script.texts(), Vec::<String>::new());
}

#[test]
fn a_wrong_password_exits_with_1_and_a_readable_password_file_is_a_warning() {
    let script = Script::new();
    fs::write(script.folder.path().join("wrong"), "not the one\n").unwrap();
    fs::set_permissions(script.folder.path().join("wrong"), Permissions::from_mode(0o644)).unwrap();
    let (code, _, stderr) =
        script.run(&["--user", "1", "--password-file", "wrong", "--exec", "chat:2:x"], "");
    assert_eq!(code, 1);
    assert!(stderr.contains("others can read wrong: chmod 600 wrong"), "{stderr}");
    assert!(stderr.contains("login failed: id, name or password is wrong"), "{stderr}");
}

#[test]
fn a_kicked_script_names_the_other_device_and_fails() {
    let script = Script::new();
    let mut child = script
        .command(&["--user", "1", "--password-file", "password", "--json", "--wait", "60"])
        .spawn()
        .unwrap();
    // After the end of stdin it only prints what arrives.
    drop(child.stdin.take());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains("\"login\""));
    script.listening.push(&Push::Session(session::Push::Kicked(Box::new(Kicked {
        reason: "another login".into(),
        code: Some(KickCode::Login),
        device: Some("phone".into()),
        time: UnixMillis(0),
    }))));
    let kicked: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!((&kicked["event"], &kicked["device"]), (&"kicked".into(), &"phone".into()));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn an_unusable_store_is_reported_and_the_program_works_without_it() {
    let run = |prepare: &dyn Fn(&Path)| {
        let script = Script::new();
        let folder = script.folder.path().join("chatclient");
        fs::create_dir(&folder).unwrap();
        prepare(&folder.join(format!("127.0.0.1_{}_1.db", script.listening.port)));
        let menu = format!("1\n{ME}\n{PASSWORD}\nchat:2:one\nquit\n");
        let (code, stdout, _) = script.run(&[], &menu);
        assert_eq!(code, 0, "{stdout}");
        assert_eq!(script.texts(), ["one"]);
        stdout
    };
    let damaged = run(&|store| fs::write(store, "no database, and never was one".repeat(100)).unwrap());
    assert!(
        damaged.contains("nothing is saved on this machine: ") && damaged.contains("is damaged"),
        "{damaged}"
    );
    let folder = run(&|store| fs::create_dir(store).unwrap());
    assert!(folder.contains("nothing is saved on this machine: "), "{folder}");
    let good = run(&|_| ());
    assert!(!good.contains("nothing is saved"), "{good}");
}

#[test]
fn what_happens_in_a_group_is_an_event_of_its_own() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store_join(7, UserId(5));
    let me = ["--user", "1", "--password-file", "password", "--wait", "1"];
    let (code, stdout, _) = script.run(&[&me[..], &["--json"]].concat(), "");
    assert_eq!(code, 0);
    let objects: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let entry = objects.iter().find(|object| object["event"] == "entry").expect("an entry");
    assert_eq!((&entry["change"], &entry["type"]), (&"joined".into(), &"system".into()));
    assert_eq!((&entry["who"], &entry["by"]), (&serde_json::json!([5]), &5.into()));
    assert!(objects.iter().all(|object| object["event"] != "message"));
    script.listening.server.lock().unwrap().store_join(7, UserId(6));
    let (_, stdout, _) = script.run(&me, "");
    assert!(stdout.contains("#7 | user 6 joined") && !stdout.contains("user 5"), "{stdout}");
}

#[test]
fn a_name_that_is_taken_by_another_account_is_named_as_the_reason() {
    let script = Script::new();
    script.listening.server.lock().unwrap().names.taken = ["ann"].into();
    let register = |password: &str| {
        let file = script.folder.path().join("password");
        fs::write(&file, password).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let arguments = ["--user", "ann", "--password-file", "password", "--register", "--exec", "chat:2:hi"];
        script.run(&arguments, "")
    };
    let (code, stdout, stderr) = register("another one");
    assert_eq!((code, &*stdout), (1, ""));
    assert!(
        stderr.contains("login failed: the name is taken, by an account with another password"),
        "{stderr}"
    );
    assert!(script.texts().is_empty());
    // The account of an earlier run.
    assert_eq!(register(PASSWORD).0, 0);
    assert_eq!(script.texts(), ["hi"]);
}

#[test]
fn a_name_with_a_colon_is_not_guessed() {
    let script = Script::new();
    {
        let mut server = script.listening.server.lock().unwrap();
        server.names.users = [(2, "alice"), (3, "alice:7")].into();
        server.names.groups = [(8, "devs"), (9, "devs:7")].into();
        for (conversation, from) in [(2, 2), (3, 3), (8, 2), (9, 2)] {
            server.store(conversation, UserId(from), "hello", None);
        }
        server.make_group(8);
        server.make_group(9);
    }
    for (command, question) in [
        ("history:alice:7", "alice or alice:7?"),
        ("chat:alice:7:hi", "alice or alice:7?"),
        ("grouphistory:devs:7", "devs or devs:7?"),
        ("groupchat:devs:7:hi", "devs or devs:7?"),
        ("/readers devs:7", "devs or devs:7?"),
    ] {
        let (code, objects) = script.json(&["--exec", command], "");
        let error = results(&objects)[0]["error"].as_str().unwrap_or_default();
        assert!(code == 1 && error.contains(question), "{command}: {objects:#?}");
    }
    let (code, objects) = script.json(&["--exec", "groupchat:\"devs:7\":hi", "--exec", "history:2:7"], "");
    assert_eq!(code, 0, "{objects:#?}");
    assert_eq!(script.listening.server.lock().unwrap().texts(9, ME), ["hi"]);
}

#[test]
fn a_script_lists_who_has_read_a_message() {
    let script = Script::new();
    {
        let mut server = script.listening.server.lock().unwrap();
        server.store(7, UserId(3), "welcome", None);
        server.make_group(7);
        // More than a page.
        server.members.insert(7, (2..=252).map(|user| (user, if user <= 231 { 2 } else { 1 })).collect());
    }
    let commands = ["--exec", "groupchat:7:hello", "--exec", "/readers 7:2", "--exec", "/readers 7:"];
    let (code, objects) = script.json(&commands, "");
    assert_eq!(code, 0, "{objects:?}");
    let results: Vec<_> = objects.iter().filter(|object| object["event"] == "result").collect();
    for result in &results[1..] {
        let readers = result["readers"].as_array().unwrap();
        assert_eq!((readers.len(), &readers[229]["name"]), (230, &"user 231".into()));
        assert_eq!((&result["count"], &result["of"]), (&230.into(), &251.into()));
        assert_eq!((&result["conversation"], &result["seq"]), (&7.into(), &2.into()));
    }
    let me = ["--user", "1", "--password-file", "password"];
    let (code, stdout, stderr) = script.run(&[&me[..], &["--exec", "/readers 7:1"]].concat(), "");
    assert_eq!((code, &*stdout), (1, ""));
    assert!(stderr.contains("/readers 7:1: only the sender may see that"), "{stderr}");
    let (code, _, stderr) = script.run(&[&me[..], &["--exec", "/readers"]].concat(), "");
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("a script has no open group: /readers GROUP:SEQ"), "{stderr}");
}

#[test]
fn reactions_are_made_and_told_in_a_script() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store(2, UserId(2), "hello", None);
    let commands = ["/react 2:1 👍", "/unreact 2:1 🎉", "history:2", "/react 1 👍"];
    let arguments: Vec<&str> = commands.iter().flat_map(|command| ["--exec", *command]).collect();
    let (code, objects) = script.json(&arguments, "");
    assert_eq!(code, 1, "the last one needs an open conversation");
    let results = results(&objects);
    assert_eq!((&results[0]["seq"], &results[1]["seq"]), (&2.into(), &0.into()));
    let expected = serde_json::json!([{ "reaction": "👍", "count": 1, "mine": true, "ids": [1] }]);
    assert_eq!(results[2]["messages"][0]["reactions"], expected);
    let entry = objects.iter().find(|object| object["event"] == "entry").expect("it is told");
    assert_eq!((&entry["type"], &entry["ref"], &entry["on"]), (&"reaction".into(), &1.into(), &true.into()));
}

#[test]
fn messages_are_edited_and_recalled_in_a_script() {
    let script = Script::new();
    script.listening.server.lock().unwrap().store(2, UserId(2), "hello", None);
    let commands = "chat:2:one\n/edit 2:2 two\nhistory:2\n/recall 2:2\nhistory:2\n";
    let objects = script.json(&[], commands).1;
    let results = results(&objects);
    let [edited, recalled] = [2, 4].map(|at: usize| &results[at]["messages"][1]);
    assert_eq!((&edited["content"], &edited["changed"]), (&"two".into(), &3.into()));
    assert!(edited["edited"].is_number() && recalled["recalled"].is_number() && recalled["content"] == "");
}

#[test]
fn settings_are_changed_and_told_and_forgetting_does_not_ask() {
    let script = Script::new();
    {
        let mut server = script.listening.server.lock().unwrap();
        server.store(2, UserId(2), "old", None);
        server.store(7, UserId(3), "welcome", None);
        server.make_group(7);
    }
    let commands = ["/pin 2", "/mute #7", "/hide #7", "/forget 2", "history:2", "/hide 99", "/mute"];
    let arguments: Vec<&str> = commands.iter().flat_map(|command| ["--exec", *command]).collect();
    let (code, objects) = script.json(&arguments, "");
    assert_eq!(code, 1, "the last two fail");
    let results = results(&objects);
    let done: Vec<bool> = results.iter().map(|result| result["ok"] == true).collect();
    assert_eq!(done, [true, true, true, true, true, false, false], "{results:#?}");
    assert_eq!(results[4]["messages"], serde_json::json!([]));
    let told: Vec<&Value> = objects
        .iter()
        .filter(|object| object["event"] == "conversation" || object["event"] == "cleared")
        .collect();
    let expected = [
        serde_json::json!({ "event": "conversation", "conversation": 2, "pinned": true }),
        serde_json::json!({ "event": "conversation", "conversation": 7, "muted": true }),
        serde_json::json!({ "event": "conversation", "conversation": 7, "hidden": true }),
        serde_json::json!({ "event": "cleared", "conversation": 2, "upto": 1 }),
    ];
    assert!(told.into_iter().eq(expected.iter()), "{objects:#?}");
    let server = script.listening.server.lock().unwrap();
    assert!(server.conversations[&2].settings.pinned && server.conversations[&7].settings.muted);
    assert!(server.conversations[&7].settings.hidden && server.conversations[&2].first == 2);
}

#[test]
fn a_script_answers_messages_and_mentions_members() {
    let script = Script::new();
    {
        let mut server = script.listening.server.lock().unwrap();
        server.names.users.insert(3, "li si");
        server.store(7, UserId(3), "who comes along?", None);
        server.make_group(7);
        server.members.insert(7, [(3, 0)].into());
        server.store(2, UserId(2), "hello", None);
    }
    let commands = "/reply #7:1 I do\ngroupchat:7:@li si and @all: lunch?\n/reply 2:1 hi\n/reply 1 lost\n";
    let (code, objects) = script.json(&[], commands);
    let results: Vec<_> = objects.iter().filter(|object| object["event"] == "result").collect();
    let ok: Vec<_> = results.iter().map(|object| object["ok"].as_bool()).collect();
    assert_eq!((code, ok), (1, vec![Some(true), Some(true), Some(true), Some(false)]), "{results:?}");
    let server = script.listening.server.lock().unwrap();
    let sent = |id, seq| server.message(id, Seq(seq)).extra.as_deref().map(|extra| extra.references.clone());
    let answer = References { reply_to: Some(Seq(1)), mentions: Mentions::Nobody };
    let mention = References { reply_to: None, mentions: Mentions::Users([UserId(3)].into()) };
    assert_eq!((sent(7, 2), sent(7, 3), sent(2, 2)), (Some(answer.clone()), Some(mention), Some(answer)));
    drop(server);
    // What it receives has the fields of the protocol.
    let (_, objects) = script.json(&[], "grouphistory:7\nhistory:2\n");
    let results: Vec<_> = objects.iter().filter(|object| object["event"] == "result").collect();
    assert_eq!(results[0]["messages"][1]["reply_to"], 1);
    assert_eq!(results[0]["messages"][2]["mentions"], serde_json::json!([3]));
    let me = ["--user", "1", "--password-file", "password"];
    let (_, stdout, _) = script.run(&me, "grouphistory:7\n");
    assert!(
        stdout.contains("me (1): [re #1] I do") || stdout.contains("user 1 (1): [re #1] I do"),
        "{stdout}"
    );
}
