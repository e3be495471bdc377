//! Whom a typed line is meant for. What could be meant for two is asked, never guessed.

use super::directory::Directory;
use crate::command::ambiguity::Ambiguity;
use crate::command::argument::{self, WhichGroup};
use crate::display::style::person;
use chatclient_core::sanitize;
use wire::account::Who;
use wire::{ConversationId, ConversationKind, name};

/// A name or id at the beginning of a text, as it was typed, and the text after it.
pub type NameAndText<'t> = (&'t str, &'t str);

impl Directory {
    /// The group that is meant. The error is a sentence: there is none, there are several, or it is a direct chat.
    pub fn group_meant(&self, group: &WhichGroup) -> Result<ConversationId, String> {
        match group {
            WhichGroup::Id(id) => match self.chats.get(id) {
                Some(chat) if chat.kind == ConversationKind::Direct => {
                    let who = chat.peer.map_or("WHO".to_owned(), |peer| peer.to_string());
                    let label = self.conversation(*id);
                    Err(format!(
                        "{id} is no group but your chat with {label}: chat:{who}:MESSAGE sends there"
                    ))
                }
                _ => Ok(*id),
            },
            WhichGroup::Name(wanted) => match &self.groups_named(wanted)[..] {
                [id] => Ok(*id),
                [] => {
                    Err(format!("you are in no group called {}; /join ID joins one", sanitize::line(wanted)))
                }
                several => {
                    let listed: Vec<String> = several.iter().map(|id| self.group_with_desc(*id)).collect();
                    Err(format!(
                        "{} of your groups are called {}; write the id:{}",
                        several.len(),
                        sanitize::line(wanted),
                        listed.concat()
                    ))
                }
            },
        }
    }

    fn groups_named(&self, wanted: &str) -> Vec<ConversationId> {
        let key = name::key(wanted);
        let named = self.groups.values().filter(|group| name::key(&group.name) == key);
        named.map(|group| group.conversation).collect()
    }

    /// The groups of a name, unless it is an id.
    pub fn groups_called(&self, of: &str) -> Vec<ConversationId> {
        match argument::group(of) {
            Some(WhichGroup::Name(name)) => self.groups_named(&name),
            _ => Vec::new(),
        }
    }

    fn group_with_desc(&self, id: ConversationId) -> String {
        let desc = self.groups.get(&id).map(|group| sanitize::line(&group.desc)).unwrap_or_default();
        format!("\n  {}  {desc}", self.group(id)).trim_end().to_owned()
    }

