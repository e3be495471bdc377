//! ACK and READ: they move a member's cursors and notify the peer of a direct chat.

use super::views;
use crate::contract::timeline::{Read, Standing};
use crate::contract::{Fence, Requester};
use crate::delivery;
use crate::state::pending::timeline::{Pending, PendingReceipt, ReceiptKind};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{Behind, SessionRef, Track};
use crate::turn::Turn;
use wire::timeline::{Cursor, Push, Receipt};
use wire::{ConversationId, Errno, Reply, Seq, UserId};

const NOT_A_MEMBER: &str = "only members may acknowledge messages";

/// Handles a receipt. If the session has a track of the conversation, the receipt is applied at once; otherwise the
/// member's standing is read first.
pub(super) fn arrive(turn: &mut Turn<'_>, reply_to: ReplyTo, receipt: PendingReceipt) {
    let PendingReceipt { session, conversation, seq, .. } = receipt;
    let session = turn.state.sessions.of_caller(session);
    let user = session.user;
    if let Some(track) = session.track_mut(conversation)
        && seq <= track.behind.filter(|behind| !behind.is_guess).map_or(track.pushed, |behind| behind.seen)
    {
        if track.has_left && receipt.kind == ReceiptKind::Read {
            return turn.refuse(reply_to, Errno::Forbidden, NOT_A_MEMBER);
        }
        let (peer, delivered, read) = (track.peer, track.acked, track.read);
        apply(turn, receipt, Position { user, peer, delivered, read });
        return turn.answer(reply_to, Reply::Done);
    }
    if let Some(refusal) = turn.state.refusal_to_begin() {
        return turn.answer(reply_to, refusal);
    }
    // A receipt that is dropped only causes messages to be pushed again.
    if let Some(refusal) = turn.state.refusal_to_read(Requester::Account(user)) {
        return turn.answer(reply_to, refusal);
    }
    turn.read(reply_to, Pending::Standing(receipt), Read::Standing { user, conversation });
}

/// A member's position in a conversation before a receipt.
struct Position {
    user: UserId,
    /// The peer of a direct chat.
    peer: Option<UserId>,
    delivered: Seq,
    read: Seq,
}

fn apply(turn: &mut Turn<'_>, receipt: PendingReceipt, before: Position) {
    let PendingReceipt { session: key, conversation, mut seq, kind } = receipt;
    let is_read = kind == ReceiptKind::Read;
    if let Some(session) = turn.state.sessions.get_mut(key)
        && let Ok(at) = session.find(conversation)
    {
        session.acknowledge(at, seq);
        let track = &mut session.tracks[at];
        if is_read {
            track.read = track.read.max(seq);
        }
        // The entries above it that were passed over are acknowledged with it.
        if track.unacked == 0 && !session.capabilities.receives_entries() {
            seq = seq.max(track.pushed);
            track.acked = track.acked.max(seq);
        }
    }
    let has_moved = seq > if is_read { before.read } else { before.delivered };
    if has_moved {
        note_for_others(turn, key, conversation, seq, is_read);
        let mover = Fence { user: before.user, epoch: turn.state.epoch_of(key) };
        turn.state.cursors.reach(mover, conversation, seq, if is_read { seq } else { Seq(0) });
        if is_read {
            views::changed(turn, key, conversation);
        }
        if let Some(peer) = before.peer {
            let receipt = Receipt { conversation, id: before.user, seq };
            let push = if is_read { Push::ReadReceipt(receipt) } else { Push::Delivered(receipt) };
            delivery::push(turn, peer, push.into());
        }
    }
    delivery::feed(turn, key);
}

/// Notes for the account's other sessions on this node how far its cursors have moved, so that they do not tell the peer
/// again.
fn note_for_others(
    turn: &mut Turn<'_>,
    by: SessionRef,
    conversation: ConversationId,
    seq: Seq,
    is_read: bool,
) {
    let Some(live) = turn.state.sessions.get(by) else { return };
    let mut slot = turn.state.sessions.head(live.user);
    while let Some((key, session)) = turn.state.sessions.at_mut(slot) {
        slot = session.next;
        if key != by
            && let Some(track) = session.track_mut(conversation)
        {
            track.acked = track.acked.max(seq);
            if is_read {
                track.read = track.read.max(seq);
            }
        }
    }
}

/// The member does not see the timeline up to `at` any more: it counts as read, and what waits to be pushed is not.
pub(super) fn cleared(turn: &mut Turn<'_>, key: SessionRef, at: Cursor, before: Standing) {
    let Cursor { conversation, seq } = at;
    let Some(user) = turn.state.sessions.get(key).map(|session| session.user) else { return };
    // Without a track, a message below `seq` whose outcome arrives later would be pushed.
    let mut slot = turn.state.sessions.head(user);
    while let Some((key, session)) = turn.state.sessions.at_mut(slot) {
        slot = session.next;
        let track = session.track_or_insert(conversation, |session| {
            // Until its unread conversations are listed, it may lack what is above.
            let is_guess = session.login.is_some() || session.unread_after.is_some();
            let behind = is_guess.then_some(Behind { seen: seq, is_guess });
            Track::new(conversation, before.peer, seq, behind)
        });
        track.pushed = track.pushed.max(seq);
        session.list_for_sweep(key, &mut turn.state.with_tracks);
    }
    let (delivered, read) = turn.state.cursors.lay_over(conversation, user, (before.delivered, before.read));
    let receipt = PendingReceipt { session: key, conversation, seq, kind: ReceiptKind::Read };
    apply(turn, receipt, Position { user, peer: before.peer, delivered, read });
}

/// Applies a receipt once the member's standing is known, limited to the end of the timeline.
pub(super) fn standing_known(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    receipt: PendingReceipt,
    standing: Option<Standing>,
) {
    // Who has left acknowledges what it still gets, and reads nothing.
    let may = |standing: &Standing| !standing.has_left || receipt.kind == ReceiptKind::Delivered;
    let Some(standing) = standing.filter(may) else {
        return turn.refuse(reply_to, Errno::Forbidden, NOT_A_MEMBER);
    };
    if let Some(session) = turn.state.sessions.get(receipt.session) {
        let (user, stored) = (session.user, (standing.delivered, standing.read));
        let (delivered, read) = turn.state.cursors.lay_over(receipt.conversation, user, stored);
        let receipt = PendingReceipt { seq: receipt.seq.min(standing.last), ..receipt };
        apply(turn, receipt, Position { user, peer: standing.peer, delivered, read });
    }
    turn.answer(reply_to, Reply::Done);
}
