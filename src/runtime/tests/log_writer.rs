//! The log writer in processes that panic or end, with a stderr that is read and with one that is not.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code")]

use log::LevelFilter;
use runtime::log_writer;
use std::env;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write, pipe, read_to_string};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SIGABRT: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that a process writes from one call site before it ends.
const LINES: usize = 5_000;

fn main() {
    match env::args().nth(1).as_deref() {
        Some("panics") => panics(),
        Some("ends") => ends(),
        _ => {
            let tests: [(&str, fn()); 3] = [
                (
                    "a_panic_is_logged_after_everything_before_it",
                    a_panic_is_logged_after_everything_before_it,
                ),
                ("a_panic_aborts_when_nobody_reads_the_log", a_panic_aborts_when_nobody_reads_the_log),
                ("an_end_flushes_the_log", an_end_flushes_the_log),
            ];
            for (name, test) in tests {
                test();
                println!("test {name} ... ok");
            }
        }
    }
}

// ---- the processes ----------------------------------------------------------------------------------------------------

fn panics() {
    log_writer::abort_on_panic();
    log_writer::start(LevelFilter::Info).unwrap();
    log::info!("before the panic");
    let thread = thread::Builder::new().name("worker".to_owned());
    thread.spawn(|| panic!("a bug\nof two lines")).unwrap().join().unwrap();
}

fn ends() {
    log_writer::start(LevelFilter::Info).unwrap();
    (0..LINES).for_each(|line| log::warn!("line {line}"));
    log_writer::print("a sentence");
    log_writer::flush(PATIENCE);
}

// ---- the tests --------------------------------------------------------------------------------------------------------

fn a_panic_is_logged_after_everything_before_it() {
    let (reader, writer) = pipe().unwrap();
    let child = start("panics", writer);
    let said = read_to_string(reader).unwrap();
    assert_eq!(wait(child).signal(), Some(SIGABRT), "{said}");
    let [before, panic] = &said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(before.ends_with(" INFO  main: before the panic"), "{said}");
    assert!(panic.contains(" ERROR worker: panicked at src/runtime/tests/log_writer.rs:"), "{said}");
    assert!(panic.ends_with(":\\na bug\\nof two lines"), "{said}");
}

fn a_panic_aborts_when_nobody_reads_the_log() {
    let (_reader, writer) = full_pipe();
    let child = start("panics", writer);
    assert_eq!(wait(child).signal(), Some(SIGABRT));
}

fn an_end_flushes_the_log() {
    let (reader, writer) = pipe().unwrap();
    let child = start("ends", writer);
    let said = read_to_string(reader).unwrap();
    assert!(wait(child).success());
    let written = said.lines().filter(|line| line.contains(" WARN  main: line ")).count();
    let suppressed: usize = said.lines().filter_map(suppressed).sum();
    assert_eq!(written + suppressed, LINES, "{said}");
    assert!(written <= 10 * (1 + said.matches("suppressed").count()), "{said}");
    assert!(said.contains("\na sentence\n"), "{said}");
}

/// The number in a report of suppressed lines.
fn suppressed(line: &str) -> Option<usize> {
    line.split_once(" WARN  log: suppressed ")?.1.split(' ').next()?.parse().ok()
}

fn start(mode: &str, stderr: PipeWriter) -> Child {
    Command::new(env::current_exe().unwrap())
        .arg(mode)
        .env_remove("JOURNAL_STREAM")
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap()
}

fn wait(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the process has not ended within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A pipe whose writers block.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    loop {
        match writer.write(&[b'x'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("cannot fill the pipe: {error}"),
        }
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}
