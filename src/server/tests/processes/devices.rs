//! The logins of an account: DEVICES, REVOKE and CHANGE_PASSWORD over the wire, on both databases and on two nodes.

use crate::database::{start_on, start_on_shared};
use crate::support::client::{errno, text};
use crate::support::legacy_client::{Answers, LegacyClient};
use crate::support::nodes::Nodes;
use crate::support::proxy::{Cut, PASSWORD as CHANGE, Proxy};
use crate::support::{Account, Client, Event, MariaDb, PASSWORD, PATIENCE, Server};
use std::net::SocketAddr;
use wire::account::{ChangePassword, Request as AccountRequest, Who};
use wire::session::{
    ClientKind, Device, KickCode, Login, Push as SessionPush, Reply as SessionReply, Request, Revoke,
};
use wire::{Command, Credentials, DeviceId, Errno, Push, Reply, Target, UserId};

const NEW_PASSWORD: &str = "another password";

fn devices(client: &mut Client) -> Vec<Device> {
    match client.ask_again(&Request::Devices.into()) {
        Reply::Session(SessionReply::Devices(page)) => page.devices,
        other => panic!("DEVICES was answered {other:?}"),
    }
}

fn revoke(which: Revoke) -> Command {
    Request::Revoke(which).into()
}

fn change(old: &str, new: &str) -> Command {
    AccountRequest::ChangePassword(Box::new(ChangePassword { old: old.into(), new: new.into() })).into()
}

/// LOGIN by password.
fn by(user: UserId, password: &str) -> Command {
    let credentials = Credentials::Password { who: Who::Id(user), password: password.into() };
    let (device, kind) = (Some("desk".into()), Some(ClientKind::Terminal));
    Request::Login(Login { device, kind, ..Login::new(credentials) }).into()
}

/// Logs in by password; the client, and the account with the token.
fn log_in(address: SocketAddr, account: &Account, password: &str) -> (Client, Account) {
    let mut client = Client::connect(address);
    match client.ask_again(&by(account.id, password)) {
        Reply::Session(SessionReply::LoggedIn(login)) => (
            client,
            Account {
                id: account.id,
                name: account.name.clone(),
                token: login.token.expect("a login shows its token"),
            },
        ),
        other => panic!("LOGIN was answered {other:?}"),
    }
}

/// The errno of a LOGIN.
fn refused(address: SocketAddr, login: &Command) -> Errno {
    Client::connect(address).refusal(login).errno
}

#[test]
fn logins_are_listed_and_revoked_and_stay_so_after_kill_9() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let registered = Client::connect(server.address).register("ann");
        let (mut ann, account) = log_in(server.address, &registered, PASSWORD);
        let found = devices(&mut ann);
        let row = |device: &Device| (device.id.0, device.current, device.online);
        assert_eq!(found.iter().map(row).collect::<Vec<_>>(), [(2, true, true)]);
        assert_eq!(
            (&*found[0].device, found[0].kind, &*found[0].address),
            ("desk", ClientKind::Terminal, "127.0.0.1")
        );
        assert_eq!(ann.refusal(&revoke(Revoke::One(DeviceId(7)))).errno, Errno::NotFound);
        // That of REGISTER is not listed apart, but has a number as well.
        assert_eq!(ann.ask_again(&revoke(Revoke::One(DeviceId(1)))), Reply::Done);
        assert_eq!(ann.ask_again(&revoke(Revoke::One(DeviceId(1)))), Reply::Done, "it has ended already");
        server.kill9();
        server.restart();
        assert_eq!(refused(server.address, &Client::by_token(&registered)), Errno::TokenInvalid);
        let mut ann = Client::login_to(server.address, &account);
        assert_eq!(devices(&mut ann).len(), 1);
        // The own one: as with LOGOUT, the connection stays open.
        let sent = ann.post(&revoke(Revoke::One(DeviceId(2)))).unwrap();
        assert_eq!(ann.reply(sent), Reply::Done);
        let late = text(Target::User(account.id), "too late", None);
        assert_eq!(ann.refusal(&late).errno, Errno::NotLoggedIn);
        assert_eq!(refused(server.address, &Client::by_token(&account)), Errno::TokenInvalid);
        match ann.ask_again(&by(account.id, PASSWORD)) {
            Reply::Session(SessionReply::LoggedIn(_)) => {}
            other => panic!("LOGIN was answered {other:?}"),
        }
        // A message that was not stored is in no timeline.
        assert!(ann.send(Target::User(account.id), "now").seq.0 == 1);
    }
}

