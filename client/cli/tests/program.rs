//! The terminal program on pipes: lines in, lines out.

#[path = "../../core/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use support::listening::Listening;
use support::{ME, PASSWORD};
use wire::session;
use wire::session::{KickCode, Kicked};
use wire::{Push, UnixMillis, UserId};

/// Runs the program on these lines of stdin.
fn run(port: u16, script: &str) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    let mut program = Command::new(env!("CARGO_BIN_EXE_chatclient"))
        .args(["127.0.0.1", &port.to_string()])
        .env("XDG_DATA_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    program.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    program.wait_with_output().expect("it ends")
}

fn lines(output: &Output) -> Vec<String> {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn piped_lines_log_in_chat_and_leave() {
    let listening = Listening::start();
    listening.server.lock().unwrap().store(2, UserId(2), "evil \u{1b}[2J\u{202e}text", None);
    let script =
        format!("1\n{ME}\n{PASSWORD}\nchat:2:a:b:c\nhistory:2\nchta:2:x\nchat:2\nfriends\nchat:99\nquit\n");
    let shown = lines(&run(listening.port, &script));
    for line in [
        "1. login",
        "choice:",
        "password:",
        "logged in as me (1)",
        "1 new in user 2 (2)",
        "sent to user 2 (2)",
        "history of user 2 (2), #1 to #2 (2):",
        "unknown command `chta`; did you mean `chat`? `help` lists all commands",
        "write it as chat:WHO:MESSAGE, for example chat:2:hello",
        "friends (0):",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line:?} is missing in {shown:#?}");
    }
    assert!(
        shown
            .iter()
            .any(|line| line.starts_with('[') && line.ends_with("] user 2 (2): evil ␛[2J\\u{202e}text"))
    );
    assert!(!shown.iter().any(|line| line.contains(PASSWORD) || line.contains('\u{1b}')));
    assert_eq!(listening.server.lock().unwrap().texts(2, ME), ["a:b:c"]);
}

#[test]
fn at_the_end_of_input_every_message_is_stored_before_the_program_ends() {
    let listening = Listening::start();
    let script = format!("1\n{ME}\n{PASSWORD}\nchat:2:one\nchat:2:two\nchat:2:three\n");
    lines(&run(listening.port, &script));
    assert_eq!(listening.server.lock().unwrap().texts(2, ME), ["one", "two", "three"]);
}

#[test]
fn registering_prints_the_id_in_large_digits_and_logs_in() {
    let listening = Listening::start();
    let shown = lines(&run(listening.port, &format!("2\nsomebody\n{PASSWORD}\nloginout\n3\n")));
    for line in ["  █████", "your id is 7", "logged in as me (1)", "logged out"] {
        assert!(shown.iter().any(|shown| shown == line), "{line:?} is missing in {shown:#?}");
    }
}

#[test]
fn a_wrong_password_and_a_missing_server_are_reported_in_a_sentence() {
    let listening = Listening::start();
    let shown = lines(&run(listening.port, "1\n1\nnot the one\n3\n"));
    assert!(shown.contains(&"login failed: id, name or password is wrong".to_owned()), "{shown:#?}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shown = lines(&run(port, &format!("1\n{ME}\n{PASSWORD}\n3\n")));
    let sentence = format!("no chat server at 127.0.0.1:{port}");
    assert!(shown.iter().any(|line| line.starts_with(&sentence) && line.contains("make run")), "{shown:#?}");
}

#[test]
fn a_kick_names_the_other_device_and_returns_to_the_menu() {
    let listening = Listening::start();
    let mut program = Command::new(env!("CARGO_BIN_EXE_chatclient"))
        .args(["127.0.0.1", &listening.port.to_string(), "--no-store"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = program.stdin.take().expect("piped");
    let mut lines = BufReader::new(program.stdout.take().expect("piped")).lines().map_while(Result::ok);
    write!(input, "1\n{ME}\n{PASSWORD}\n").expect("it reads");
    assert!(lines.any(|line| line == "help lists the commands"));
    listening.push(&Push::Session(session::Push::Kicked(Box::new(Kicked {
        reason: "another login".into(),
        code: Some(KickCode::Login),
        device: Some("phone\u{1b}c".into()),
        time: UnixMillis(0),
    }))));
    let said = lines.find(|line| line.starts_with("you were logged out")).expect("it says so");
    assert!(said.ends_with("by a login from phone␛c: another login"), "{said}");
    assert!(lines.any(|line| line == "3. quit"));
    writeln!(input, "3").expect("it reads");
    assert_eq!(program.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_mistake_in_the_configuration_is_wrong_usage_and_the_settings_can_be_printed() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_chatclient"));
        program.args(arguments).env("XDG_CONFIG_HOME", home.path()).output().unwrap()
    };
    let printed = run(&["--print-config"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.status.success() && text.contains("chatclient/config.toml\ntime = \"%H:%M\"\n"),
        "{text}"
    );
    std::fs::create_dir(home.path().join("chatclient")).unwrap();
    let file = home.path().join("chatclient/config.toml");
    std::fs::write(&file, "day = \"%A\"\n").unwrap();
    let text = String::from_utf8(run(&["--print-config"]).stdout).unwrap();
    assert!(text.contains("day = \"%A\"\n"), "{text}");
    std::fs::write(&file, "[notifications]\nbel = true\n").unwrap();
    let wrong = run(&["--print-config"]);
    let why = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && why.contains("config.toml: ") && why.contains("bel"), "{why}");
}

#[test]
fn usage_is_exit_code_2_and_help_is_0() {
    let code = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_chatclient")).args(arguments).output().unwrap();
        output.status.code()
    };
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["127.0.0.1", "x"]), Some(2));
    assert_eq!(code(&["127.0.0.1", "0"]), Some(2));
    assert_eq!(code(&["a", "1", "b"]), Some(2));
}
