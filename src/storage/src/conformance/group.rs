//! Groups and their members.

use super::scenario::{Scenario, append, appended, entry, join, seqs, walk};
use logic::contract::{Denial, Found, Read, Written, group, message};
use wire::group::Role;
use wire::{ConversationId, Direction, Page, Seq, Target};

pub fn group_members_have_roles(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    assert!(matches!(scenario.one(join(ben, group)), Written::Denied(Denial::Conflict)));
    let direct = scenario.say(anna, Target::User(ben), "d", "hi").conversation;
    for conversation in [direct, ConversationId(999)] {
        assert!(matches!(scenario.one(join(cleo, conversation)), Written::Denied(Denial::NotFound)));
    }
    scenario.look_thrice(|scenario| {
        let page = Page { after: 0, limit: 50 };
        let members = Read::Group(group::Read::Members { user: ben, conversation: group, page });
        let Found::Group(group::Found::Members { members, more: false }) = scenario.read(members) else {
            panic!()
        };
        let members: Vec<_> = members.iter().map(|m| (m.user, &*m.name, m.role)).collect();
        assert_eq!(members, [(anna, "anna", Role::Creator), (ben, "ben", Role::Normal)]);
        let stranger = Read::Group(group::Read::Members { user: cleo, conversation: group, page });
        assert!(matches!(scenario.read(stranger), Found::Denied(Denial::Forbidden)));
        let Found::Group(group::Found::Groups { groups, more: false }) =
            scenario.read(Read::Group(group::Read::Groups { user: ben, page }))
        else {
            panic!()
        };
        assert_eq!(groups.len(), 1, "a direct chat is no group");
        assert_eq!(
            (groups[0].conversation, &*groups[0].name, &*groups[0].desc),
            (group, "climbing", "about")
        );
        assert_eq!(groups[0].role, Role::Normal);
        let first = Page { after: 0, limit: 1 };
        let found =
            scenario.read(Read::Group(group::Read::Members { user: ben, conversation: group, page: first }));
        assert!(
            matches!(found, Found::Group(group::Found::Members { members, more: true }) if members.len() == 1)
        );
    });
}

pub fn a_new_member_sees_only_later_messages(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    for n in 0..5 {
        scenario.say(anna, to(), &format!("a{n}"), "before");
    }
    // In one batch: a message before the join is invisible to the new member, one after it is visible.
    let outcomes = scenario.all(vec![
        append(anna, to(), "x", "just before"),
        join(ben, group),
        append(anna, to(), "y", "just after"),
    ]);
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[0] else { panic!() };
    assert_eq!(**members, [anna]);
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[2] else { panic!() };
    assert_eq!(**members, [anna, ben]);
    assert_eq!((entry(&outcomes[1]).message.seq, appended(&outcomes[2]).seq), (Seq(8), Seq(9)));
    scenario.file();
    scenario.join(cleo, group);
    scenario.say(ben, to(), "z", "welcome");
    scenario.look_thrice(|scenario| {
        for (user, first) in [(anna, 1), (ben, 8), (cleo, 10)] {
            let (messages, more, first_seq) = scenario.history(user, group, Direction::After(Seq(0)), 50);
            assert_eq!((first_seq, more), (Seq(first), false));
            assert_eq!(seqs(&messages), (first..=11).collect::<Vec<_>>());
            let mut back = walk(scenario, user, group, 2, false);
            back.reverse();
            assert_eq!(back, (first..=11).collect::<Vec<_>>());
            let entry = &scenario.conversations(user, None, 10).0[0];
            assert_eq!((entry.first_seq, entry.last_seq), (Seq(first), Seq(11)));
            assert_eq!(entry.delivered_seq, Seq(first - 1), "what came before counts as seen");
        }
    });
}
