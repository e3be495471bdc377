//! The logins of an account: how they are listed and revoked, and what a change of the password ends.

use super::scenario::{DAY_MS, Scenario, append, appended, create as create_group};
use super::session::{Claiming, claimed, lose, online, see};
use super::token::{client, create_by, credentials, extend, extend_by, logs_in, ready, register, revoke};
use logic::Conflict;
use logic::contract::account::{self, PasswordChange};
use logic::contract::message::Append;
use logic::contract::session::{Ended, Revoked, Which};
use logic::contract::token::{DEVICES_MAX, Device};
use logic::contract::{
    Client, Denial, Epoch, Fence, Found, Read, Token, TokenHash, Tokens, Write, Written, contact, message,
    node, session,
};
use std::net::IpAddr;
use wire::account::Who;
use wire::session::{ClientKind, KickCode};
use wire::{DeviceId, Target, UserId};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

fn devices_with(scenario: &mut Scenario<'_>, user: UserId, live: &[TokenHash]) -> Vec<Device> {
    match scenario.read(Read::Session(session::Read::Devices { user, live: live.into() })) {
        Found::Session(session::Found::Devices(devices)) => devices,
        other => panic!("{other:?}"),
    }
}

pub fn devices(scenario: &mut Scenario<'_>, user: UserId) -> Vec<Device> {
    devices_with(scenario, user, &[])
}

fn login(scenario: &mut Scenario<'_>, user: UserId) -> Token {
    ready(scenario.one(create_by(user, client(HOME)))).2
}

fn claim(user: UserId, node: &str, token: &Token) -> Write {
    super::session::claim(user, node, token.hash)
}

fn revocation(user: UserId, which: Which) -> Write {
    Write::Session(session::Write::Revoke { user, which })
}

fn id_of(scenario: &mut Scenario<'_>, user: UserId, token: &Token) -> DeviceId {
    devices(scenario, user).iter().find(|device| device.token == token.hash).expect("it is listed").id
}

fn revoked(written: Written) -> Revoked {
    match written {
        Written::Session(session::Written::Revoked(revoked))
        | Written::Account(account::Written::PasswordChanged(revoked)) => *revoked,
        other => panic!("{other:?}"),
    }
}

fn change(user: UserId, old: &str, new: &str, token: &Token) -> Write {
    let change = PasswordChange { user, old: old.into(), new: new.into(), token: token.hash };
    Write::Account(account::Write::ChangePassword(Box::new(change)))
}

/// A message with the epoch of its sender's session.
fn say(user: UserId, epoch: Epoch, to: UserId, cid: &str) -> Write {
    match append(user, Target::User(to), cid, "x") {
        Write::Message(message::Write::Append(append)) => {
            Write::Message(message::Write::Append(Append { epoch, ..append }))
        }
        _ => unreachable!(),
    }
}

/// Why a session has ended.
fn end_of(scenario: &mut Scenario<'_>, user: UserId, epoch: Epoch) -> Option<KickCode> {
    match scenario.read(Read::Node(node::Read::Session(Fence { user, epoch }))) {
        Found::Node(node::Found::Session(end)) => end,
        other => panic!("{other:?}"),
    }
}

