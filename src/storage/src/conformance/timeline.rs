//! Cursors, and the listings that a session begins with.

use super::scenario::{Scenario, append, appended};
use logic::contract::session::LoginView;
use logic::contract::timeline::{CursorMove, CursorStep, Standing, UNREAD_MAX};
use logic::contract::{Epoch, Found, Read, Write, Written, account, contact, session, timeline};
use wire::account::Who;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Seq, Target, UnixMillis, UserId};

fn standing(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> Standing {
    match scenario.read(Read::Timeline(timeline::Read::Standing { user, conversation })) {
        Found::Timeline(timeline::Found::Standing(Some(standing))) => standing,
        other => panic!("{other:?}"),
    }
}

fn login(scenario: &mut Scenario<'_>, user: UserId) -> LoginView {
    match scenario.read(Read::Session(session::Read::LoginView { user, with_last: false })) {
        Found::Session(session::Found::LoginView(view)) => *view,
        other => panic!("{other:?}"),
    }
}

pub fn cursors_never_move_back(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    for n in 0..20 {
        scenario.say(anna, Target::Conversation(group), &format!("{n}"), "x");
    }
    let epoch = Epoch::NONE;
    let reach = |delivered, read| CursorStep::Reach { delivered: Seq(delivered), read: Seq(read) };
    let pass = |first, last| CursorStep::Pass { first: Seq(first), last: Seq(last) };
    let steps = [
        reach(5, 2),
        reach(3, 1),
        pass(6, 8),
        pass(12, 14),
        pass(3, 4),
        pass(8, 9),
        reach(0, 9),
        pass(10, 10),
        reach(20, 0),
        pass(1, 20),
    ];
    // After its own entry a member has read it.
    let mut expected = (Seq(1), Seq(2));
    for step in steps {
        let moves = vec![
            CursorMove { conversation: group, user: ben, epoch, step },
            CursorMove { conversation: group, user: eve, epoch, step },
            CursorMove { conversation: ConversationId(999), user: ben, epoch, step },
        ];
        let moved = scenario.one(Write::Timeline(timeline::Write::MoveCursors(moves)));
        assert!(
            matches!(moved, Written::Timeline(timeline::Written::CursorsMoved { left_out }) if left_out.is_empty())
        );
        expected = step.apply(expected.0, expected.1);
        let now = standing(scenario, ben, group);
        assert_eq!((now.delivered, now.read), expected, "{step:?}");
    }
    // The same in one write, in order.
    let group2 = scenario.group(anna, "running");
    for n in 0..20 {
        scenario.say(anna, Target::Conversation(group2), &format!("r{n}"), "x");
    }
    let moves = steps.map(|step| CursorMove { conversation: group2, user: anna, epoch, step });
    scenario.one(Write::Timeline(timeline::Write::MoveCursors(moves.to_vec())));
    let begin = (Seq(0), Seq(1));
    let expected = steps.iter().fold(begin, |(delivered, read), step| step.apply(delivered, read));
    let found = scenario.read(Read::Timeline(timeline::Read::Standing { user: eve, conversation: group }));
    assert!(matches!(found, Found::Timeline(timeline::Found::Standing(None))), "who is no member stays none");
    scenario.look_thrice(|scenario| {
        let now = standing(scenario, anna, group2);
        assert_eq!((now.delivered, now.read, now.last), (expected.0, expected.1, Seq(21)));
    });
}

pub fn a_login_view_shows_where_the_user_is_behind(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    scenario.one(Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) }));
    let group = scenario.group(cleo, "climbing");
    scenario.join(anna, group);
    let empty = scenario.group(anna, "empty");
    scenario.wait(1000);
    let direct = scenario.say(ben, Target::User(anna), "1", "hi").conversation;
    scenario.say(ben, Target::User(anna), "2", "there");
    let moves = vec![
        CursorMove {
            conversation: direct,
            user: anna,
            epoch: Epoch::NONE,
            step: CursorStep::Reach { delivered: Seq(1), read: Seq(0) },
        },
        CursorMove {
            conversation: direct,
            user: ben,
            epoch: Epoch::NONE,
            step: CursorStep::Reach { delivered: Seq(2), read: Seq(1) },
        },
    ];
    scenario.one(Write::Timeline(timeline::Write::MoveCursors(moves)));
    scenario.wait(1000);
    scenario.say(cleo, Target::Conversation(group), "3", "all");
    let began = super::scenario::BEGIN;
    scenario.look_thrice(|scenario| {
        let view = login(scenario, anna);
        let friends: Vec<_> = view.friends.iter().map(|friend| (friend.user, &*friend.name)).collect();
        assert_eq!(friends, [(ben, "ben")]);
        assert_eq!(view.friend_ids, [ben]);
        assert_eq!(view.groups.iter().map(|g| g.conversation).collect::<Vec<_>>(), [group, empty]);
        assert!(
            !view.friends_more && !view.groups_more && !view.conversations_more && view.unread.next.is_none()
        );
        let listed: Vec<_> = view.conversations.iter().map(|entry| entry.conversation).collect();
        assert_eq!(listed, [group, direct, empty]);
        let expected = ConversationSummary {
            conversation: direct,
            kind: ConversationKind::Direct,
            peer: Some(ben),
            name: "ben".into(),
            last_seq: Seq(2),
            first_seq: Seq(1),
            delivered_seq: Seq(1),
            read_seq: Seq(0),
            time: UnixMillis(began.0 + 1000),
            peer_delivered_seq: Some(Seq(2)),
            peer_read_seq: Some(Seq(1)),
            pinned: false,
            muted: false,
            hidden: false,
            unread: 2,
            unread_more: false,
            mentions: 0,
            last: None,
        };
        assert_eq!(view.conversations[1], expected);
        assert_eq!((&*view.conversations[0].name, view.conversations[0].peer), ("climbing", None));
        assert_eq!((view.conversations[2].last_seq, view.conversations[2].time), (Seq(1), began));
        let unread: Vec<_> = view
            .unread
            .rows
            .iter()
            .map(|row| (row.conversation, row.peer, row.delivered, row.last))
            .collect();
        let of_groups = [(group, None, Seq(1), Seq(3)), (empty, None, Seq(0), Seq(1))];
        assert_eq!(unread, [&of_groups[..], &[(direct, Some(ben), Seq(1), Seq(2))]].concat());
        assert!(login(scenario, ben).unread.rows.is_empty());
    });
}

