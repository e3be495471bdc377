//! Groups: made, joined.

use crate::Now;
use crate::bus::Channel;
use crate::cluster::channel;
use crate::contract::{self, Write};
use crate::effect::Effects;
use crate::login::ENDED;
use crate::parked::{Asked, Stage};
use crate::session::SessionRef;
use crate::state::State;
use wire::group;
use wire::group::Created;
use wire::{ConversationId, Errno, Reply, UserId};

pub(crate) fn create(
    state: &mut State,
    now: Now,
    asked: Asked,
    (owner, session): (UserId, SessionRef),
    name: Box<str>,
    desc: Box<str>,
    fx: &mut Effects,
) {
    let write = state.fenced(session, Write::Group(contract::group::Write::Create { owner, name, desc }));
    state.write(now, Some(asked), Stage::CreateGroup, write, fx);
}

pub(crate) fn created(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    let session = asked.and_then(|asked| state.session_of(asked.conn));
    let Some(live) = session.filter(|_| state.cluster.is_some()).and_then(|key| state.sessions.get_mut(key))
    else {
        return ready(state, now, asked, conversation, fx);
    };
    // Before anybody gets to know the group, its maker's node listens to it.
    live.groups.push(conversation);
    let channels = [Channel::Group(conversation)];
    channel::hold(state, now, asked, &channels, Stage::GroupReady(conversation), fx);
}

/// The group may be known.
pub(crate) fn ready(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::Group(group::Reply::Created(Created { conversation })), fx);
    }
}

pub(crate) fn join(
    state: &mut State,
    now: Now,
    asked: Asked,
    session: SessionRef,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    if state.cluster.is_none() {
        return join_now(state, now, Some(asked), session, conversation, fx);
    }
    // What comes right after the joining is to be heard.
    let then = Stage::JoinGroup { session, conversation };
    channel::hold(state, now, Some(asked), &[Channel::Group(conversation)], then, fx);
}

pub(crate) fn join_now(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    let Some(live) = state.sessions.get(session) else {
        channel::drop(state, &[Channel::Group(conversation)], fx);
        return superseded_or_gone(state, now, asked, fx);
    };
    let write =
        state.fenced(session, Write::Group(contract::group::Write::Join { user: live.user, conversation }));
    state.write(now, asked, Stage::JoinGroup { session, conversation }, write, fx);
}

fn superseded_or_gone(state: &mut State, now: Now, asked: Option<Asked>, fx: &mut Effects) {
    if let Some(asked) = asked {
        state.refuse(now, asked, Errno::NotLoggedIn, ENDED, fx);
    }
}

/// What came of a joining, before it is answered: a node of a cluster goes on listening for who is a member now.
pub(crate) fn join_over(
    state: &mut State,
    session: SessionRef,
    conversation: ConversationId,
    joined: bool,
    fx: &mut Effects,
) {
    let Some(cluster) = &mut state.cluster else { return };
    if joined {
        cluster.lines.members_changed(conversation);
        if let Some(live) = state.sessions.get_mut(session) {
            return live.groups.push(conversation);
        }
    }
    channel::drop(state, &[Channel::Group(conversation)], fx);
}

pub(crate) fn join_refused(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    errno: Errno,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    let sentence = match errno {
        Errno::Conflict => "you are a member already",
        _ => "there is no such group",
    };
    state.refuse(now, asked, errno, sentence, fx);
}
