//! Replies and messages in lines of text, without colours: lists of friends, groups and members, and a message as one
//! line.

use super::style::person;
use super::{change, clock, columns};
use chatclient_core::sanitize;
use wire::account::{FoundUsers, Profile, Relation};
use wire::contact::{Friend, FriendRequest};
use wire::group::{Group, Member, Role};
use wire::presence::Presence;
use wire::session::{ClientKind, Device};
use wire::timeline::ReadersPage;
use wire::{ConversationKind, Message, Reply, UnixMillis, account, contact, group, session, timeline};

/// A reply in lines; `None` where it has nothing to show.
pub fn reply(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Account(account::Reply::Profile(found)) => Some(profile(found)),
        Reply::Account(account::Reply::Found(found)) => Some(found_users(found)),
        Reply::Session(session::Reply::Devices(page)) => Some(devices(&page.devices)),
        Reply::Contact(contact::Reply::Friends(page)) => Some(friends(page.friends.iter(), &page.requests)),
        Reply::Group(group::Reply::Created(created)) => Some(created.conversation.to_string()),
        Reply::Group(group::Reply::Groups(page)) => Some(groups(page.groups.iter())),
        Reply::Group(group::Reply::Members(page)) => Some(members(&page.members)),
        Reply::Timeline(timeline::Reply::Readers(page)) => Some(readers(page)),
        Reply::Timeline(timeline::Reply::Results(page)) if !page.messages.is_empty() => {
            Some(page.messages.iter().map(|message| found(message)).collect::<Vec<_>>().join("\n"))
        }
        Reply::Timeline(timeline::Reply::History(page)) if !page.messages.is_empty() => {
            Some(page.messages.iter().map(|message| self::message(message)).collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

/// A result of a search, with its day: `2026-11-30 12:03 #7 | zhang san (1): hello`.
fn found(found: &Message) -> String {
    let line = message(found);
    let (_, text) = line.split_once("] ").unwrap_or(("", &line));
    format!("{} {text}", clock::minute(found.time))
}

fn found_users(found: &FoundUsers) -> String {
    if found.users.is_empty() {
        return "nobody is called so".to_owned();
    }
    let mut lines = format!("users ({}{}):", found.users.len(), if found.more { ", and more" } else { "" });
    for user in &found.users {
        let nick = user.nick.as_deref().map(|nick| sanitize::line(nick).into_owned());
        lines += &row(user.id.0, &user.name, &nick.unwrap_or_default());
    }
    lines
}

fn profile(profile: &Profile) -> String {
    let relation = match profile.relation {
        Relation::Oneself => "you",
        Relation::Friend => "a friend of yours",
        Relation::None => "not a friend of yours",
    };
    let nick = profile.nick.as_deref().map(|nick| format!("\n  nick     {}", sanitize::line(nick)));
    let (who, created) = (person(&profile.name, profile.id), clock::date(profile.created));
    let noted = notes(profile.remark.as_deref(), profile.tag.as_deref());
    format!("{who}, {relation}{noted}{}\n  created  {created}", nick.unwrap_or_default())
}

/// What the user notes about a friend, behind its name.
fn notes(remark: Option<&str>, tag: Option<&str>) -> String {
    let remark = remark.map(|remark| format!("  ({})", sanitize::line(remark)));
    let tag = tag.map(|tag| format!("  [{}]", sanitize::line(tag)));
    remark.unwrap_or_default() + &tag.unwrap_or_default()
}

/// Friends, and the users who ask to become friends.
pub fn friends<'f>(friends: impl ExactSizeIterator<Item = &'f Friend>, requests: &[FriendRequest]) -> String {
    let mut lines = format!("friends ({}):", friends.len());
    for friend in friends {
        let shown = presence(friend.state, friend.text.as_deref(), friend.last_seen);
        lines += &row(friend.id.0, &friend.name, &shown);
        lines += &notes(friend.remark.as_deref(), friend.tag.as_deref());
    }
    for request in requests {
        let who = person(&request.name, request.id);
        lines += &format!("\n  {who} wants to be friends: {}", sanitize::line(&request.message));
        lines += &format!("  (addfriend:{} accepts)", request.id);
    }
    lines
}

pub fn groups<'g>(groups: impl ExactSizeIterator<Item = &'g Group>) -> String {
    let mut lines = format!("groups ({}):", groups.len());
    for group in groups {
        lines += &row(group.conversation.0, &group.name, &sanitize::line(&group.desc));
    }
    lines
}

pub fn members(members: &[Member]) -> String {
    let mut lines = format!("members ({}):", members.len());
    for member in members {
        let role = match member.role {
            Role::Creator => "  creator",
            Role::Admin => "  admin",
            Role::Normal => "",
        };
        lines += &row(member.id.0, &member.name, &format!("{}{role}", presence(member.state, None, None)));
    }
    lines
}

/// The logins of an account: two lines each.
pub fn devices(devices: &[Device]) -> String {
    let mut lines = format!("logins ({}):", devices.len());
    for device in devices {
        let state = match (device.current, device.online) {
            (true, _) => "this one",
            (false, true) => "online",
            (false, false) => "",
        };
        lines += &row(device.id.0, named(&device.device), &format!("{}  {state}", client_kind(device.kind)));
        let (created, used) = (clock::minute(device.created), clock::minute(device.last_used));
        let from = match &*device.address {
            "" => String::new(),
            address => format!(" from {}", sanitize::line(address)),
        };
        lines += &format!("\n         since {created}, last login {used}{from}");
    }
    lines
}

fn named(device: &str) -> &str {
    if device.is_empty() { "(no name)" } else { device }
}

fn client_kind(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Terminal => "terminal",
        ClientKind::Web => "web",
        ClientKind::Mobile => "mobile",
        ClientKind::Script => "script",
        ClientKind::Other => "other",
    }
}

