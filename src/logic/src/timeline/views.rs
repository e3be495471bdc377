//! The push CONVERSATION: tells the other sessions of an account how it sees a conversation, once one of them has changed
//! that.

use crate::contract::timeline::Read;
use crate::delivery;
use crate::state::pending::timeline::Pending;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use wire::timeline::{ConversationView, Push};
use wire::{ConversationId, UserId};

/// A session has changed how its user sees a conversation. If there are others, reads it for them.
pub(super) fn changed(turn: &mut Turn<'_>, by: SessionRef, conversation: ConversationId) {
    let Some(user) = turn.state.sessions.get(by).map(|live| live.user) else { return };
    if turn.state.sessions.has_several(user) && turn.state.views.note(user, conversation, by) {
        read(turn, user, conversation, Some(by));
    }
}

fn read(turn: &mut Turn<'_>, user: UserId, conversation: ConversationId, by: Option<SessionRef>) {
    let pending = Pending::View { user, conversation, by };
    let (_, read) = turn.state.cursors.lay_over(conversation, user, Default::default());
    turn.read(ReplyTo::Nowhere, pending, Read::View { user, conversation, read });
}

/// Tells all sessions except `by`. `None`: it could not be read; the clients learn it at their next login.
pub(super) fn known(
    turn: &mut Turn<'_>,
    user: UserId,
    by: Option<SessionRef>,
    conversation: ConversationId,
    view: Option<Box<ConversationView>>,
) {
    if let Some(view) = view {
        delivery::push_to_others(turn, user, by, Push::Conversation(view).into());
    }
    if let Some(by) = turn.state.views.end(user, conversation) {
        read(turn, user, conversation, by);
    }
}
