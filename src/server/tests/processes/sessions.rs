//! Several sessions of an account, on one node and on two, on both databases.

use crate::database::start_on_shared;
use crate::support::busy::slack;
use crate::support::client::{PASSWORD, text};
use crate::support::legacy_client::LegacyClient;
use crate::support::nodes::Nodes;
use crate::support::proxy::{CLAIM, Cut, Proxy};
use crate::support::{Account, Client, Event, MariaDb, PATIENCE, Server};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::account::{ChangePassword, Request as AccountRequest, Who};
use wire::presence::Presence;
use wire::session::{ClientKind, KickCode, LoggedIn, Login, Reply as SessionReply, Request};
use wire::timeline::{
    Clear, ConversationSummary, ConversationView, Conversations, Cursor, Push as TimelinePush,
    Reply as TimelineReply, Request as TimelineRequest, Set, SettingsChange,
};
use wire::{Command, ConversationId, Credentials, Errno, Push, Reply, Seq, Target, UserId};
use wire::{message, presence, session};

pub const MULTI: [&str; 2] = ["--set", "session.conflict=multi"];

pub fn login_of(account: &Account, device: &str, kind: ClientKind) -> Command {
    let credentials = Credentials::Password { who: Who::Id(account.id), password: PASSWORD.into() };
    let (device, kind) = (Some(device.into()), Some(kind));
    Request::Login(Login { device, kind, ..Login::new(credentials) }).into()
}

pub fn log_in(address: SocketAddr, login: &Command) -> (Client, LoggedIn) {
    let mut client = Client::connect(address);
    match client.ask_again(login) {
        Reply::Session(SessionReply::LoggedIn(login)) => (client, *login),
        other => panic!("LOGIN was answered {other:?}"),
    }
}

pub fn read(conversation: ConversationId, seq: Seq) -> Command {
    TimelineRequest::Read(Cursor { conversation, seq }).into()
}

#[track_caller]
fn view(client: &mut Client, wanted: impl Fn(&ConversationView) -> bool) -> ConversationView {
    client.push(PATIENCE, |push| match push {
        Push::Timeline(TimelinePush::Conversation(view)) if wanted(view) => Some(**view),
        _ => None,
    })
}

fn states(pushes: &[Push], of: UserId) -> Vec<Presence> {
    let state = |push: &Push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == of => Some(change.state),
        _ => None,
    };
    pushes.iter().filter_map(state).collect()
}

/// Waits until a client is told that a friend is online or offline.
fn shows(client: &mut Client, of: UserId, state: Presence) {
    client.push(PATIENCE, |push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == of => {
            (change.state == state).then_some(())
        }
        _ => None,
    });
}

fn codes(said: &[Event]) -> Vec<Option<KickCode>> {
    let code = |event: &Event| match event {
        Event::Push(Push::Session(session::Push::Kicked(kicked))) => Some(kicked.code),
        _ => None,
    };
    said.iter().filter_map(code).collect()
}