#[test]
fn a_change_of_the_password_ends_every_other_login() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let registered = Client::connect(server.address).register("ann");
        let (mut ann, account) = log_in(server.address, &registered, PASSWORD);
        let refusal = ann.refusal(&change("not this one", NEW_PASSWORD));
        assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::BadCredentials, Some("old")));
        assert_eq!(ann.refusal(&change(PASSWORD, "short")).errno, Errno::BadRequest);
        assert_eq!(ann.ask_again(&change(PASSWORD, NEW_PASSWORD)), Reply::Done);
        // The session stays; a client that did not get the reply asks again.
        ann.send(Target::User(account.id), "still here");
        assert_eq!(ann.ask_again(&change(PASSWORD, NEW_PASSWORD)), Reply::Done);
        drop(ann);
        server.kill9();
        server.restart();
        assert_eq!(refused(server.address, &by(account.id, PASSWORD)), Errno::BadCredentials);
        assert_eq!(refused(server.address, &Client::by_token(&registered)), Errno::TokenInvalid);
        let mut legacy = LegacyClient::connect(server.address, Answers::Inline);
        let Err((errno, _)) = legacy.login(account.id.0.into()) else {
            panic!("a legacy login with the old password succeeded");
        };
        assert_eq!(errno, 1);
        let mut ann = Client::login_to(server.address, &account);
        assert_eq!(ann.ask_again(&change(NEW_PASSWORD, PASSWORD)), Reply::Done);
        log_in(server.address, &account, PASSWORD);
    }
}

#[test]
fn a_change_of_the_password_counts_on_all_nodes_at_once() {
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let registered = Client::connect(one).register("ann");
    let (mut ann, account) = log_in(one, &registered, PASSWORD);
    for (old, new) in [(PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, PASSWORD), (PASSWORD, NEW_PASSWORD)] {
        assert_eq!(ann.ask_again(&change(old, new)), Reply::Done);
        assert_eq!(refused(two, &by(account.id, old)), Errno::BadCredentials);
        assert_eq!(refused(two, &Client::by_token(&registered)), Errno::TokenInvalid);
        ann.send(Target::User(account.id), new);
    }
    // A session ends on the node that it revokes itself on; its token is of no use on the other one.
    let id = devices(&mut ann).into_iter().find(|device| device.current).expect("it is listed").id;
    assert_eq!(ann.ask_again(&revoke(Revoke::One(id))), Reply::Done);
    assert_eq!(refused(two, &Client::by_token(&account)), Errno::TokenInvalid);
    let (mut ann, _) = log_in(two, &account, NEW_PASSWORD);
    let found = devices(&mut ann);
    assert_eq!((found.len(), found[0].current, found[0].online), (1, true, true));
}

/// What a session is told when it was ended on another node: KICKED with its code, within the time of a poll.
#[test]
fn a_session_that_was_revoked_elsewhere_writes_nothing_and_learns_why() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let cluster = Nodes::over(&database.url(&name), 2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ben, ben_account) = Client::join(one, "ben");
    let registered = Client::connect(two).register("ann");
    for (end_code, code) in [(1, KickCode::Revoked), (2, KickCode::Password)] {
        let (mut ann, account) = log_in(two, &registered, PASSWORD);
        ann.send(Target::User(ben_account.id), "before");
        assert_eq!(&*ben.message().content, "before");
        // As REVOKE and CHANGE_PASSWORD of another session do, and no hint tells this node of it.
        database.ask(&format!(
            "UPDATE {name}.account_session SET end_code = {end_code}, \
             changed_at = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) WHERE user_id = {} AND end_code IS NULL",
            account.id
        ));
        let request = ann.post(&text(Target::User(ben_account.id), "after", None)).expect("it is connected");
        let said = ann.wait_closed(PATIENCE);
        let reply = said.iter().find_map(|event| match event {
            Event::Reply(number, reply) if *number == request => Some(reply.clone()),
            _ => None,
        });
        // It may have been told before its message arrived.
        assert!(reply.is_none_or(|reply| errno(&reply) == Errno::NotLoggedIn));
        let told = said.iter().find_map(|event| match event {
            Event::Push(Push::Session(SessionPush::Kicked(kicked))) => Some(kicked.code),
            _ => None,
        });
        assert_eq!(told, Some(Some(code)), "{said:?}");
    }
    let (mut ann, _) = log_in(two, &registered, PASSWORD);
    ann.send(Target::User(ben_account.id), "the last one");
    assert_eq!(&*ben.message().content, "the last one", "what came after the end was not stored");
}

#[test]
fn a_change_of_the_password_with_a_lost_commit_answer_is_made_once() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let server = start_on(&database.url_at(proxy.port, &database.new_name()));
    let registered = Client::connect(server.address).register("ann");
    let (mut ann, account) = log_in(server.address, &registered, PASSWORD);
    let passwords: Vec<String> =
        (0..7).map(|n| if n == 0 { PASSWORD.into() } else { format!("password {n}") }).collect();
    for (round, pair) in passwords.windows(2).enumerate() {
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], CHANGE);
        assert_eq!(ann.ask_again(&change(&pair[0], &pair[1])), Reply::Done);
        proxy.wait_until_cut();
        // The session stays, and all else has ended.
        ann.send(Target::User(account.id), &pair[1]);
        assert_eq!(devices(&mut ann).len(), 1);
        assert_eq!(refused(server.address, &Client::by_token(&registered)), Errno::TokenInvalid);
        // Five wrong passwords are free.
        if round < 3 {
            assert_eq!(refused(server.address, &by(account.id, &pair[0])), Errno::BadCredentials);
        }
    }
    log_in(server.address, &account, passwords.last().unwrap());
}
