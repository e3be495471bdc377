//! DEVICES and REVOKE: the logins of an account that are in force, and how they end.

use super::ending;
use crate::contract::session::{Read, Which, Write};
use crate::contract::{TokenHash, token};
use crate::simple;
use crate::state::pending::session::{Pending, Revoker};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use wire::session::{Device, DevicesPage, Reply, Revoke};

pub(super) fn list(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    let user = turn.state.sessions.of_caller(session).user;
    let live = live_tokens(turn, session).into();
    turn.read(reply_to, Pending::Devices(session), Read::Devices { user, live });
}

/// The tokens that sessions of the caller's account on this node live by, connected ones.
fn live_tokens(turn: &Turn<'_>, session: SessionRef) -> Vec<TokenHash> {
    let sessions = &turn.state.sessions;
    let Some(caller) = sessions.get(session) else { return Vec::new() };
    sessions.of(caller.user).map(|(_, live)| live.token).collect()
}

pub(super) fn listed(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    devices: Vec<token::Device>,
) {
    let Some(current) = turn.state.sessions.get(session).map(|live| live.token) else {
        return ending::refuse_ended(turn, reply_to);
    };
    let live = live_tokens(turn, session);
    let row = |device: token::Device| Device {
        id: device.id,
        device: device.device.unwrap_or_default(),
        kind: device.kind,
        address: device.address.map(|address| address.to_string().into()).unwrap_or_default(),
        created: device.created,
        last_used: device.last_used,
        current: device.token == current,
        online: device.online || live.contains(&device.token),
    };
    let devices = devices.into_iter().map(row).collect();
    turn.answer(reply_to, Reply::Devices(Box::new(DevicesPage { devices })));
}

pub(super) fn revoke(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, revoke: Revoke) {
    let live = turn.state.sessions.of_caller(session);
    let which = match revoke {
        Revoke::One(id) => Which::One(id),
        Revoke::Others => Which::AllBut(live.token),
    };
    let by = Revoker { user: live.user, session };
    let write = Write::Revoke { user: live.user, which };
    simple::submit(turn, reply_to, session, Pending::Revocation(by), write);
}
