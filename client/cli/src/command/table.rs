//! The table of commands, and [`Command`], the sum of the nouns.

use super::argument::{group, group_id, name_and_desc, some, who};
use super::contact::Note;
use super::timeline::Setting;
use super::{change, contact, group, message, presence, session, timeline};

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Session(session::Command),
    Contact(contact::Command),
    Group(group::Command),
    Message(message::Command),
    Change(change::Command),
    Timeline(timeline::Command),
    Presence(presence::Command),
}

/// A command: how it is written, explained, completed and parsed.
#[derive(Debug)]
pub struct Row {
    /// The word before the first colon or space.
    pub name: &'static str,
    /// The syntax, fields in capitals; at most 22 columns.
    pub form: &'static str,
    pub example: &'static str,
    /// The help text; at most 47 columns.
    pub purpose: &'static str,
    /// The Tab completion of the first field.
    pub completes: Completes,
    /// Where the command works.
    pub used: Used,
    /// Parses what follows the name and its divider: `None` if nothing does.
    pub parse: fn(Option<&str>) -> Option<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    Nothing,
    User,
    Group,
    UserOrGroup,
    Path,
    Command,
    /// The number of a recent message of the open conversation.
    Message,
    /// The same of an own one.
    OwnMessage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    Everywhere,
    /// Not in scripts: it needs an open conversation or a person.
    AtTerminal,
}

use Command::{Change, Contact, Group, Message, Presence, Session, Timeline};
use Used::{AtTerminal, Everywhere};

