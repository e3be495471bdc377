//! Where a request goes.

use crate::conn::ConnId;
use crate::effect::Effects;
use crate::parked::Asked;
use crate::state::State;
use crate::{Now, account, contact, group, listing, login, message, receipt, waiting_line};
use wire::account::Register;
use wire::{Command, Errno};
use wire::{node, session, timeline};

/// A request as it came: LOGIN and LOGOUT wait for all before them.
pub(crate) fn arrive(
    state: &mut State,
    now: Now,
    conn: ConnId,
    request: u32,
    command: Command,
    fx: &mut Effects,
) {
    let kind = command.kind();
    let Some(connection) = state.connections.get_mut(conn) else { return };
    // A receipt without a number gets no answer, so nothing waits for it either.
    if request == 0
        && matches!(
            command,
            Command::Timeline(timeline::Request::Ack(_)) | Command::Timeline(timeline::Request::Read(_))
        )
    {
        receipt::arrive(state, now, conn, None, command, fx);
        return;
    }
    let asked = Asked { conn, kind, request };
    let waits = matches!(
        command,
        Command::Session(session::Request::Login(_)) | Command::Session(session::Request::Logout)
    );
    if waits && connection.outstanding > 0 {
        connection.barrier = Some(Box::new((asked, command)));
        return;
    }
    begin(state, now, asked, command, fx);
}

/// Begins a request.
pub(crate) fn begin(state: &mut State, now: Now, asked: Asked, command: Command, fx: &mut Effects) {
    let Some(connection) = state.connections.get_mut(asked.conn) else { return };
    connection.outstanding += 1;
    let (session, has_line) = (connection.session, connection.line.is_some());
    let command = match command {
        Command::Session(session::Request::Login(session::Login { credentials, device })) => {
            return login::begin(state, now, asked, credentials, device, fx);
        }
        Command::Account(wire::account::Request::Register(register)) => {
            return register_account(state, now, asked, register, fx);
        }
        Command::Node(node::Request::Nodes) => return listing::nodes(state, now, asked, fx),
        other => other,
    };
    let Some(session) = session else {
        return state.refuse(now, asked, Errno::NotLoggedIn, "log in first", fx);
    };
    let command = match command {
        Command::Message(wire::message::Request::Send(send)) if has_line => {
            return waiting_line::arrive(state, now, asked.conn, send, fx);
        }
        other => other,
    };
    // Receipts keep their place while the server drains: they save pushes that would be repeated.
    if let Command::Timeline(timeline::Request::Ack(_)) | Command::Timeline(timeline::Request::Read(_)) =
        command
    {
        return receipt::arrive(state, now, asked.conn, Some(asked), command, fx);
    }
    if !matches!(command, Command::Session(session::Request::Logout))
        && let Some(refusal) = state.refusal_to_begin()
    {
        return state.answer(now, asked, refusal, fx);
    }
    let user = state.sessions.get(session).expect("a connection's session ends with it").user;
    match command {
        Command::Message(wire::message::Request::Send(send)) => {
            message::send(state, now, asked, session, send, fx);
        }
        Command::Session(session::Request::Logout) => login::logout(state, now, asked, session, fx),
        Command::Contact(wire::contact::Request::Add(wire::contact::Add { who, message })) => {
            contact::add(state, now, asked, (user, session), who, message, fx);
        }
        Command::Contact(wire::contact::Request::Answer(wire::contact::Answer { id, .. })) => {
            contact::answer_request(state, now, asked, id, fx);
        }
        Command::Group(wire::group::Request::Create(wire::group::Create { name, desc })) => {
            group::create(state, now, asked, (user, session), name, desc, fx);
        }
        Command::Group(wire::group::Request::Join(wire::group::Join { conversation })) => {
            group::join(state, now, asked, session, conversation, fx);
        }
        Command::Timeline(timeline::Request::History(_))
        | Command::Contact(wire::contact::Request::Friends(_))
        | Command::Group(wire::group::Request::Members(_))
        | Command::Timeline(timeline::Request::Conversations(_))
        | Command::Group(wire::group::Request::Groups(_)) => {
            listing::begin(state, now, asked, user, command, fx);
        }
        Command::Session(session::Request::Login(_))
        | Command::Account(wire::account::Request::Register(_))
        | Command::Node(node::Request::Nodes)
        | Command::Timeline(timeline::Request::Ack(_))
        | Command::Timeline(timeline::Request::Read(_)) => unreachable!("handled above"),
    }
}

fn register_account(state: &mut State, now: Now, asked: Asked, register: Box<Register>, fx: &mut Effects) {
    match state.refusal_to_begin() {
        Some(refusal) => state.answer(now, asked, refusal, fx),
        None => account::register(state, now, asked, register, fx),
    }
}
