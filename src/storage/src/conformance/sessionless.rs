//! Clients without a session: whom a token logs in, and what is stored by it.

use super::device::devices;
use super::scenario::{DAY_MS, Scenario, append, appended};
use super::session::{Claiming, claimed, see};
use super::token::{HOME, create, ready, register, revoke};
use logic::Conflict;
use logic::contract::message::{self, AppendByToken, Stored};
use logic::contract::session::{Ended, Holder, Revoked, Which};
use logic::contract::{Found, Read, Token, TokenHash, Write, Written, session};
use wire::session::KickCode;
use wire::{Target, UserId};

fn holder(scenario: &mut Scenario<'_>, text: &str) -> Option<Holder> {
    match scenario.read(Read::Session(session::Read::Holder { token: text.into() })) {
        Found::Session(session::Found::Holder(holder)) => holder.map(|holder| *holder),
        other => panic!("{other:?}"),
    }
}

fn say(from: UserId, to: UserId, token: TokenHash, cid: &str) -> Write {
    match append(from, Target::User(to), cid, "x") {
        Write::Message(message::Write::Append(append)) => {
            Write::Message(message::Write::AppendByToken(Box::new(AppendByToken { append, token })))
        }
        _ => unreachable!(),
    }
}

fn revoke_with_sessions(scenario: &mut Scenario<'_>, user: UserId, token: &Token) -> Revoked {
    match scenario.one(Write::Session(session::Write::Revoke { user, which: Which::Token(token.hash) })) {
        Written::Session(session::Written::Revoked(revoked)) => *revoked,
        other => panic!("{other:?}"),
    }
}

pub fn a_token_names_its_holder_until_it_ends(scenario: &mut Scenario<'_>) {
    let (user, of_register) = register(scenario, "Anna");
    let found = holder(scenario, &of_register.text).unwrap();
    assert_eq!((found.user, &*found.name, found.token), (user, "Anna", of_register.hash));
    // A login by it makes it a token as any other.
    assert!(found.is_stale);
    let (_, _, token) = ready(scenario.one(create(user, HOME)));
    assert!(!holder(scenario, &token.text).unwrap().is_stale);
    // To look it up extends nothing.
    scenario.wait(2 * 3_600_000);
    assert!(holder(scenario, &token.text).unwrap().is_stale);
    scenario.wait(7 * DAY_MS);
    assert!(holder(scenario, &token.text).is_none());
    let (_, _, token) = ready(scenario.one(create(user, HOME)));
    scenario.one(revoke(&token));
    assert!(holder(scenario, &token.text).is_none() && holder(scenario, "no token").is_none());
}

pub fn what_a_token_sends_is_stored_once_and_only_while_it_is_in_force(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let (_, _, token) = ready(scenario.one(create(anna, HOME)));
    let (_, _, other) = ready(scenario.one(create(anna, HOME)));
    // Beside messages of sessions, and of other tokens, in one batch.
    let batch = vec![
        say(anna, ben, token.hash, "a"),
        append(ben, Target::User(anna), "b", "x"),
        say(anna, ben, [7; 32], "c"),
        say(anna, ben, other.hash, "d"),
        say(anna, ben, token.hash, "a"),
    ];
    let written = scenario.all(batch);
    let first = appended(&written[0]);
    let stored = Stored { conversation: first.conversation, seq: first.seq, time: first.time };
    appended(&written[1]);
    assert!(matches!(written[2], Written::Superseded), "{written:?}");
    appended(&written[3]);
    assert!(
        matches!(&written[4], Written::Message(message::Written::Duplicate(place)) if place == &stored),
        "{written:?}"
    );
    revoke_with_sessions(scenario, anna, &token);
    let late = scenario.one(say(anna, ben, token.hash, "late"));
    assert!(matches!(late, Written::Superseded), "{late:?}");
    appended(&scenario.one(say(anna, ben, other.hash, "in time")));
    scenario.wait(7 * DAY_MS);
    let late = scenario.one(say(anna, ben, other.hash, "expired"));
    assert!(matches!(late, Written::Superseded), "{late:?}");
}

pub fn a_token_is_revoked_with_the_sessions_that_live_by_it(scenario: &mut Scenario<'_>) {
    let user = scenario.user("anna");
    let (_, _, token) = ready(scenario.one(create(user, HOME)));
    let (_, _, other) = ready(scenario.one(create(user, HOME)));
    see(scenario, "n1");
    let by = |hash| Claiming::of("n1", hash, Conflict::Multi).by(user);
    let epoch = claimed(&scenario.one(by(token.hash))).epoch;
    claimed(&scenario.one(by(other.hash)));
    let revoked = revoke_with_sessions(scenario, user, &token);
    assert_eq!(revoked.ended, [Ended { node: "n1".into(), epoch, why: KickCode::Revoked }]);
    let left: Vec<TokenHash> = devices(scenario, user).into_iter().map(|device| device.token).collect();
    assert_eq!(left, [other.hash]);
}
