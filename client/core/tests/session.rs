//! The session on a fake clock, one behaviour per test.

mod support;

use chatclient_core::timing::{HEARTBEAT_MS, NODE_CONNECT_MS, NODES_MS, REPLY_MS, SILENCE_MS};
use chatclient_core::{ConnectionAction, Event, Failure, LogoutReason, Lost};
use support::pair::Pair;
use support::{ME, PASSWORD};
use wire::account::Who;
use wire::kind::request;
use wire::session::{GoingAway, Kicked};
use wire::*;
use wire::{account, message, session, timeline};

#[test]
fn a_wrong_password_is_reported_and_not_retried() {
    let mut pair = Pair::new();
    pair.session.login_password(pair.now, Who::Id(ME), "wrong pass");
    pair.settle();
    assert!(matches!(&pair.events[..], [Event::Connected, Event::LoginFailed(Failure::Refused(_))]));
    pair.pass(20_000);
    assert_eq!(pair.requests(request::LOGIN), 1);
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    assert!(pair.session.is_online());
}

#[test]
fn an_unreachable_server_is_reported_and_a_later_command_tries_again() {
    let mut pair = Pair::new();
    pair.reachable = false;
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    let register = pair.session.register(pair.now, "somebody", PASSWORD);
    pair.settle();
    let lost = || Failure::Lost(Lost::Unreachable("refused".into()));
    assert_eq!(
        pair.events,
        [Event::Failed { request: register, failure: lost() }, Event::LoginFailed(lost())]
    );
    assert_eq!(pair.session.next_timeout(), None);
    pair.reachable = true;
    pair.session.register(pair.now, "somebody", PASSWORD);
    pair.settle();
    assert!(matches!(
        pair.events.last(),
        Some(Event::Reply { reply: Reply::Account(account::Reply::Registered(_)), .. })
    ));
}

#[test]
fn after_a_lost_connection_the_session_logs_in_by_token_and_sends_waiting_messages() {
    let mut pair = Pair::online();
    pair.pass(6_000);
    pair.reachable = false;
    pair.lose();
    let local = pair.session.send(pair.now, Target::User(UserId(2)), "written offline").unwrap();
    pair.pass(60_000);
    assert!(pair.session.wants_connection() && pair.session.reconnect_at().is_some());
    let attempts = pair.events.iter().filter(|e| matches!(e, Event::Disconnected { .. })).count();
    assert!((6..60).contains(&attempts), "backed off: {attempts} attempts in a minute");
    pair.reachable = true;
    pair.pass(10_000);
    assert!(pair.events.iter().any(|event| matches!(event, Event::LoggedIn(_))));
    assert!(
        pair.events.iter().any(|event| matches!(event, Event::Sent { local: sent, .. } if *sent == local))
    );
    assert_eq!(pair.server.texts(2, ME), ["written offline"]);
}

#[test]
fn after_a_kick_the_session_does_not_reconnect() {
    let mut pair = Pair::online();
    let kicked = Kicked {
        reason: "a newer login".into(),
        code: None,
        device: Some("phone".into()),
        time: UnixMillis(1),
    };
    pair.push(&Push::Session(session::Push::Kicked(Box::new(kicked.clone()))));
    assert_eq!(pair.events, [Event::LoggedOut(LogoutReason::Kicked(Box::new(kicked)))]);
    assert!(pair.connection.is_none() && pair.session.token().is_none());
    assert_eq!(pair.session.next_timeout(), None);
}

#[test]
fn an_invalid_token_ends_the_login_and_keeps_the_outbox_for_the_account() {
    let mut pair = Pair::online();
    pair.server.token = None;
    pair.lose();
    pair.session.send(pair.now, Target::User(UserId(2)), "kept").unwrap();
    pair.pass(20_000);
    assert!(matches!(pair.events.last(), Some(Event::LoggedOut(LogoutReason::TokenInvalid(_)))));
    assert_eq!((pair.session.unsent(), pair.session.next_timeout()), (1, None));
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    assert_eq!(pair.server.texts(2, ME), ["kept"]);
}

#[test]
fn logout_revokes_the_token_and_closes_the_connection() {
    let mut pair = Pair::online();
    pair.session.logout(pair.now);
    pair.settle();
    assert_eq!(pair.events, [Event::LoggedOut(LogoutReason::Asked)]);
    assert!(pair.server.token.is_none() && pair.connection.is_none());
}