pub fn logins_in_force_are_listed(scenario: &mut Scenario<'_>) {
    let (anna, registered) = register(scenario, "anna");
    let made = scenario.now;
    scenario.wait(1_000);
    let says =
        |device: &str, kind, address| Client { device: Some(device.into()), kind: Some(kind), address };
    // The token of REGISTER, until a login by password: then it belongs to that.
    let found = devices(scenario, anna);
    assert_eq!(found.len(), 1);
    let Device { id, token, device, kind, address, created, .. } = found[0].clone();
    assert_eq!((id, token, device, kind), (DeviceId(1), registered.hash, None, ClientKind::Other));
    assert_eq!((address, created), (None, made));
    let (_, _, phone) = ready(scenario.one(create_by(anna, says("phone", ClientKind::Mobile, HOME))));
    scenario.look_thrice(|scenario| {
        let found = devices(scenario, anna);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0],
            Device {
                id: DeviceId(2),
                token: phone.hash,
                device: Some("phone".into()),
                kind: ClientKind::Mobile,
                address: Some(HOME),
                created: scenario.now,
                last_used: scenario.now,
                online: false,
            }
        );
    });
    // Used again, with another name and from elsewhere; what is not said stays.
    scenario.wait(DAY_MS);
    ready(
        scenario.one(extend_by(
            &registered.text,
            Client { device: Some("desk".into()), kind: None, address: AWAY },
        )),
    );
    let found = devices(scenario, anna);
    assert_eq!(
        (found[0].id, found[0].device.as_deref()),
        (DeviceId(1), Some("desk")),
        "the last used one first"
    );
    assert_eq!((found[0].address, found[0].created, found[0].last_used), (Some(AWAY), made, scenario.now));
    assert_eq!(devices(scenario, UserId(999)), []);
    // An expired one only while a session lives by it.
    scenario.wait(6 * DAY_MS);
    let listed = |found: Vec<Device>| found.into_iter().map(|device| device.id.0).collect::<Vec<_>>();
    assert_eq!(listed(devices(scenario, anna)), [1]);
    assert_eq!(listed(devices_with(scenario, anna, &[phone.hash])), [1, 2]);
    scenario.one(revoke(&registered));
    assert_eq!(listed(devices(scenario, anna)), [0; 0]);
    // Numbers are not used again.
    let token = login(scenario, anna);
    assert_eq!(id_of(scenario, anna, &token), DeviceId(3));
    // Those that were used last are listed.
    for _ in 0..DEVICES_MAX {
        scenario.wait(1);
        login(scenario, anna);
    }
    let found = listed(devices(scenario, anna));
    assert_eq!((found.len(), found[0], found[DEVICES_MAX - 1]), (DEVICES_MAX, 3 + DEVICES_MAX as u32, 4));
}

pub fn a_login_is_online_while_its_session_is_connected(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    let (anna, _) = register(scenario, "anna");
    let token = login(scenario, anna);
    let is_online = |scenario: &mut Scenario<'_>| {
        let found = devices(scenario, anna).into_iter().filter(|device| device.online);
        found.map(|device| device.token).collect::<Vec<_>>()
    };
    assert_eq!(is_online(scenario), [[0; 32]; 0]);
    let epoch = claimed(&scenario.one(claim(anna, "n1", &token))).epoch;
    assert_eq!(is_online(scenario), [token.hash]);
    scenario.one(lose(anna, epoch));
    assert_eq!(is_online(scenario), [[0; 32]; 0], "it has lost its connection");
    claimed(&scenario.one(claim(anna, "n1", &token)));
    scenario.wait(node::SILENT_MS);
    assert_eq!(is_online(scenario), [[0; 32]; 0], "its node has gone");
}

pub fn a_revoked_login_writes_nothing_more(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    let (anna, _) = register(scenario, "anna");
    let ben = scenario.user("ben");
    let token = login(scenario, anna);
    let id = id_of(scenario, anna, &token);
    let epoch = claimed(&scenario.one(claim(anna, "n1", &token))).epoch;
    appended(&scenario.one(say(anna, epoch, ben, "1")));
    // What is queued before the revocation in one batch is stored, what is queued after it is not.
    let outcomes = scenario.all(vec![
        say(anna, epoch, ben, "2"),
        revocation(anna, Which::One(id)),
        say(anna, epoch, ben, "3"),
        Write::Fenced(
            Fence { user: anna, epoch },
            Box::new(Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) })),
        ),
        Write::Fenced(Fence { user: anna, epoch }, Box::new(create_group(anna, "x"))),
    ]);
    appended(&outcomes[0]);
    assert!(outcomes[2..].iter().all(|written| matches!(written, Written::Superseded)), "{outcomes:?}");
    let Revoked { tokens, ended, is_gone, .. } = revoked(outcomes[1].clone());
    assert_eq!((tokens, is_gone), (Tokens::One(token.hash), true));
    assert_eq!(ended, [Ended { node: "n1".into(), epoch, why: KickCode::Revoked }]);
    scenario.fixture.restart();
    assert!(!logs_in(scenario, &token));
    assert!(matches!(scenario.one(say(anna, epoch, ben, "4")), Written::Superseded));
    assert_eq!(end_of(scenario, anna, epoch), Some(KickCode::Revoked));
    assert_eq!(online(scenario, &[anna]), []);
    // The next login does not change why.
    let again = login(scenario, anna);
    let after = claimed(&scenario.one(claim(anna, "n2", &again)));
    assert!(after.epoch > epoch && !after.was_present && after.ended.is_empty());
    assert_eq!(end_of(scenario, anna, epoch), Some(KickCode::Revoked));
    assert_eq!(end_of(scenario, anna, after.epoch), None);
}

