//! Sessions: claims fenced by epoch, and login views.

use super::scenario::{Scenario, append, appended, change_members, create, entry, join};
use super::token::{HOME as HERE, create as create_token, logs_in, ready, register};
use crate::claim::ENDED_MAX;
use logic::contract::message::Append;
use logic::contract::node::{ENDED_KEPT_MS, SILENT_MS};
use logic::contract::session::{Claim, ClaimId, Claimed, Ended};
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{
    Denial, Epoch, Fence, Found, Read, TokenHash, Write, Written, contact, group, message, node, presence,
    session, timeline,
};
use logic::{Conflict, Policy};
use std::sync::atomic::{AtomicU64, Ordering};
use wire::account::Who;
use wire::session::{ClientKind, KickCode};
use wire::{ConversationId, Seq, Target, UnixMillis, UserId};

pub const GRACE: u64 = 300_000;

pub const LAPTOP: TokenHash = [1; 32];

pub const PHONE: TokenHash = [2; 32];

pub fn see(scenario: &mut Scenario<'_>, node: &str) {
    assert!(matches!(
        scenario.one(Write::Node(node::Write::See { node: node.into(), unheard: false })),
        Written::Done
    ));
}

/// The claim of a client, under a rule for the account's other sessions.
pub struct Claiming<'a> {
    pub node: &'a str,
    pub token: TokenHash,
    pub device: Option<&'a str>,
    pub kind: ClientKind,
    pub conflict: Conflict,
    pub sessions_max: u32,
}