#[test]
fn a_later_login_by_password_shows_the_last_token_of_the_account() {
    let mut pair = Pair::online();
    assert_eq!(pair.server.shown_token, None);
    let token = pair.server.token.clone();
    pair.session.logout(pair.now);
    pair.settle();
    pair.session.login_password(pair.now, Who::Id(ME), "wrong pass");
    pair.settle();
    assert_eq!(pair.server.shown_token.as_deref(), token.as_deref());
    assert!(token.is_some());
    pair.session.login_password(pair.now, Who::Id(UserId(99)), "wrong pass");
    pair.settle();
    assert_eq!(pair.server.shown_token, None, "it is not shown for another account");
    pair.session.login_known(pair.now, Who::Id(ME), PASSWORD, Some("of the store"));
    pair.settle();
    assert!(pair.session.is_online());
    assert_eq!(pair.server.shown_token.as_deref(), Some("of the store"));
}

#[test]
fn after_going_away_the_session_leaves_and_returns_no_earlier_than_told() {
    let mut pair = Pair::online();
    pair.push(&Push::Session(session::Push::GoingAway(Box::new(GoingAway {
        reason: "restart".into(),
        retry_after_ms: 5_000,
        node: None,
    }))));
    assert!(pair.connection.is_none() && !pair.session.is_online());
    let at = pair.session.reconnect_at().expect("the session reconnects");
    assert!(at >= pair.now + 5_000, "not before the announced time");
    pair.pass(at - pair.now);
    assert!(pair.session.is_online());
}

#[test]
fn acks_are_coalesced_and_heartbeats_are_sent() {
    let mut pair = Pair::online();
    for _ in 0..10 {
        pair.server.store(2, UserId(2), "hello", None);
    }
    let mut connection = pair.connection.take().expect("online");
    pair.server.push(&mut connection);
    let bytes = std::mem::take(&mut connection.out);
    pair.connection = Some(connection);
    for byte in bytes.chunks(1) {
        pair.session.handle_bytes(pair.now, byte);
    }
    pair.pass(1_000);
    assert_eq!(pair.shown(), (1..=10).collect::<Vec<_>>());
    assert_eq!(pair.requests(request::ACK), 1);
    assert_eq!(pair.server.conversations[&2].delivered, 10);
    pair.pass(HEARTBEAT_MS * 3);
    assert_eq!(pair.requests(request::HEARTBEAT), 3);
    pair.session.read(pair.now, ConversationId(2), Seq(99));
    pair.pass(1_000);
    assert_eq!(pair.requests(request::READ), 1);
}

#[test]
fn a_probe_is_answered_and_silence_ends_the_connection() {
    let mut pair = Pair::online();
    pair.push(&Push::Session(session::Push::Probe));
    assert_eq!(pair.requests(request::HEARTBEAT), 1);
    // From now on the server reads and never answers.
    let start = pair.now;
    while pair.session.is_online() {
        pair.now = pair.session.next_timeout().expect("a deadline");
        pair.session.handle_timeout(pair.now);
        pair.session.poll_transmit(&mut Vec::new());
    }
    assert_eq!(pair.now - start, SILENCE_MS);
    assert!(matches!(pair.session.poll_event(), Some(Event::Disconnected { why: Lost::Silent, .. })));
    assert_eq!(pair.session.poll_connection(), Some(ConnectionAction::Close));
}

#[test]
fn an_unanswered_request_times_out() {
    let mut pair = Pair::online();
    let request = pair.session.friends(pair.now, 0);
    pair.session.poll_transmit(&mut Vec::new());
    pair.now += REPLY_MS;
    pair.session.handle_timeout(pair.now);
    assert_eq!(pair.session.poll_event(), Some(Event::Failed { request, failure: Failure::TimedOut }));
    assert!(pair.session.is_online());
}

#[test]
fn bytes_that_are_not_the_protocol_end_the_connection() {
    for bad in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x43\x01\x40\x01\0\0\0\0\0\0\0\x02[]"] {
        let mut pair = Pair::online();
        pair.session.handle_bytes(pair.now, bad);
        let Some(Event::Disconnected { why: Lost::Malformed(_), retry_in_ms: Some(_) }) =
            pair.session.poll_event()
        else {
            panic!("{bad:?} was accepted")
        };
    }
    let mut pair = Pair::online();
    pair.session.handle_bytes(pair.now, b"\x43\x01\x40\x7f\0\0\0\0\0\0\0\x02{}");
    pair.settle();
    assert!(pair.session.is_online() && pair.events.is_empty(), "unknown pushes are ignored");
}

#[test]
fn messages_that_another_device_acknowledged_are_fetched() {
    let mut pair = Pair::online();
    pair.server.store(2, UserId(2), "one", None);
    pair.server.push(pair.connection.as_mut().expect("online"));
    pair.settle();
    pair.pass(1_000);
    pair.reachable = false;
    pair.lose();
    for text in ["two", "three"] {
        pair.server.store(2, UserId(2), text, None);
    }
    pair.server.conversations.get_mut(&2).expect("there").delivered = 3;
    pair.reachable = true;
    pair.pass(10_000);
    assert_eq!(pair.shown(), [1, 2, 3]);
}

