//! Strangers who register, guess and keep old tokens: what they can take from others, and what is left of a session.

use crate::support::client::errno;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, Event, PASSWORD, PATIENCE, Server};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use wire::account::{Register, Who};
use wire::{Command, Credentials, Errno, Reply, account, session};

/// The cost of passwords as installed; the tests' own is too low to keep the password thread busy.
const DEAR_PASSWORDS: [&str; 4] = ["--set", "password.memory_kib=19456", "--set", "password.iterations=2"];

fn register(name: &str) -> Command {
    let (name, password) = (name.into(), PASSWORD.into());
    let register = Register { name, password, email: None, code: None, nick: None };
    Command::Account(account::Request::Register(Box::new(register)))
}

fn login(who: Who, password: &str, known: Option<&str>) -> Command {
    let credentials = Credentials::Password { who, password: password.into() };
    let login = session::Login { known: known.map(Into::into), ..session::Login::new(credentials) };
    Command::Session(session::Request::Login(login))
}

/// An address on this machine that no other test uses.
fn address(n: usize) -> IpAddr {
    Ipv4Addr::new(127, 7, (n >> 8) as u8, n as u8).into()
}

/// Logs in from an address; the reply.
fn try_login(
    server: SocketAddr,
    from: usize,
    account: &Account,
    password: &str,
    known: Option<&str>,
) -> Reply {
    let (mut client, _) = Client::connect_from(address(from), server);
    client.ask(&login(Who::Id(account.id), password, known))
}

/// Counts the accounts that were registered on a connection by now.
fn registered(client: &mut Client) -> usize {
    let is_new =
        |event: &Event| matches!(event, Event::Reply(_, Reply::Account(account::Reply::Registered(_))));
    let mut count = 0;
    while let Ok(Some(event)) = client.event(Duration::ZERO) {
        count += usize::from(is_new(&event));
    }
    count
}

#[test]
fn registrations_do_not_hold_up_logins() {
    let server = Server::start(&DEAR_PASSWORDS);
    let owner = Client::connect(server.address).register("owner");
    let mut strangers = [0, 1].map(|n| {
        let mut stranger = Client::connect(server.address);
        for request in 0..200 {
            stranger.post(&register(&format!("stranger {n} {request}"))).unwrap();
        }
        stranger
    });
    // From the first on, the password thread has work.
    assert_eq!(errno(&strangers[0].reply(1)), Errno::Ok);
    strangers.iter_mut().map(registered).for_each(drop);
    const LOGINS: usize = 15;
    for _ in 0..LOGINS {
        let mut client = Client::connect(server.address);
        assert_eq!(errno(&client.ask(&login(Who::Id(owner.id), PASSWORD, None))), Errno::Ok);
    }
    let meanwhile: usize = strangers.iter_mut().map(registered).sum();
    // One login waits for the hash that is running and at most one more; further ones fit in while this test is slow.
    assert!(meanwhile <= 4 * LOGINS, "{meanwhile} registrations went before {LOGINS} logins");
    assert!(meanwhile > 0, "registrations are not starved");
}

#[test]
fn an_address_registers_twenty_accounts_an_hour() {
    let server = Server::start(&["--set", "registration.per_address_hour=20"]);
    let (mut client, _) = Client::connect_from(address(1), server.address);
    for n in 0..20 {
        client.register(&format!("user {n}"));
    }
    let Reply::Refused(refusal) = client.ask(&register("one more")) else { panic!("it was registered") };
    assert_eq!(refusal.errno, Errno::RateLimited);
    assert!(refusal.retry_after_ms.is_some_and(|wait| (1..=180_000).contains(&wait)), "{refusal:?}");
    server.wait_for_log("throttling registrations from 127.7.0.1: registration.per_address_hour is reached");
    let (mut other, _) = Client::connect_from(address(2), server.address);
    other.register("from elsewhere");
}

#[test]
fn guesses_do_not_lock_the_owner_out() {
    let server = Server::start(&[]);
    let (mut owner, _) = Client::connect_from(address(1), server.address);
    let ann = owner.register("ann");
    let Reply::Session(session::Reply::LoggedIn(session)) =
        owner.ask(&login(Who::Id(ann.id), PASSWORD, None))
    else {
        panic!("the password is right");
    };
    assert_eq!(owner.ask(&Command::Session(session::Request::Logout)), Reply::Done);
    let mut attacker = 100;
    for _ in 0..45 {
        for _ in 0..6 {
            attacker += 1;
            assert_ne!(errno(&try_login(server.address, attacker, &ann, "wrong", None)), Errno::Ok);
        }
        let reply = try_login(server.address, 1, &ann, PASSWORD, None);
        assert_eq!(errno(&reply), Errno::Ok, "from where it logged in before: {reply:?}");
        attacker += 1;
        let reply = try_login(server.address, attacker, &ann, PASSWORD, session.token.as_deref());
        assert_eq!(errno(&reply), Errno::Ok, "with its old token: {reply:?}");
    }
    // The old token identifies the client, but does not log in.
    let mut client = Client::connect(server.address);
    let by_token =
        Client::by_token(&Account { token: session.token.expect("a login shows its token"), ..ann.clone() });
    assert_eq!(client.refusal(&by_token).errno, Errno::TokenInvalid);
    attacker += 1;
    let reply = try_login(server.address, attacker, &ann, PASSWORD, Some("not its token"));
    assert_eq!(errno(&reply), Errno::RateLimited, "{reply:?}");
    server.wait_for_log(&format!("throttling password logins to account {} from addresses it never", ann.id));
}

