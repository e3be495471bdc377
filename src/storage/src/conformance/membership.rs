//! Members who leave, are removed, join again and change their roles.

use super::page_cost::users;
use super::scenario::{Scenario, append, appended, change_members, changed, join, seqs};
use super::session::{Claiming, LAPTOP, claim, claimed, end, see};
use super::{change, made};
use logic::Conflict;
use logic::contract::change::What as ChangeWhat;
use logic::contract::group::{self, Refused, What};
use logic::contract::node::{self, ENDED_KEPT_MS, RosterMember};
use logic::contract::timeline::{self, CursorMove, CursorStep, Standing, Unread};
use logic::contract::{Denial, Epoch, Found, Quota, Quotas, Written, message, session};
use std::sync::Arc;
use wire::entry::Event;
use wire::group::Role;
use wire::timeline::SettingsChange;
use wire::{ConversationId, Direction, Message, Page, Seq, Target, UnixMillis, UserId};

fn standing(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> Option<Standing> {
    match scenario.read(timeline::Read::Standing { user, conversation }.into()) {
        Found::Timeline(timeline::Found::Standing(found)) => found,
        other => panic!("{other:?}"),
    }
}

fn unread(scenario: &mut Scenario<'_>, user: UserId) -> Vec<Unread> {
    let after = ConversationId(0);
    let Found::Timeline(timeline::Found::Unread(page)) =
        scenario.read(timeline::Read::Unread { user, after }.into())
    else {
        panic!()
    };
    let Found::Session(session::Found::LoginView(view)) =
        scenario.read(session::Read::LoginView { user, with_last: false }.into())
    else {
        panic!()
    };
    assert_eq!(view.unread.rows, page.rows);
    page.rows
}

fn feed(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    after: u64,
    limit: u32,
) -> (Vec<Arc<Message>>, bool) {
    let (member, after, bytes) = (Some(user), Seq(after), 1 << 20);
    let read = timeline::Read::Feed { conversation, member, after, limit, bytes };
    match scenario.read(read.into()) {
        Found::Timeline(timeline::Found::Feed { messages, more, .. }) => (messages, more),
        other => panic!("{other:?}"),
    }
}

fn acknowledge(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId, upto: u64) {
    let step = CursorStep::Reach { delivered: Seq(upto), read: Seq(upto) };
    let moves = vec![CursorMove { conversation, user, epoch: Epoch::NONE, step }];
    scenario.one(timeline::Write::MoveCursors(moves).into());
}

fn roles(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> Vec<(UserId, Role)> {
    let page = Page { after: 0, limit: 50 };
    match scenario.read(group::Read::Members { user, conversation, page }.into()) {
        Found::Group(group::Found::Members { members, .. }) => {
            members.into_iter().map(|member| (member.user, member.role)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn refused(written: &Written) -> Refused {
    match written {
        Written::Group(group::Written::Refused(why)) => *why,
        other => panic!("{other:?}"),
    }
}

fn is_forbidden(written: &Written) -> bool {
    matches!(written, Written::Denied(Denial::Forbidden))
}

pub fn whoever_leaves_sees_what_came_before_and_nothing_after(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    scenario.join(ben, group);
    scenario.say(anna, to(), "1", "before");
    // In one batch: what is sent before it leaves goes to it, what is sent after does not, and it sends nothing more.
    let outcomes = scenario.all(vec![
        append(ben, to(), "2", "last words"),
        change_members(ben, group, What::Leave),
        append(anna, to(), "3", "after"),
        append(ben, to(), "4", "too late"),
        change_members(ben, group, What::Leave),
    ]);
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[0] else { panic!() };
    assert_eq!(**members, [anna, ben]);
    let left = changed(&outcomes[1]);
    assert_eq!((left.message.seq, &left.members[..]), (Seq(5), &[anna, ben][..]));
    let told = left.message.system().unwrap();
    assert_eq!((&told.event, &*told.who, told.by, &told.value), (&Event::Left, &[ben][..], ben, &None));
    assert_eq!(&*left.message.content, format!("name of {ben} left"));
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[2] else { panic!() };
    assert_eq!(**members, [anna]);
    assert!(is_forbidden(&outcomes[3]) && is_forbidden(&outcomes[4]));
    scenario.look_thrice(|scenario| {
        assert_eq!(roles(scenario, anna, group), [(anna, Role::Creator)]);
        let direction = Direction::After(Seq(0));
        let history = timeline::Read::History {
            user: ben,
            conversation: group,
            direction,
            limit: 9,
            with_changes: true,
        };
        assert!(matches!(scenario.read(history.into()), Found::Denied(Denial::Forbidden)));
        assert!(scenario.conversations(ben, None, 9).0.is_empty());
        let page = Page { after: 0, limit: 9 };
        let groups = scenario.read(group::Read::Groups { user: ben, page }.into());
        assert!(matches!(groups, Found::Group(group::Found::Groups { groups, .. }) if groups.is_empty()));
        let ids = scenario.read(group::Read::GroupIds { user: ben }.into());
        assert!(matches!(ids, Found::Group(group::Found::GroupIds(ids)) if ids.is_empty()));
        let readers = timeline::Read::Readers { user: ben, conversation: group, seq: Seq(4), page };
        assert!(matches!(scenario.read(readers.into()), Found::Denied(Denial::Forbidden)));
        let set = SettingsChange { pinned: Some(true), muted: None, hidden: None };
        for write in [
            timeline::Write::Set { user: ben, conversation: group, change: set },
            timeline::Write::Clear { user: ben, conversation: group, upto: Seq(9) },
        ] {
            assert!(is_forbidden(&scenario.one(write.into())));
        }
        let react = change(ben, group, 4, ChangeWhat::React { reaction: "👍".into(), on: true });
        assert!(is_forbidden(&scenario.one(react)));
        assert_eq!(standing(scenario, cleo, group), None);
    });
    scenario.look_thrice(|scenario| {
        let expected =
            Unread { conversation: group, peer: None, delivered: Seq(1), last: Seq(5), has_left: true };
        assert_eq!(unread(scenario, ben), [expected]);
        let (messages, more) = feed(scenario, ben, group, 0, 2);
        assert_eq!((seqs(&messages), more), (vec![2, 3], true));
        let (messages, more) = feed(scenario, ben, group, 3, 2);
        assert_eq!((seqs(&messages), more), (vec![4, 5], false));
        let (messages, more) = feed(scenario, ben, group, 3, 9);
        assert_eq!((seqs(&messages), more), (vec![4, 5], false));
        assert!(feed(scenario, ben, group, 5, 9).0.is_empty());
    });
    acknowledge(scenario, ben, group, 3);
    assert_eq!(unread(scenario, ben)[0].delivered, Seq(3));
    acknowledge(scenario, ben, group, 99);
    scenario.look_thrice(|scenario| {
        assert_eq!(unread(scenario, ben), []);
        let found = standing(scenario, ben, group).unwrap();
        assert_eq!((found.has_left, found.delivered, found.last), (true, Seq(5), Seq(5)));
    });
}

pub fn whoever_joins_again_sees_what_comes_from_then_on(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    scenario.join(ben, group);
    scenario.say(anna, to(), "1", "first view");
    changed(&scenario.one(change_members(anna, group, What::Remove { user: ben, bar: false })));
    scenario.say(anna, to(), "2", "unseen");
    let outcomes = scenario.all(vec![
        append(anna, to(), "3", "unseen, too"),
        join(ben, group),
        append(ben, to(), "4", "back again"),
    ]);
    assert_eq!(appended(&outcomes[2]).seq, Seq(8));
    scenario.look_thrice(|scenario| {
        let (messages, more, first) = scenario.history(ben, group, Direction::After(Seq(0)), 50);
        assert_eq!((seqs(&messages), more, first), (vec![7, 8], false, Seq(7)));
        let (messages, _) = feed(scenario, ben, group, 2, 50);
        assert_eq!(seqs(&messages), [7, 8]);
        let listed = &scenario.conversations(ben, None, 9).0[0];
        assert_eq!((listed.first_seq, listed.last_seq, listed.read_seq), (Seq(7), Seq(8), Seq(7)));
        let found = standing(scenario, ben, group).unwrap();
        assert_eq!((found.has_left, found.delivered), (false, Seq(6)));
    });
    // The removal of the second view is again the last that is seen of it.
    changed(&scenario.one(change_members(ben, group, What::Leave)));
    scenario.look_thrice(|scenario| {
        let (messages, more) = feed(scenario, ben, group, 0, 50);
        assert_eq!((seqs(&messages), more), (vec![7, 8, 9], false));
    });
}

pub fn roles_are_set_and_handed_over(scenario: &mut Scenario<'_>) {
    let users = ["anna", "ben", "cleo", "dora"].map(|name| scenario.user(name));
    let [anna, ben, cleo, dora] = users;
    let group = scenario.group(anna, "climbing");
    for user in [ben, cleo] {
        scenario.join(user, group);
    }
    let set = |user, role| What::SetRole { user, role };
    let remove = |user| What::Remove { user, bar: false };
    for (by, what, why) in [
        (ben, set(cleo, Role::Admin), Refused::NotCreator),
        (ben, remove(cleo), Refused::NotAbove),
        (ben, What::Transfer { user: ben }, Refused::NotCreator),
        (anna, set(dora, Role::Admin), Refused::NoMember),
        (anna, remove(dora), Refused::NoMember),
        (anna, remove(anna), Refused::Oneself),
        (anna, What::Leave, Refused::IsCreator),
    ] {
        assert_eq!(refused(&scenario.one(change_members(by, group, what))), why, "{what:?} by {by}");
    }
    assert!(is_forbidden(&scenario.one(change_members(dora, group, remove(ben)))));
    assert!(is_forbidden(&scenario.one(change_members(dora, ConversationId(999), What::Leave))));
    let direct = scenario.say(anna, Target::User(ben), "d", "hi").conversation;
    assert!(is_forbidden(&scenario.one(change_members(anna, direct, What::Leave))));
    let told = changed(&scenario.one(change_members(anna, group, set(ben, Role::Admin)))).message;
    let system = told.system().unwrap();
    assert_eq!((&system.event, &*system.who, system.by), (&Event::Role, &[ben][..], anna));
    assert_eq!((system.value.as_deref(), told.seq), (Some("admin"), Seq(4)));
    assert_eq!(&*told.content, format!("name of {anna} made ben an admin"));
    let again = scenario.one(change_members(anna, group, set(ben, Role::Admin)));
    assert!(matches!(again, Written::Group(group::Written::Unchanged)));
    scenario.look_thrice(|scenario| {
        let (all, ..) = scenario.history(ben, group, Direction::After(Seq(3)), 9);
        assert_eq!((all.len(), all[0].system()), (1, told.system()));
        assert_eq!(
            roles(scenario, cleo, group),
            [(anna, Role::Creator), (ben, Role::Admin), (cleo, Role::Normal)]
        );
    });
    // An admin is above normal members only.
    assert_eq!(refused(&scenario.one(change_members(ben, group, remove(anna)))), Refused::NotAbove);
    let outcomes = scenario.all(vec![
        change_members(ben, group, remove(cleo)),
        change_members(anna, group, What::Transfer { user: ben }),
        change_members(anna, group, set(ben, Role::Normal)),
        change_members(ben, group, set(anna, Role::Normal)),
    ]);
    let transferred = changed(&outcomes[1]).message;
    let system = transferred.system().unwrap();
    assert_eq!((&system.event, &*system.who, system.by), (&Event::Transferred, &[ben][..], anna));
    assert_eq!(refused(&outcomes[2]), Refused::NotCreator);
    changed(&outcomes[0]);
    changed(&outcomes[3]);
    scenario.look_thrice(|scenario| {
        assert_eq!(roles(scenario, anna, group), [(anna, Role::Normal), (ben, Role::Creator)]);
    });
}

pub fn a_barred_user_does_not_join_again(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    for user in [ben, cleo] {
        scenario.join(user, group);
        let bar = user == ben;
        changed(&scenario.one(change_members(anna, group, What::Remove { user, bar })));
    }
    scenario.look_thrice(|scenario| assert!(is_forbidden(&scenario.one(join(ben, group)))));
    scenario.join(cleo, group);
    // Whoever leaves before is barred as well, of which no entry tells, and nobody who never was a member.
    changed(&scenario.one(change_members(cleo, group, What::Leave)));
    let bar = |user| change_members(anna, group, What::Remove { user, bar: true });
    let without = change_members(anna, group, What::Remove { user: cleo, bar: false });
    assert_eq!(refused(&scenario.one(without)), Refused::NoMember);
    let before = scenario.history(anna, group, Direction::After(Seq(0)), 50).0.len();
    for _ in 0..2 {
        let barred = scenario.one(bar(cleo));
        assert!(matches!(barred, Written::Group(group::Written::Unchanged)), "{barred:?}");
    }
    let dora = scenario.user("dora");
    assert_eq!(refused(&scenario.one(bar(dora))), Refused::NoMember);
    scenario.join(dora, group);
    scenario.look_thrice(|scenario| assert!(is_forbidden(&scenario.one(join(cleo, group)))));
    assert_eq!(scenario.history(anna, group, Direction::After(Seq(0)), 50).0.len(), before + 1);
}

pub fn whoever_cleared_a_group_before_leaving_is_given_nothing_below(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    for cid in ["1", "2", "3"] {
        scenario.say(anna, Target::Conversation(group), cid, cid);
    }
    scenario.one(timeline::Write::Clear { user: ben, conversation: group, upto: Seq(4) }.into());
    changed(&scenario.one(change_members(anna, group, What::Remove { user: ben, bar: false })));
    scenario.look_thrice(|scenario| {
        let (messages, more) = feed(scenario, ben, group, 0, 50);
        assert_eq!((seqs(&messages), more), (vec![5, 6], false));
    });
}

/// One session may lack what another one, on another node, has acknowledged.
pub fn nodes_learn_of_a_leave_where_the_user_has_several_sessions(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    for node in ["n1", "n2"] {
        see(scenario, node);
    }
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    let here = claimed(&scenario.one(Claiming::of("n1", [1; 32], Conflict::Multi).by(ben))).epoch;
    let elsewhere = claimed(&scenario.one(Claiming::of("n2", [2; 32], Conflict::Multi).by(ben))).epoch;
    scenario.wait(1_000);
    let since = scenario.now;
    changed(&scenario.one(change_members(ben, group, What::Leave)));
    acknowledge(scenario, ben, group, 3);
    let learnt = |scenario: &mut Scenario<'_>, since| {
        let Found::Node(node::Found::Roster(Some(roster))) =
            scenario.read(node::Read::Roster { conversation: group }.into())
        else {
            panic!()
        };
        let Found::Node(node::Found::Changes(changes)) =
            scenario.read(node::Read::Changes { node: "n1".into(), since }.into())
        else {
            panic!()
        };
        let listed = roster.members.iter().any(|member| member.user == ben && member.left == Some(Seq(3)));
        (listed, changes.ends.iter().any(|end| (end.conversation, end.last) == (group, Seq(3))))
    };
    scenario.look_thrice(|scenario| assert_eq!(learnt(scenario, since), (true, true)));
    assert_eq!(learnt(scenario, UnixMillis(since.0 + 1)), (true, false));
    // Also where one has ended since it acknowledged that.
    scenario.one(end(ben, elsewhere, None));
    assert_eq!(learnt(scenario, since), (true, true));
    scenario.one(end(ben, here, None));
    assert_eq!(learnt(scenario, since), (false, false), "there is no session");
    for (node, token) in [("n1", [3; 32]), ("n2", [4; 32])] {
        scenario.one(Claiming::of(node, token, Conflict::Multi).by(ben));
    }
    assert_eq!(learnt(scenario, since), (true, true));
    scenario.wait(ENDED_KEPT_MS + 1);
    assert!(!learnt(scenario, since).0, "whoever left long ago costs a roster nothing");
}

pub fn a_group_without_members_is_dismissed(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    scenario.fixture.set_quotas(Quotas { groups: 1, conversations: 2, ..Quotas::default() });
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    changed(&scenario.one(change_members(anna, group, What::Transfer { user: ben })));
    changed(&scenario.one(change_members(anna, group, What::Leave)));
    let denied = |written: &Written, quota: Quota| matches!(written, Written::Denied(Denial::Quota(of)) if *of == quota);
    let another = super::create(anna, "another");
    assert!(denied(&scenario.one(another.clone()), Quota::Groups), "she made it, whoever has it now");
    let last = changed(&scenario.one(change_members(ben, group, What::Leave)));
    assert_eq!(last.members[..], [ben]);
    scenario.look_thrice(|scenario| {
        for user in [anna, ben] {
            assert!(is_forbidden(&scenario.one(join(user, group))));
        }
    });
    assert!(matches!(scenario.one(another), Written::Group(group::Written::Created(_))));
}

pub fn what_is_changed_after_a_removal_is_not_told(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    scenario.join(ben, group);
    for (cid, text) in
        [("1", "edited before"), ("2", "edited after"), ("3", "recalled after"), ("4", "reacted to")]
    {
        scenario.say(anna, to(), cid, text);
    }
    let edit = |seq, content: &str| {
        change(anna, group, seq, ChangeWhat::Edit { content: content.into(), window: 99 })
    };
    made(&scenario.one(edit(3, "new before")));
    let twice = scenario.say(anna, to(), "5", "edited before and after").seq;
    made(&scenario.one(edit(twice.0, "new before, too")));
    changed(&scenario.one(change_members(anna, group, What::Remove { user: ben, bar: false })));
    made(&scenario.one(edit(4, "new after")));
    made(&scenario.one(edit(twice.0, "newer")));
    made(&scenario.one(change(anna, group, 5, ChangeWhat::Recall { window: 99 })));
    made(&scenario.one(change(anna, group, 6, ChangeWhat::React { reaction: "👍".into(), on: true })));
    scenario.look_thrice(|scenario| {
        let (messages, more) = feed(scenario, ben, group, 2, 50);
        let texts: Vec<&str> = messages.iter().map(|message| &*message.content).collect();
        let removed = format!("name of {anna} removed ben");
        assert_eq!(texts, ["new before", "", "", "reacted to", "new before", "", "", &removed]);
        assert!(!more);
        assert!(messages[1].changes().is_none_or(|changes| changes.edited.is_none()));
        assert!(messages[2].recalled().is_some(), "a text that was taken back is read by nobody");
        assert!(messages[3].changes().is_none_or(|changes| changes.reactions.is_empty()));
    });
}

pub fn a_roster_lists_who_has_left(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    changed(&scenario.one(change_members(ben, group, What::Leave)));
    let roster = |scenario: &mut Scenario<'_>| match scenario
        .read(node::Read::Roster { conversation: group }.into())
    {
        Found::Node(node::Found::Roster(Some(roster))) => (roster.last, roster.members),
        other => panic!("{other:?}"),
    };
    let of_anna = RosterMember { user: anna, joined: Seq(0), left: None, delivered: Seq(0) };
    let of_ben = RosterMember { user: ben, joined: Seq(1), left: Some(Seq(3)), delivered: Seq(1) };
    // Whoever has no session is fed at the next login.
    scenario.look_thrice(|scenario| assert_eq!(roster(scenario), (Seq(3), vec![of_anna])));
    see(scenario, "n1");
    scenario.one(claim(ben, "n1", LAPTOP));
    scenario.look_thrice(|scenario| assert_eq!(roster(scenario), (Seq(3), vec![of_anna, of_ben])));
    scenario.join(ben, group);
    let of_ben = RosterMember { user: ben, joined: Seq(3), left: None, delivered: Seq(3) };
    scenario.look_thrice(|scenario| assert_eq!(roster(scenario), (Seq(4), vec![of_anna, of_ben])));
}

pub fn the_cost_of_a_roster_does_not_grow_with_who_has_left(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    let group = scenario.group(anna, "climbing");
    let roster = node::Read::Roster { conversation: group }.into();
    scenario.file();
    let before = scenario.fixture.cost(&roster);
    let gone = users(scenario, "gone", 400);
    scenario.all(gone.iter().map(|user| join(*user, group)).collect());
    let leave = |user: &UserId| change_members(*user, group, What::Leave);
    scenario.all(gone.iter().map(leave).collect()).iter().for_each(|written| drop(changed(written)));
    // As their clients do when they are told.
    gone.iter().for_each(|user| acknowledge(scenario, *user, group, u64::MAX >> 1));
    scenario.wait(2 * ENDED_KEPT_MS);
    scenario.file();
    let after = scenario.fixture.cost(&roster);
    println!("  a roster: {before}, after 400 have left {after}");
    assert!(after <= 2 * before + 50, "a roster costs {before}, after 400 have left {after}");
}