/// Every command, in the order of `help`: first those with colons, then those with a slash.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row("help", "help", "help", "list the commands; /help COMMAND explains one",
        Completes::Nothing, Everywhere, |rest| bare(rest, Session(session::Command::Help(None)))),
    row("chat", "chat:WHO:MESSAGE", "chat:2:hello", "send to a user; WHO is an id or a name",
        Completes::User, Everywhere, |rest| message::to_user(rest?).map(Message)),
    row("addfriend", "addfriend:WHO", "addfriend:2", "add a friend",
        Completes::User, Everywhere, add_friend),
    row("creategroup", "creategroup:NAME:DESC", "creategroup:devs:who builds it", "create a group; prints its id",
        Completes::Nothing, Everywhere, |rest| Some(Group(name_and_desc(rest?, false)?.into()))),
    row("addgroup", "addgroup:ID", "addgroup:7", "join a group",
        Completes::Group, Everywhere, |rest| Some(Group(group::Command::Join { group: group_id(rest?)? }))),
    row("groupchat", "groupchat:GROUP:TEXT", "groupchat:7:hello all", "send to a group, by id or name",
        Completes::Group, Everywhere, |rest| message::to_group(rest?).map(Message)),
    row("history", "history:WHO", "history:2", "show messages with a user; older: history:2:SEQ",
        Completes::User, Everywhere, |rest| timeline::with_user(rest?).map(Timeline)),
    row("grouphistory", "grouphistory:GROUP", "grouphistory:7", "show messages of a group; older: add :SEQ",
        Completes::Group, Everywhere, |rest| timeline::of_group(rest?).map(Timeline)),
    row("friends", "friends", "friends", "list your friends",
        Completes::Nothing, Everywhere, list_friends),
    row("groups", "groups", "groups", "list your groups",
        Completes::Nothing, Everywhere, list_groups),
    row("loginout", "loginout", "loginout", "log out and return to the menu",
        Completes::Nothing, Everywhere, log_out),
    row("quit", "quit", "quit", "leave the program",
        Completes::Nothing, Everywhere, quit),
    row("/msg", "/msg WHO [TEXT]", "/msg \"li si\" hello", "open a chat; with TEXT, send it and stay here",
        Completes::User, AtTerminal, |rest| Some(Message(message::Command::Open(some(rest?)?)))),
    row("/join", "/join GROUP [TEXT]", "/join 7", "join and open a group; with TEXT, send and stay",
        Completes::Group, AtTerminal, |rest| Some(Group(group::Command::Open(some(rest?)?)))),
    row("/open", "/open [WHO|#GROUP]", "/open li si", "open a conversation, or list all with keys",
        Completes::UserOrGroup, AtTerminal, |rest| Some(Timeline(timeline::Command::Open(rest.map(str::to_owned))))),
    row("/pin", "/pin [WHO]", "/pin #7", "list a conversation first",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Pinned(true), rest)),
    row("/unpin", "/unpin [WHO]", "/unpin #7", "list a conversation in its place again",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Pinned(false), rest)),
    row("/mute", "/mute [WHO]", "/mute #7", "quiet a conversation, except for mentions",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Muted(true), rest)),
    row("/unmute", "/unmute [WHO]", "/unmute #7", "show and ring for a conversation again",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Muted(false), rest)),
    row("/hide", "/hide [WHO]", "/hide #7", "list a conversation after its next message only",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Hidden(true), rest)),
    row("/unhide", "/unhide [WHO]", "/unhide #7", "list a hidden conversation again",
        Completes::UserOrGroup, Everywhere, |rest| set(Setting::Hidden(false), rest)),
    row("/forget", "/forget [WHO]", "/forget #7", "remove its messages for yourself, for good",
        Completes::UserOrGroup, Everywhere, |rest| Some(Timeline(timeline::Command::Forget(rest.map(str::to_owned))))),
    row("/me", "/me TEXT", "/me waves", "say what you do: * waves",
        Completes::Nothing, AtTerminal, |rest| Some(Message(message::Command::Here(format!("* {}", rest?))))),
    row("/close", "/close", "/close", "close the open conversation; deletes nothing",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Timeline(timeline::Command::Close))),
    row("/history", "/history [WHO|#GROUP]", "/history #7", "show the latest messages, here or of WHO",
        Completes::UserOrGroup, AtTerminal, |rest| Some(Timeline(timeline::Command::Latest(rest.map(str::to_owned))))),
    row("/older", "/older", "/older", "show earlier messages of the open conversation",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Timeline(timeline::Command::Older))),
    row("/newer", "/newer", "/newer", "show the next page of unread messages",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Timeline(timeline::Command::Newer))),
    row("/friends", "/friends", "/friends", "list your friends",
        Completes::Nothing, Everywhere, list_friends),
    row("/groups", "/groups", "/groups", "list your groups",
        Completes::Nothing, Everywhere, list_groups),
    row("/members", "/members [GROUP]", "/members 7", "list the members of a group",
        Completes::Group, Everywhere, |rest| Some(Group(group::Command::Members(rest.and_then(group))))),
    row("/leave", "/leave [GROUP]", "/leave 7", "leave a group; asks first",
        Completes::Group, Everywhere, |rest| Some(Group(group::Command::Leave(rest.and_then(group))))),
    row("/kick", "/kick WHO", "/kick 7:li si", "remove a member, or GROUP:WHO; asks first",
        Completes::User, Everywhere, |rest| group::about(rest?, group::Act::Remove { bar: false }).map(Group)),
    row("/ban", "/ban WHO", "/ban 7:li si", "remove a member, who may not join again",
        Completes::User, Everywhere, |rest| group::about(rest?, group::Act::Remove { bar: true }).map(Group)),
    row("/role", "/role WHO ROLE", "/role 7:li si admin", "make a member admin, or normal again",
        Completes::User, Everywhere, |rest| group::role(rest?).map(Group)),
    row("/transfer", "/transfer WHO", "/transfer 7:li si", "make a member the creator; asks first",
        Completes::User, Everywhere, |rest| group::about(rest?, group::Act::Transfer).map(Group)),
    row("/search", "/search WORDS", "/search #7 two words", "find messages; in one chat #7 or @WHO first",
        Completes::UserOrGroup, Everywhere, |rest| timeline::search(rest).map(Timeline)),
    row("/readers", "/readers [GROUP:][SEQ]", "/readers 7:12", "list who has read a message, or your last one",
        Completes::Group, Everywhere, |rest| timeline::readers(rest).map(Timeline)),
    row("/edit", "/edit N TEXT", "/edit 12 at nine", "give your message another text; see /react",
        Completes::OwnMessage, Everywhere, |rest| change::edit(rest?).map(Change)),
    row("/recall", "/recall N", "/recall 12", "take a message back, for everybody",
        Completes::OwnMessage, Everywhere, |rest| change::recall(rest?).map(Change)),
    row("/react", "/react N EMOJI", "/react 12 👍", "react to message 12; elsewhere WHO:12, #7:12",
        Completes::Message, Everywhere, |rest| change::react(rest?, true).map(Change)),
    row("/unreact", "/unreact N EMOJI", "/unreact 12 👍", "take a reaction back",
        Completes::Message, Everywhere, |rest| change::react(rest?, false).map(Change)),
    row("/add", "/add WHO", "/add li si", "the same as addfriend",
        Completes::User, Everywhere, add_friend),
    row("/find", "/find ID|NAME", "/find zhang", "find users by id or the beginning of a name",
        Completes::Nothing, Everywhere, |rest| contact::find(rest?).map(Contact)),
    row("/unfriend", "/unfriend WHO", "/unfriend li si", "end a friendship; asks first",
        Completes::User, Everywhere, |rest| Some(Contact(contact::Command::Remove { who: who(rest?)? }))),
    row("/remark", "/remark WHO:[TEXT]", "/remark li si:my boss", "note what you call a friend, for yourself",
        Completes::User, Everywhere, |rest| contact::note(rest?, Note::Remark).map(Contact)),
    row("/tag", "/tag WHO:[TEXT]", "/tag li si:work", "note a word to sort a friend by, for yourself",
        Completes::User, Everywhere, |rest| contact::note(rest?, Note::Tag).map(Contact)),
    row("/profile", "/profile [WHO]", "/profile li si", "show the profile of a user, or your own",
        Completes::User, Everywhere, |rest| contact::profile(rest).map(Contact)),
    row("/away", "/away [TEXT]", "/away lunch", "show friends that you are away, and why",
        Completes::Nothing, Everywhere, |rest| Some(Presence(presence::away(rest)))),
    row("/back", "/back", "/back", "show friends that you are online again",
        Completes::Nothing, Everywhere, |rest| bare(rest, Presence(presence::Command::Back))),
    row("/create", "/create NAME[:DESC]", "/create devs:who builds it", "the same as creategroup",
        Completes::Nothing, Everywhere, |rest| Some(Group(name_and_desc(rest?, true)?.into()))),
    row("/devices", "/devices", "/devices", "list your logins, on this and other devices",
        Completes::Nothing, Everywhere, |rest| bare(rest, Session(session::Command::Devices))),
    row("/revoke", "/revoke ID|all", "/revoke 3", "end a login of /devices, or all others",
        Completes::Nothing, Everywhere, |rest| session::revoke(rest?).map(Session)),
    row("/password", "/password", "/password", "change your password; ends all other logins",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Session(session::Command::Password))),
    row("/file", "/file PATH", "/file notes.txt", "send a text file to the open conversation",
        Completes::Path, AtTerminal, |rest| Some(Message(message::Command::File(some(rest?)?)))),
    row("/reply", "/reply [WHO:]N TEXT", "/reply 12 yes, at eight", "answer message N, here or of WHO, or the last",
        Completes::Message, Everywhere, |rest| message::reply(rest?).map(Message)),
    row("/more", "/more", "/more", "show the rest of the last long text",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Message(message::Command::More))),
    row("/retry", "/retry", "/retry", "send failed messages (marked !) again",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Message(message::Command::Retry))),
    row("/drop", "/drop", "/drop", "drop failed messages",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Message(message::Command::Drop))),
    row("/clear", "/clear", "/clear", "clear the screen; deletes nothing",
        Completes::Nothing, AtTerminal, |rest| bare(rest, Session(session::Command::Clear))),
    row("/help", "/help [COMMAND]", "/help chat", "list the commands, or explain one",
        Completes::Command, Everywhere, |rest| bare(rest, Session(session::Command::Help(None)))),
    row("/logout", "/logout", "/logout", "the same as loginout",
        Completes::Nothing, Everywhere, log_out),
    row("/quit", "/quit", "/quit", "the same as quit, or Ctrl-D",
        Completes::Nothing, Everywhere, quit),
    row("//", "//TEXT", "//etc is a folder", "send a text that begins with a slash",
        Completes::Nothing, AtTerminal, |rest| Some(Message(message::Command::Here(format!("/{}", rest?))))),
];

/// The row of this name.
pub fn row_of(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// A command without fields.
fn bare(rest: Option<&str>, command: Command) -> Option<Command> {
    rest.is_none().then_some(command)
}

fn add_friend(rest: Option<&str>) -> Option<Command> {
    Some(Contact(contact::Command::Add { who: who(rest?)? }))
}

fn list_friends(rest: Option<&str>) -> Option<Command> {
    bare(rest, Contact(contact::Command::List))
}

fn list_groups(rest: Option<&str>) -> Option<Command> {
    bare(rest, Group(group::Command::List))
}

fn set(setting: Setting, rest: Option<&str>) -> Option<Command> {
    Some(Timeline(timeline::Command::Set(setting, rest.map(str::to_owned))))
}

fn log_out(rest: Option<&str>) -> Option<Command> {
    bare(rest, Session(session::Command::Logout))
}

fn quit(rest: Option<&str>) -> Option<Command> {
    bare(rest, Session(session::Command::Quit))
}

const fn row(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    purpose: &'static str,
    completes: Completes,
    used: Used,
    parse: fn(Option<&str>) -> Option<Command>,
) -> Row {
    Row { name, form, example, purpose, completes, used, parse }
}
