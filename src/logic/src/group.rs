//! Groups: made, joined.

use crate::Now;
use crate::effect::Effects;
use crate::parked::{Asked, Stage};
use crate::state::State;
use crate::store::Write;
use wire::reply::GroupCreated;
use wire::{ConversationId, Errno, Reply, UserId};

pub(crate) fn create(
    state: &mut State,
    now: Now,
    asked: Asked,
    owner: UserId,
    name: Box<str>,
    desc: Box<str>,
    fx: &mut Effects,
) {
    state.write(now, Some(asked), Stage::CreateGroup, Write::CreateGroup { owner, name, desc }, fx);
}

pub(crate) fn created(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::GroupCreated(GroupCreated { conversation }), fx);
    }
}

pub(crate) fn join(
    state: &mut State,
    now: Now,
    asked: Asked,
    user: UserId,
    conversation: ConversationId,
    fx: &mut Effects,
) {
    state.write(now, Some(asked), Stage::JoinGroup, Write::JoinGroup { user, conversation }, fx);
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
