//! The information that nodes exchange through the database.

use super::scenario::Scenario;
use super::session::{LAPTOP, claim, claimed, release, see};
use logic::contract::node::{Roster, RosterMember};
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{Epoch, Found, Read, Write, Written, node, timeline};
use wire::session::KickCode;
use wire::{ConversationId, ConversationKind, Seq, Target, UnixMillis};

pub fn claims_of_other_nodes_are_listed(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let claims = |scenario: &mut Scenario<'_>, since| match scenario
        .read(Read::Node(node::Read::Claims { node: "n1".into(), since }))
    {
        Found::Node(node::Found::Claims { now, mut claims, .. }) => {
            claims.sort_unstable_by_key(|claim| claim.user);
            (now, claims)
        }
        other => panic!("{other:?}"),
    };
    let (begin, none) = claims(scenario, UnixMillis::MAX);
    assert_eq!((begin, none), (scenario.now, vec![]));
    scenario.one(claim(anna, "n2", LAPTOP));
    let epoch =
        |scenario: &mut Scenario<'_>, user| match scenario.read(Read::Node(node::Read::Epoch { user })) {
            Found::Node(node::Found::Epoch { latest, .. }) => latest,
            other => panic!("{other:?}"),
        };
    assert_eq!(epoch(scenario, ben), Epoch::NONE);
    scenario.wait(1_000);
    scenario.one(claim(ben, "n1", LAPTOP));
    let (bens, _) = claimed(&scenario.one(claim(ben, "n2", LAPTOP)));
    assert_eq!(epoch(scenario, ben), bens);
    scenario.one(claim(cleo, "n1", LAPTOP));
    assert_eq!(
        claims(scenario, scenario.now),
        (scenario.now, vec![node::Claim { user: ben, epoch: bens, why: KickCode::Login }])
    );
    assert_eq!(claims(scenario, begin).1.len(), 2);
    assert!(matches!(scenario.one(release(ben, bens, true)), Written::Done));
    assert_eq!(
        claims(scenario, scenario.now).1.len(),
        1,
        "a session that has ended was claimed nevertheless"
    );
}

pub fn a_node_that_may_not_have_been_heard_is_reported(scenario: &mut Scenario<'_>) {
    let unheard = |scenario: &mut Scenario<'_>, node: &str| match scenario
        .read(Read::Node(node::Read::Claims { node: node.into(), since: UnixMillis::MAX }))
    {
        Found::Node(node::Found::Claims { unheard, .. }) => unheard,
        other => panic!("{other:?}"),
    };
    see(scenario, "n1");
    see(scenario, "n2");
    assert_eq!(unheard(scenario, "n2"), UnixMillis(0));
    assert!(matches!(
        scenario.one(Write::Node(node::Write::See { node: "n1".into(), unheard: true })),
        Written::Done
    ));
    let at = scenario.now;
    scenario.wait(1_000);
    see(scenario, "n1");
    assert_eq!(unheard(scenario, "n2"), at, "that it lives does not undo it");
    assert_eq!(unheard(scenario, "n1"), UnixMillis(0), "it is not told of itself");
}

pub fn undelivered_conversations_are_listed_for_a_node(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    scenario.one(claim(ben, "n1", LAPTOP));
    scenario.one(claim(cleo, "n2", LAPTOP));
    let changes = |scenario: &mut Scenario<'_>, since| match scenario
        .read(Read::Node(node::Read::Changes { node: "n1".into(), since }))
    {
        Found::Node(node::Found::Changes(changes)) => {
            assert!(!changes.more);
            (changes.upto, changes.ends.iter().map(|end| (end.conversation, end.last)).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    let (begin, none) = changes(scenario, UnixMillis::MAX);
    assert_eq!((begin, none), (scenario.now, vec![]));
    let direct = scenario.say(anna, Target::User(ben), "1", "x").conversation;
    scenario.say(anna, Target::User(cleo), "2", "x");
    let step = CursorStep::Reach { delivered: Seq(1), read: Seq(0) };
    let acked = CursorMove { conversation: direct, user: ben, epoch: Epoch::NONE, step };
    scenario.wait(1_000);
    let later = scenario.now;
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.say(anna, Target::Conversation(group), "3", "x");
    scenario.look_thrice(|scenario| {
        assert_eq!(changes(scenario, begin), (scenario.now, vec![(direct, Seq(1)), (group, Seq(3))]));
        assert_eq!(changes(scenario, later).1, [(group, Seq(3))]);
        assert_eq!(changes(scenario, UnixMillis(later.0 + 1)).1, []);
    });
    scenario.one(Write::Timeline(timeline::Write::MoveCursors(vec![acked])));
    assert_eq!(changes(scenario, begin).1, [(group, Seq(3))], "what was delivered is not lacked");
    scenario.wait(1_000);
    let last = scenario.now;
    scenario.join(cleo, group);
    scenario.look_thrice(|scenario| {
        assert_eq!(
            changes(scenario, last).1,
            [(group, Seq(4))],
            "an entry that is no message is lacked as well"
        );
    });
}

pub fn a_roster_lists_every_member_with_its_cursor(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.say(anna, Target::Conversation(group), "1", "x");
    scenario.join(ben, group);
    scenario.say(anna, Target::Conversation(group), "2", "x");
    scenario.look_thrice(|scenario| {
        let Found::Node(node::Found::Roster(Some(roster))) =
            scenario.read(Read::Node(node::Read::Roster { conversation: group }))
        else {
            panic!()
        };
        let member = |user, before| RosterMember { user, joined: Seq(before), delivered: Seq(before) };
        let members = vec![member(anna, 0), member(ben, 2)];
        assert_eq!(*roster, Roster { kind: ConversationKind::Group, last: Seq(4), members });
        let nowhere = Read::Node(node::Read::Roster { conversation: ConversationId(999) });
        assert!(matches!(scenario.read(nowhere), Found::Node(node::Found::Roster(None))));
    });
}
