//! The information that nodes exchange through the database.

use super::scenario::Scenario;
use super::session::{Claiming, LAPTOP, claim, claimed, end, see};
use logic::Conflict;
use logic::contract::node::{Roster, RosterMember};
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{Epoch, Fence, Found, Read, Write, Written, node, timeline};
use wire::session::KickCode;
use wire::{ConversationId, ConversationKind, Seq, Target, UnixMillis};

pub fn ended_sessions_are_listed_for_their_node(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    see(scenario, "n1");
    see(scenario, "n2");
    let claims = |scenario: &mut Scenario<'_>, since| match scenario
        .read(Read::Node(node::Read::Claims { node: "n1".into(), since }))
    {
        Found::Node(node::Found::Claims(claims)) => *claims,
        other => panic!("{other:?}"),
    };
    let begin = claims(scenario, UnixMillis::MAX);
    assert_eq!((begin.now, begin.ended.len(), begin.joined.len()), (scenario.now, 0, 0));
    let annas = claimed(&scenario.one(claim(anna, "n1", LAPTOP))).epoch;
    claimed(&scenario.one(claim(anna, "n2", LAPTOP)));
    scenario.wait(1_000);
    let bens = claimed(&scenario.one(claim(ben, "n1", LAPTOP))).epoch;
    claimed(&scenario.one(claim(ben, "n2", LAPTOP)));
    // Beside each other.
    let multi = |node, token| Claiming::of(node, [token; 32], Conflict::Multi).by(cleo);
    let cleos = claimed(&scenario.one(multi("n1", 1))).epoch;
    claimed(&scenario.one(multi("n2", 2)));
    let end = |user, epoch| node::Ended { fence: Fence { user, epoch }, why: KickCode::Login };
    let found = claims(scenario, scenario.now);
    assert_eq!((found.ended, found.joined), (vec![end(ben, bens)], vec![cleo]));
    let mut all = claims(scenario, begin.now).ended;
    all.sort_unstable_by_key(|ended| ended.fence);
    assert_eq!(all, [end(anna, annas), end(ben, bens)]);
    let asked = |scenario: &mut Scenario<'_>, user, epoch| match scenario
        .read(Read::Node(node::Read::Session(Fence { user, epoch })))
    {
        Found::Node(node::Found::Session(end)) => end,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(scenario, ben, bens), Some(KickCode::Login));
    assert_eq!(asked(scenario, cleo, cleos), None);
    assert_eq!(asked(scenario, cleo, Epoch(999)), Some(KickCode::Login), "it is not known any more");
}

pub fn a_node_that_may_not_have_been_heard_is_reported(scenario: &mut Scenario<'_>) {
    let unheard = |scenario: &mut Scenario<'_>, node: &str| match scenario
        .read(Read::Node(node::Read::Claims { node: node.into(), since: UnixMillis::MAX }))
    {
        Found::Node(node::Found::Claims(claims)) => claims.unheard,
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
    see(scenario, "n1");
    see(scenario, "n2");
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
    // Unless another node may have delivered it.
    let elsewhere = claimed(&scenario.one(Claiming::of("n2", [9; 32], Conflict::Multi).by(ben))).epoch;
    assert_eq!(changes(scenario, begin).1, [(direct, Seq(1)), (group, Seq(3))]);
    scenario.one(end(ben, elsewhere, None));
    // What a session acknowledges just before it ends moves the cursor for those that are left.
    assert_eq!(changes(scenario, begin).1, [(direct, Seq(1)), (group, Seq(3))]);
    scenario.wait(1_000);
    let last = scenario.now;
    assert_eq!(changes(scenario, last).1, [], "the end is too long ago");
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
        let member =
            |user, before| RosterMember { user, joined: Seq(before), left: None, delivered: Seq(before) };
        let members = vec![member(anna, 0), member(ben, 2)];
        assert_eq!(*roster, Roster { kind: ConversationKind::Group, last: Seq(4), members });
        let nowhere = Read::Node(node::Read::Roster { conversation: ConversationId(999) });
        assert!(matches!(scenario.read(nowhere), Found::Node(node::Found::Roster(None))));
    });
}
