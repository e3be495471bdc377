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

mod backlog;
mod banner;
pub mod chat;
pub mod clock;
mod columns;
pub mod command;
mod complete;
mod directory;
mod echo;
mod helper;
mod history;
mod input;
mod menu;
mod news;
mod outage;
mod own;
mod screen;
mod signals;
pub mod style;

use crate::args::Entry;
use backlog::Backlog;
use chat::Pending;
use chatclient_connection::Client;
use chatclient_core::{Event, Failure, Options, RequestId, Session, sanitize};
use chatclient_store::{Folder, StoredAccount};
use complete::Names;
use crossbeam_channel::{Receiver, never, select_biased};
use directory::Directory;
use input::{Answer, Ask, Input, Kind};
use outage::Outage;
use own::OwnMessages;
use parking_lot::Mutex;
use screen::Screen;
use signals::Ending;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use style::Style;
use wire::{ConversationId, Seq, Target};

/// How long leaving may wait for messages to be stored and requests to be answered.
const SETTLE: Duration = Duration::from_secs(2);
/// How long leaving may wait for the last bytes and lines to get out.
const CLOSE: Duration = Duration::from_millis(500);
/// How often a countdown counts.
const COUNT: Duration = Duration::from_millis(250);
/// Columns of a name in the prompt, and in the status.
const PROMPT_NAME: usize = 20;
const STATUS_NAME: usize = 12;
/// Conversations with unread messages that the status names.
const STATUS_UNREAD: usize = 3;

/// What the program is started with.
#[derive(Debug)]
pub struct Setup {
    pub address: String,
    pub options: Options,
    /// Where to keep what outlives the program; `None`: nowhere.
    pub folder: Option<Folder>,
    /// Whether a direct message rings.
    pub bell: bool,
    /// What to log in by at once, without the menu.
    pub entry: Option<Entry>,
}

/// Runs the program until the user leaves.
pub fn run(setup: Setup) -> io::Result<()> {
    let Setup { address, options, folder, bell, entry } = setup;
    let (style, names) = (Style::from_environment(), Arc::<Mutex<Names>>::default());
    let endings = signals::watch()?;
    let (client, events) = Client::start_with_store(&*address, options, folder.clone())?;
    let history = folder.as_ref().map(Folder::input_history);
    let (input, screen) = Input::start(style, names.clone(), history)?;
    let seen_by_a_person = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut terminal = Terminal {
        address,
        client,
        input,
        marks_as_lines: seen_by_a_person && !screen.is_live(),
        seen_by_a_person,
        screen,
        style,
        names,
        folder,
        kept: Vec::new(),
        mode: Mode::Menu,
        asking: false,
        directory: Directory::default(),
        here: None,
        page_shown: None,
        pending: BTreeMap::new(),
        own: OwnMessages::default(),
        outage: Outage::default(),
        was_online: false,
        backlog: Backlog::default(),
        bell,
        called: None,
        ending: None,
    };
    let result = terminal.work(&events, &endings, entry);
    terminal.client.close(CLOSE);
    terminal.screen.finish();
    // Now the terminal is as it was.
    drop(terminal.input);
    terminal.ending.map_or(result, Ending::obey)
}

