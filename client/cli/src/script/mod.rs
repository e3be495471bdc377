//! The client in scripts: commands in, one after another; results out; an exit code.

mod commands;
mod group;
mod output;
mod state;

use crate::args::Login;
use crate::command::table::Used;
use crate::command::{self, Command, Typed, help, timeline};
use chatclient_connection::{Client, Server};
use chatclient_core::{Event, Options};
use crossbeam_channel::{Receiver, after, never, select};
use output::Output;
use state::Script;
use std::borrow::Cow;
use std::io::{self, BufRead};
use std::thread;
use std::time::Duration;

/// How long leaving may wait for the last bytes.
const CLOSE: Duration = Duration::from_millis(500);

/// The plan of a script.
pub struct Plan<'l> {
    pub server: Server,
    pub options: Options,
    pub login: &'l Login,
    /// Each line with its meaning; empty: lines are read from stdin.
    pub commands: Vec<ScriptCommand>,
    pub json: bool,
    /// Whether what arrives before and between the commands is not printed.
    pub quiet: bool,
    /// Whether messages are a result: the user wants to wait for them.
    pub listens: bool,
    /// How long to print what arrives after the last command.
    pub wait: Duration,
}

pub struct ScriptCommand {
    line: String,
    command: Command,
}

/// Reads the commands of the command line. The error is a sentence.
pub fn read_commands(lines: &[String]) -> Result<Vec<ScriptCommand>, String> {
    let read =
        |line: &String| read_command(line).map(|command| ScriptCommand { line: line.clone(), command });
    lines.iter().map(read).collect()
}

fn read_command(line: &str) -> Result<Command, String> {
    match command::parse(line) {
        Ok(None) => Err("an empty command".to_owned()),
        Ok(Some(Typed { row: None, .. })) => {
            Err(format!("`{line}` is not a command; chat:WHO:MESSAGE sends a message"))
        }
        Ok(Some(Typed { row: Some(row), .. })) if row.used == Used::AtTerminal => {
            Err(format!("`{line}` works only at a terminal"))
        }
        Ok(Some(Typed { command: Command::Group(command::group::Command::Members(None)), .. })) => {
            Err("a script has no open group: /members GROUP".to_owned())
        }
        Ok(Some(Typed {
            command: Command::Timeline(timeline::Command::Readers { group: None, .. }),
            ..
        })) => Err("a script has no open group: /readers GROUP:SEQ".to_owned()),
        Ok(Some(Typed { command, .. })) => Ok(command),
        Err(mistake) => Err(help::explain(&mistake)),
    }
}

/// Runs a script. Returns whether everything succeeded; an error is one of stdin or stdout.
pub fn run(plan: Plan<'_>) -> io::Result<bool> {
    let (client, events) = Client::start(plan.server, plan.options)?;
    // Messages must not come between the results of the commands.
    let listens = plan.listens && plan.commands.is_empty();
    let output = Output { json: plan.json, quiet: plan.quiet, listens };
    let mut script = Script::new(client, events, output);
    let done = work(&mut script, plan.login, plan.commands, plan.listens.then_some(plan.wait));
    let failed = script.failed;
    script.client.close(CLOSE);
    match done {
        // The reader has closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(!failed),
        Err(error) => Err(error),
        Ok(()) => Ok(!failed),
    }
}

/// `wait`: how long to listen at the end.
fn work(
    script: &mut Script,
    login: &Login,
    commands: Vec<ScriptCommand>,
    wait: Option<Duration>,
) -> io::Result<()> {
    if let Err(failure) = script.log_in(login)? {
        script.failed = true;
        return script.output.login_failed(&failure);
    }
    let from_stdin = commands.is_empty();
    for ScriptCommand { line, command } in commands {
        if !script.do_command(&line, command)? {
            return Ok(());
        }
    }
    if from_stdin && !do_lines(script, &stdin_lines()?)? {
        return Ok(());
    }
    script.output.listens = wait.is_some();
    listen(script, wait.unwrap_or_default())
}

/// Carries out lines until stdin ends; `false`: the script is over.
fn do_lines(script: &mut Script, lines: &Receiver<io::Result<Vec<u8>>>) -> io::Result<bool> {
    while !script.over {
        select! {
            recv(lines) -> line => {
                let Ok(line) = line else { return Ok(true) };
                let line = line.map_err(|error| io::Error::other(format!("stdin: {error}")))?;
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
                if line.trim().is_empty() {
                    continue;
                }
                let command = match &line {
                    Cow::Borrowed(line) => read_command(line),
                    Cow::Owned(_) => Err("the line is not UTF-8".to_owned()),
                };
                match command {
                    Ok(command) => if !script.do_command(&line, command)? {
                        return Ok(false);
                    },
                    Err(sentence) => {
                        script.failed = true;
                        script.output.mistake(&line, &sentence)?;
                    }
                }
            }
            recv(script.events) -> event => script.handle_event(event.map_err(io::Error::other)?)?,
        }
    }
    Ok(false)
}

/// Prints arriving events.
fn listen(script: &mut Script, wait: Duration) -> io::Result<()> {
    let (until, never) = (after(wait), never::<Event>());
    while !script.over {
        // Events that are in the queue already are printed even without any wait.
        if let Ok(event) = script.events.try_recv() {
            script.handle_event(event)?;
            continue;
        }
        let events = if wait.is_zero() { &never } else { &script.events };
        select! {
            recv(events) -> event => {
                let event = event.map_err(io::Error::other)?;
                script.handle_event(event)?;
            }
            recv(until) -> _ => return Ok(()),
        }
    }
    Ok(())
}

/// The lines of stdin as bytes; the next one is read while one is carried out.
fn stdin_lines() -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (lines, received) = crossbeam_channel::bounded(1);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let is_over = line.is_err();
            if lines.send(line).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(received)
}
