//! The terminal program: one loop over two queues, typed lines and events of the session.
//!
//! ```text
//!   keyboard --> input thread --answers--+
//!                     ^------- asks -----|--> Terminal (main thread) --lines--> screen
//!   connection thread -------- events ---+        |
//!         ^-------------- commands ---------------+
//! ```
//!
//! All state is the main thread's; it never waits for the keyboard, the network or the screen.

mod banner;
mod chat;
mod clock;
mod command;
mod directory;
mod input;
mod menu;
mod news;
mod outage;
mod screen;

use chat::Pending;
use chatclient::{Client, Event, Failure, LocalId, Options, RequestId, Session, sanitize};
use crossbeam_channel::{Receiver, never, select};
use directory::Directory;
use input::{Answer, Ask, Input, Kind};
use outage::Outage;
use screen::Screen;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use wire::Target;

/// How long leaving may wait for messages to be stored and requests to be answered.
const SETTLE: Duration = Duration::from_secs(2);
/// How long leaving may wait for the last bytes and lines to get out.
const CLOSE: Duration = Duration::from_millis(500);

/// Runs the program until the user leaves.
pub fn run(address: &str) -> io::Result<()> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let options = Options { device: Some("chatclient".into()), ..Options::new(u64::from_ne_bytes(seed)) };
    let (client, events) = Client::start(address, options)?;
    let (input, screen) = Input::start()?;
    let mut terminal = Terminal {
        address: address.to_owned(),
        client,
        input,
        screen,
        mode: Mode::Menu,
        asking: false,
        directory: Directory::default(),
        pending: BTreeMap::new(),
        own: BTreeMap::new(),
        outage: Outage::default(),
    };
    let result = terminal.work(&events);
    terminal.client.close(CLOSE);
    terminal.screen.finish(CLOSE);
    result
}

/// The program's state.
struct Terminal {
    address: String,
    client: Client,
    input: Input,
    screen: Screen,
    mode: Mode,
    /// A line was asked for and has not come.
    asking: bool,
    directory: Directory,
    /// Requests whose reply is to be shown.
    pending: BTreeMap<RequestId, Pending>,
    /// Own messages that are not yet stored.
    own: BTreeMap<LocalId, Own>,
    outage: Outage,
}

/// Where the user is.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// The start menu.
    Menu,
    LoginWho,
    LoginPassword {
        who: String,
    },
    RegisterName,
    RegisterPassword {
        name: String,
    },
    Registering {
        request: RequestId,
        password: String,
    },
    LoggingIn,
    /// Logged in, also while the connection is lost.
    Chat,
    /// Leaving or logging out, once what was written is stored.
    Settling {
        until: Instant,
        then: Then,
    },
    /// The server is being told.
    LoggingOut,
    Done,
}

/// What follows when everything is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Quit,
    LogOut,
}

/// An own message under way.
struct Own {
    to: Target,
    /// The user knows that it takes longer.
    delayed: bool,
}

impl Terminal {
    fn work(&mut self, events: &Receiver<Event>) -> io::Result<()> {
        self.say(&format!("chatclient {}, server {}", env!("CARGO_PKG_VERSION"), self.address));
        self.client.with(Session::connect);
        self.show_menu();
        loop {
            self.settle();
            if self.mode == Mode::Done || self.screen.is_gone() {
                return Ok(());
            }
            self.ask();
            let timeout = match self.mode {
                Mode::Settling { until, .. } => crossbeam_channel::at(until),
                _ => never(),
            };
            select! {
                recv(self.input.answers) -> answer => {
                    self.asking = false;
                    match answer {
                        Ok(Answer::Line(line)) => self.handle_line(line),
                        Ok(Answer::Interrupted) => self.handle_interrupt(),
                        Ok(Answer::End) | Err(_) => self.quit(),
                        Ok(Answer::Failed(error)) => return Err(error),
                    }
                }
                recv(events) -> event => match event {
                    Ok(event) => self.handle_event(event),
                    Err(_) => return Err(io::Error::other("the connection's thread has ended")),
                },
                recv(timeout) -> _ => {}
            }
        }
    }

    /// Asks for the next line, if one is wanted now.
    fn ask(&mut self) {
        if self.asking {
            return;
        }
        // A script's next line waits for the answer to the one before.
        let busy = !self.screen.is_interactive() && !self.pending.is_empty();
        let (prompt, kind) = match &self.mode {
            Mode::Menu => ("choice: ", Kind::Answer),
            Mode::LoginWho => ("id or name: ", Kind::Answer),
            Mode::RegisterName => ("name: ", Kind::Answer),
            Mode::LoginPassword { .. } | Mode::RegisterPassword { .. } => ("password: ", Kind::Secret),
            Mode::Chat if !busy => ("> ", Kind::Command),
            _ => return,
        };
        self.asking = true;
        self.input.ask(Ask { prompt, kind });
    }

    fn handle_line(&mut self, line: String) {
        match &self.mode {
            Mode::Chat => self.handle_command(&line),
            _ => self.handle_menu_line(line),
        }
    }

    fn handle_interrupt(&mut self) {
        match self.mode {
            Mode::Menu => self.quit(),
            Mode::Chat => self.say("quit or Ctrl-D leaves"),
            _ => self.back_to_menu(),
        }
    }

    /// Leaves, once what was written is stored.
    fn quit(&mut self) {
        self.settle_then(Then::Quit);
    }

    fn settle_then(&mut self, then: Then) {
        self.mode = Mode::Settling { until: Instant::now() + SETTLE, then };
    }

    fn settle(&mut self) {
        let Mode::Settling { until, then } = self.mode else { return };
        let settled = self.client.with(|session, _| session.is_settled() || session.account().is_none());
        if !settled && Instant::now() < until {
            return;
        }
        // Events of what was settled just now stand in the queue: the next turn shows them.
        if settled && !self.own.is_empty() && Instant::now() < until {
            return;
        }
        match then {
            Then::Quit => {
                let lost = self.client.with(|session, _| session.unsent());
                if lost > 0 {
                    self.say(&format!("{lost} message(s) could not be sent"));
                }
                self.mode = Mode::Done;
            }
            Then::LogOut => {
                self.mode = Mode::LoggingOut;
                self.client.with(Session::logout);
            }
        }
    }

    fn say(&self, lines: &str) {
        self.screen.print(lines);
    }
}

/// A failure as a sentence that is safe to show.
fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) if refusal.errmsg.is_empty() => refusal.errno.to_string(),
        _ => sanitize::line(&failure.to_string()).into_owned(),
    }
}
