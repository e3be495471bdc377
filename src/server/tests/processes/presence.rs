//! SET_PRESENCE and what friends see of it, on one node and on two, on both databases, and between two terminals.

use crate::database::start_on_shared;
use crate::sessions::{MULTI, log_in, login_of};
use crate::support::legacy_client::{Answers, LegacyClient};
use crate::support::nodes::Nodes;
use crate::support::terminal::Terminal;
use crate::support::{Client, PATIENCE, Server};
use crate::terminal::register;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::contact::{Friend, Reply as ContactReply, Request as ContactRequest};
use wire::presence::{Presence, PresenceChange, Push as PresencePush, Request, SessionState, SetPresence};
use wire::session::{ClientKind, Request as SessionRequest};
use wire::{Command, Errno, Page, Push, Reply, UserId};

fn set(state: SessionState, text: Option<&str>) -> Command {
    Request::Set(SetPresence { state, text: text.map(Into::into) }).into()
}

fn change(push: &Push, of: UserId) -> Option<PresenceChange> {
    match push {
        Push::Presence(PresencePush::Changed(change)) if change.id == of => Some((**change).clone()),
        _ => None,
    }
}

/// Waits until a client is told this of a friend.
#[track_caller]
fn is_told(client: &mut Client, of: UserId, state: Presence, text: Option<&str>) -> PresenceChange {
    client.push(PATIENCE, |push| {
        change(push, of).filter(|change| (change.state, change.text.as_deref()) == (state, text))
    })
}

/// The only friend of a client.
fn friend(client: &mut Client) -> Friend {
    match client.ask_again(&ContactRequest::Friends(Page { after: 0, limit: 10 }).into()) {
        Reply::Contact(ContactReply::Friends(page)) => page.friends.into_iter().next().expect("there is one"),
        other => panic!("FRIENDS was answered {other:?}"),
    }
}