/// Two sessions of an account at `one` and one at `two` chat with a user at `two`. Every session gets every message once,
/// and what the account reads and clears; friends see the account come and go once. The grace period is a second.
fn live_beside_each_other(one: SocketAddr, two: SocketAddr) {
    let (mut bob, bob_account) = Client::join(two, "bob");
    let account = Client::connect(one).register("ann");
    let (mut first, _) = log_in(one, &login_of(&account, "first", ClientKind::Other));
    first.befriend(bob_account.id);
    shows(&mut bob, account.id, Presence::Online);
    bob.take_pushes();
    let (second, _) = log_in(one, &login_of(&account, "second", ClientKind::Other));
    let (third, _) = log_in(two, &login_of(&account, "third", ClientKind::Other));
    let mut sessions = [first, second, third];
    let to_bob = Target::User(bob_account.id);
    for n in 0..60 {
        let (content, by) = (format!("text {n}"), n % 4);
        match sessions.get_mut(by) {
            Some(sender) => {
                sender.send(to_bob.clone(), &content);
                assert_eq!(*bob.message().content, *content);
            }
            None => drop(bob.send(Target::User(account.id), &content)),
        }
        for (at, session) in sessions.iter_mut().enumerate().filter(|(at, _)| *at != by) {
            let message = session.message();
            assert_eq!((*message.content).to_owned(), content, "session {at}");
            // One for all: the others still get what follows.
            if n % 7 == at {
                session.ack(message.conversation, message.seq).expect("it is connected");
            }
        }
    }
    // Also in a group, and to oneself.
    let group = sessions[0].create_group("climbing");
    bob.join_group(group);
    for (by, content) in [(1, "from the second"), (2, "from the third")] {
        sessions[by].send(Target::Conversation(group), content);
        assert_eq!(&*bob.message().content, content);
        for session in sessions.iter_mut().enumerate().filter(|(at, _)| *at != by).map(|(_, of)| of) {
            assert_eq!(&*session.message().content, content);
        }
    }
    sessions[2].send(Target::User(account.id), "a note");
    for session in &mut sessions[..2] {
        assert_eq!(&*session.message().content, "a note");
    }
    let sent = bob.send(Target::User(account.id), "read me");
    for session in &mut sessions {
        assert_eq!(&*session.message().content, "read me");
    }
    assert_eq!(sessions[2].ask_again(&read(sent.conversation, sent.seq)), Reply::Done);
    for session in &mut sessions[..2] {
        view(session, |view| view.conversation == sent.conversation && view.read_seq == sent.seq);
    }
    let clear = Clear { conversation: sent.conversation, upto: Seq(5) };
    assert_eq!(sessions[0].ask_again(&TimelineRequest::Clear(clear).into()), Reply::Done);
    for session in &mut sessions[1..] {
        view(session, |view| view.conversation == sent.conversation && view.first_seq == Seq(6));
    }
    // The settings of a conversation are the account's.
    for (by, muted) in [(1, true), (2, false)] {
        let change = SettingsChange { muted: Some(muted), pinned: Some(muted), ..SettingsChange::default() };
        let set = TimelineRequest::Set(Set { conversation: sent.conversation, change });
        assert_eq!(sessions[by].ask_again(&set.into()), Reply::Done);
        for session in sessions.iter_mut().enumerate().filter(|(at, _)| *at != by).map(|(_, of)| of) {
            let view = view(session, |view| view.conversation == sent.conversation && view.muted == muted);
            assert_eq!((view.pinned, view.hidden), (muted, false));
        }
    }
    // Nothing came twice, and nobody saw the account come or go.
    for session in sessions.iter_mut().chain([&mut bob]) {
        session.settle();
        let pushes = session.take_pushes();
        let is_message =
            |push: &&Push| matches!(push, Push::Message(message::Push::New(of)) if of.is_message());
        assert_eq!(pushes.iter().filter(is_message).count(), 0, "{pushes:?}");
        assert_eq!(states(&pushes, account.id), []);
    }
    let [first, mut second, mut third] = sessions;
    drop(first);
    assert_eq!(third.ask_again(&Request::Logout.into()), Reply::Done);
    second.send(to_bob, "the last one");
    assert_eq!(&*bob.message().content, "the last one");
    assert_eq!(states(&bob.take_pushes(), account.id), []);
    drop(second);
    shows(&mut bob, account.id, Presence::Offline);
}

#[test]
fn sessions_live_beside_each_other_on_one_node() {
    let args = [&MULTI[..], &["--set", "session.grace=1"]].concat();
    let server = Server::start(&args);
    live_beside_each_other(server.address, server.address);
}

#[test]
fn sessions_live_beside_each_other_on_two_nodes() {
    let args = [&MULTI[..], &["--set", "session.grace=1"]].concat();
    let cluster = Nodes::start(2, &args);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    live_beside_each_other(one, two);
    // The other way round.
    let account = Client::connect(two).register("cleo");
    let (mut here, _) = log_in(two, &login_of(&account, "here", ClientKind::Other));
    let (mut there, _) = log_in(one, &login_of(&account, "there", ClientKind::Other));
    here.send(Target::User(account.id), "from here");
    assert_eq!(&*there.message().content, "from here");
    there.send(Target::User(account.id), "from there");
    assert_eq!(&*here.message().content, "from there");
}

/// A login of one kind ends the session of that kind, at `one` and `two`, and no other.
fn keep_one_of_each_kind(one: SocketAddr, two: SocketAddr) {
    let account = Client::connect(one).register("ann");
    let (mut phone, of_phone) = log_in(one, &login_of(&account, "phone", ClientKind::Mobile));
    let (mut web, _) = log_in(two, &login_of(&account, "page", ClientKind::Web));
    let (mut other_phone, _) = log_in(two, &login_of(&account, "other phone", ClientKind::Mobile));
    assert_eq!(codes(&phone.wait_closed(PATIENCE)), [Some(KickCode::Login)]);
    let by_old = Account { token: of_phone.token.expect("a login shows its token"), ..account.clone() };
    assert_eq!(Client::connect(one).refusal(&Client::by_token(&by_old)).errno, Errno::TokenInvalid);
    other_phone.send(Target::User(account.id), "from the phone");
    assert_eq!(&*web.message().content, "from the phone");
    web.send(Target::User(account.id), "from the page");
    assert_eq!(&*other_phone.message().content, "from the page");
}

