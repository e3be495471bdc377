//! Tokens: what they log in, which of them end with a session, and what an ended one still shows.

use super::device::devices;
use super::scenario::{DAY_MS, Scenario};
use super::session::{claim, claimed, see};
use crate::token::ENDED_MAX;
use logic::Network;
use logic::contract::account::{self, Credentials, Login, NETWORKS_MAX};
use logic::contract::{Client, Denial, Found, Read, Token, Write, Written, session};
use std::net::{IpAddr, Ipv4Addr};
use wire::UserId;
use wire::account::Who;
use wire::session::ClientKind;

pub const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A client that says nothing about itself.
pub fn client(from: IpAddr) -> Client {
    Client { device: None, kind: None, address: from }
}

pub fn create_by(user: UserId, client: Client) -> Write {
    let password = "$hash".into();
    Write::Session(session::Write::CreateToken { user, password, client })
}

pub fn create(user: UserId, from: IpAddr) -> Write {
    create_by(user, client(from))
}

pub fn extend(token: &str, from: IpAddr) -> Write {
    extend_by(token, client(from))
}

pub fn extend_by(token: &str, client: Client) -> Write {
    Write::Session(session::Write::ExtendToken { token: token.into(), client })
}

pub fn revoke(token: &Token) -> Write {
    Write::Session(session::Write::RevokeToken(token.hash))
}

/// Registers an account; its id and token.
pub fn register(scenario: &mut Scenario<'_>, name: &str) -> (UserId, Token) {
    let (name, password) = (name.into(), "$hash".into());
    match scenario.one(Write::Account(account::Write::Create { name, password, nick: None })) {
        Written::Account(account::Written::Created { user, token }) => (user, token),
        other => panic!("{other:?}"),
    }
}

/// Whether a token logs in; if so, it was used.
pub fn logs_in(scenario: &mut Scenario<'_>, token: &Token) -> bool {
    match scenario.one(extend(&token.text, HOME)) {
        Written::Session(session::Written::TokenReady(_)) => true,
        Written::Denied(Denial::TokenInvalid) => false,
        other => panic!("{other:?}"),
    }
}

pub fn credentials(
    scenario: &mut Scenario<'_>,
    who: Who,
    from: IpAddr,
    known: Option<&str>,
) -> Option<Credentials> {
    let login = Login { who, network: Network::of(from), known: known.map(Into::into) };
    match scenario.read(Read::Account(account::Read::Credentials(Box::new(login)))) {
        Found::Account(account::Found::Credentials(found)) => found.map(|found| *found),
        other => panic!("{other:?}"),
    }
}

pub fn ready(written: Written) -> (UserId, String, Token) {
    match written {
        Written::Session(session::Written::TokenReady(ready)) => {
            (ready.user, ready.name.to_string(), ready.token)
        }
        other => panic!("{other:?}"),
    }
}

pub fn tokens_expire_and_can_be_extended_and_revoked(scenario: &mut Scenario<'_>) {
    let user = scenario.user("anna");
    let (who, name, token) =
        ready(scenario.one(create_by(user, Client { device: Some("laptop".into()), ..client(HOME) })));
    assert_eq!((who, name.as_str()), (user, "anna"));
    let (_, _, other) = ready(scenario.one(create(user, HOME)));
    assert!(token.text != other.text && token.hash != other.hash && token.text.len() >= 43);

    // Used again at once, it is unchanged.
    let extend = |token: &Token| extend(&token.text, HOME);
    scenario.wait(59 * 60 * 1000);
    let (who, name, again) = ready(scenario.one(extend(&token)));
    assert_eq!((who, name.as_str()), (user, "anna"));
    assert_eq!((&again.text, again.hash, again.expires), (&token.text, token.hash, token.expires));

    // Six days later it is still valid, and valid for another seven days.
    scenario.wait(6 * DAY_MS);
    let (who, name, again) = ready(scenario.one(extend(&token)));
    assert_eq!((who, name.as_str()), (user, "anna"));
    assert_eq!((&again.text, again.hash), (&token.text, token.hash));
    assert_eq!(again.expires.0, scenario.now.0 + 7 * DAY_MS);

    scenario.wait(6 * DAY_MS);
    scenario.file();
    scenario.fixture.restart();
    assert!(
        matches!(scenario.one(extend(&other)), Written::Denied(Denial::TokenInvalid)),
        "it was not used for twelve days"
    );
    ready(scenario.one(extend(&token)));
    scenario.wait(7 * DAY_MS);
    assert!(
        matches!(scenario.one(extend(&token)), Written::Denied(Denial::TokenInvalid)),
        "its last millisecond is over"
    );

    let (_, _, token) = ready(scenario.one(create(user, HOME)));
    assert!(matches!(scenario.one(revoke(&token)), Written::Done));
    assert!(matches!(scenario.one(revoke(&token)), Written::Done));
    assert!(matches!(scenario.one(extend(&token)), Written::Denied(Denial::TokenInvalid)));
    assert!(matches!(scenario.one(self::extend("never", HOME)), Written::Denied(Denial::TokenInvalid)));
}

