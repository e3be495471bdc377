//! The command line: output, errors and exit codes.

use crate::support::{Client, PATIENCE, Server, programs};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the server with arguments that make it exit by itself, and asserts that it leaves its folder empty.
fn chatserver(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let result = chatserver_in(folder.path(), arguments);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{arguments:?} left something behind");
    result
}

/// Runs a server that gets as far as creating data, and fails.
fn chatserver_with_data(arguments: &[&str]) -> (i32, String, String) {
    chatserver_in(tempfile::tempdir().unwrap().path(), arguments)
}

fn chatserver_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(programs::chatserver())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

#[test]
fn an_invalid_command_line_shows_the_usage() {
    for arguments in [
        &["--wrong"][..],
        &["127.0.0.1"],
        &["127.0.0.1", "70000"],
        &["127.0.0.1", "port"],
        &["nowhere", "6000"],
        &["127.0.0.1", "6000", "7000"],
        &["--threads", "0"],
        &["--set", "log.level"],
        &["--config"],
    ] {
        let (code, stdout, stderr) = chatserver(arguments);
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?} said {stderr}");
        assert!(stderr.contains("Usage: chatserver [OPTIONS] [IP PORT]"), "{arguments:?} said {stderr}");
        assert_eq!(stderr.matches("chatserver 127.0.0.1 6000").count(), 1, "{arguments:?} said {stderr}");
    }
}

#[test]
fn an_invalid_configuration_is_reported_in_one_sentence() {
    for (arguments, sentence) in [
        (
            &["--config", "none.toml"][..],
            "cannot read the configuration none.toml: No such file or directory (os error 2)",
        ),
        (
            &["--set", "log.levl=info"],
            "--set log.levl=info: there is no key `log.levl`; did you mean `log.level`?",
        ),
        (
            &["--check-config", "--set", "limits.connections=0"],
            "--set limits.connections=0: `limits.connections` must be from 1 to 1000000, not 0",
        ),
    ] {
        assert_eq!(chatserver(arguments), (1, String::new(), format!("chatserver: {sentence}\n")));
    }
}

#[test]
fn version_help_check_and_print_exit_without_serving() {
    let (code, stdout, stderr) = chatserver(&["--version"]);
    assert_eq!((code, &*stderr), (0, ""));
    assert_eq!(stdout, format!("chatserver {}\n", env!("CARGO_PKG_VERSION")));

    let (code, stdout, _) = chatserver(&["--help"]);
    assert_eq!(code, 0);
    for option in ["--config", "--set", "--threads", "--check-config", "--print-config", "127.0.0.1 6000"] {
        assert!(stdout.contains(option), "{stdout}");
    }

    assert_eq!(
        chatserver(&["--check-config"]),
        (0, "The configuration is good.\n".to_owned(), String::new())
    );
    let (code, stdout, _) = chatserver(&["--print-config", "--set", "log.level=warn", "::1", "7000"]);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("listen = \"[::1]:7000\"\n") && stdout.contains("level = \"warn\"\n"),
        "{stdout}"
    );

    // Truncated output must not pass for success.
    let mut command = Command::new(programs::chatserver());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let Output { status, stderr, .. } = command.arg("--print-config").stdout(full).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stderr.contains("cannot write to stdout")), (Some(1), true), "{stderr}");
}

#[test]
fn a_misspelt_key_in_a_file_is_reported_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.toml");
    std::fs::write(&file, "[limits]\nmesages_per_second = 5\n").unwrap();
    let (code, _, stderr) = chatserver(&["--check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("did you mean") && stderr.contains("messages_per_second"), "{stderr}");
}

#[test]
fn the_printed_configuration_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.toml");
    let (code, printed, _) = chatserver(&["--print-config", "--set", "session.conflict=reject"]);
    assert_eq!(code, 0);
    std::fs::write(&file, &printed).unwrap();
    assert_eq!(
        chatserver(&["--print-config", "--config", file.to_str().unwrap()]),
        (0, printed, String::new())
    );
}

#[test]
fn the_first_start_creates_its_data_and_prints_where() {
    let mut server = Server::start(&[]);
    let (said, address) = (server.stdout(), server.address);
    assert!(said.contains(&format!("listens on {address} (chat)\n")), "{said}");
    assert!(said.contains("data: data/chat.db\n"), "{said}");
    assert!(said.contains(&format!("chatclient {} {}\n", address.ip(), address.port())), "{said}");
    assert!(server.folder().join("data/chat.db").is_file());
    for signal in [Signal::TERM, Signal::INT] {
        server.signal(signal);
        let status = server.wait(PATIENCE);
        assert!(status.success(), "{signal:?}: {status}");
        server.restart();
    }
}

#[test]
fn a_port_in_use_is_reported_with_a_free_one() {
    let server = Server::start(&[]);
    let port = server.address.port();
    let (code, stdout, stderr) = chatserver_with_data(&["127.0.0.1", &port.to_string()]);
    assert_eq!((code, &*stdout), (1, ""), "{stderr}");
    assert!(stderr.contains(&format!("127.0.0.1:{port} is already in use")), "{stderr}");
    // The suggested port is a valid one.
    let (_, suggested) = stderr.split_once("try `chatserver 127.0.0.1 ").expect(&stderr);
    let (suggested, _) = suggested.split_once('`').expect(&stderr);
    assert!(suggested.parse::<u16>().unwrap() > port);
}

#[test]
fn a_second_server_on_the_same_data_names_the_first() {
    let server = Server::start(&[]);
    let data = server.folder().join("data/chat.db");
    let setting = format!("storage.url=sqlite:{}", data.display());
    let (code, stdout, stderr) = chatserver_with_data(&["--set", &setting, "127.0.0.1", "0"]);
    assert_eq!((code, &*stdout), (1, ""), "{stderr}");
    let sentence = format!("{} is in use by another process (pid {})", data.display(), server.pid());
    assert!(stderr.contains(&sentence), "{stderr}");
    // Under any name.
    let folder = tempfile::tempdir_in(server.folder()).unwrap();
    let other = folder.path().join("other.db");
    let setting = format!("storage.url=sqlite:{}", other.display());
    std::os::unix::fs::symlink(&data, &other).unwrap();
    let (code, _, stderr) = chatserver_with_data(&["--set", &setting, "127.0.0.1", "0"]);
    assert_eq!((code, stderr.contains(&sentence)), (1, true), "{stderr}");
    std::fs::remove_file(&other).unwrap();
    std::fs::hard_link(&data, &other).unwrap();
    let (code, _, stderr) = chatserver_with_data(&["--set", &setting, "127.0.0.1", "0"]);
    assert_eq!((code, stderr.contains("has 2 names (hard links)")), (1, true), "{stderr}");
    // The first server is not affected.
    Client::join(server.address, "ann");
}