    /// Splits a group's name or id from the text after it: a name in quotes, an id, the known name, or one word. The
    /// error is a question.
    pub fn split_group<'t>(&self, text: &'t str) -> Result<NameAndText<'t>, String> {
        split(text, argument::group_id(first_word(text)).is_some(), |name| {
            !self.groups_named(name).is_empty()
        })
    }

    /// The same with a user's name or id. `is_addressed` says which other names are known: those of users that a message
    /// is on its way to, which the server has not confirmed yet.
    pub fn split_name<'t>(
        &self,
        text: &'t str,
        is_addressed: impl Fn(&str) -> bool,
    ) -> Result<NameAndText<'t>, String> {
        let is_id = matches!(argument::who(first_word(text)), Some(Who::Id(_)));
        split(text, is_id, |name| self.has_user_named(name) || is_addressed(name))
    }

    /// The user that a line may be meant for beside the one whose name ends at the first colon. `typed` is what follows
    /// the command.
    pub fn other_user<'t>(&self, typed: &'t str) -> Option<Ambiguity<'t>> {
        Ambiguity::find(typed, |name| self.has_user_named(name))
    }

    /// The same with a group.
    pub fn other_group<'t>(&self, typed: &'t str) -> Option<Ambiguity<'t>> {
        Ambiguity::find(typed, |name| !self.groups_named(name).is_empty())
    }

    fn has_user_named(&self, wanted: &str) -> bool {
        let key = name::key(wanted);
        let is_it = |name: &str| name::key(name) == key;
        self.friends.values().any(|friend| is_it(&friend.name))
            || self.chats.values().any(|chat| chat.kind == ConversationKind::Direct && is_it(&chat.name))
            || self.strangers.values().any(|name| is_it(name))
    }

    /// The conversation with a user, or of a group by `#ID`, `#NAME` or its name. The error is a sentence: several are
    /// meant, or no group.
    pub fn conversation_meant(&self, of: &str) -> Result<Option<ConversationId>, String> {
        if let Some(group) = of.strip_prefix('#') {
            return argument::group(group).map(|group| self.group_meant(&group)).transpose();
        }
        let user = argument::who(of).and_then(|who| self.direct(&who));
        match (user, &self.groups_called(of)[..]) {
            (Some(_), [group, ..]) => {
                Err(format!("a user and a group have this name: write the user's id, or #{group}"))
            }
            (user, []) => Ok(user),
            (None, [group]) => Ok(Some(*group)),
            (None, [_, ..]) => argument::group(of).map(|group| self.group_meant(&group)).transpose(),
        }
    }

    /// `zhang san (1)` for an account that has just been looked up, which is known from then on.
    pub fn learn_user(&mut self, id: wire::UserId, name: &str) -> String {
        self.meet(id, name);
        if !self.knows(id) {
            self.strangers.insert(id, name.to_owned());
        }
        person(name, id)
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// Splits a text after a name in quotes, otherwise after the first word if that is an id, the only known name, or else
/// after the first word. The error is a question: two known names fit.
fn split<'t>(text: &'t str, is_id: bool, is_known: impl Fn(&str) -> bool) -> Result<NameAndText<'t>, String> {
    let text = text.trim_start();
    if let Some(quoted) = argument::quoted(text) {
        let (name, rest) = text.split_at(quoted.end);
        return Ok((name, rest.trim_start()));
    }
    let ends = text.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let ends: Vec<usize> = ends.chain([text.len()]).collect();
    let first = ends.first().copied().unwrap_or_default();
    let known: Vec<usize> =
        if is_id { vec![] } else { ends.into_iter().filter(|end| is_known(&text[..*end])).collect() };
    let end = match known[..] {
        [] => first,
        [end] => end,
        [shorter, .., longer] => {
            let (shorter, longer) = (sanitize::line(&text[..shorter]), sanitize::line(&text[..longer]));
            return Err(format!(
                "{shorter} or {longer}? Put the name in quotes: \"{shorter}\" or \"{longer}\""
            ));
        }
    };
    let (name, rest) = text.split_at(end);
    Ok((name, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::UserId;
    use wire::contact::Friend;
    use wire::group::{Group, Role};
    use wire::presence::Presence;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (id, name) in [(2, "li si"), (3, "li"), (4, "zhang san"), (5, "alice:bob"), (6, "1")] {
            let (id, name, state) = (UserId(id), name.into(), Presence::Online);
            let (text, last_seen, remark, tag) = (None, None, None, None);
            let friend = Friend { id, name, state, text, last_seen, remark, tag };
            directory.friends.insert(id, friend);
        }
        for (id, name) in [(7, "night shift"), (8, "devs"), (9, "Devs"), (10, "7")] {
            let id = ConversationId(id);
            let group = Group { conversation: id, name: name.into(), desc: "who".into(), role: Role::Normal };
            directory.groups.insert(id, group);
        }
        directory
    }

    #[test]
    fn a_name_with_spaces_is_split_off() {
        let directory = directory();
        for (text, expected) in [
            ("zhang san", ("zhang san", "")),
            ("ZHANG SAN  hello you", ("ZHANG SAN", "hello you")),
            ("li hello", ("li", "hello")),
            ("\"li\" si hello", ("\"li\"", "si hello")),
            ("wang wu hello", ("wang", "wu hello")),
            ("\"wang wu\" hello", ("\"wang wu\"", "hello")),
            ("2 hi", ("2", "hi")),
        ] {
            assert_eq!(directory.split_name(text, |_| false), Ok(expected));
        }
        // A message to wang wu is on its way.
        let is_addressed = |name: &str| name::key(name) == "wang wu";
        assert_eq!(directory.split_name("Wang Wu hello", is_addressed), Ok(("Wang Wu", "hello")));
        assert_eq!(directory.split_name("wang wu", is_addressed), Ok(("wang wu", "")));
        // li or li si?
        for text in ["li si", "LI SI hello"] {
            assert!(directory.split_name(text, |_| false).is_err(), "{text}");
        }
        for (text, expected) in [
            ("7 hello all", ("7", "hello all")),
            ("night shift hello", ("night shift", "hello")),
            ("\"night watch\" hi", ("\"night watch\"", "hi")),
            ("unknown", ("unknown", "")),
        ] {
            assert_eq!(directory.split_group(text), Ok(expected));
        }
    }

    #[test]
    fn a_group_is_found_by_id_and_by_a_name_that_only_one_has() {
        let directory = directory();
        let meant = |text: &str| directory.group_meant(&argument::group(text).unwrap());
        assert_eq!(meant("7"), Ok(ConversationId(7)));
        assert_eq!(meant("\"7\""), Ok(ConversationId(10)));
        assert_eq!(meant("night shift"), Ok(ConversationId(7)));
        let question = meant("devs").unwrap_err();
        assert!(question.contains("#8 devs") && question.contains("#9 Devs"), "{question}");
        assert!(meant("ops").unwrap_err().contains("no group called ops"));
    }

    #[test]
    fn a_name_with_a_colon_is_asked_about() {
        let mut directory = directory();
        let ops = Group {
            conversation: ConversationId(11),
            name: "devs:ops".into(),
            desc: "".into(),
            role: Role::Normal,
        };
        directory.groups.insert(ops.conversation, ops);
        assert_eq!(directory.other_user("ALICE:bob:hi").unwrap().long, "ALICE:bob");
        assert_eq!(directory.other_group("devs:ops:hi").unwrap().long, "devs:ops");
        for typed in ["alice:bobby:hi", "devs:ops:hi", "li:si", "1:hi"] {
            assert_eq!(directory.other_user(typed), None, "{typed}");
        }
        for typed in ["alice:bob:hi", "devs:hi", "8:hi"] {
            assert_eq!(directory.other_group(typed), None, "{typed}");
        }
    }
}