impl Claiming<'_> {
    pub fn of(node: &str, token: TokenHash, conflict: Conflict) -> Claiming<'_> {
        let (kind, sessions_max) = (ClientKind::Other, 10);
        Claiming { node, token, device: None, kind, conflict, sessions_max }
    }

    pub fn by(self, user: UserId) -> Write {
        /// Numbers all claims of the suite.
        static CLAIMS: AtomicU64 = AtomicU64::new(1);
        self.again(user, ClaimId(CLAIMS.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn again(self, user: UserId, id: ClaimId) -> Write {
        let Claiming { node, token, device, kind, conflict, sessions_max } = self;
        let (node, device) = (node.into(), device.map(Into::into));
        let policy = Policy { conflict, sessions_max };
        let claim = Claim { user, node, id, token, device, kind, grace: GRACE, policy };
        Write::Session(session::Write::Claim(Box::new(claim)))
    }
}

/// A claim that ends all other sessions.
pub fn claim(user: UserId, node: &str, token: TokenHash) -> Write {
    Claiming::of(node, token, Conflict::Kick).by(user)
}

pub fn claimed(written: &Written) -> Claimed {
    match written {
        Written::Session(session::Written::Claimed(claimed)) => (**claimed).clone(),
        other => panic!("{other:?}"),
    }
}

fn ended(node: &str, epoch: Epoch, why: KickCode) -> Ended {
    Ended { node: node.into(), epoch, why }
}

pub fn online(scenario: &mut Scenario<'_>, users: &[UserId]) -> Vec<UserId> {
    match scenario.read(Read::Presence(presence::Read::Online { users: users.to_vec(), grace: GRACE })) {
        Found::Presence(presence::Found::Online(online)) => {
            online.into_iter().map(|online| online.user).collect()
        }
        other => panic!("{other:?}"),
    }
}

pub fn lose(user: UserId, epoch: Epoch) -> Write {
    Write::Session(session::Write::Lose { fence: Fence { user, epoch }, silent: 0 })
}

pub fn end(user: UserId, epoch: Epoch, token: Option<TokenHash>) -> Write {
    Write::Session(session::Write::End { fence: Fence { user, epoch }, grace: GRACE, token })
}

/// Whether a session was the account's last one.
pub fn was_last(written: &Written) -> bool {
    match written {
        Written::Session(session::Written::Ended { was_last, .. }) => *was_last,
        other => panic!("{other:?}"),
    }
}

fn say(from: UserId, to: UserId, epoch: Epoch, cid: &str) -> Write {
    match append(from, Target::User(to), cid, "x") {
        Write::Message(message::Write::Append(append)) => {
            Write::Message(message::Write::Append(Append { epoch, ..append }))
        }
        _ => unreachable!(),
    }
}

fn fenced(user: UserId, epoch: Epoch, write: Write) -> Write {
    Write::Fenced(Fence { user, epoch }, Box::new(write))
}

fn left_out(written: Written) -> Vec<(ConversationId, Fence)> {
    match written {
        Written::Timeline(timeline::Written::CursorsMoved { left_out }) => left_out,
        other => panic!("{other:?}"),
    }
}

/// The sessions of a node that it learns to have ended.
fn ended_at(scenario: &mut Scenario<'_>, node: &str) -> Vec<node::Ended> {
    match scenario.read(Read::Node(node::Read::Claims { node: node.into(), since: UnixMillis(0) })) {
        Found::Node(node::Found::Claims(claims)) => claims.ended,
        other => panic!("{other:?}"),
    }
}

pub fn a_claim_raises_the_epoch(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    see(scenario, "n2");
    assert_eq!(online(scenario, &[anna, ben]), []);
    let first = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert!(first.epoch > Epoch::NONE && first.ended.is_empty() && !first.was_present);
    let second = claimed(&scenario.one(claim(anna, "n2", PHONE)));
    assert!(second.epoch > first.epoch && second.was_present && !second.resumed);
    assert_eq!(second.ended, [ended("n1", first.epoch, KickCode::Login)]);
    scenario.fixture.restart();
    // Also within one batch.
    let outcomes =
        scenario.all(vec![claim(anna, "n1", LAPTOP), claim(ben, "n1", PHONE), claim(anna, "n2", PHONE)]);
    let third = claimed(&outcomes[0]);
    assert_eq!(third.ended, [ended("n2", second.epoch, KickCode::Login)]);
    assert!(third.epoch > second.epoch && claimed(&outcomes[2]).epoch > third.epoch);
    assert_eq!(online(scenario, &[ben, anna, UserId(999)]), [anna, ben]);
    // An epoch is never given again.
    let last = claimed(&outcomes[2]).epoch;
    scenario.one(end(anna, last, None));
    assert!(claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch > last);
    let nobody = scenario.one(claim(UserId(999), "n1", LAPTOP));
    assert!(matches!(nobody, Written::Denied(Denial::NotFound)), "{nobody:?}");
}

pub fn a_superseded_session_writes_nothing(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(ben, "climbing");
    see(scenario, "n1");
    let old = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    let say = |epoch, cid: &str| say(anna, ben, epoch, cid);
    let fenced = |epoch, write| fenced(anna, epoch, write);
    let first = appended(&scenario.one(say(old, "1")));
    scenario.say(ben, Target::User(anna), "b", "hello");
    // With the claim in the same batch, writes before it are executed and writes after it are not.
    let outcomes = scenario.all(vec![say(old, "2"), claim(anna, "n2", PHONE), say(old, "3"), say(old, "1")]);
    assert_eq!(appended(&outcomes[0]).seq, Seq(3));
    let new = claimed(&outcomes[1]).epoch;
    assert!(matches!(outcomes[2], Written::Superseded));
    assert!(matches!(
        outcomes[3],
        Written::Superseded | Written::Message(message::Written::Duplicate { .. })
    ));
    for write in [
        Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) }),
        join(anna, group),
        create(anna, "x"),
        change_members(anna, group, group::What::Leave),
    ] {
        assert!(matches!(scenario.one(fenced(old, write)), Written::Superseded));
    }
    assert!(matches!(scenario.one(lose(anna, old)), Written::Superseded));
    let step = CursorStep::Reach { delivered: Seq(3), read: Seq(3) };
    let reach = |epoch| {
        let (conversation, user) = (first.conversation, anna);
        Write::Timeline(timeline::Write::MoveCursors(vec![CursorMove { conversation, user, epoch, step }]))
    };
    let delivered = |scenario: &mut Scenario<'_>| match scenario
        .read(Read::Timeline(timeline::Read::Standing { user: anna, conversation: first.conversation }))
    {
        Found::Timeline(timeline::Found::Standing(Some(standing))) => standing.delivered,
        other => panic!("{other:?}"),
    };
    let of_old = Fence { user: anna, epoch: old };
    assert_eq!(left_out(scenario.one(reach(old))), [(first.conversation, of_old)]);
    assert_eq!(delivered(scenario), Seq(0), "a session that has ended moves no cursor");
    // In one write with those of a session in force, which it does not hold up.
    let both = [reach(old), reach(new)].into_iter().flat_map(|write| match write {
        Write::Timeline(timeline::Write::MoveCursors(moves)) => moves,
        _ => unreachable!(),
    });
    let both = Write::Timeline(timeline::Write::MoveCursors(both.collect()));
    assert_eq!(left_out(scenario.one(both)), [(first.conversation, of_old)]);
    assert_eq!(delivered(scenario), Seq(3));
    scenario.fixture.restart();
    assert!(matches!(scenario.one(say(old, "4")), Written::Superseded));
    assert_eq!(appended(&scenario.one(say(new, "3"))).seq, Seq(4));
    assert_eq!(entry(&scenario.one(fenced(new, join(anna, group)))).message.seq, Seq(2));
    assert!(
        matches!(scenario.read(Read::Group(group::Read::GroupIds { user: anna })), Found::Group(group::Found::GroupIds(ids)) if ids == [group])
    );
}

