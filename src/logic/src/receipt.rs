//! ACK and READ: a member's cursors move, and the peer of a direct chat is told.

use crate::conn::ConnId;
use crate::contract::timeline::Standing;
use crate::contract::{self, Epoch, Read};
use crate::effect::Effects;
use crate::parked::{Asked, Stage};
use crate::session::SessionRef;
use crate::state::State;
use crate::{Now, delivery};
use wire::timeline;
use wire::timeline::Receipt;
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, UserId};

/// A receipt from a connection. Moves at once what was pushed there lately; anything else is looked up first.
pub(crate) fn arrive(
    state: &mut State,
    now: Now,
    conn: ConnId,
    asked: Option<Asked>,
    command: Command,
    fx: &mut Effects,
) {
    let (conversation, seq, read) = match command {
        Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq })) => {
            (conversation, seq, false)
        }
        Command::Timeline(timeline::Request::Read(timeline::Cursor { conversation, seq })) => {
            (conversation, seq, true)
        }
        _ => unreachable!("only receipts come here"),
    };
    let Some(key) = state.session_of(conn) else {
        if let Some(asked) = asked {
            state.refuse(now, asked, Errno::NotLoggedIn, "log in first", fx);
        }
        return;
    };
    let session = state.sessions.get_mut(key).expect("a connection's session ends with it");
    let user = session.user;
    if let Some(track) = session.track_mut(conversation)
        && seq <= track.behind.filter(|behind| !behind.guessed).map_or(track.pushed, |behind| behind.seen)
    {
        let (peer, before) = (track.peer, (track.acked, track.read));
        settle(state, now, key, Settled { user, conversation, peer, seq, read, before }, fx);
        if let Some(asked) = asked {
            state.answer(now, asked, Reply::Done, fx);
        }
        return;
    }
    if let Some(refusal) = state.refusal_to_begin() {
        if let Some(asked) = asked {
            state.answer(now, asked, refusal, fx);
        }
        return;
    }
    let stage = Stage::Standing { session: key, conversation, seq, read };
    state.read(
        now,
        asked,
        stage,
        Read::Timeline(contract::timeline::Read::Standing { user, conversation }),
        fx,
    );
}

/// A receipt that may be applied.
struct Settled {
    user: UserId,
    conversation: ConversationId,
    peer: Option<UserId>,
    seq: Seq,
    read: bool,
    /// Where the cursors stood, `(delivered, read)`.
    before: (Seq, Seq),
}

fn settle(state: &mut State, now: Now, key: SessionRef, settled: Settled, fx: &mut Effects) {
    let Settled { user, conversation, peer, seq, read, before } = settled;
    let moved = seq > if read { before.1 } else { before.0 };
    if let Some(session) = state.sessions.get_mut(key)
        && let Ok(at) = session.find(conversation)
    {
        session.acknowledge(at, seq);
        if read {
            session.tracks[at].read = session.tracks[at].read.max(seq);
        }
    }
    if moved {
        let epoch = state.sessions.get(key).map_or(Epoch::NONE, |session| session.epoch);
        state.cursors.reach((user, epoch), conversation, seq, if read { seq } else { Seq(0) });
        if let Some(peer) = peer {
            let receipt = Receipt { conversation, id: user, seq };
            let push = if read {
                Push::Timeline(timeline::Push::ReadReceipt(receipt))
            } else {
                Push::Timeline(timeline::Push::Delivered(receipt))
            };
            delivery::push(state, now, peer, push, fx);
        }
    }
    delivery::feed(state, now, key, fx);
}

/// Who sent a receipt may, up to the end of the timeline.
pub(crate) fn standing_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    key: SessionRef,
    (conversation, seq, read): (ConversationId, Seq, bool),
    standing: Option<Standing>,
    fx: &mut Effects,
) {
    let Some(standing) = standing else {
        if let Some(asked) = asked {
            state.refuse(now, asked, Errno::Forbidden, "only members have a place in a conversation", fx);
        }
        return;
    };
    if let Some(session) = state.sessions.get(key) {
        let user = session.user;
        let before = state.cursors.lay_over(conversation, user, (standing.delivered, standing.read));
        let seq = seq.min(standing.last);
        let settled = Settled { user, conversation, peer: standing.peer, seq, read, before };
        settle(state, now, key, settled, fx);
    }
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::Done, fx);
    }
}
