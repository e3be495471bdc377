//! Whether each message to the group that was refused could be refused: as the timeline tells when who was a member.

use crate::device::{Device, Written};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ConversationId, Errno, Mentions, Message, Seq, Target, UserId};

/// A membership of the group, from the entry of a join to that of the leave after it.
#[derive(Clone, Copy, Debug)]
struct Stay {
    first: Seq,
    /// When it began, milliseconds.
    from: u64,
    /// When it ended.
    to: Option<u64>,
}

/// From when a message was written to when its device was told that it is refused.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    to: u64,
}

impl Stay {
    /// Whether it certainly lasted all the time.
    fn covers(&self, span: Span) -> bool {
        self.from < span.from && self.to.is_none_or(|to| to > span.to)
    }

    /// Whether it lasted at some time.
    fn meets(&self, span: Span) -> bool {
        self.from <= span.to && self.to.is_none_or(|to| to >= span.from)
    }
}

/// `kept`: where timelines begin now.
pub fn check(w: &World, timeline: &[Arc<Message>], kept: &BTreeMap<ConversationId, Seq>) {
    let now = w.now();
    let begin = now.wall.0 - now.monotonic;
    for device in &w.devices {
        for written in device.written.values() {
            let Some((errno, at)) = written.refused else { continue };
            let is_to_group = written.target == Target::Conversation(w.group);
            let answered = written.references.as_ref().and_then(|references| references.reply_to);
            // What it answers may have been dropped.
            let is_dropped = |(conversation, first): (&ConversationId, &Seq)| {
                (*conversation == w.group) == is_to_group && answered.is_some_and(|of| of < *first)
            };
            if errno == Errno::NotFound && kept.iter().any(is_dropped) {
                continue;
            }
            assert!(is_to_group, "{:?} was refused {:?}: {errno:?}", device.user, written.text);
            let span = Span { from: written.at, to: at };
            let stays = |user| stays(timeline, begin, user);
            assert!(
                may_be_refused(device, written, errno, span, stays),
                "{:?} was refused {:?} in {span:?}: {errno:?}, references {:?}, {:?}",
                device.user,
                written.text,
                written.references,
                stays(device.user)
            );
        }
    }
}

fn may_be_refused(
    device: &Device,
    written: &Written,
    errno: Errno,
    span: Span,
    stays: impl Fn(UserId) -> Vec<Stay>,
) -> bool {
    let is_always_in = |user| stays(user).iter().any(|stay| stay.covers(span));
    let references = written.references.as_ref();
    match errno {
        Errno::Forbidden => !is_always_in(device.user),
        Errno::BadRequest => references.is_some_and(|references| match &references.mentions {
            Mentions::Users(users) => users.iter().any(|user| !is_always_in(*user)),
            _ => false,
        }),
        // What it answers is below the view.
        Errno::NotFound => references.and_then(|references| references.reply_to).is_some_and(|of| {
            let below = |stay: &Stay| stay.meets(span) && of < stay.first;
            stays(device.user).iter().any(below)
        }),
        _ => false,
    }
}

/// The memberships of a user. `begin`: the wall clock at 0 ms.
fn stays(timeline: &[Arc<Message>], begin: u64, user: UserId) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    for entry in timeline {
        // The group was made before the clock of the devices began.
        let at = entry.time.0.saturating_sub(begin);
        if entry.begins_view_of(user) {
            stays.push(Stay { first: entry.seq, from: at, to: None });
        } else if entry.ends_view_of(user) {
            stays.last_mut().expect("only members leave").to = Some(at);
        }
    }
    stays
}