#[track_caller]
fn sees(client: &mut Client, state: Presence, text: Option<&str>) {
    let friend = friend(client);
    assert_eq!((friend.state, friend.text.as_deref()), (state, text));
    assert_eq!(friend.last_seen, None, "who is online is seen now");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// An account with sessions at `one` and `two`, and its friend at `two`.
fn go_away_and_come_back(one: SocketAddr, two: SocketAddr) {
    let lunch = Some("lunch \u{1b}[2J\0午饭");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let account = Client::connect(one).register("ann");
    let (mut first, login) = log_in(one, &login_of(&account, "first", ClientKind::Other));
    first.befriend(bob_account.id);
    is_told(&mut bob, account.id, Presence::Online, None);
    assert_eq!(first.ask_again(&set(SessionState::Away, lunch)), Reply::Done);
    is_told(&mut bob, account.id, Presence::Away, lunch);
    sees(&mut bob, Presence::Away, lunch);
    // A session elsewhere is online, then all are away, then it ends.
    let (mut second, _) = log_in(two, &login_of(&account, "second", ClientKind::Other));
    is_told(&mut bob, account.id, Presence::Online, lunch);
    sees(&mut bob, Presence::Online, lunch);
    assert_eq!(second.ask_again(&set(SessionState::Away, Some("walking"))), Reply::Done);
    is_told(&mut bob, account.id, Presence::Away, Some("walking"));
    assert_eq!(second.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    is_told(&mut bob, account.id, Presence::Away, lunch);
    // One that comes and goes as online.
    let (mut third, _) = log_in(two, &login_of(&account, "third", ClientKind::Other));
    is_told(&mut bob, account.id, Presence::Online, lunch);
    assert_eq!(third.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    is_told(&mut bob, account.id, Presence::Away, lunch);
    // The same client returns, to the other node: it is away as before.
    drop(first);
    let again = wire::session::Login {
        device: Some("first".into()),
        ..wire::session::Login::new(wire::Credentials::Token(login.token.expect("a login shows its token")))
    };
    let (mut first, login) = log_in(two, &SessionRequest::Login(again).into());
    assert!(login.resumed);
    sees(&mut bob, Presence::Away, lunch);
    // A friend who logs in sees it as well, a legacy client as online.
    let (mut cleo, cleo_account) = Client::join(one, "cleo");
    first.befriend(cleo_account.id);
    is_told(&mut cleo, account.id, Presence::Away, lunch);
    assert_eq!(cleo.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    let by_password = Client::by_password(&cleo_account, "other");
    let (mut cleo, login) = log_in(one, &by_password);
    assert_eq!((login.friends[0].state, login.friends[0].text.as_deref()), (Presence::Away, lunch));
    assert_eq!(cleo.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    let mut legacy = LegacyClient::connect(one, Answers::Inline);
    let home = legacy.login(i64::from(cleo_account.id.0)).expect("the password is right");
    assert_eq!(home.friends, [(i64::from(account.id.0), "ann".to_owned(), "online".to_owned())]);
    assert_eq!(first.ask_again(&set(SessionState::Online, None)), Reply::Done);
    is_told(&mut bob, account.id, Presence::Online, None);
    sees(&mut bob, Presence::Online, None);
    let before = now();
    assert_eq!(first.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    let gone = is_told(&mut bob, account.id, Presence::Offline, None);
    let at = gone.last_seen.expect("it was just there").0;
    assert!((before - 5_000..=now() + 5_000).contains(&at), "{at}");
    let listed = friend(&mut bob);
    assert_eq!(listed.state, Presence::Offline);
    let listed = listed.last_seen.expect("it was just there").0;
    assert!(listed.abs_diff(at) < 5_000, "{listed} {at}");
}

#[test]
fn friends_see_an_account_go_away_and_come_back() {
    for server in [Server::start(&MULTI), start_on_shared_with_multi()] {
        go_away_and_come_back(server.address, server.address);
    }
}

fn start_on_shared_with_multi() -> Server {
    let database = crate::support::MariaDb::shared();
    let url = format!("storage.url={}", database.url(&database.new_name()));
    Server::start(&[&MULTI[..], &["--set", &url]].concat())
}

#[test]
fn friends_on_another_node_see_an_account_go_away_and_come_back() {
    let cluster = Nodes::start(2, &MULTI);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    go_away_and_come_back(one, two);
}

/// The friend of one who changes all the time is told once a second, and the latest in the end.
fn change_all_the_time(one: SocketAddr, two: SocketAddr) {
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (mut ann, ann_account) = Client::join(one, "ann");
    ann.befriend(bob_account.id);
    is_told(&mut bob, ann_account.id, Presence::Online, None);
    let (began, mut told) = (Instant::now(), 0);
    let (mut done, mut last) = (0, String::new());
    for change in 0..1_000 {
        let text = format!("change {change}");
        match ann.ask(&set(SessionState::Away, Some(&text))) {
            Reply::Done => (done, last) = (done + 1, text),
            Reply::Refused(refusal) => {
                assert_eq!(refusal.errno, Errno::RateLimited);
                break;
            }
            other => panic!("SET_PRESENCE was answered {other:?}"),
        }
    }
    assert!(done >= 100, "the budget allows bursts: {done}");
    let until = Instant::now() + PATIENCE;
    loop {
        let pushed = bob.push(PATIENCE, |push| change(push, ann_account.id));
        told += 1;
        if pushed.text.as_deref() == Some(&*last) {
            break;
        }
        assert!(Instant::now() < until, "{pushed:?}");
    }
    let seconds = began.elapsed().as_secs() as usize;
    assert!(told <= seconds + 2, "{told} pushes in {seconds} s");
    assert_eq!(bob.try_push(Duration::from_millis(1_500), |push| change(push, ann_account.id)), None);
}

#[test]
fn a_friend_is_told_of_many_changes_once_a_second() {
    for server in [Server::start(&[]), start_on_shared()] {
        change_all_the_time(server.address, server.address);
    }
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    change_all_the_time(one, two);
}

#[test]
fn when_a_user_was_last_seen_survives_a_restart() {
    let mut server = Server::start_at_fixed_port(&[]);
    let (mut bob, bob_account) = Client::join(server.address, "bob");
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    ann.befriend(bob_account.id);
    ann.settle();
    bob.settle();
    // Ann's session ends with the server.
    let heard = now();
    server.terminate();
    server.restart();
    drop(ann);
    let (mut bob, _) = log_in(server.address, &Client::by_password(&bob_account, "again"));
    let listed = friend(&mut bob);
    assert_eq!((listed.id, listed.state), (ann_account.id, Presence::Offline));
    let at = listed.last_seen.expect("it is kept").0;
    assert!((heard - 5_000..=now()).contains(&at), "{at} {heard}");
}

#[test]
fn redis_has_a_set_of_the_users_who_are_online() {
    let cluster = Nodes::start(2, &[]);
    let account = Client::connect(cluster.nodes[0].address).register("ann");
    let (mut ann, login) = log_in(cluster.nodes[0].address, &login_of(&account, "phone", ClientKind::Mobile));
    let server = login.server.expect("it is known");
    let ask = format!("ZSCORE chat:{server}:online {}", account.id);
    let wait_for = |is_in: bool| {
        let until = Instant::now() + PATIENCE;
        // `$-1` is the answer for one that is not in the set.
        while (cluster.redis.command(&ask) != "$-1") != is_in {
            assert!(Instant::now() < until, "{ask}");
        }
    };
    wait_for(true);
    assert_eq!(ann.ask_again(&SessionRequest::Logout.into()), Reply::Done);
    wait_for(false);
}

#[test]
fn a_terminal_shows_who_is_away_and_why() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = (Terminal::open(server.address), Terminal::open(server.address));
    register(&mut zhang, "zhang san", 1);
    register(&mut li, "li si", 2);
    zhang.type_line("/add li si");
    li.expect("you and zhang san (1) are now friends");
    zhang.type_line("/away lunch until one");
    zhang.expect("friends see you as away: lunch until one (/back ends it)");
    li.expect("zhang san (1) is away: lunch until one");
    li.type_line("/friends");
    li.expect("away: lunch until one");
    zhang.type_line("/back");
    zhang.expect("friends see you as online");
    li.expect("zhang san (1) is online");
    zhang.type_line("loginout");
    li.expect("zhang san (1) is offline");
    li.type_line("/friends");
    li.expect("offline, last seen 20");
    li.type_line("/away \u{202e}x");
    li.expect("friends see you as away: \\u{202e}x");
}