pub fn revoking_ends_only_what_was_meant(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    let (anna, _) = register(scenario, "anna");
    let (ben, of_ben) = register(scenario, "ben");
    let (first, second) = (login(scenario, anna), login(scenario, anna));
    let epoch = claimed(&scenario.one(claim(anna, "n1", &second))).epoch;
    // Of another login: the session stays.
    let id = id_of(scenario, anna, &first);
    assert_eq!(revoked(scenario.one(revocation(anna, Which::One(id)))).ended, []);
    assert!(!logs_in(scenario, &first) && logs_in(scenario, &second));
    appended(&scenario.one(say(anna, epoch, ben, "1")));
    // Again: it is done already, as for a client whose first request was not answered.
    assert_eq!(revoked(scenario.one(revocation(anna, Which::One(id)))).tokens, Tokens::One(first.hash));
    // There is none with this number, or it is somebody else's.
    for id in [0, 999] {
        let written = scenario.one(revocation(anna, Which::One(DeviceId(id))));
        assert!(matches!(written, Written::Denied(Denial::NotFound)), "{written:?}");
    }
    let bens = id_of(scenario, ben, &of_ben);
    scenario.one(revocation(anna, Which::One(bens)));
    assert!(logs_in(scenario, &of_ben));
    // All but one.
    let (third, fourth) = (login(scenario, anna), login(scenario, anna));
    assert_eq!(revoked(scenario.one(revocation(anna, Which::AllBut(second.hash)))).ended, []);
    scenario.fixture.restart();
    assert!(!logs_in(scenario, &third) && !logs_in(scenario, &fourth) && logs_in(scenario, &second));
    appended(&scenario.one(say(anna, epoch, ben, "2")));
    assert_eq!(devices(scenario, anna).len(), 1);
    let written = scenario.one(revocation(anna, Which::AllBut(fourth.hash)));
    assert_eq!(revoked(written).ended, [Ended { node: "n1".into(), epoch, why: KickCode::Revoked }]);
    assert!(matches!(scenario.one(say(anna, epoch, ben, "3")), Written::Superseded));
}

pub fn a_session_of_a_dead_node_does_not_keep_its_account_online(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    see(scenario, "n2");
    let (anna, _) = register(scenario, "anna");
    let [dead, live] = [login(scenario, anna), login(scenario, anna)];
    let claim = |node: &str, token: &Token| Claiming::of(node, token.hash, Conflict::Multi).by(anna);
    let on_dead = claimed(&scenario.one(claim("n1", &dead))).epoch;
    claimed(&scenario.one(claim("n2", &live)));
    // While both nodes live, the other session keeps the account online.
    let another = login(scenario, anna);
    claimed(&scenario.one(claim("n2", &another)));
    let id = id_of(scenario, anna, &another);
    assert!(!revoked(scenario.one(revocation(anna, Which::One(id)))).is_gone);
    scenario.wait(node::SILENT_MS);
    see(scenario, "n2");
    let id = id_of(scenario, anna, &live);
    assert!(revoked(scenario.one(revocation(anna, Which::One(id)))).is_gone, "nobody else tells the friends");
    // The other one is ended as well, for the case that its node comes back.
    let id = id_of(scenario, anna, &dead);
    let Revoked { ended, is_gone, .. } = revoked(scenario.one(revocation(anna, Which::One(id))));
    assert_eq!(ended, [Ended { node: "n1".into(), epoch: on_dead, why: KickCode::Revoked }]);
    assert!(is_gone);
}