pub fn a_session_survives_its_connection_for_its_grace(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    let first = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    let bens = claimed(&scenario.one(claim(ben, "n1", PHONE))).epoch;
    assert!(matches!(scenario.one(lose(anna, first)), Written::Done));
    scenario.wait(GRACE / 2);
    see(scenario, "n1");
    assert_eq!(online(scenario, &[anna, ben]), [anna, ben]);
    // Losing the connection twice does not extend the grace.
    assert!(matches!(scenario.one(lose(anna, first)), Written::Done));
    scenario.wait(GRACE / 2);
    see(scenario, "n1");
    assert_eq!(online(scenario, &[anna, ben]), [ben]);
    let second = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert!(!second.was_present && !second.resumed, "its grace was over");
    assert!(matches!(scenario.one(lose(anna, first)), Written::Superseded), "also for its node");
    assert!(matches!(scenario.one(lose(anna, second.epoch)), Written::Done));
    let third = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert!(third.was_present && third.resumed);
    assert_eq!(third.ended, [ended("n1", second.epoch, KickCode::Login)]);
    assert!(was_last(&scenario.one(end(anna, third.epoch, None))));
    assert!(!claimed(&scenario.one(claim(anna, "n1", LAPTOP))).was_present, "it had ended");
    // The sessions of a node that is not seen for this long end.
    scenario.wait(GRACE);
    see(scenario, "n2");
    assert_eq!(online(scenario, &[anna, ben]), []);
    let next = claimed(&scenario.one(claim(ben, "n2", PHONE)));
    assert!(!next.was_present && next.epoch > bens);
}

pub fn a_claim_can_spare_a_connected_session(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    let politely = |token| Claiming::of("n2", token, Conflict::Reject).by(anna);
    let first = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    assert!(matches!(scenario.one(politely(PHONE)), Written::Denied(Denial::Conflict)));
    assert!(matches!(scenario.one(lose(anna, first)), Written::Done), "nothing was claimed");
    claimed(&scenario.one(politely(PHONE)));
    see(scenario, "n2");
    assert!(matches!(scenario.one(politely(LAPTOP)), Written::Denied(Denial::Conflict)));
    claimed(&scenario.one(politely(PHONE)));
    scenario.wait(SILENT_MS);
    claimed(&scenario.one(politely(LAPTOP)));
}