/// The program's state.
struct Terminal {
    address: String,
    client: Client,
    input: Input,
    screen: Screen,
    style: Style,
    /// What the editor completes.
    names: Arc<Mutex<Names>>,
    folder: Option<Folder>,
    /// Accounts that the menu offers to go on with.
    kept: Vec<StoredAccount>,
    mode: Mode,
    /// A line was asked for and has not come.
    asking: bool,
    directory: Directory,
    /// The conversation that plain text goes to.
    here: Option<Target>,
    /// The page of history that was shown last, and where it begins.
    page_shown: Option<(ConversationId, Seq)>,
    /// Requests whose reply is to be shown.
    pending: BTreeMap<RequestId, Pending>,
    own: OwnMessages,
    outage: Outage,
    /// Since this account was chosen.
    was_online: bool,
    /// Whether what is shown is seen: by a person at a terminal, not by a script.
    seen_by_a_person: bool,
    /// Whether what becomes of an own message is said on a line of its own: its line cannot be painted over.
    marks_as_lines: bool,
    /// What came while nobody was here.
    backlog: Backlog,
    bell: bool,
    called: Option<Instant>,
    /// The signal that ends the program.
    ending: Option<Ending>,
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

impl Terminal {
    fn work(
        &mut self,
        events: &Receiver<Event>,
        endings: &Receiver<Ending>,
        entry: Option<Entry>,
    ) -> io::Result<()> {
        let address = sanitize::line(&self.address).into_owned();
        self.print(&format!("chatclient {}, server {address}", env!("CARGO_PKG_VERSION")));
        match entry {
            Some(entry) => self.enter(entry),
            None => {
                self.client.with(Session::connect);
                self.show_menu();
            }
        }
        loop {
            self.settle();
            if self.mode == Mode::Done || self.screen.is_gone() {
                return Ok(());
            }
            self.screen.set_status(self.status());
            self.ask();
            let timeout = match self.mode {
                Mode::Settling { until, .. } => crossbeam_channel::at(until),
                _ if self.outage.is_on() => crossbeam_channel::after(COUNT),
                _ => never(),
            };
            // In this order: a line that was entered before a signal came is done before it is obeyed.
            select_biased! {
                recv(self.input.answers) -> answer => {
                    self.asking = false;
                    match answer {
                        Ok(Answer::Line(line)) => self.handle_line(line),
                        Ok(Answer::Interrupted) => self.handle_interrupt(),
                        Ok(Answer::End) | Err(_) => self.quit(),
                        Ok(Answer::Failed(error)) => return Err(error),
                    }
                }
                // Whoever asks twice does not want to wait for anything.
                recv(endings) -> ending => match self.ending.replace(ending.map_err(io::Error::other)?) {
                    None => self.quit(),
                    Some(_) => self.mode = Mode::Done,
                },
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
        // A script's next line waits for the answer to the one before, a person's until it is known where it goes.
        let opening = |pending: &Pending| matches!(pending, Pending::AddGroup { open: true, .. });
        let busy = match self.screen.is_live() {
            true => self.pending.values().any(opening),
            false => !self.pending.is_empty(),
        };
        let chat_prompt = self.prompt();
        let (prompt, kind) = match &self.mode {
            Mode::Menu => ("choice: ", Kind::Answer),
            Mode::LoginWho => ("id or name: ", Kind::Answer),
            Mode::RegisterName => ("name: ", Kind::Answer),
            Mode::LoginPassword { .. } | Mode::RegisterPassword { .. } => ("password: ", Kind::Secret),
            Mode::Chat if !busy => (&*chat_prompt, Kind::Command),
            _ => return,
        };
        self.asking = true;
        self.input.ask(Ask { prompt: prompt.to_owned(), kind });
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
        if settled && !self.own.waiting.is_empty() && Instant::now() < until {
            return;
        }
        match then {
            Then::Quit => {
                let waiting = self.client.with(|session, _| session.unsent());
                let kept = self.client.store(|_| Ok(())).is_some();
                match (waiting, kept) {
                    (0, _) => {}
                    (_, true) => self.say(&format!("{waiting} message(s) are sent when you are back")),
                    (_, false) => self.say(&format!("{waiting} message(s) could not be sent")),
                }
                self.mode = Mode::Done;
            }
            Then::LogOut => {
                self.mode = Mode::LoggingOut;
                self.client.with(Session::logout);
            }
        }
    }

    // ---- what is shown -------------------------------------------------------------------------------------------------

    /// Prints what the program has to say.
    fn say(&self, lines: &str) {
        self.screen.print(&self.style.notice(lines));
    }

    /// Prints what somebody else has said. Own messages have a mark where this has blanks.
    fn print(&self, lines: &str) {
        let in_chat = self.screen.is_live() && !matches!(self.mode, Mode::Menu | Mode::LoggingOut);
        let margin = if in_chat { "   " } else { "" };
        self.screen.print(&format!("{margin}{lines}"));
    }

    /// Shows a line that was entered, where the editor took it away.
    fn show_typed(&self, line: &str) {
        if self.screen.is_live() {
            self.say(&format!("> {}", sanitize::line(line)));
        }
    }

    /// `li si> `: where plain text goes.
    fn prompt(&self) -> String {
        let Some(here) = self.here.as_ref().filter(|_| self.screen.is_live()) else { return "> ".to_owned() };
        let label = self.directory.target_label(here);
        // The id is told by every line of the conversation.
        let name = label.rsplit_once(" (").map_or(&*label, |(name, _)| name);
        format!("{}> ", columns::cut(name, PROMPT_NAME))
    }

    /// Who is here, what is unread, and whether there is a connection.
    fn status(&self) -> String {
        // A line that is being typed when one is logged out answers the menu.
        if self.mode == Mode::Menu {
            return "logged out; type your choice".to_owned();
        }
        let mut parts = vec![style::person(&self.directory.my_name, self.directory.me)];
        // What is cut off in a narrow terminal should be the least.
        parts.extend(self.outage.status(Instant::now()));
        let unread: Vec<_> = self.directory.chats.iter().filter(|(_, chat)| chat.unread > 0).collect();
        if !unread.is_empty() {
            let all: u64 = unread.iter().map(|(_, chat)| chat.unread).sum();
            let named = unread.iter().take(STATUS_UNREAD).map(|(id, chat)| {
                let label = self.directory.conversation(**id);
                let name = label.rsplit_once(" (").map_or(&*label, |(name, _)| name);
                format!("{} {}", columns::cut(name, STATUS_NAME), chat.unread)
            });
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if unread.len() > STATUS_UNREAD { ", …" } else { "" };
            parts.push(format!("{all} unread: {named}{more}"));
        }
        if !self.own.failed.is_empty() {
            parts.push(format!("{} not sent (/retry)", self.own.failed.len()));
        }
        parts.join(&format!(" {0}{0} ", self.style.rule()))
    }

    /// Opens a conversation: plain text goes there, and what stands in it is read.
    fn open(&mut self, to: Option<Target>) {
        let conversation = to.as_ref().and_then(|to| self.directory.conversation_of(to));
        self.here = to;
        self.client.store(|store| store.set_current(conversation));
        if let Some(conversation) = conversation {
            let chat = self.directory.chats.get_mut(&conversation);
            if chat.is_some_and(|chat| std::mem::take(&mut chat.elsewhere)) {
                self.history(conversation, None, "/history".to_owned());
            }
            self.read_up_to_here(conversation);
        }
    }

    /// Names may have changed: the editor completes them.
    fn publish_names(&self) {
        *self.names.lock() = self.directory.names();
    }
}

/// A failure as a sentence that is safe to show.
pub fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) if refusal.errmsg.is_empty() => refusal.errno.to_string(),
        _ => sanitize::line(&failure.to_string()).into_owned(),
    }
}