#[test]
fn one_session_of_each_kind_is_the_default() {
    for server in [Server::start(&[]), start_on_shared()] {
        keep_one_of_each_kind(server.address, server.address);
    }
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    keep_one_of_each_kind(one, two);
}

/// Two tabs share a token and are told apart by their devices; the session that was silent for longest ends beyond the
/// limit of two.
fn share_a_token_within_the_limit(one: SocketAddr, two: SocketAddr) {
    let account = Client::connect(one).register("ann");
    let (mut left, login) = log_in(one, &login_of(&account, "left", ClientKind::Web));
    let by_token = |device: &str| -> Command {
        let device = Some(device.into());
        Request::Login(Login {
            device,
            ..Login::new(Credentials::Token(login.token.clone().expect("a login shows its token")))
        })
        .into()
    };
    let (mut right, reply) = log_in(two, &by_token("right"));
    assert!(!reply.resumed);
    let (mut left_again, reply) = log_in(two, &by_token("left"));
    assert!(reply.resumed);
    assert_eq!(codes(&left.wait_closed(PATIENCE)), [Some(KickCode::Login)]);
    right.send(Target::User(account.id), "x");
    assert_eq!(&*left_again.message().content, "x");
    // LOGOUT of one leaves the token to the other.
    assert_eq!(left_again.ask_again(&Request::Logout.into()), Reply::Done);
    let (mut third, _) = log_in(one, &by_token("third"));
    third.send(Target::User(account.id), "y");
    assert_eq!(&*right.message().content, "y");
    // Of three one is too many: not the one that was heard of last.
    let (mut fourth, _) = log_in(one, &by_token("fourth"));
    assert_eq!(codes(&right.wait_closed(PATIENCE)), [Some(KickCode::Limit)]);
    fourth.send(Target::User(account.id), "z");
    // Nobody has acknowledged what came before it, so it comes first.
    while *third.message().content != *"z" {}
}

#[test]
fn tabs_share_a_token_and_the_limit_ends_the_longest_silent_session() {
    let args = [&MULTI[..], &["--set", "limits.sessions=2"]].concat();
    let server = Server::start(&args);
    share_a_token_within_the_limit(server.address, server.address);
    let cluster = Nodes::start(2, &args);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    share_a_token_within_the_limit(one, two);
}

#[test]
fn a_login_with_a_lost_commit_answer_is_one_session() {
    let database = MariaDb::shared();
    let (proxy, name) = (Proxy::before(database.port), database.new_name());
    let cluster = Nodes::over(&database.url_at(proxy.port, &name), 1, &MULTI);
    let address = cluster.nodes[0].address;
    let account = Client::connect(address).register("ann");
    for round in 0..6 {
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], CLAIM);
        let (mut ann, _) = log_in(address, &login_of(&account, &format!("{round}"), ClientKind::Other));
        proxy.wait_until_cut();
        ann.send(Target::User(account.id), "x");
        let until = Instant::now() + PATIENCE;
        loop {
            let live = format!(
                "SELECT COUNT(*) FROM {name}.account_session WHERE user_id = {} AND end_code IS NULL",
                account.id
            );
            let count: u64 = database.ask(&live)[0].get(0).expect("a number");
            if count == 1 {
                break;
            }
            assert!(Instant::now() < until, "{count} sessions of one client are left");
        }
        assert_eq!(ann.ask_again(&Request::Logout.into()), Reply::Done);
    }
}

#[test]
fn what_a_session_had_sent_is_stored_before_the_login_that_ends_it_or_not_at_all() {
    let server = start_on_shared();
    let account = Client::connect(server.address).register("ann");
    let mut before = 0;
    for round in 0..10 {
        let (mut old, _) = log_in(server.address, &login_of(&account, "old", ClientKind::Other));
        for n in 0..50 {
            old.post(&text(Target::User(account.id), &format!("{round} {n}"), None))
                .expect("it is connected");
        }
        let (mut new, reply) = log_in(server.address, &login_of(&account, "new", ClientKind::Other));
        let end = reply.conversations.first().map_or(Seq(0), |row| row.last_seq);
        assert!(end.0 >= before);
        old.wait_closed(PATIENCE);
        // Nothing comes after what the reply has shown, except what the new session sends.
        let sent = new.send(Target::User(account.id), "mine");
        assert_eq!(sent.seq, end.next());
        before = sent.seq.0;
    }
}