pub fn a_claim_ends_sessions_of_the_same_kind_only(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    see(scenario, "n2");
    let of = |node, token, kind| Claiming { kind, ..Claiming::of(node, token, Conflict::Kind) }.by(anna);
    let terminal = claimed(&scenario.one(of("n1", LAPTOP, ClientKind::Terminal))).epoch;
    let mobile = claimed(&scenario.one(of("n2", PHONE, ClientKind::Mobile)));
    assert!(mobile.was_present && !mobile.resumed && mobile.ended.is_empty());
    assert_eq!(*mobile.others, [Box::from("n1")]);
    let other = claimed(&scenario.one(of("n2", [3; 32], ClientKind::Terminal)));
    assert_eq!(other.ended, [ended("n1", terminal, KickCode::Login)]);
    assert_eq!(*other.others, [Box::from("n2")]);
    // Two in one batch meet: one of them stays.
    let outcomes =
        scenario.all(vec![of("n1", LAPTOP, ClientKind::Terminal), of("n2", [4; 32], ClientKind::Terminal)]);
    let (one, two) = (claimed(&outcomes[0]), claimed(&outcomes[1]));
    assert_eq!(one.ended, [ended("n2", other.epoch, KickCode::Login)]);
    assert_eq!(two.ended, [ended("n1", one.epoch, KickCode::Login)]);
    // The mobile one still writes; each session has its own end.
    let fenced = |epoch, write| fenced(anna, epoch, write);
    assert!(matches!(scenario.one(fenced(one.epoch, create(anna, "x"))), Written::Superseded));
    entry(&scenario.one(fenced(mobile.epoch, create(anna, "x"))));
    assert!(!was_last(&scenario.one(end(anna, mobile.epoch, None))));
    assert!(!was_last(&scenario.one(end(anna, one.epoch, None))), "it had ended before");
    assert!(was_last(&scenario.one(end(anna, two.epoch, None))));
    assert_eq!(online(scenario, &[anna]), []);
}

pub fn a_token_and_a_device_have_one_session(scenario: &mut Scenario<'_>) {
    let (anna, _) = register(scenario, "anna");
    see(scenario, "n1");
    let token = ready(scenario.one(create_token(anna, HERE))).2;
    let of = |node, device| {
        Claiming { device: Some(device), ..Claiming::of(node, token.hash, Conflict::Multi) }.by(anna)
    };
    let left = claimed(&scenario.one(of("n1", "left"))).epoch;
    let right = claimed(&scenario.one(of("n1", "right")));
    assert!(right.ended.is_empty() && !right.resumed);
    let again = claimed(&scenario.one(of("n1", "left")));
    assert!(again.resumed);
    assert_eq!(again.ended, [ended("n1", left, KickCode::Login)]);
    // The token lives as long as one of them.
    assert!(!was_last(&scenario.one(end(anna, again.epoch, Some(token.hash)))));
    assert!(logs_in(scenario, &token));
    assert!(was_last(&scenario.one(end(anna, right.epoch, Some(token.hash)))));
    scenario.fixture.restart();
    assert!(!logs_in(scenario, &token));
    // A login that ends one of them leaves the token to the other.
    let token = ready(scenario.one(create_token(anna, HERE))).2;
    let of = |device, kind| {
        let claiming = Claiming::of("n1", token.hash, Conflict::Kind);
        Claiming { device: Some(device), kind, ..claiming }.by(anna)
    };
    claimed(&scenario.one(of("left", ClientKind::Web)));
    claimed(&scenario.one(of("right", ClientKind::Mobile)));
    let other = |kind, token| Claiming { kind, ..Claiming::of("n1", token, Conflict::Kind) }.by(anna);
    claimed(&scenario.one(other(ClientKind::Web, PHONE)));
    assert!(logs_in(scenario, &token));
    claimed(&scenario.one(other(ClientKind::Mobile, LAPTOP)));
    assert!(!logs_in(scenario, &token));
}

