//! Sessions: claims fenced by epoch, and login views.

use super::scenario::{Scenario, append, appended, create, entry, join};
use logic::contract::message::Append;
use logic::contract::node::SILENT_MS;
use logic::contract::session::Holder;
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{
    Denial, Epoch, Fence, Found, Read, TokenHash, Write, Written, contact, group, message, node, presence,
    session, timeline,
};
use wire::account::Who;
use wire::{Seq, Target, UserId};

pub const GRACE: u64 = 300_000;

pub const LAPTOP: TokenHash = [1; 32];

pub const PHONE: TokenHash = [2; 32];

pub fn see(scenario: &mut Scenario<'_>, node: &str) {
    assert!(matches!(
        scenario.one(Write::Node(node::Write::See { node: node.into(), unheard: false })),
        Written::Done
    ));
}

pub fn claim(user: UserId, node: &str, token: TokenHash) -> Write {
    Write::Session(session::Write::Claim { user, node: node.into(), token, grace: GRACE, unless_held: false })
}

pub fn claimed(written: &Written) -> (Epoch, Option<Holder>) {
    match written {
        Written::Session(session::Written::Claimed { epoch, before }) => (*epoch, before.clone()),
        other => panic!("{other:?}"),
    }
}

pub fn online(scenario: &mut Scenario<'_>, users: &[UserId]) -> Vec<UserId> {
    match scenario.read(Read::Presence(presence::Read::Online { users: users.to_vec(), grace: GRACE })) {
        Found::Presence(presence::Found::Online(online)) => online,
        other => panic!("{other:?}"),
    }
}

pub fn release(user: UserId, epoch: Epoch, ended: bool) -> Write {
    Write::Session(session::Write::Release { fence: Fence { user, epoch }, ended })
}

pub fn a_claim_raises_the_epoch(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    see(scenario, "n1");
    see(scenario, "n2");
    assert_eq!(online(scenario, &[anna, ben]), []);
    let (first, before) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert!(first > Epoch::NONE && before.is_none());
    let (second, before) = claimed(&scenario.one(claim(anna, "n2", PHONE)));
    assert!(second > first);
    assert_eq!(before, Some(Holder { node: "n1".into(), token: LAPTOP }));
    scenario.fixture.restart();
    // Also within one batch.
    let outcomes =
        scenario.all(vec![claim(anna, "n1", LAPTOP), claim(ben, "n1", PHONE), claim(anna, "n2", PHONE)]);
    let (third, before) = claimed(&outcomes[0]);
    assert_eq!(before, Some(Holder { node: "n2".into(), token: PHONE }));
    assert!(third > second && claimed(&outcomes[2]).0 > third);
    assert_eq!(online(scenario, &[ben, anna, UserId(999)]), [anna, ben]);
}

pub fn a_superseded_session_writes_nothing(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(ben, "climbing");
    see(scenario, "n1");
    let (old, _) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    let say = |epoch, cid: &str| match append(anna, Target::User(ben), cid, "x") {
        Write::Message(message::Write::Append(append)) => {
            Write::Message(message::Write::Append(Append { epoch, ..append }))
        }
        _ => unreachable!(),
    };
    let fenced = |epoch, write| Write::Fenced(Fence { user: anna, epoch }, Box::new(write));
    let first = appended(&scenario.one(say(old, "1")));
    scenario.say(ben, Target::User(anna), "b", "hello");
    // With the claim in the same batch, writes before it are executed and writes after it are not.
    let outcomes = scenario.all(vec![say(old, "2"), claim(anna, "n2", PHONE), say(old, "3"), say(old, "1")]);
    assert_eq!(appended(&outcomes[0]).seq, Seq(3));
    let (new, _) = claimed(&outcomes[1]);
    assert!(matches!(outcomes[2], Written::Superseded));
    assert!(matches!(
        outcomes[3],
        Written::Superseded | Written::Message(message::Written::Duplicate { .. })
    ));
    for write in [
        Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) }),
        join(anna, group),
        create(anna, "x"),
    ] {
        assert!(matches!(scenario.one(fenced(old, write)), Written::Superseded));
    }
    assert!(matches!(scenario.one(release(anna, old, true)), Written::Superseded));
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
    let left_out = |written| match written {
        Written::Timeline(timeline::Written::CursorsMoved { left_out }) => left_out,
        other => panic!("{other:?}"),
    };
    assert_eq!(left_out(scenario.one(reach(old))), [(first.conversation, anna)]);
    assert_eq!(delivered(scenario), Seq(0), "an older session moves no cursor");
    assert_eq!(left_out(scenario.one(reach(new))), []);
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
    let (epoch, _) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    let (bens, _) = claimed(&scenario.one(claim(ben, "n1", PHONE)));
    assert!(matches!(scenario.one(release(anna, epoch, false)), Written::Done));
    scenario.wait(GRACE / 2);
    see(scenario, "n1");
    assert_eq!(online(scenario, &[anna, ben]), [anna, ben]);
    // Losing the connection twice does not extend the grace.
    assert!(matches!(scenario.one(release(anna, epoch, false)), Written::Done));
    scenario.wait(GRACE / 2);
    see(scenario, "n1");
    assert_eq!(online(scenario, &[anna, ben]), [ben]);
    let (epoch, before) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert_eq!(before, None, "its grace was over");
    assert!(matches!(scenario.one(release(anna, epoch, false)), Written::Done));
    let (epoch, before) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert_eq!(before, Some(Holder { node: "n1".into(), token: LAPTOP }));
    assert!(matches!(scenario.one(release(anna, epoch, true)), Written::Done));
    assert_eq!(claimed(&scenario.one(claim(anna, "n1", LAPTOP))).1, None, "it had ended");
    // The sessions of a node that is not seen for this long end.
    scenario.wait(GRACE);
    see(scenario, "n2");
    assert_eq!(online(scenario, &[anna, ben]), []);
    let (next, before) = claimed(&scenario.one(claim(ben, "n2", PHONE)));
    assert!(before.is_none() && next > bens);
}

pub fn a_claim_can_spare_a_connected_session(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    let politely = |token| {
        Write::Session(session::Write::Claim {
            user: anna,
            node: "n2".into(),
            token,
            grace: GRACE,
            unless_held: true,
        })
    };
    let (epoch, _) = claimed(&scenario.one(claim(anna, "n1", LAPTOP)));
    assert!(matches!(scenario.one(politely(PHONE)), Written::Denied(Denial::Conflict)));
    assert!(matches!(scenario.one(release(anna, epoch, false)), Written::Done), "nothing was claimed");
    claimed(&scenario.one(politely(PHONE)));
    see(scenario, "n2");
    assert!(matches!(scenario.one(politely(LAPTOP)), Written::Denied(Denial::Conflict)));
    claimed(&scenario.one(politely(PHONE)));
    scenario.wait(SILENT_MS);
    claimed(&scenario.one(politely(LAPTOP)));
}
