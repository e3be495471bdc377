//! The terminal program: one loop over typed lines and events of the session.
//!
//! ```text
//!   keyboard --> input thread ---keys---+
//!                                       |--> Terminal (main thread) --> screen
//!   connection thread ----- events -----+        |
//!         ^------------- commands ---------------+
//! ```
//!
//! All state belongs to the main thread, which never waits for the keyboard or the network. [`commands`]
//! and [`events`] hand commands and events to their nouns, one row a noun; the nouns' files extend [`state::Terminal`].

mod account;
mod attention;
mod change;
mod commands;
mod contact;
mod conversation;
mod devices;
mod directory;
mod drafts;
mod editor;
mod events;
#[cfg(test)]
mod fuzz;
mod group;
mod history;
mod input;
mod keyboard;
mod last_messages;
mod line;
mod look_alikes;
mod members;
mod membership;
mod menu;
mod message;
mod missed;
mod modes;
mod opening;
mod outage;
mod output;
mod own_messages;
mod plain;
mod presence;
mod prompt;
mod readers;
mod receipt_schedule;
mod recipients;
mod references;
mod renderer;
mod screen;
mod search;
#[cfg(test)]
mod sequences;
mod session;
mod signals;
mod state;
mod switching;
mod timeline;
mod typing;
mod typists;
mod unread;
mod view;

pub use state::Setup;

use crate::args::{Login, UserAsked};
use crate::config::{ColourChoice, Config};
use crate::display::clock;
use crate::display::style::{Colours, Style};
use chatclient_connection::Client;
use chatclient_core::{Event, Session, sanitize};
use chatclient_store::Folder;
use crossbeam_channel::{Receiver, never, select_biased};
use editor::LineEditor;
use input::{InputThread, Received};
use screen::Screen;
use signals::{Termination, Watch};
use state::{Mode, Terminal};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How long leaving may wait for the last bytes.
const CLOSE: Duration = Duration::from_millis(500);
/// How often the countdown is updated.
const COUNTDOWN: Duration = Duration::from_millis(250);

/// Runs the program until the user leaves.
pub fn run(setup: Setup) -> io::Result<()> {
    let Setup { address, server, options, folder, bell, login, asked, config } = setup;
    let style = Style::from_environment(chosen_colours(&config));
    let watch = signals::watch()?;
    let is_secure = server.is_secure();
    let (client, events) = Client::start_with_store(server, options, folder.clone())?;
    let input = InputThread::start()?;
    let screen = Screen::open(style);
    let has_reader = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut terminal = Terminal {
        address,
        is_secure,
        client,
        editor: LineEditor::new(folder.as_ref().filter(|_| input.modes.is_some()).map(Folder::input_history)),
        input,
        marks_as_lines: has_reader && !screen.is_interactive(),
        has_reader,
        screen,
        style,
        folder,
        stored_accounts: Vec::new(),
        mode: Mode::Menu,
        asking: false,
        directory: directory::Directory::default(),
        here: None,
        drafts: drafts::Drafts::default(),
        window: None,
        opening: None,
        question: None,
        last_search: None,
        typists: typists::Typists::default(),
        members: members::Members::new(),
        last_day: Some(clock::now(&config.day)),
        pending: BTreeMap::new(),
        own: own_messages::OwnMessages::default(),
        receipts: receipt_schedule::ReceiptSchedule::default(),
        outage: outage::Outage::default(),
        was_online: false,
        is_away: false,
        missed: missed::Missed::default(),
        folded: Vec::new(),
        config,
        bell,
        last_alert: None,
        title: None,
        termination: None,
    };
    let result = event_loop(&mut terminal, &events, &watch, login, asked);
    terminal.restore_title();
    terminal.client.close(CLOSE);
    terminal.screen.finish();
    // Restores the terminal's modes.
    drop(terminal.input);
    terminal.termination.map_or(result, Termination::raise)
}

/// The colours that the user chose; `None`: those that the terminal has.
fn chosen_colours(config: &Config) -> Option<Colours> {
    match config.colours {
        ColourChoice::Auto => None,
        ColourChoice::None => Some(Colours::None),
        ColourChoice::Eight => Some(Colours::Eight),
        ColourChoice::Sixteen => Some(Colours::Sixteen),
        ColourChoice::Many => Some(Colours::Many),
    }
}

fn event_loop(
    terminal: &mut Terminal,
    events: &Receiver<Event>,
    watch: &Watch,
    login: Option<Login>,
    asked: Option<UserAsked>,
) -> io::Result<()> {
    let address = sanitize::line(&terminal.address).into_owned();
    terminal.print(&format!("chatclient {}, server {address}", env!("CARGO_PKG_VERSION")));
    match (login, asked) {
        (Some(login), _) => terminal.log_in_with(login),
        (None, asked) => {
            terminal.client.with(Session::connect);
            match asked {
                Some(asked) => terminal.ask_password_of(asked),
                None => terminal.show_menu(),
            }
        }
    }
    loop {
        terminal.handle_keys();
        terminal.settle();
        terminal.drop_old_typists();
        terminal.show_title();
        terminal.show_view();
        if terminal.mode == Mode::Done || terminal.screen.is_gone() {
            return Ok(());
        }
        terminal.ask_for_piped_line();
        let receipts_due = terminal.ask_receipts();
        let timeout = match terminal.mode {
            Mode::Settling { until, .. } => crossbeam_channel::at(until),
            _ if terminal.outage.is_on() => crossbeam_channel::after(COUNTDOWN),
            _ => {
                let dues = [receipts_due, terminal.typists.next_end()];
                dues.into_iter().flatten().min().map_or_else(never, crossbeam_channel::at)
            }
        };
        // The order matters: a line that was entered before a signal arrived is handled first.
        select_biased! {
            recv(terminal.input.received) -> received => match received {
                Ok(Received::Keys(keys)) => terminal.editor.feed(&keys),
                Ok(Received::Line(typed)) => {
                    terminal.asking = false;
                    terminal.handle_typed(typed);
                }
                Ok(Received::Failed(error)) => return Err(error),
                Ok(Received::End) | Err(_) => terminal.handle_gone(),
            },
            // A second signal ends the program without waiting.
            recv(watch.terminations) -> which => {
                match terminal.termination.replace(which.map_err(io::Error::other)?) {
                    None => terminal.quit(),
                    Some(_) => terminal.mode = Mode::Done,
                }
            }
            recv(watch.refreshes) -> _ => terminal.handle_refresh(),
            recv(events) -> event => match event {
                Ok(event) => terminal.handle_event(event),
                Err(_) => return Err(io::Error::other("the connection thread has ended")),
            },
            recv(timeout) -> _ => {}
        }
    }
}
