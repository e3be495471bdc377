//! [`Terminal`]: the program's state, what it prints, and its requests.

use super::directory::Directory;
use super::drafts::Drafts;
use super::editor::LineEditor;
use super::input::InputThread;
use super::members::Members;
use super::missed::Missed;
use super::outage::Outage;
use super::own_messages::OwnMessages;
use super::receipt_schedule::ReceiptSchedule;
use super::screen::Screen;
use super::signals::Termination;
use super::typists::Typists;
use crate::args::{Login, UserAsked};
use crate::command::group::Act;
use crate::config::Config;
use crate::display::sentence;
use crate::display::style::{Style, person};
use chatclient_connection::{Client, Server};
use chatclient_core::{Failure, Options, RequestId, Session, sanitize};
use chatclient_store::{Folder, StoredAccount};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use wire::search::Search;
use wire::{ConversationId, Message, Reply, Seq, Target, UserId};

/// Columns of a name in the prompt.
const PROMPT_NAME: usize = 20;
/// Columns of a name in the status.
pub const STATUS_NAME: usize = 12;
/// The most conversations with unread messages that the status names.
const STATUS_UNREAD: usize = 3;

/// The settings at program start.
#[derive(Debug)]
pub struct Setup {
    /// Shown to the user.
    pub address: String,
    pub server: Server,
    pub options: Options,
    /// The folder of the stores; `None`: nothing is saved.
    pub folder: Option<Folder>,
    /// Whether the bell may ring.
    pub bell: bool,
    /// A login without the menu.
    pub login: Option<Login>,
    /// The user whose password is asked for instead of the menu.
    pub asked: Option<UserAsked>,
    pub config: Config,
}

pub struct Terminal {
    pub(super) address: String,
    /// The server is reached with TLS.
    pub(super) is_secure: bool,
    pub(super) client: Client,
    pub(super) input: InputThread,
    pub(super) editor: LineEditor,
    pub(super) screen: Screen,
    pub(super) style: Style,
    pub(super) folder: Option<Folder>,
    /// Accounts that the menu offers.
    pub(super) stored_accounts: Vec<StoredAccount>,
    pub(super) mode: Mode,
    /// A piped line was asked for and has not arrived.
    pub(super) asking: bool,
    pub(super) directory: Directory,
    /// The open conversation, to which plain text goes.
    pub(super) here: Option<Target>,
    /// Lines that were begun and not entered.
    pub(super) drafts: Drafts,
    pub(super) window: Option<Window>,
    pub(super) opening: Option<Opening>,
    /// A command waits for an answer.
    pub(super) question: Option<Question>,
    /// What `/search` alone continues.
    pub(super) last_search: Option<LastSearch>,
    pub(super) typists: Typists,
    /// The members of groups that can be mentioned.
    pub(super) members: Members,
    /// The day of the last message on the screen.
    pub(super) last_day: Option<String>,
    pub(super) pending: BTreeMap<RequestId, PendingReply>,
    pub(super) own: OwnMessages,
    pub(super) receipts: ReceiptSchedule,
    pub(super) outage: Outage,
    /// Whether this account has been online since it was chosen.
    pub(super) was_online: bool,
    /// Whether the user has said to be away, and not to be back.
    pub(super) is_away: bool,
    /// Whether a person sees the output: stdin and stdout are terminals.
    pub(super) has_reader: bool,
    /// Whether marks are printed on lines of their own because they cannot be repainted.
    pub(super) marks_as_lines: bool,
    pub(super) missed: Missed,
    /// The rows of the last long text that were not shown.
    pub(super) folded: Vec<String>,
    pub(super) config: Config,
    pub(super) bell: bool,
    pub(super) last_alert: Option<Instant>,
    /// The window's title, if the program has set it.
    pub(super) title: Option<String>,
    /// The signal that ends the program.
    pub(super) termination: Option<Termination>,
}

/// The messages of the open conversation that were shown without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub conversation: ConversationId,
    pub first: Seq,
    pub last: Seq,
}

/// A search whose next results can be asked for.
#[derive(Debug)]
pub struct LastSearch {
    /// With the place where they begin.
    pub next: Search,
    /// How many results were shown.
    pub shown: usize,
}

/// What a command does once the user has said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Forget(Forgetting),
    LeaveGroup(ConversationId),
    /// Ends a friendship.
    Unfriend(UserId),
    /// Does something about a member of a group.
    About {
        group: ConversationId,
        id: UserId,
        act: Act,
    },
}

/// What `/forget` does once the user has said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgetting {
    pub conversation: ConversationId,
    pub upto: Seq,
}

/// A conversation that is open and whose first page has not arrived yet.
#[derive(Debug)]
pub struct Opening {
    pub conversation: ConversationId,
    /// Messages that arrive meanwhile. The page may contain them.
    pub held: Vec<Arc<Message>>,
}

/// The program's current activity.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    Menu,
    LoginWho,
    LoginPassword {
        who: String,
    },
    RegisterName {
        /// The password that was chosen with a name that was refused.
        password: Option<String>,
    },
    RegisterPassword {
        name: String,
    },
    RegisterRepeat {
        name: String,
        password: String,
    },
    Registering {
        account: NewAccount,
        if_taken: IfTaken,
    },
    LoggingIn {
        /// The account is logged in to because it could not be registered.
        instead_of: Option<NewAccount>,
    },
    /// Logged in, even while the connection is lost.
    Chat,
    /// Logged in, and asked for passwords.
    ChangingPassword(PasswordQuestion),
    /// The session ended while a password was being typed: what is still typed of it is not shown either.
    PasswordCut,
    /// Waits for messages to be stored before leaving or logging out.
    Settling {
        until: Instant,
        then: Then,
    },
    LoggingOut,
    Done,
}

