//! The terminal program: one loop over typed lines and events of the session.
//!
//! ```text
//!   keyboard --> input thread ---lines---+
//!                     ^------ prompts ---|--> Terminal (main thread) --lines--> screen
//!   connection thread ------- events ----+        |
//!         ^-------------- commands ---------------+
//! ```
//!
//! All state belongs to the main thread, which never waits for the keyboard, the network or the screen. [`commands`]
//! and [`events`] hand commands and events to their nouns, one row a noun; the nouns' files extend [`state::Terminal`].

mod account;
mod commands;
mod contact;
mod directory;
mod echo;
mod editor;
mod events;
mod group;
mod input;
mod menu;
mod message;
mod missed;
mod outage;
mod output;
mod own_messages;
mod plain;
mod presence;
mod prompt;
mod renderer;
mod screen;
mod session;
mod signals;
mod state;
mod timeline;

pub use state::Setup;

use crate::args::Login;
use crate::display::style::Style;
use chatclient_connection::Client;
use chatclient_core::{Event, Session, sanitize};
use chatclient_store::Folder;
use crossbeam_channel::{Receiver, never, select_biased};
use input::InputThread;
use prompt::{Input, Prompt, PromptKind};
use signals::Termination;
use state::{Mode, Terminal};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

/// How long leaving may wait for the last bytes.
const CLOSE: Duration = Duration::from_millis(500);
/// How often the countdown is updated.
const COUNTDOWN: Duration = Duration::from_millis(250);

/// Runs the program until the user leaves.
pub fn run(setup: Setup) -> io::Result<()> {
    let Setup { address, options, folder, bell, login } = setup;
    let (style, names) = (Style::from_environment(), Arc::default());
    let terminations = signals::watch()?;
    let (client, events) = Client::start_with_store(&*address, options, folder.clone())?;
    let history = folder.as_ref().map(Folder::input_history);
    let (input, screen) = InputThread::start(style, Arc::clone(&names), history)?;
    let has_reader = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut terminal = Terminal {
        address,
        client,
        input,
        marks_as_lines: has_reader && !screen.is_interactive(),
        has_reader,
        screen,
        style,
        names,
        folder,
        stored_accounts: Vec::new(),
        mode: Mode::Menu,
        asking: false,
        directory: directory::Directory::default(),
        here: None,
        last_page: None,
        pending: BTreeMap::new(),
        own: own_messages::OwnMessages::default(),
        outage: outage::Outage::default(),
        was_online: false,
        missed: missed::Missed::default(),
        bell,
        last_bell: None,
        termination: None,
    };
    let result = event_loop(&mut terminal, &events, &terminations, login);
    terminal.client.close(CLOSE);
    terminal.screen.finish();
    // Restores the terminal's modes.
    drop(terminal.input);
    terminal.termination.map_or(result, Termination::raise)
}

fn event_loop(
    terminal: &mut Terminal,
    events: &Receiver<Event>,
    terminations: &Receiver<Termination>,
    login: Option<Login>,
) -> io::Result<()> {
    let address = sanitize::line(&terminal.address).into_owned();
    terminal.print(&format!("chatclient {}, server {address}", env!("CARGO_PKG_VERSION")));
    match login {
        Some(login) => terminal.log_in_with(login),
        None => {
            terminal.client.with(Session::connect);
            terminal.show_menu();
        }
    }
    loop {
        terminal.settle();
        if terminal.mode == Mode::Done || terminal.screen.is_gone() {
            return Ok(());
        }
        terminal.screen.set_status(terminal.status());
        ask_for_line(terminal);
        let timeout = match terminal.mode {
            Mode::Settling { until, .. } => crossbeam_channel::at(until),
            _ if terminal.outage.is_on() => crossbeam_channel::after(COUNTDOWN),
            _ => never(),
        };
        // The order matters: a line that was entered before a signal arrived is handled first.
        select_biased! {
            recv(terminal.input.lines) -> input => {
                terminal.asking = false;
                match input {
                    Ok(Input::Line(line)) => match terminal.mode {
                        Mode::Chat => terminal.handle_command(&line),
                        _ => terminal.handle_menu_line(line),
                    },
                    Ok(Input::Interrupted) => terminal.handle_interrupt(),
                    Ok(Input::End) | Err(_) => terminal.quit(),
                    Ok(Input::Failed(error)) => return Err(error),
                }
            }
            // A second signal ends the program without waiting.
            recv(terminations) -> which => match terminal.termination.replace(which.map_err(io::Error::other)?) {
                None => terminal.quit(),
                Some(_) => terminal.mode = Mode::Done,
            },
            recv(events) -> event => match event {
                Ok(event) => terminal.handle_event(event),
                Err(_) => return Err(io::Error::other("the connection thread has ended")),
            },
            recv(timeout) -> _ => {}
        }
    }
}

/// Asks for the next line if one is wanted and none is being read.
fn ask_for_line(terminal: &mut Terminal) {
    if terminal.asking {
        return;
    }
    // Piped input waits for every reply, a person only for replies that decide where the next line goes.
    let busy = match terminal.screen.is_interactive() {
        true => terminal.pending.values().any(|pending| pending.holds_prompt),
        false => !terminal.pending.is_empty(),
    };
    let (text, kind) = match &terminal.mode {
        Mode::Menu => ("choice: ".to_owned(), PromptKind::Answer),
        Mode::LoginWho => ("id or name: ".to_owned(), PromptKind::Answer),
        Mode::RegisterName => ("name: ".to_owned(), PromptKind::Answer),
        Mode::LoginPassword { .. } | Mode::RegisterPassword { .. } => {
            ("password: ".to_owned(), PromptKind::Secret)
        }
        Mode::Chat if !busy => (terminal.prompt(), PromptKind::Command),
        _ => return,
    };
    terminal.asking = true;
    terminal.input.ask(Prompt { text, kind });
}