/// A legacy client has no receipts: what it sends before it closes its connection must not be lost.
#[test]
fn what_a_client_sent_before_it_left_is_stored() {
    let cluster = Nodes::start(2, &["--set", "session.grace=0"]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut bob, bob_account) = Client::join(two, "bob");
    for round in 0..20 {
        let (mut legacy, _) = LegacyClient::join(one, &format!("ann{round}"));
        for n in 0..20 {
            legacy.chat(bob_account.id.0.into(), &format!("{round} {n}"));
        }
        drop(legacy);
        for n in 0..20 {
            assert_eq!(*bob.message().content, *format!("{round} {n}"));
        }
    }
    // READ and LOGOUT at once: the message stays read.
    let account = Client::connect(one).register("cleo");
    for _ in 0..10 {
        let (mut cleo, _) = log_in(one, &login_of(&account, "phone", ClientKind::Mobile));
        let sent = bob.send(Target::User(account.id), "read me");
        while cleo.message().seq < sent.seq {}
        cleo.post(&read(sent.conversation, sent.seq)).expect("it is connected");
        assert_eq!(cleo.ask_again(&Request::Logout.into()), Reply::Done);
        let (mut again, _) = log_in(two, &login_of(&account, "phone", ClientKind::Mobile));
        let until = Instant::now() + PATIENCE;
        while latest(&mut again).read_seq < sent.seq {
            assert!(Instant::now() < until, "it is unread again");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The conversation of the account that was active last.
pub fn latest(client: &mut Client) -> ConversationSummary {
    let page = TimelineRequest::Conversations(Conversations { before: None, limit: 1, with_last: false });
    match client.ask_again(&page.into()) {
        Reply::Timeline(TimelineReply::Conversations(mut page)) => page.conversations.remove(0),
        other => panic!("CONVERSATIONS was answered {other:?}"),
    }
}

#[test]
fn a_new_group_reaches_the_other_sessions_of_its_member_at_once() {
    let cluster = Nodes::start(2, &MULTI);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut bob, _) = Client::join(one, "bob");
    let account = Client::connect(one).register("ann");
    let (mut first, _) = log_in(one, &login_of(&account, "first", ClientKind::Other));
    let (mut here, _) = log_in(one, &login_of(&account, "here", ClientKind::Other));
    let (mut there, _) = log_in(two, &login_of(&account, "there", ClientKind::Other));
    for round in 0..3 {
        let group = bob.create_group(&format!("climbing {round}"));
        first.join_group(group);
        // The polls of the database come every ten seconds.
        let begun = Instant::now();
        for n in 0..5 {
            let content = format!("{round} {n}");
            bob.send(Target::Conversation(group), &content);
            for session in [&mut first, &mut here, &mut there] {
                assert_eq!(*session.message().content, *content);
            }
        }
        assert!(begun.elapsed() < slack(Duration::from_secs(5)), "it is not the bus that delivers");
    }
    // The session that joined may leave.
    let group = bob.create_group("caving");
    first.join_group(group);
    assert_eq!(first.ask_again(&Request::Logout.into()), Reply::Done);
    let begun = Instant::now();
    bob.send(Target::Conversation(group), "without the first");
    for session in [&mut here, &mut there] {
        assert_eq!(&*session.message().content, "without the first");
    }
    assert!(begun.elapsed() < slack(Duration::from_secs(5)), "it is not the bus that delivers");
}

/// Whoever is revoked on another node writes nothing from the reply on, and is pushed nothing two seconds later.
#[test]
fn a_revoked_session_is_over_on_every_node() {
    let cluster = Nodes::start(2, &MULTI);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut bob, bob_account) = Client::join(one, "bob");
    let account = Client::connect(one).register("ann");
    let (mut owner, _) = log_in(one, &login_of(&account, "owner", ClientKind::Other));
    owner.send(Target::User(bob_account.id), "mine");
    for round in 0..6 {
        let (mut thief, _) = log_in(two, &login_of(&account, "thief", ClientKind::Other));
        for n in 0..200 {
            thief
                .post(&text(Target::User(bob_account.id), &format!("{round} {n}"), None))
                .expect("it is connected");
        }
        let revoke: Command = match round % 2 {
            0 => Request::Revoke(session::Revoke::Others).into(),
            _ => {
                let (old, new) = (PASSWORD.into(), PASSWORD.into());
                AccountRequest::ChangePassword(Box::new(ChangePassword { old, new })).into()
            }
        };
        assert_eq!(owner.ask_again(&revoke), Reply::Done);
        let stored = latest(&mut owner).last_seq;
        thief.wait_closed(slack(Duration::from_secs(2)));
        assert_eq!(latest(&mut owner).last_seq, stored, "round {round}: written after the reply");
    }
    bob.settle();
}
