//! Password work: turns, budgets of guesses and of registrations, and what other nodes are told.

use super::harness::{Harness, errno, rules};
use logic::attempt::{AccountKey, Attempt};
use logic::bus::{Channel, Hint, NodeState};
use logic::{Alert, BusInput, ConnId, Input, Network, Rules};
use std::net::IpAddr;
use wire::account::{self, Register, Who};
use wire::{Command, Credentials, Dialect, Errno, Reply, session};

const USERS: usize = 200;

fn harness(rules: Rules) -> Harness {
    let names: Vec<String> = (1..=USERS).map(|n| format!("user {n}")).collect();
    Harness::new(rules, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn address(n: usize) -> IpAddr {
    [10, 0, (n >> 8) as u8, n as u8].into()
}

fn connect(t: &mut Harness, from: IpAddr) -> ConnId {
    t.open_from(from, Dialect::Tlv)
}

fn login_with(name: &str, password: &str, known: Option<&str>) -> Command {
    let credentials = Credentials::Password { who: Who::Name(name.into()), password: password.into() };
    let login = session::Login { known: known.map(Into::into), ..session::Login::new(credentials) };
    Command::Session(session::Request::Login(login))
}

fn try_login(t: &mut Harness, from: IpAddr, name: &str, password: &str, known: Option<&str>) -> Reply {
    let conn = connect(t, from);
    t.get(conn, login_with(name, password, known))
}

fn register(name: &str) -> Command {
    let (name, password) = (name.into(), "secret".into());
    let register = Register { name, password, email: None, code: None, nick: None };
    Command::Account(account::Request::Register(Box::new(register)))
}

fn retry_after_ms(reply: &Reply) -> u64 {
    match reply {
        Reply::Refused(refusal) => refusal.retry_after_ms.expect("it says when to come back"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn logins_do_not_wait_behind_registrations() {
    let mut t = harness(rules());
    t.hashing_stands = true;
    for n in 0..2 {
        let conn = connect(&mut t, address(n));
        for request in 0..200 {
            t.ask(conn, register(&format!("new {n} {request}")));
        }
    }
    t.settle();
    for n in 1..=15 {
        let conn = connect(&mut t, address(99));
        let request = t.ask(conn, Harness::login_command(&format!("user {n}")));
        t.settle();
        let mut hashes = 0;
        while t.reply(conn, request).is_none() {
            assert!(t.hash_one(), "the password thread has work");
            hashes += 1;
            t.settle();
        }
        assert!(hashes <= 3, "login {n} took {hashes} hashes");
    }
}

#[test]
fn registrations_of_an_address_wait_behind_its_own() {
    // The crowd asks faster than storage answers, and is not to be held up there.
    let mut t = harness(Rules { reads_waiting: 0, ..rules() });
    t.hashing_stands = true;
    let crowd = connect(&mut t, address(1));
    for n in 0..1_000 {
        t.ask(crowd, register(&format!("crowd {n}")));
    }
    t.settle();
    let seen = t.take(crowd);
    assert_eq!(seen.len(), 1_000 - 256 - 1, "one runs, and its address has 256 waiting");
    let conn = connect(&mut t, address(2));
    let request = t.ask(conn, register("innocent"));
    t.settle();
    for _ in 0..3 {
        t.hash_one();
        t.settle();
    }
    assert_eq!(errno(&t.reply(conn, request).expect("it had the second turn")), Errno::Ok);
}

#[test]
fn nothing_is_hashed_for_a_client_that_has_gone() {
    let mut t = harness(Rules { registrations_per_hour: 30, ..rules() });
    t.hashing_stands = true;
    let gone = connect(&mut t, address(1));
    for n in 0..20 {
        t.ask(gone, register(&format!("new {n}")));
    }
    t.settle();
    t.input(Input::Closed { conn: gone });
    let conn = connect(&mut t, address(1));
    let request = t.ask(conn, register("innocent"));
    t.settle();
    t.hash_one();
    t.hash_one();
    t.settle();
    assert_eq!(errno(&t.reply(conn, request).expect("the others were dropped")), Errno::Ok);
    // The registrations that did not take place are returned to the budget.
    t.hashing_stands = false;
    for n in 0..28 {
        assert_eq!(errno(&t.get(conn, register(&format!("later {n}")))), Errno::Ok);
    }
    assert_eq!(errno(&t.get(conn, register("one more"))), Errno::RateLimited);
}

#[test]
fn an_address_registers_so_many_accounts_an_hour() {
    let mut t = harness(Rules { registrations_per_hour: 20, ..rules() });
    let conn = connect(&mut t, "2001:db8::1".parse().unwrap());
    for n in 0..20 {
        // A name that is taken costs nothing.
        assert_eq!(errno(&t.get(conn, register("user 1"))), Errno::NameTaken);
        assert_eq!(errno(&t.get(conn, register(&format!("new {n}")))), Errno::Ok);
    }
    let neighbour = connect(&mut t, "2001:db8::2".parse().unwrap());
    let refused = t.get(neighbour, register("another"));
    assert_eq!((errno(&refused), retry_after_ms(&refused)), (Errno::RateLimited, 180_000));
    let stranger = connect(&mut t, "2001:db8:0:1::1".parse().unwrap());
    assert_eq!(errno(&t.get(stranger, register("somebody"))), Errno::Ok);
    t.advance(180_000);
    assert_eq!(errno(&t.get(neighbour, register("another"))), Errno::Ok);
    let network = Network::of("2001:db8::2".parse().unwrap());
    assert_eq!(t.alerts[0], Alert::Registrations { network });
}

#[test]
fn guesses_from_ever_new_addresses_do_not_lock_the_owner_out() {
    let mut t = harness(rules());
    let Reply::Session(session::Reply::LoggedIn(login)) =
        try_login(&mut t, address(1), "user 1", "secret", None)
    else {
        panic!("the password is right");
    };
    let mut attacker = 100;
    for _ in 0..45 {
        for _ in 0..10 {
            attacker += 1;
            try_login(&mut t, address(attacker), "user 1", "wrong", None);
        }
        // From where it logged in before, and from a new place with its old token.
        assert_eq!(errno(&try_login(&mut t, address(1), "user 1", "secret", None)), Errno::Ok);
        attacker += 1;
        let from = address(attacker);
        assert_eq!(errno(&try_login(&mut t, from, "user 1", "secret", login.token.as_deref())), Errno::Ok);
        t.advance(500);
    }
    // Another account's token shows nothing.
    let refused = try_login(&mut t, address(9_999), "user 1", "secret", Some("2:1"));
    assert_eq!(errno(&refused), Errno::RateLimited);
    assert!(retry_after_ms(&refused) <= 1_000);
    let account = AccountKey(1);
    assert!(
        t.alerts.iter().any(
            |alert| matches!(alert, Alert::GuessesFromManyAddresses { account: of, .. } if *of == account)
        ),
        "{:?}",
        t.alerts
    );
}

#[test]
fn an_address_cannot_guess_at_many_accounts() {
    for familiar in [false, true] {
        let mut t = harness(rules());
        let office = address(7);
        let mut checked = 0;
        if familiar {
            t.networks.extend((1..=USERS as u32).map(|user| (wire::UserId(user), Network::of(office))));
        }
        for _ in 0..8 {
            for n in 1..=USERS {
                let reply = try_login(&mut t, office, &format!("user {n}"), "123456", None);
                checked += usize::from(errno(&reply) == Errno::BadCredentials);
            }
        }
        // Where all of them log in from, each has one try.
        assert_eq!(checked, if familiar { USERS } else { 10 });
        let network = Network::of(office);
        assert!(t.alerts.contains(&Alert::GuessesAtManyAccounts { accounts: 10, network }));
        assert!(t.alerts.len() <= 3, "{:?}", t.alerts);
        t.advance(10_000);
        let Some(Alert::Refused { logins, last, .. }) = t.alerts.last() else { panic!("{:?}", t.alerts) };
        assert_eq!((*logins as usize, *last), (8 * USERS - checked, network));
    }
}

#[test]
fn an_office_that_logs_in_rightly_is_not_held_up() {
    let mut t = harness(rules());
    t.hashing_stands = true;
    let office = address(7);
    let tries: Vec<_> = (1..=USERS)
        .map(|n| {
            let conn = connect(&mut t, office);
            (conn, t.ask(conn, Harness::login_command(&format!("user {n}"))))
        })
        .collect();
    t.settle();
    while t.hash_one() {
        t.settle();
    }
    for (conn, request) in tries {
        assert_eq!(errno(&t.reply(conn, request).unwrap()), Errno::Ok);
    }
}

#[test]
fn parallel_guesses_count_one_after_another() {
    let mut t = harness(rules());
    t.hashing_stands = true;
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let conn = connect(&mut t, address(7));
            (conn, t.ask(conn, login_with("user 1", "wrong", None)))
        })
        .collect();
    t.settle();
    while t.hash_one() {}
    let replies = tries.iter().map(|(conn, request)| errno(&t.reply(*conn, *request).unwrap()));
    assert_eq!(replies.filter(|errno| *errno == Errno::BadCredentials).count(), 5);
}

#[test]
fn an_unknown_name_is_throttled_like_an_account() {
    let answers = |name: &str| {
        let mut t = harness(rules());
        let replies = (0..20).map(|n| try_login(&mut t, address(n / 8), name, "wrong", None));
        replies.collect::<Vec<_>>()
    };
    assert_eq!(answers("user 1"), answers("nobody"));
}

#[test]
fn nodes_count_each_others_guesses() {
    let mut t = harness(Rules { cluster: Some("n1-1".into()), ..rules() });
    let node = |run: &str| NodeState { run: run.into(), alive: true, report: None };
    let nodes = BusInput::Nodes(vec![node("n1-1"), node("n2-1")]);
    t.logic.handle_bus(t.now, nodes, &mut t.effects);
    t.settle();
    try_login(&mut t, address(7), "user 1", "wrong", None);
    let attempt = Attempt {
        account: AccountKey(1),
        network: Network::of(address(7)),
        client: None,
        is_familiar: false,
    };
    let told = (Channel::Node("n2-1".into()), Hint::PasswordTried { attempt, is_right: false });
    assert_eq!(t.published, [told]);
    // A right password is told only where it clears failures.
    try_login(&mut t, address(8), "user 1", "secret", None);
    assert_eq!(t.published.len(), 1);
    try_login(&mut t, address(7), "user 1", "secret", None);
    let Some((_, Hint::PasswordTried { attempt: cleared, is_right: true })) = t.published.last() else {
        panic!("{:?}", t.published);
    };
    assert_eq!((cleared.account, cleared.network), (attempt.account, attempt.network));
    // What another node counted holds here as well.
    for account in 1..=10 {
        let attempt = Attempt { account: AccountKey(account), network: Network::of(address(9)), ..attempt };
        let hint = Hint::PasswordTried { attempt, is_right: false };
        let channel = Channel::Node("n1-1".into());
        t.logic.handle_bus(t.now, BusInput::Hint { channel, hint }, &mut t.effects);
    }
    t.settle();
    assert_eq!(errno(&try_login(&mut t, address(9), "user 50", "secret", None)), Errno::RateLimited);
}