pub fn a_token_keeps_the_kind_of_its_client(scenario: &mut Scenario<'_>) {
    let kind_of = |written: &Written| match written {
        Written::Session(session::Written::TokenReady(ready)) => ready.kind,
        other => panic!("{other:?}"),
    };
    let says = |kind| Client { kind: Some(kind), ..client(HOME) };
    let (anna, registered) = register(scenario, "anna");
    assert_eq!(kind_of(&scenario.one(extend(&registered.text, HOME))), ClientKind::Other);
    for kind in ClientKind::ALL {
        let written = scenario.one(create_by(anna, says(kind)));
        assert_eq!(kind_of(&written), kind);
        let (_, _, token) = ready(written);
        scenario.fixture.restart();
        // It stays until a login says another one, which is kept at once.
        assert_eq!(kind_of(&scenario.one(extend(&token.text, HOME))), kind);
        assert_eq!(kind_of(&scenario.one(extend_by(&token.text, says(ClientKind::Web)))), ClientKind::Web);
        assert_eq!(kind_of(&scenario.one(extend(&token.text, HOME))), ClientKind::Web);
    }
}

pub fn the_token_of_register_belongs_to_the_first_login(scenario: &mut Scenario<'_>) {
    // It ends with the session of the first login by password.
    let (anna, registered) = register(scenario, "anna");
    let (_, _, first) = ready(scenario.one(create(anna, HOME)));
    scenario.fixture.restart();
    // So it is not listed apart.
    let listed: Vec<_> = devices(scenario, anna).iter().map(|device| device.token).collect();
    assert_eq!(listed, [first.hash]);
    scenario.one(revoke(&first));
    assert!(!logs_in(scenario, &first) && !logs_in(scenario, &registered));

    // Or with a later login.
    let (ben, registered) = register(scenario, "ben");
    let (_, _, first) = ready(scenario.one(create(ben, HOME)));
    let (_, _, second) = ready(scenario.one(create(ben, HOME)));
    assert!(!logs_in(scenario, &registered) && logs_in(scenario, &first) && logs_in(scenario, &second));

    // Or it is the token of the first login itself, and ends like any other.
    let (carla, registered) = register(scenario, "carla");
    assert!(logs_in(scenario, &registered));
    let (_, _, second) = ready(scenario.one(create(carla, HOME)));
    assert!(logs_in(scenario, &registered), "storage does not know which sessions there are");
    scenario.one(revoke(&second));
    assert!(logs_in(scenario, &registered));
    scenario.one(revoke(&registered));
    assert!(!logs_in(scenario, &registered));

    // A session that began with it keeps it, though the first login was by password.
    let (dora, registered) = register(scenario, "dora");
    let (_, _, first) = ready(scenario.one(create(dora, HOME)));
    assert!(logs_in(scenario, &registered));
    scenario.one(revoke(&first));
    assert!(logs_in(scenario, &registered) && !logs_in(scenario, &first));

    // Nothing of this concerns other accounts.
    let (_, registered) = register(scenario, "emil");
    assert!(logs_in(scenario, &registered));
}

pub fn a_claim_revokes_the_token_of_the_session_before(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    see(scenario, "n2");
    let claim = |user, node: &str, token: &Token| claim(user, node, token.hash);
    let (anna, registered) = register(scenario, "anna");
    let (_, _, laptop) = ready(scenario.one(create(anna, HOME)));
    claimed(&scenario.one(claim(anna, "n1", &laptop)));
    // The session itself moves: its token stays.
    claimed(&scenario.one(claim(anna, "n2", &laptop)));
    assert!(logs_in(scenario, &laptop));
    let (_, _, phone) = ready(scenario.one(create(anna, HOME)));
    claimed(&scenario.one(claim(anna, "n1", &phone)));
    scenario.fixture.restart();
    assert!(!logs_in(scenario, &laptop) && !logs_in(scenario, &registered) && logs_in(scenario, &phone));
}