/// Those on a page who have read a message.
pub fn readers(page: &ReadersPage) -> String {
    let mut lines =
        format!("read by {} of {}{}", page.count, page.of, if page.readers.is_empty() { "" } else { ":" });
    for reader in &page.readers {
        lines += &row(reader.id.0, &reader.name, "");
    }
    let shown = page.readers.len() as u32;
    if page.more {
        lines += &format!("\n  and {} more", page.count.saturating_sub(shown));
    }
    lines
}

/// `online`, `away: lunch` or `offline, last seen 2026-11-30 12:03`.
pub fn presence(state: Presence, text: Option<&str>, last_seen: Option<UnixMillis>) -> String {
    let state = match (state, last_seen) {
        (Presence::Online, _) => "online",
        (Presence::Away, _) => "away",
        (Presence::Offline, None) => "offline",
        (Presence::Offline, Some(at)) => return format!("offline, last seen {}", clock::minute(at)),
        (Presence::Unknown, _) => "in a state that this version does not know",
    };
    match text {
        Some(text) => format!("{state}: {}", sanitize::line(text)),
        None => state.to_owned(),
    }
}

/// `[12:03] zhang san (1): hello`, or of an entry that is no message `[12:03] #7 | li si joined`, without colours.
pub fn message(message: &Message) -> String {
    let (at, who) = (clock::short(message.time), person(&message.name, message.from));
    let text = sanitize::line(change::text(message));
    if !message.is_message() {
        let text = change::told(message, &who).unwrap_or_else(|| text.into_owned());
        return format!("[{at}] #{} | {text}", message.conversation);
    }
    let answered = message.reply_to().map_or_else(String::new, |seq| format!("[re #{seq}] "));
    let text = format!("{text}{}", change::marks(message));
    match message.kind {
        ConversationKind::Group => format!("[{at}] #{} | {who}: {answered}{text}", message.conversation),
        ConversationKind::Direct => format!("[{at}] {who}: {answered}{text}"),
    }
}

/// Id, name and details, aligned for names of any script.
fn row(id: u32, name: &str, details: &str) -> String {
    const NAME: usize = 16;
    let name = sanitize::name(name);
    let pad = " ".repeat(NAME.saturating_sub(columns::width(&name)));
    format!("\n  {id:<6} {name}{pad}  {details}").trim_end().to_owned()
}