/// What `/password` asks for next.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordQuestion {
    Old,
    New { old: String },
    Again { old: String, new: String },
}

impl std::fmt::Debug for PasswordQuestion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            PasswordQuestion::Old => "Old",
            PasswordQuestion::New { .. } => "New",
            PasswordQuestion::Again { .. } => "Again",
        })
    }
}

/// A name and a password to be registered.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    pub name: String,
    pub password: String,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NewAccount").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The next step where somebody has the name of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfTaken {
    AskName,
    /// The account may be the user's own, of an earlier start with the same arguments.
    LogIn,
}

/// The next step after [`Mode::Settling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Quit,
    LogOut,
}

/// A request of the user that was not answered yet.
pub struct PendingReply {
    /// Whether the prompt waits for the reply, because it decides where the next line goes.
    pub(super) holds_prompt: bool,
    pub(super) handle: ReplyHandler,
}

pub type ReplyHandler = Box<dyn FnOnce(&mut Terminal, Result<Reply, Failure>)>;

// ---- requests ------------------------------------------------------------------------------------------------------

impl Terminal {
    /// Makes a request. `pick` takes the expected reply, which goes to `then`; anything else is printed, with `name`.
    pub fn ask<T: 'static>(
        &mut self,
        name: &'static str,
        ask: impl FnOnce(&mut Session, u64) -> RequestId,
        pick: fn(Reply) -> Option<T>,
        then: impl FnOnce(&mut Terminal, T) + 'static,
    ) {
        self.request(ask, move |terminal, result| match result.map(pick) {
            Ok(Some(reply)) => then(terminal, reply),
            Ok(None) => terminal.say(&format!("{name}: unexpected reply from the server")),
            Err(failure) => terminal.report_failure(name, &failure),
        });
    }

    /// Makes a request whose failures need handling, too.
    pub fn request(
        &mut self,
        ask: impl FnOnce(&mut Session, u64) -> RequestId,
        handle: impl FnOnce(&mut Terminal, Result<Reply, Failure>) + 'static,
    ) {
        let request = self.client.with(ask);
        self.pending.insert(request, PendingReply { holds_prompt: false, handle: Box::new(handle) });
    }

    /// Makes a request that must be answered before the next line is read.
    pub fn request_before_prompt(
        &mut self,
        ask: impl FnOnce(&mut Session, u64) -> RequestId,
        handle: impl FnOnce(&mut Terminal, Result<Reply, Failure>) + 'static,
    ) {
        let request = self.client.with(ask);
        self.pending.insert(request, PendingReply { holds_prompt: true, handle: Box::new(handle) });
    }

    pub(super) fn handle_reply(&mut self, request: RequestId, result: Result<Reply, Failure>) {
        if let Some(pending) = self.pending.remove(&request) {
            (pending.handle)(self, result);
        }
    }

    pub fn report_failure(&self, name: &str, failure: &Failure) {
        self.say(&format!("{name}: {}", sentence(failure)));
    }
}

// ---- output --------------------------------------------------------------------------------------------------------

impl Terminal {
    /// Prints a notice of the program.
    pub fn say(&self, lines: &str) {
        self.screen.print(&self.style.notice(lines));
    }

    /// Prints text of others, aligned with own messages, which have a mark in front.
    pub fn print(&self, lines: &str) {
        self.screen.print(&format!("{}{lines}", self.margin()));
    }

    /// What stands before lines without a mark.
    pub(super) fn margin(&self) -> &'static str {
        let in_chat = self.screen.is_interactive() && !matches!(self.mode, Mode::Menu | Mode::LoggingOut);
        if in_chat { "   " } else { "" }
    }

    /// Prints an entered line if the editor has erased it.
    pub fn show_typed(&self, line: &str) {
        if self.screen.is_interactive() {
            self.say(&format!("> {}", sanitize::line(line)));
        }
    }

    /// `li si> `, with the name of the open conversation.
    pub fn prompt(&self) -> String {
        let Some(here) = &self.here else { return "> ".to_owned() };
        format!("{}> ", self.directory.short_label(here, PROMPT_NAME))
    }

    /// The account, the connection if it is lost, and what is unread.
    pub fn status(&self) -> String {
        let mut parts = vec![person(&self.directory.my_name, self.directory.me)];
        // A narrow terminal cuts off the end, so the most important comes first.
        parts.extend(self.outage.status(Instant::now()));
        parts.extend(self.typing_status(Instant::now()));
        let unread = self.directory.unread();
        if !unread.is_empty() {
            let all: u64 = unread.iter().map(|(_, chat)| chat.unread.count()).sum();
            let plus = if unread.iter().any(|(_, chat)| chat.unread.is_more()) { "+" } else { "" };
            let mentions: u64 = unread.iter().map(|(_, chat)| chat.unread.mentions()).sum();
            let mentions = if mentions > 0 { format!(", {mentions} @") } else { String::new() };
            let named = unread.iter().take(STATUS_UNREAD).map(|(id, chat)| {
                let to = self.directory.target_of(**id);
                format!("{} {}", self.directory.short_label(&to, STATUS_NAME), chat.unread.text())
            });
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if unread.len() > STATUS_UNREAD { ", …" } else { "" };
            parts.push(format!("{all}{plus} unread{mentions}: {named}{more}"));
        }
        if !self.own.failed.is_empty() {
            parts.push(format!("{} not sent (/retry)", self.own.failed.len()));
        }
        parts.join(&format!(" {0}{0} ", self.style.rule()))
    }

    /// Updates the names that the editor can complete.
    pub fn publish_names(&mut self) {
        self.directory.meet_all();
        self.editor.set_names(self.directory.names());
    }
}