pub fn beyond_the_limit_the_longest_silent_session_ends(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    see(scenario, "n2");
    let of = |node, token| Claiming { sessions_max: 2, ..Claiming::of(node, [token; 32], Conflict::Multi) };
    let first = claimed(&scenario.one(of("n1", 1).by(anna))).epoch;
    scenario.wait(1_000);
    let second = claimed(&scenario.one(of("n2", 2).by(anna))).epoch;
    scenario.wait(1_000);
    // The first was heard of since, on its node; nothing takes that back.
    let heard =
        |epoch, silent| Write::Session(session::Write::Touch(vec![(Fence { user: anna, epoch }, silent)]));
    assert!(matches!(scenario.one(heard(first, 100)), Written::Done));
    assert!(matches!(scenario.one(heard(first, 10_000)), Written::Done));
    let third = claimed(&scenario.one(of("n1", 3).by(anna)));
    assert_eq!(third.ended, [ended("n2", second, KickCode::Limit)]);
    assert_eq!(*third.others, [Box::from("n1")]);
    // Also one that has lost its connection.
    scenario.wait(1_000);
    scenario.one(heard(third.epoch, 0));
    scenario.one(lose(anna, first));
    let fourth = claimed(&scenario.one(of("n2", 4).by(anna)));
    assert_eq!(fourth.ended, [ended("n1", third.epoch, KickCode::Limit)], "it was heard of when it was lost");
}

pub fn a_repeated_claim_is_one_session(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    see(scenario, "n2");
    let before = claimed(&scenario.one(claim(anna, "n2", LAPTOP))).epoch;
    let again = || Claiming::of("n1", PHONE, Conflict::Kick).again(anna, ClaimId(1 << 40));
    let first = claimed(&scenario.one(again()));
    assert_eq!(first.ended, [ended("n2", before, KickCode::Login)]);
    scenario.fixture.restart();
    assert_eq!(claimed(&scenario.one(again())), first);
    // The same number at another node is another claim.
    let elsewhere = Claiming::of("n2", LAPTOP, Conflict::Multi).again(anna, ClaimId(1 << 40));
    let other = claimed(&scenario.one(elsewhere));
    assert!(other.epoch > first.epoch && other.ended.is_empty());
    // One that nobody waits for any more leaves nothing.
    let abandon = |node: &str| {
        let (node, claim) = (node.into(), ClaimId(1 << 40));
        Write::Session(session::Write::Abandon { user: anna, node, claim, grace: GRACE })
    };
    assert!(!was_last(&scenario.one(abandon("n1"))));
    assert!(!was_last(&scenario.one(abandon("n1"))));
    assert!(matches!(scenario.one(lose(anna, first.epoch)), Written::Superseded));
    assert!(was_last(&scenario.one(end(anna, other.epoch, None))));
    // Its friends are told if it has ended the others before.
    claimed(&scenario.one(claim(anna, "n2", LAPTOP)));
    claimed(&scenario.one(again()));
    assert!(was_last(&scenario.one(abandon("n1"))));
    assert!(!was_last(&scenario.one(abandon("n1"))));
    // Of one that was ended in the meantime no session comes.
    let own = claimed(&scenario.one(again())).epoch;
    claimed(&scenario.one(claim(anna, "n2", LAPTOP)));
    assert!(matches!(scenario.one(again()), Written::Unavailable));
    assert!(matches!(scenario.one(lose(anna, own)), Written::Superseded));
}

pub fn what_a_session_sent_before_it_left_is_stored(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    see(scenario, "n2");
    let epoch = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    let of_ben = scenario.say(ben, Target::User(anna), "b", "hello").conversation;
    // With its end in the same batch, and after a restart.
    let outcomes = scenario.all(vec![
        say(anna, ben, epoch, "1"),
        end(anna, epoch, Some(LAPTOP)),
        say(anna, ben, epoch, "2"),
        fenced(anna, epoch, create(anna, "climbing")),
    ]);
    assert!(was_last(&outcomes[1]));
    assert_eq!(appended(&outcomes[2]).seq, Seq(3));
    entry(&outcomes[3]);
    scenario.fixture.restart();
    assert_eq!(appended(&scenario.one(say(anna, ben, epoch, "3"))).seq, Seq(4));
    let step = CursorStep::Reach { delivered: Seq(1), read: Seq(1) };
    let read = CursorMove { conversation: of_ben, user: anna, epoch, step };
    assert_eq!(left_out(scenario.one(Write::Timeline(timeline::Write::MoveCursors(vec![read])))), []);
    // Else it is over: for friends, for the node that held it, and for the next login.
    assert_eq!(online(scenario, &[anna]), []);
    assert_eq!(ended_at(scenario, "n1"), []);
    assert!(was_last(&scenario.one(end(anna, epoch, None))), "the first answer may be lost");
    assert!(matches!(scenario.one(lose(anna, epoch)), Written::Superseded));
    let next = claimed(&scenario.one(claim(anna, "n2", PHONE)));
    assert!(!next.was_present && !next.resumed && next.ended.is_empty() && next.others.is_empty());
    assert!(!was_last(&scenario.one(end(anna, epoch, None))), "another one is in force");
    assert_eq!(appended(&scenario.one(say(anna, ben, epoch, "4"))).seq, Seq(5), "it was not ended");
    // Once its token is revoked, nothing of it is stored.
    let which = session::Which::AllBut(PHONE);
    let revoked = scenario.one(Write::Session(session::Write::Revoke { user: anna, which }));
    match revoked {
        Written::Session(session::Written::Revoked(revoked)) => assert!(!revoked.is_gone),
        other => panic!("{other:?}"),
    }
    assert!(matches!(scenario.one(say(anna, ben, epoch, "5")), Written::Superseded));
    // One that was ended has not left.
    scenario.one(claim(anna, "n1", LAPTOP));
    scenario.one(end(anna, next.epoch, None));
    assert!(matches!(scenario.one(say(anna, ben, next.epoch, "6")), Written::Superseded));
}