#[test]
fn a_new_client_starts_at_the_delivered_cursor_or_at_first_seq() {
    let mut pair = Pair::new();
    for id in [2, 3] {
        for _ in 0..10 {
            pair.server.store(id, UserId(id), "x", None);
        }
    }
    pair.server.conversations.get_mut(&2).expect("there").delivered = 7;
    pair.server.conversations.get_mut(&3).expect("there").first = 9;
    pair.server.page = 1; // The other conversation is listed by CONVERSATIONS.
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    assert_eq!(pair.shown(), [8, 9, 10, 9, 10]);
    assert_eq!(pair.requests(request::HISTORY), 0);
    assert_eq!(pair.requests(request::CONVERSATIONS), 1);
}

#[test]
fn a_message_that_cannot_be_sent_fails_and_others_are_sent() {
    let mut pair = Pair::online();
    let bad = pair.session.send(pair.now, Target::Name("nobody".into()), "x").unwrap();
    let good = pair.session.send(pair.now, Target::User(UserId(2)), "y").unwrap();
    pair.settle();
    assert!(pair.events.iter().any(|e| matches!(e, Event::SendFailed { local, .. } if *local == bad)));
    assert!(pair.events.iter().any(|e| matches!(e, Event::Sent { local, .. } if *local == good)));
    assert!(pair.session.is_settled());
}

fn node(name: &str, score: u64) -> node::Node {
    node::Node {
        node: name.into(),
        address: format!("{name}:6000").into(),
        connections: 0,
        cpu: 0,
        messages_per_second: 0,
        score,
        alive: true,
    }
}

/// Online at a server that named two other nodes.
fn one_of_three() -> Pair {
    let mut pair = Pair::new();
    pair.server.nodes = vec![node("fake", 0), node("busy", 90), node("idle", 10)];
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    pair.pass(6_000);
    assert_eq!(pair.requests(request::NODES), 1);
    pair.tried.clear();
    pair
}

#[test]
fn nodes_are_requested_after_a_login_and_periodically() {
    let mut pair = one_of_three();
    for asked in 1..4 {
        assert_eq!(pair.requests(request::NODES), asked);
        pair.pass(NODES_MS);
    }
}

#[test]
fn a_configured_address_that_answers_is_used_every_time() {
    let mut pair = one_of_three();
    for _ in 0..5 {
        pair.lose();
        pair.pass(10_000);
        assert!(pair.session.is_online());
    }
    assert_eq!(pair.tried, [None, None, None, None, None]);
}

#[test]
fn if_the_configured_address_is_down_the_session_resumes_at_the_best_node_at_once() {
    let mut pair = one_of_three();
    pair.configured_is_down = true;
    let lost_at = pair.now;
    pair.lose();
    let local = pair.session.send(pair.now, Target::User(UserId(2)), "written offline").unwrap();
    while !pair.session.is_online() {
        let at = pair.session.next_timeout().expect("the session retries");
        pair.pass(at - pair.now);
    }
    assert!(pair.now - lost_at <= 400, "{} ms", pair.now - lost_at);
    assert_eq!(pair.tried, [None, Some("idle:6000".into())]);
    assert!(pair.events.iter().any(|e| matches!(e, Event::Sent { local: sent, .. } if *sent == local)));
    // When that node is lost, the configured address is tried first.
    pair.configured_is_down = false;
    pair.lose();
    pair.pass(10_000);
    assert_eq!(pair.tried.last(), Some(&None));
}

#[test]
fn unreachable_nodes_are_tried_once_each_between_attempts_at_the_configured_address() {
    let mut pair = one_of_three();
    pair.reachable = false;
    pair.lose();
    pair.pass(60_000);
    assert!(pair.tried.len() > 8, "{:?}", pair.tried);
    for (at, tried) in pair.tried.iter().enumerate() {
        let node = ["idle:6000", "busy:6000", "fake:6000"][at / 2 % 3];
        assert_eq!(tried.as_deref(), (at % 2 == 1).then_some(node), "attempt {at}");
    }
}

#[test]
fn an_attempt_at_a_node_has_a_short_timeout() {
    let mut pair = one_of_three();
    pair.lose();
    loop {
        pair.now = pair.session.next_timeout().expect("the session retries");
        pair.session.handle_timeout(pair.now);
        assert_eq!(pair.session.poll_connection(), Some(ConnectionAction::Connect));
        if pair.session.take_other_node().is_some() {
            break;
        }
        pair.session.handle_disconnected(pair.now, Lost::Unreachable("refused".into()));
    }
    assert_eq!(pair.session.next_timeout(), Some(pair.now + NODE_CONNECT_MS));
}

