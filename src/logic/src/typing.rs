//! TYPING: tells the other members of a conversation that a user is typing. Nothing is stored.
//!
//! Of each user and conversation one is passed on in 3 s, in groups of at most [`TYPING_MEMBERS`] members. Whether the
//! user is a member is known from the track of the session or read. The members of a group are read, at most so many,
//! by each node that has sessions of the group: the other nodes are told on the group's channel.

use crate::contract::{Denial, Found, Read, Requester, group, timeline};
use crate::delivery;
use crate::limits::TYPING_MEMBERS;
use crate::state::pending::timeline::{Pending, Typing};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use wire::timeline::{Push, Typist};
use wire::{ConversationId, Errno, Page, Reply, UserId};

/// Passes on that a user is typing, unless that was done a moment ago, and answers the request.
pub(crate) fn arrive(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    conversation: ConversationId,
) {
    let session = turn.state.sessions.of_caller(session);
    let typist = Typist { conversation, id: session.user };
    let track = session.track_mut(conversation).map(|track| track.peer);
    if turn.state.typing.passed.contains(&(typist.id, conversation), turn.now.monotonic) {
        return turn.answer(reply_to, Reply::Done);
    }
    match track {
        Some(Some(peer)) => to_peer(turn, reply_to, typist, peer),
        Some(None) => to_group(turn, reply_to, typist),
        None => {
            let read = timeline::Read::Standing { user: typist.id, conversation };
            ask(turn, reply_to, Typing::Standing(typist), read);
        }
    }
}

/// Another node tells that a member of a group is typing.
pub(crate) fn heard(turn: &mut Turn<'_>, typist: Typist) {
    if !turn.state.typing.large.contains(&typist.conversation, turn.now.monotonic) {
        ask(turn, ReplyTo::Nowhere, Typing::Elsewhere(typist), members(typist));
    }
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, typing: Typing, found: Found) {
    match (typing, found) {
        (Typing::Standing(typist), Found::Timeline(timeline::Found::Standing(Some(standing))))
            if !standing.has_left =>
        {
            match standing.peer {
                Some(peer) => to_peer(turn, reply_to, typist, peer),
                None => to_group(turn, reply_to, typist),
            }
        }
        (Typing::Standing(_), Found::Timeline(timeline::Found::Standing(_)))
        | (_, Found::Denied(Denial::Forbidden)) => {
            turn.refuse(reply_to, Errno::Forbidden, "only members may tell that they are typing");
        }
        (
            Typing::Members(typist) | Typing::Elsewhere(typist),
            Found::Group(group::Found::Members { more: true, .. }),
        ) => {
            turn.state.typing.large.note(typist.conversation, turn.now.monotonic);
            turn.answer(reply_to, Reply::Done);
        }
        (Typing::Members(typist), Found::Group(group::Found::Members { members, .. })) => {
            if is_next(turn, typist) {
                push_here(turn, typist, &members);
                turn.state.cluster.publish_to_group(
                    typist.conversation,
                    Push::Typing(typist).into(),
                    turn.effects,
                );
            }
            turn.answer(reply_to, Reply::Done);
        }
        (Typing::Elsewhere(typist), Found::Group(group::Found::Members { members, .. })) => {
            push_here(turn, typist, &members);
        }
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

fn to_peer(turn: &mut Turn<'_>, reply_to: ReplyTo, typist: Typist, peer: UserId) {
    if is_next(turn, typist) {
        delivery::push(turn, peer, Push::Typing(typist).into());
    }
    turn.answer(reply_to, Reply::Done);
}

fn to_group(turn: &mut Turn<'_>, reply_to: ReplyTo, typist: Typist) {
    if turn.state.typing.large.contains(&typist.conversation, turn.now.monotonic) {
        return turn.answer(reply_to, Reply::Done);
    }
    ask(turn, reply_to, Typing::Members(typist), members(typist));
}

/// Notes that it is passed on; `false`: another one was passed on while this one waited.
fn is_next(turn: &mut Turn<'_>, typist: Typist) -> bool {
    turn.state.typing.passed.note((typist.id, typist.conversation), turn.now.monotonic)
}

fn push_here(turn: &mut Turn<'_>, typist: Typist, members: &[group::Member]) {
    for member in members.iter().filter(|member| member.user != typist.id) {
        delivery::push_here(turn, member.user, None, &Push::Typing(typist).into());
    }
}

/// The members of the group, if it is not too large. Denied if the typist is none.
fn members(typist: Typist) -> group::Read {
    let Typist { id: user, conversation } = typist;
    group::Read::Members { user, conversation, page: Page { after: 0, limit: TYPING_MEMBERS } }
}

/// Issues a read on behalf of the typist, unless too many are waiting.
fn ask(turn: &mut Turn<'_>, reply_to: ReplyTo, typing: Typing, read: impl Into<Read>) {
    match turn.state.refusal_to_read(Requester::Account(typing.typist().id)) {
        Some(refusal) => turn.answer(reply_to, refusal),
        None => turn.read(reply_to, Pending::Typing(typing), read),
    }
}