pub fn a_login_in_progress_is_revoked_as_well(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    let (anna, _) = register(scenario, "anna");
    let token = login(scenario, anna);
    let id = id_of(scenario, anna, &token);
    // Its token was found valid, but its session does not exist yet.
    ready(scenario.one(extend(&token.text, HOME)));
    scenario.one(revocation(anna, Which::One(id)));
    let written = scenario.one(claim(anna, "n1", &token));
    assert!(matches!(written, Written::Denied(Denial::TokenInvalid)), "{written:?}");
    // In one batch, too.
    let token = login(scenario, anna);
    let outcomes = scenario.all(vec![
        extend(&token.text, HOME),
        revocation(anna, Which::AllBut([7; 32])),
        claim(anna, "n1", &token),
        extend(&token.text, HOME),
    ]);
    assert!(matches!(outcomes[2], Written::Denied(Denial::TokenInvalid)), "{outcomes:?}");
    assert!(matches!(outcomes[3], Written::Denied(Denial::TokenInvalid)), "{outcomes:?}");
    assert_eq!(online(scenario, &[anna]), []);
}

pub fn a_changed_password_ends_all_other_logins(scenario: &mut Scenario<'_>) {
    see(scenario, "n1");
    let (anna, registered) = register(scenario, "anna");
    let (ben, of_ben) = register(scenario, "ben");
    let (own, other) = (login(scenario, anna), login(scenario, anna));
    let epoch = claimed(&scenario.one(claim(anna, "n1", &own))).epoch;
    let known = |scenario: &mut Scenario<'_>| credentials(scenario, Who::Id(anna), HOME, None).unwrap();
    assert_eq!((&*known(scenario).hash, known(scenario).changed_by), ("$hash", None));
    // Not with a wrong one.
    let written = scenario.one(change(anna, "$wrong", "$new", &own));
    assert!(matches!(written, Written::Denied(Denial::Conflict)), "{written:?}");
    assert!(logs_in(scenario, &other));
    let fence = Fence { user: anna, epoch };
    let written = scenario.one(Write::Fenced(fence, Box::new(change(anna, "$hash", "$new", &own))));
    let nothing =
        Revoked { tokens: Tokens::AllBut(own.hash), ended: vec![], is_gone: false, changes_status: false };
    assert_eq!(revoked(written), nothing);
    scenario.fixture.restart();
    assert!(!logs_in(scenario, &registered) && !logs_in(scenario, &other) && logs_in(scenario, &own));
    assert!(logs_in(scenario, &of_ben));
    appended(&scenario.one(say(anna, epoch, ben, "1")));
    assert_eq!((&*known(scenario).hash, known(scenario).changed_by), ("$new", Some(own.hash)));
    // A login whose old password was found right before the change gets no token.
    let written = scenario.one(create_by(anna, client(HOME)));
    assert!(matches!(written, Written::Denied(Denial::Conflict)), "{written:?}");
    // The same change again, as after an answer that was lost, revokes nothing that came after it.
    let password = "$new".into();
    let create = session::Write::CreateToken { user: anna, password, client: client(HOME) };
    let (_, _, later) = ready(scenario.one(Write::Session(create)));
    assert_eq!(revoked(scenario.one(change(anna, "$hash", "$new", &own))).ended, []);
    assert!(logs_in(scenario, &later));
    // By a session that has ended.
    let latest = claimed(&scenario.one(claim(anna, "n1", &later))).epoch;
    let written = scenario.one(Write::Fenced(fence, Box::new(change(anna, "$new", "$third", &own))));
    assert!(matches!(written, Written::Superseded), "{written:?}");
    // The session of another login ends.
    let (_, _, fresh) = ready(scenario.one(Write::Session(session::Write::CreateToken {
        user: anna,
        password: "$new".into(),
        client: client(HOME),
    })));
    let written = scenario.one(change(anna, "$new", "$third", &fresh));
    assert_eq!(revoked(written).ended, [Ended { node: "n1".into(), epoch: latest, why: KickCode::Password }]);
    assert!(matches!(scenario.one(say(anna, latest, ben, "2")), Written::Superseded));
    assert_eq!(end_of(scenario, anna, latest), Some(KickCode::Password));
    let written = scenario.one(change(UserId(999), "$new", "$third", &fresh));
    assert!(matches!(written, Written::Denied(Denial::NotFound)), "{written:?}");
}