pub fn an_ended_token_identifies_a_known_client(scenario: &mut Scenario<'_>) {
    let (anna, registered) = register(scenario, "anna");
    let (ben, of_ben) = register(scenario, "ben");
    let known = |scenario: &mut Scenario<'_>, user, text: &str| {
        credentials(scenario, Who::Id(user), HOME, Some(text)).unwrap().known
    };
    assert_eq!(known(scenario, anna, &registered.text), Some(registered.hash));
    assert_eq!(known(scenario, anna, &of_ben.text), None, "of another account");
    assert_eq!(known(scenario, anna, "never"), None);
    assert_eq!(credentials(scenario, Who::Id(anna), HOME, None).unwrap().known, None);
    assert_eq!(credentials(scenario, Who::Name("nobody".into()), HOME, Some(&registered.text)), None);
    // Revoked and expired ones as well, for ninety days.
    scenario.one(revoke(&registered));
    scenario.wait(89 * DAY_MS);
    scenario.file();
    assert!(!logs_in(scenario, &registered) && !logs_in(scenario, &of_ben));
    assert_eq!(known(scenario, anna, &registered.text), Some(registered.hash));
    scenario.wait(2 * DAY_MS);
    scenario.file();
    assert_eq!(known(scenario, anna, &registered.text), None);
    assert_eq!(known(scenario, ben, &of_ben.text), Some(of_ben.hash), "it expired seven days later");
    scenario.wait(7 * DAY_MS);
    scenario.file();
    assert_eq!(known(scenario, ben, &of_ben.text), None);
}

pub fn the_latest_ended_tokens_are_kept(scenario: &mut Scenario<'_>) {
    let (anna, _) = register(scenario, "anna");
    let tokens: Vec<Token> = (0..ENDED_MAX + 4)
        .map(|_| {
            let (_, _, token) = ready(scenario.one(create(anna, HOME)));
            scenario.wait(1);
            scenario.one(revoke(&token));
            token
        })
        .collect();
    let (_, _, live) = ready(scenario.one(create(anna, HOME)));
    let mut known = |token: &Token| {
        credentials(scenario, Who::Id(anna), HOME, Some(&token.text)).unwrap().known.is_some()
    };
    assert!(!known(&tokens[0]) && known(&tokens[ENDED_MAX + 3]) && known(&live));
    assert_eq!(tokens.iter().filter(|token| known(token)).count(), ENDED_MAX);
}

pub fn the_latest_networks_of_logins_are_familiar(scenario: &mut Scenario<'_>) {
    let (anna, registered) = register(scenario, "anna");
    let at = |n: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
    let is_familiar = |scenario: &mut Scenario<'_>, from| {
        credentials(scenario, Who::Name("ANNA".into()), from, None).unwrap().is_familiar
    };
    assert!(!is_familiar(scenario, at(1)), "no login came from there");
    // By password and by token, for the first time and again.
    ready(scenario.one(create(anna, at(1))));
    ready(scenario.one(extend(&registered.text, at(2))));
    scenario.wait(2 * DAY_MS);
    ready(scenario.one(extend(&registered.text, at(3))));
    assert!([1, 2, 3].into_iter().all(|n| is_familiar(scenario, at(n))) && !is_familiar(scenario, at(4)));
    let ipv6 = |text: &str| text.parse::<IpAddr>().unwrap();
    ready(scenario.one(create(anna, ipv6("2001:db8::1"))));
    assert!(is_familiar(scenario, ipv6("2001:db8::2")) && !is_familiar(scenario, ipv6("2001:db8:0:1::1")));
    // Unknown tokens leave no trace.
    assert!(matches!(scenario.one(extend("never", at(9))), Written::Denied(Denial::TokenInvalid)));
    assert!(!is_familiar(scenario, at(9)));
    for n in 0..NETWORKS_MAX as u8 {
        ready(scenario.one(create(anna, at(100 + n))));
    }
    scenario.fixture.restart();
    assert!(!is_familiar(scenario, at(3)) && (0..8).all(|n| is_familiar(scenario, at(100 + n))));
}