#[test]
fn an_address_cannot_try_common_passwords_at_many_accounts() {
    let server = Server::start(&[]);
    let mut host = Client::connect(server.address);
    let accounts: Vec<Account> = (0..200).map(|n| host.register(&format!("user {n}"))).collect();
    let (mut attacker, _) = Client::connect_from(address(1), server.address);
    let mut checked = 0;
    for password in ["123456", "password", "qwerty", "111111", "abc123", "letmein", "iloveyou", "000000"] {
        for account in &accounts {
            let reply = attacker.ask(&login(Who::Id(account.id), password, None));
            checked += usize::from(errno(&reply) == Errno::BadCredentials);
        }
    }
    // Ten accounts, and one more for each wait that is over.
    assert!((10..20).contains(&checked), "{checked} passwords were checked");
    server.wait_for_log("throttling password logins from 127.7.0.1: wrong passwords for 10 accounts");
    server.wait_for_log(
        " password logins and 0 registrations of throttled addresses, the last one from 127.7.0.1",
    );
    let lines = server.stderr().lines().filter(|line| line.contains("thrott")).count();
    assert!(lines < 20, "{lines} lines");
    // Others are not concerned.
    let reply = try_login(server.address, 2, &accounts[50], PASSWORD, None);
    assert_eq!(errno(&reply), Errno::Ok, "{reply:?}");
}

#[test]
fn nodes_share_what_they_count() {
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let mut host = Client::connect(one);
    let accounts: Vec<Account> = (0..40).map(|n| host.register(&format!("user {n}"))).collect();
    let mut checked = 0;
    for (n, account) in accounts.iter().enumerate() {
        let node = if n % 2 == 0 { one } else { two };
        let reply = try_login(node, 1, account, "wrong", None);
        checked += usize::from(errno(&reply) == Errno::BadCredentials);
    }
    // A hint takes a moment, so that one or two more may pass.
    assert!((10..16).contains(&checked), "{checked} passwords were checked");
}

/// What is left of an account's session that ended: no token logs in.
fn nothing_logs_in(server: SocketAddr, account: &Account, tokens: &[&str]) {
    for token in tokens {
        let mut client = Client::connect(server);
        let by_token = Client::by_token(&Account { token: (*token).into(), ..account.clone() });
        assert_eq!(client.refusal(&by_token).errno, Errno::TokenInvalid);
    }
}

fn log_in(client: &mut Client, account: &Account) -> Box<str> {
    match client.ask_again(&login(Who::Id(account.id), PASSWORD, None)) {
        Reply::Session(session::Reply::LoggedIn(session)) => session.token.expect("a login shows its token"),
        other => panic!("LOGIN was answered {other:?}"),
    }
}

/// The account of `name` logs in at `server` and out again, or is kicked by a login at `other`.
fn a_session_leaves_nothing_that_logs_in(server: SocketAddr, other: SocketAddr) {
    for (name, is_kicked) in [("ann", false), ("bob", true)] {
        let mut client = Client::connect(server);
        let account = client.register(name);
        let token = log_in(&mut client, &account);
        assert_ne!(token, account.token);
        let later = is_kicked.then(|| {
            let mut later = Client::connect(other);
            let token = log_in(&mut later, &account);
            client.wait_closed(PATIENCE);
            (later, token)
        });
        if later.is_none() {
            assert_eq!(client.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
        }
        nothing_logs_in(server, &account, &[&token, &account.token]);
        nothing_logs_in(other, &account, &[&token, &account.token]);
        if let Some((_later, token)) = later {
            Client::login_to(server, &Account { token, ..account });
        }
    }
    // A first login by the token of REGISTER.
    let (mut client, account) = Client::join(server, "cleo");
    let mut later = Client::connect(other);
    log_in(&mut later, &account);
    client.wait_closed(PATIENCE);
    nothing_logs_in(server, &account, &[&account.token]);
}

#[test]
fn a_logout_or_kick_leaves_nothing_that_logs_in() {
    let mut server = Server::start(&[]);
    a_session_leaves_nothing_that_logs_in(server.address, server.address);
    // Tokens of an account that was never used survive a restart, those that ended do not come back.
    let account = Client::connect(server.address).register("dan");
    let mut client = Client::connect(server.address);
    let token = log_in(&mut client, &account);
    assert_eq!(client.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
    let unused = Client::connect(server.address).register("emil");
    server.kill9();
    server.restart();
    nothing_logs_in(server.address, &account, &[&token, &account.token]);
    Client::login_to(server.address, &unused);
}

#[test]
fn a_logout_or_kick_across_nodes_leaves_nothing_that_logs_in() {
    let cluster = Nodes::start(2, &[]);
    a_session_leaves_nothing_that_logs_in(cluster.nodes[0].address, cluster.nodes[1].address);
}