pub fn conversations_are_listed_latest_first(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    let mut expected = Vec::new();
    for n in 0..30u64 {
        let peer = scenario.user(&format!("peer {n}"));
        // At the same time the higher id comes first.
        scenario.wait((n % 3) * 500);
        let conversation = scenario.say(peer, Target::User(anna), "1", "hi").conversation;
        expected.push((scenario.now, conversation));
        if n == 10 {
            scenario.file();
        }
        if n % 4 == 0 {
            scenario.wait(10);
            let moved: (UnixMillis, ConversationId) = expected.remove(expected.len() / 2);
            scenario.say(anna, Target::Conversation(moved.1), &format!("again {n}"), "x");
            expected.push((scenario.now, moved.1));
        }
    }
    expected.sort_unstable_by(|a, b| b.cmp(a));
    scenario.look_thrice(|scenario| {
        for limit in [1, 4, 29, 30, 31] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let (entries, more) = scenario.conversations(anna, before, limit);
                seen.extend(entries.iter().map(|entry| (entry.time, entry.conversation)));
                assert_eq!(more, seen.len() < expected.len());
                if !more {
                    break;
                }
                before = seen.last().copied();
            }
            assert_eq!(seen, expected);
        }
    });
}

pub fn unread_conversations_are_paged(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    let count = UNREAD_MAX + 20;
    let accounts: Vec<Write> = (0..count)
        .map(|n| {
            Write::Account(account::Write::Create {
                name: format!("u{n}").into(),
                password: "".into(),
                nick: None,
            })
        })
        .collect();
    let users: Vec<UserId> = scenario
        .all(accounts)
        .into_iter()
        .map(|written| match written {
            Written::Account(account::Written::Created { user, .. }) => user,
            other => panic!("{other:?}"),
        })
        .collect();
    let texts = users.iter().map(|user| append(*user, Target::User(anna), "1", "x")).collect();
    let mut ids: Vec<_> = scenario.all(texts).iter().map(|written| appended(written).conversation).collect();
    ids.sort_unstable();
    scenario.look_thrice(|scenario| {
        let first = login(scenario, anna).unread;
        assert_eq!(first.rows.len(), UNREAD_MAX);
        let after = first.next.unwrap();
        let Found::Timeline(timeline::Found::Unread(second)) =
            scenario.read(Read::Timeline(timeline::Read::Unread { user: anna, after }))
        else {
            panic!()
        };
        assert_eq!(second.next, None);
        let listed: Vec<_> = first.rows.iter().chain(&second.rows).map(|row| row.conversation).collect();
        assert_eq!(listed, ids);
    });
}
