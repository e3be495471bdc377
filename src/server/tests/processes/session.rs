//! One account, one session: logins, kicks, tokens and conflict policies.

use crate::support::client::{PASSWORD, errno};
use crate::support::{Account, Client, Event, PATIENCE, Server};
use std::time::Instant;
use wire::account::Who;
use wire::presence::Presence;
use wire::session::Kicked;
use wire::{Command, Credentials, Errno, Push, Reply, Target, UserId};
use wire::{message, presence, session};

#[track_caller]
fn kicked(said: &[Event]) -> &Kicked {
    match said {
        [Event::Push(Push::Session(session::Push::Kicked(kicked)))] => kicked,
        other => panic!("instead of KICKED alone came {other:?}"),
    }
}

#[test]
fn a_second_login_kicks_the_first_and_revokes_its_token() {
    let server = Server::start(&[]);
    let (mut first, account) = Client::join(server.address, "ann");
    let mut second = Client::connect(server.address);
    let reply = match second.ask_again(&Client::by_password(&account, "the phone")) {
        Reply::Session(session::Reply::LoggedIn(reply)) => *reply,
        other => panic!("LOGIN was answered {other:?}"),
    };
    assert_eq!((reply.id, &*reply.name), (account.id, "ann"));
    let token = reply.token.expect("a login shows its token");
    assert_ne!(token, account.token);

    let said = first.wait_closed(PATIENCE);
    assert_eq!(kicked(&said).device.as_deref(), Some("the phone"));
    let mut third = Client::connect(server.address);
    assert_eq!(third.refusal(&Client::by_token(&account)).errno, Errno::TokenInvalid);

    // The new token is valid; a login by it ends the older connection and keeps the token.
    let account = Account { token, ..account };
    assert_eq!(third.login(&account).token.as_ref(), Some(&account.token));
    kicked(&second.wait_closed(PATIENCE));
    drop(third);
    Client::login_to(server.address, &account);
}

#[test]
fn friends_do_not_see_a_short_disconnection() {
    // Longer than a loaded machine takes to log in again.
    let server = Server::start(&["--set", "session.grace=6"]);
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (bob, bob_account) = Client::join(server.address, "bob");
    ann.befriend(bob_account.id);
    ann.settle();
    ann.take_pushes();
    drop(bob);
    let mut bob = Client::connect(server.address);
    assert!(bob.login(&bob_account).resumed);
    bob.send(Target::User(ann_account.id), "back");
    assert_eq!(&*ann.message().content, "back");
    drop(bob);
    let pushes = ann.take_pushes();
    assert!(
        !pushes.iter().any(|push| matches!(push, Push::Presence(presence::Push::Changed(_)))),
        "{pushes:?}"
    );
    let gone = ann.try_push(PATIENCE, |push| match push {
        Push::Presence(presence::Push::Changed(change)) => Some((change.id, change.state)),
        _ => None,
    });
    assert_eq!(gone, Some((bob_account.id, Presence::Offline)), "after the grace it is gone");
    assert!(!Client::connect(server.address).login(&bob_account).resumed);
}

#[test]
fn the_reject_policy_keeps_the_first_session_until_it_ends() {
    let server = Server::start(&["--set", "session.conflict=reject"]);
    let (mut first, account) = Client::join(server.address, "ann");
    let mut second = Client::connect(server.address);
    assert_eq!(second.refusal(&Client::by_password(&account, "the phone")).errno, Errno::AlreadyOnline);
    first.settle();
    // The same client may come back before its old connection is noticed to be lost.
    let mut again = Client::connect(server.address);
    again.login(&account);
    kicked(&first.wait_closed(PATIENCE));
    let mut first = again;
    assert_eq!(first.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
    assert!(matches!(
        second.ask_again(&Client::by_password(&account, "the phone")),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn another_account_can_log_in_on_the_connection_of_a_logout() {
    let server = Server::start(&[]);
    let (mut client, ann) = Client::join(server.address, "ann");
    let bob = client.register("bob");
    let (mut cleo, cleo_account) = Client::join(server.address, "cleo");
    assert_eq!(client.refusal(&Client::by_token(&bob)).errno, Errno::Conflict, "one at a time");
    assert_eq!(client.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);

    let send = |content| crate::support::client::text(Target::User(cleo_account.id), content, None);
    assert_eq!(client.refusal(&send("from nobody")).errno, Errno::NotLoggedIn);
    assert_eq!(
        client.refusal(&Client::by_token(&ann)).errno,
        Errno::TokenInvalid,
        "LOGOUT revokes the token"
    );
    client.login(&bob);
    assert!(matches!(client.ask_again(&send("from bob")), Reply::Message(message::Reply::Sent(_))));
    let message = cleo.message();
    assert_eq!((message.from, &*message.name, &*message.content), (bob.id, "bob", "from bob"));
    // Messages for the previous account are not delivered.
    cleo.send(Target::User(ann.id), "for ann");
    cleo.send(Target::User(bob.id), "for bob");
    assert_eq!(&*client.message().content, "for bob");
}

#[test]
fn a_wrong_password_and_an_unknown_account_are_refused_alike() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address);
    let ann = client.register("ann");
    let login = |who, password: &str| {
        let credentials = Credentials::Password { who, password: password.into() };
        Command::Session(session::Request::Login(session::Login::new(credentials)))
    };
    let wrong = client.refusal(&login(Who::Id(ann.id), "wrong horse"));
    assert_eq!(wrong.errno, Errno::BadCredentials);
    assert_eq!(client.refusal(&login(Who::Name("nobody".into()), "wrong horse")), wrong);
    assert_eq!(errno(&client.ask_again(&login(Who::Name("ANN".into()), PASSWORD))), Errno::Ok);
}

#[test]
fn a_login_by_token_survives_kill_9() {
    let mut server = Server::start(&[]);
    let (_client, account) = Client::join(server.address, "ann");
    server.kill9();
    server.restart();
    let mut client = Client::login_to(server.address, &account);
    client.settle();
}

/// The presence of a user in the pushes that a client got.
fn presences(client: &mut Client, user: UserId) -> Vec<Presence> {
    let of_user = |push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == user => Some(change.state),
        _ => None,
    };
    client.take_pushes().into_iter().filter_map(of_user).collect()
}

#[test]
fn an_account_that_logs_in_and_out_all_the_time_costs_its_friends_one_push_a_second() {
    const LOGINS: usize = 100;
    let server = Server::start(&["--set", "session.grace=0"]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let flicker = Client::connect(server.address).register("flicker");
    ann.befriend(flicker.id);
    presences(&mut ann, flicker.id);
    let begun = Instant::now();
    for _ in 0..LOGINS {
        Client::login_to(server.address, &flicker);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut told = presences(&mut ann, flicker.id);
    let most = seconds as usize + 2;
    assert!((1..=most).contains(&told.len()), "{} pushes in {seconds} s", told.len());
    // The last one says how it is.
    let deadline = Instant::now() + PATIENCE;
    while told.last() != Some(&Presence::Offline) {
        assert!(Instant::now() < deadline, "the user is offline, and its friend was told {told:?}");
        told.extend(presences(&mut ann, flicker.id));
    }
    let _online = Client::login_to(server.address, &flicker);
    let online = |push: &Push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == flicker.id => Some(change.state),
        _ => None,
    };
    while ann.push(PATIENCE, online) != Presence::Online {}
}
