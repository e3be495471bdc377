//! Friends and groups.

use super::{Play, append, appended, by_name, seqs, walk};
use logic::contract::{Denial, Found, Read, Write, Written, contact, group, message};
use wire::account::Who;
use wire::group::Role;
use wire::{ConversationId, Direction, Page, Seq, Target, UserId};

pub fn friendship_is_mutual(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    let add = |user, who| Write::Contact(contact::Write::Add { user, who });
    match play.one(add(anna, by_name("BEN"))) {
        Written::Contact(contact::Written::Friends { peer, name }) => {
            assert_eq!((peer, &*name), (ben, "ben"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(play.one(add(ben, Who::Id(anna))), Written::Denied(Denial::Conflict)));
    assert!(matches!(play.one(add(ben, Who::Id(ben))), Written::Denied(Denial::Oneself)));
    assert!(matches!(play.one(add(ben, Who::Id(UserId(99)))), Written::Denied(Denial::NotFound)));
    assert!(matches!(play.one(add(ben, by_name("nobody"))), Written::Denied(Denial::NotFound)));
    play.look_thrice(|play| {
        for (user, friend) in [(anna, ben), (ben, anna)] {
            let Found::Contact(contact::Found::FriendIds(ids)) =
                play.read(Read::Contact(contact::Read::FriendIds { user }))
            else {
                panic!()
            };
            assert_eq!(ids, [friend]);
        }
    });
}

pub fn friends_come_in_pages(play: &mut Play<'_>) {
    let anna = play.user("anna");
    let others: Vec<UserId> = (0..7).map(|n| play.user(&format!("friend {n}"))).collect();
    for other in others.iter().rev() {
        play.one(Write::Contact(contact::Write::Add { user: anna, who: Who::Id(*other) }));
    }
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = Page { after, limit: 3 };
        let Found::Contact(contact::Found::Friends { friends, more }) =
            play.read(Read::Contact(contact::Read::Friends { user: anna, page }))
        else {
            panic!()
        };
        after = friends.last().unwrap().user.0;
        assert_eq!(more, seen.len() + friends.len() < others.len());
        seen.extend(friends.into_iter().map(|friend| (friend.user, friend.name.to_string())));
        if !more {
            break;
        }
    }
    let expected: Vec<_> = (0..).zip(&others).map(|(n, id)| (*id, format!("friend {n}"))).collect();
    assert_eq!(seen, expected);
}

pub fn a_group_has_roles_and_members(play: &mut Play<'_>) {
    let (anna, ben, cleo) = (play.user("anna"), play.user("ben"), play.user("cleo"));
    let group = play.group(anna, "climbing");
    play.join(ben, group);
    assert!(matches!(
        play.one(Write::Group(group::Write::Join { user: ben, conversation: group })),
        Written::Denied(Denial::Conflict)
    ));
    let direct = play.say(anna, Target::User(ben), "d", "hi").conversation;
    for conversation in [direct, ConversationId(999)] {
        assert!(matches!(
            play.one(Write::Group(group::Write::Join { user: cleo, conversation })),
            Written::Denied(Denial::NotFound)
        ));
    }
    play.look_thrice(|play| {
        let page = Page { after: 0, limit: 50 };
        let members = Read::Group(group::Read::Members { user: ben, conversation: group, page });
        let Found::Group(group::Found::Members { members, more: false }) = play.read(members) else {
            panic!()
        };
        let members: Vec<_> = members.iter().map(|m| (m.user, &*m.name, m.role)).collect();
        assert_eq!(members, [(anna, "anna", Role::Owner), (ben, "ben", Role::Member)]);
        let stranger = Read::Group(group::Read::Members { user: cleo, conversation: group, page });
        assert!(matches!(play.read(stranger), Found::Denied(Denial::Forbidden)));
        let Found::Group(group::Found::Groups { groups, more: false }) =
            play.read(Read::Group(group::Read::Groups { user: ben, page }))
        else {
            panic!()
        };
        assert_eq!(groups.len(), 1, "a direct chat is no group");
        assert_eq!(
            (groups[0].conversation, &*groups[0].name, &*groups[0].desc),
            (group, "climbing", "about")
        );
        assert_eq!(groups[0].role, Role::Member);
        let first = Page { after: 0, limit: 1 };
        let found =
            play.read(Read::Group(group::Read::Members { user: ben, conversation: group, page: first }));
        assert!(
            matches!(found, Found::Group(group::Found::Members { members, more: true }) if members.len() == 1)
        );
    });
}

pub fn who_joins_sees_what_comes_after(play: &mut Play<'_>) {
    let (anna, ben, cleo) = (play.user("anna"), play.user("ben"), play.user("cleo"));
    let group = play.group(anna, "climbing");
    let to = || Target::Conversation(group);
    for n in 0..5 {
        play.say(anna, to(), &format!("a{n}"), "before");
    }
    // In one batch: what is sent before the join is not seen, what is sent after it is.
    let outcomes = play.all(vec![
        append(anna, to(), "x", "just before"),
        Write::Group(group::Write::Join { user: ben, conversation: group }),
        append(anna, to(), "y", "just after"),
    ]);
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[0] else { panic!() };
    assert_eq!(**members, [anna]);
    let Written::Message(message::Written::Appended { members, .. }) = &outcomes[2] else { panic!() };
    assert_eq!(**members, [anna, ben]);
    assert_eq!(appended(&outcomes[2]).seq, Seq(7));
    play.file();
    play.join(cleo, group);
    play.say(ben, to(), "z", "welcome");
    play.look_thrice(|play| {
        for (user, first) in [(anna, 1), (ben, 7), (cleo, 8)] {
            let (messages, more, first_seq) = play.history(user, group, Direction::After(Seq(0)), 50);
            assert_eq!((first_seq, more), (Seq(first), false));
            assert_eq!(seqs(&messages), (first..=8).collect::<Vec<_>>());
            let mut back = walk(play, user, group, 2, false);
            back.reverse();
            assert_eq!(back, (first..=8).collect::<Vec<_>>());
            let entry = &play.conversations(user, None, 10).0[0];
            assert_eq!((entry.first_seq, entry.last_seq), (Seq(first), Seq(8)));
            assert_eq!(entry.delivered_seq, Seq(first - 1), "what came before counts as seen");
        }
    });
}
