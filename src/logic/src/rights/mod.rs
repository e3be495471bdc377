//! What a member may do to an entry of its conversation, and to the other members of a group. Both stores ask in the
//! transaction that makes the change, after the conversation is locked.

pub mod group;

use crate::contract::change::{Refused, What, Write};
use wire::group::Role;
use wire::{Message, UnixMillis};

/// What decides whether an entry may be changed, as storage finds it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What the member's view has at that seq, as changes have left it.
    pub entry: Option<&'a Message>,
    /// The actor's role; in a direct conversation that of a member.
    pub role: Role,
    /// The role of who sent the entry; of who is no member any more, that of a member.
    pub sender_role: Role,
    pub now: UnixMillis,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The change is to be made, if it changes anything.
    Make,
    /// The entry is already as asked for.
    IsDone,
}

/// Whether a member may change an entry so. What is done already is not refused for being late.
pub fn change(write: &Write, asked: Asked<'_>) -> Result<Step, Refused> {
    let entry = asked.entry.ok_or(Refused::Absent)?;
    if !entry.is_message() {
        return Err(Refused::NoMessage);
    }
    let is_own = entry.from == write.by.user;
    match &write.what {
        What::React { .. } if entry.recalled().is_some() => Err(Refused::Recalled),
        What::React { .. } => Ok(Step::Make),
        What::Edit { .. } if !is_own => Err(Refused::Foreign),
        What::Edit { .. } if entry.recalled().is_some() => Err(Refused::Recalled),
        What::Edit { content, .. } if *content == entry.content => Ok(Step::IsDone),
        What::Edit { window, .. } => in_time(entry, *window, asked.now),
        What::Recall { .. } => {
            let is_above = match asked.role {
                Role::Creator => true,
                role => !is_own && role.is_above(asked.sender_role),
            };
            match &write.what {
                _ if !is_own && !is_above => Err(Refused::Foreign),
                _ if entry.recalled().is_some() => Ok(Step::IsDone),
                What::Recall { window } if !is_above => in_time(entry, *window, asked.now),
                _ => Ok(Step::Make),
            }
        }
    }
}

fn in_time(entry: &Message, window: u64, now: UnixMillis) -> Result<Step, Refused> {
    let until = UnixMillis(entry.time.0.saturating_add(window));
    if now < until { Ok(Step::Make) } else { Err(Refused::TooLate(until)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::entry::Actor;
    use std::sync::Arc;
    use wire::change::Changes;
    use wire::message::TEXT;
    use wire::{ConversationId, ConversationKind, Seq, UserId};

    const WINDOW: u64 = 1_000;

    fn entry(from: u32, recalled: bool) -> Message {
        let mut entry = Message {
            conversation: ConversationId(1),
            kind: ConversationKind::Group,
            seq: Seq(5),
            from: UserId(from),
            name: Arc::from("ann"),
            content_type: TEXT.into(),
            content: "hi".into(),
            time: UnixMillis(10_000),
            cid: None,
            extra: None,
        };
        if recalled {
            entry.recall(Changes { recalled: Some(UnixMillis(10_500)), ..Changes::default() });
        }
        entry
    }

    /// What the user 1 in this role may do to a message of a user in that role.
    fn ask(what: What, role: Role, entry: &Message, sender_role: Role, now: u64) -> Result<Step, Refused> {
        let by = Actor { user: UserId(1), name: "ann".into(), cid: "c".into() };
        let write = Write { by, conversation: ConversationId(1), seq: Seq(5), what };
        change(&write, Asked { entry: Some(entry), role, sender_role, now: UnixMillis(now) })
    }

    #[test]
    fn who_may_recall_what() {
        use Role::{Admin, Creator, Normal};
        let (early, late) = (10_999, 11_000);
        let over = Err(Refused::TooLate(UnixMillis(11_000)));
        for (role, from, sender_role, now, expected) in [
            (Normal, 1, Normal, early, Ok(Step::Make)),
            (Normal, 1, Normal, late, over),
            (Normal, 2, Normal, early, Err(Refused::Foreign)),
            (Admin, 1, Admin, early, Ok(Step::Make)),
            (Admin, 1, Admin, late, over),
            (Admin, 2, Normal, late, Ok(Step::Make)),
            (Admin, 2, Admin, early, Err(Refused::Foreign)),
            (Admin, 2, Creator, early, Err(Refused::Foreign)),
            (Creator, 1, Creator, late, Ok(Step::Make)),
            (Creator, 2, Normal, late, Ok(Step::Make)),
            (Creator, 2, Admin, late, Ok(Step::Make)),
        ] {
            let of = format!("{role:?} {from} {sender_role:?} {now}");
            let recall = || What::Recall { window: WINDOW };
            assert_eq!(ask(recall(), role, &entry(from, false), sender_role, now), expected, "{of}");
            // What is recalled already is never late, and nobody learns it who may not recall it.
            let again = if expected == Err(Refused::Foreign) { expected } else { Ok(Step::IsDone) };
            assert_eq!(ask(recall(), role, &entry(from, true), sender_role, now), again, "{of}");
        }
    }

    #[test]
    fn only_the_own_text_is_edited_in_time() {
        let edit = |content: &str| What::Edit { content: content.into(), window: WINDOW };
        for role in [Role::Normal, Role::Admin, Role::Creator] {
            let ask = |what, from, recalled, now| ask(what, role, &entry(from, recalled), Role::Normal, now);
            assert_eq!(ask(edit("ho"), 1, false, 10_999), Ok(Step::Make));
            assert_eq!(ask(edit("ho"), 1, false, 11_000), Err(Refused::TooLate(UnixMillis(11_000))));
            assert_eq!(ask(edit("hi"), 1, false, 99_000), Ok(Step::IsDone));
            assert_eq!(ask(edit("ho"), 1, true, 10_999), Err(Refused::Recalled));
            assert_eq!(ask(edit("ho"), 2, false, 10_999), Err(Refused::Foreign));
            let react = || What::React { reaction: "👍".into(), on: true };
            assert_eq!(ask(react(), 2, false, 99_000), Ok(Step::Make));
            assert_eq!(ask(react(), 2, true, 10_999), Err(Refused::Recalled));
        }
    }
}