pub fn few_sessions_that_have_ended_are_remembered(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    see(scenario, "n2");
    // Each ends the one before; its node needs to be told once.
    let mut epochs = Vec::new();
    for _ in 0..20 {
        epochs.push(claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch);
    }
    assert_eq!(scenario.fixture.sessions(), 2);
    // Also where the answer was lost that told it: the next one says it again.
    let next = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    let [.., before, last] = epochs[..] else { unreachable!() };
    assert_eq!(next.ended, [ended("n1", last, KickCode::Login)]);
    assert_eq!(next.forgotten, [ended("n1", before, KickCode::Login)]);
    // Ended by other nodes, and by themselves.
    for _ in 0..ENDED_MAX {
        epochs.push(claimed(&scenario.one(claim(anna, "n2", PHONE))).epoch);
        epochs.push(claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch);
        let left = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
        scenario.one(end(anna, left, None));
        epochs.push(left);
        assert!(scenario.fixture.sessions() <= 1 + ENDED_MAX as u64);
    }
    let last = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    assert!(scenario.fixture.sessions() > ENDED_MAX as u64 / 2);
    // One that is forgotten writes nothing, and whoever asks for it learns that it has ended.
    for epoch in [epochs[0], epochs[20]] {
        assert!(matches!(scenario.one(say(anna, ben, epoch, "1")), Written::Superseded));
        let of = Fence { user: anna, epoch };
        match scenario.read(Read::Node(node::Read::Session(of))) {
            Found::Node(node::Found::Session(end)) => assert_eq!(end, Some(KickCode::Login)),
            other => panic!("{other:?}"),
        }
        assert!(!was_last(&scenario.one(end(anna, epoch, None))));
    }
    assert_eq!(appended(&scenario.one(say(anna, ben, last, "2"))).seq, Seq(1));
}

pub fn sessions_that_have_ended_are_forgotten(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    for user in [anna, ben].into_iter().cycle().take(20) {
        let epoch = claimed(&scenario.one(claim(user, "n1", LAPTOP))).epoch;
        scenario.one(end(user, epoch, None));
    }
    assert_eq!(scenario.fixture.sessions(), 20, "what they sent before is still stored");
    scenario.wait(ENDED_KEPT_MS);
    see(scenario, "n1");
    // The next login forgets those of its account, and housekeeping all.
    claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert_eq!(scenario.fixture.sessions(), 1 + 10);
    scenario.wait(60 * 60 * 1_000);
    see(scenario, "n1");
    scenario.file();
    assert_eq!(scenario.fixture.sessions(), 1);
    // What a node left behind that is gone for a day goes as well.
    scenario.wait(25 * 60 * 60 * 1_000);
    see(scenario, "n2");
    scenario.file();
    assert_eq!(scenario.fixture.sessions(), 0);
}