#[test]
fn a_node_named_by_going_away_is_tried_first_and_once() {
    let mut pair = one_of_three();
    let notice = GoingAway { reason: "restart".into(), retry_after_ms: 500, node: Some("busy:6000".into()) };
    pair.push(&Push::Session(session::Push::GoingAway(Box::new(notice))));
    pair.reachable = false;
    pair.pass(5_000);
    assert_eq!(pair.tried[..3], [Some("busy:6000".into()), None, Some("idle:6000".into())]);
}

#[test]
fn a_token_refused_by_another_node_is_kept() {
    let mut pair = one_of_three();
    let token = pair.server.token.take();
    pair.configured_is_down = true;
    pair.lose();
    pair.pass(5_000);
    assert!(pair.tried.len() > 2 && pair.session.token() == token.as_deref());
    pair.configured_is_down = false;
    pair.pass(20_000);
    assert!(matches!(pair.events.last(), Some(Event::LoggedOut(LogoutReason::TokenInvalid(_)))));
}

#[test]
fn what_is_cleared_is_reported_and_never_shown_again() {
    let mut pair = Pair::new();
    for text in ["one", "two", "three"] {
        pair.server.store(2, UserId(2), text, None);
    }
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    let chat = ConversationId(2);
    assert_eq!((pair.shown(), pair.session.cursor(chat)), (vec![1, 2, 3], Some(Seq(3))));
    pair.events.clear();
    // Beyond what this client knows is what it knows.
    let request = pair.session.clear(pair.now, chat, Seq(90));
    pair.settle();
    let cleared = Event::Cleared { conversation: chat, upto: Seq(3) };
    assert_eq!(pair.events, [cleared, Event::Reply { request, reply: Reply::Done }]);
    assert_eq!(pair.server.conversations[&2].first, 4);
    pair.pass(1_000);
    pair.server.store(2, UserId(2), "four", None);
    pair.lose();
    pair.pass(10_000);
    assert_eq!(pair.shown(), [4], "after a new login, too");
    // A message below what was cleared elsewhere is not missed.
    pair.server.conversations.get_mut(&2).unwrap().first = 7;
    for _ in 5..=7 {
        pair.server.store(2, UserId(2), "more", None);
    }
    let last = pair.server.message(2, Seq(7));
    pair.push(&Push::Message(message::Push::New(last)));
    pair.pass(10_000);
    assert_eq!(pair.shown(), [4, 7]);
}

#[test]
fn settings_are_reported_once_the_server_has_them() {
    let mut pair = Pair::new();
    pair.server.store(2, UserId(2), "one", None);
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    pair.events.clear();
    let change = timeline::SettingsChange { pinned: Some(true), ..Default::default() };
    let request = pair.session.set_conversation(pair.now, ConversationId(2), change);
    pair.settle();
    let changed = Event::SettingsChanged { conversation: ConversationId(2), change };
    assert_eq!(pair.events, [changed, Event::Reply { request, reply: Reply::Done }]);
    assert!(pair.server.conversations[&2].settings.pinned);
    pair.events.clear();
    pair.session.set_conversation(pair.now, ConversationId(99), change);
    pair.settle();
    assert!(matches!(pair.events[..], [Event::Failed { failure: Failure::Refused(_), .. }]), "no member");
    pair.lose();
    pair.events.clear();
    let request = pair.session.set_conversation(pair.now, ConversationId(2), change);
    pair.settle();
    assert_eq!(pair.events, [Event::Failed { request, failure: Failure::Offline }]);
}

#[test]
fn typing_is_told_once_in_three_seconds_and_only_while_online() {
    let mut pair = Pair::online();
    let type_in = |pair: &mut Pair, conversation| {
        pair.session.type_in(pair.now, ConversationId(conversation));
        pair.settle();
    };
    type_in(&mut pair, 2);
    pair.pass(2_999);
    type_in(&mut pair, 2);
    assert_eq!(pair.server.typing, [2]);
    type_in(&mut pair, 3);
    pair.pass(1);
    type_in(&mut pair, 2);
    assert_eq!(pair.server.typing, [2, 3, 2]);
    pair.pass(6_000);
    pair.reachable = false;
    pair.lose();
    type_in(&mut pair, 2);
    pair.reachable = true;
    pair.pass(10_000);
    assert!(pair.session.is_online());
    assert_eq!(pair.server.typing, [2, 3, 2], "nobody is told later");
}
