//! What a page costs an account that has much.

use super::scenario::{Scenario, append, appended, create, entry, join};
use super::unread::read_up_to;
use logic::contract::{Read, Write, Written, account, contact, group, timeline};
use wire::account::Who;
use wire::{ConversationId, Direction, Page, Seq, Target, UnixMillis, UserId};

/// How much more the second account has than the first, of everything.
const TIMES: u32 = 8;
const FEW: u32 = 60;
const ROWS: u32 = 20;

/// An account, and what it asks for.
struct Subject {
    user: UserId,
    /// A group with many members.
    group: ConversationId,
    /// A conversation with many messages.
    timeline: ConversationId,
    /// A place in the middle of its conversations.
    middle: (UnixMillis, ConversationId),
}

pub fn users(scenario: &mut Scenario<'_>, prefix: &str, count: u32) -> Vec<UserId> {
    let create =
        |n| account::Write::Create { name: format!("{prefix} {n}").into(), password: "".into(), nick: None };
    let created = scenario.all((0..count).map(|n| Write::Account(create(n))).collect());
    created
        .into_iter()
        .map(|written| match written {
            Written::Account(account::Written::Created { user, .. }) => user,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// An account with `count` friends, groups and direct conversations, a group of `count` members and a timeline of
/// `count` messages. Half of its direct conversations are active again later.
fn subject(scenario: &mut Scenario<'_>, name: &str, count: u32) -> Subject {
    let user = scenario.user(name);
    let peers = users(scenario, name, count);
    let add = |peer: &UserId| Write::Contact(contact::Write::Add { user, who: Who::Id(*peer) });
    scenario.all(peers.iter().map(add).collect());
    let texts = peers.iter().map(|peer| append(user, Target::User(*peer), &format!("1 {peer}"), "x"));
    scenario.all(texts.collect()).iter().for_each(|written| drop(appended(written)));
    let created = scenario.all((0..count).map(|n| create(user, &format!("{n}"))).collect());
    let groups: Vec<ConversationId> =
        created.iter().map(|written| entry(written).message.conversation).collect();
    let group = groups[0];
    scenario.all(peers.iter().map(|peer| join(*peer, group)).collect());
    scenario.wait(600_000);
    for peer in peers.iter().step_by(2) {
        scenario.wait(10_000);
        scenario.say(user, Target::User(*peer), &format!("2 {peer}"), "x");
    }
    let timeline = groups[1];
    let texts = (0..count).map(|n| append(user, Target::Conversation(timeline), &format!("3 {n}"), "x"));
    scenario.all(texts.collect());
    // As logic moves them with own messages.
    scenario.one(read_up_to(user, timeline, u64::from(count) + 1));
    let (entries, more) = scenario.conversations(user, None, count);
    assert!(more && entries.len() == count as usize);
    let middle = entries.last().map(|entry| (entry.time, entry.conversation)).unwrap();
    Subject { user, group, timeline, middle }
}

fn pages(subject: &Subject) -> Vec<(&'static str, Read)> {
    let Subject { user, group, timeline, middle } = *subject;
    let (first, middle_page) = (Page { after: 0, limit: ROWS }, Page { after: middle.1.0, limit: ROWS });
    let conversations = |before, with_last| timeline::Read::Conversations {
        user,
        before,
        limit: ROWS,
        with_unread: true,
        with_last,
    };
    let history = |direction| timeline::Read::History {
        user,
        conversation: timeline,
        direction,
        limit: ROWS,
        with_changes: true,
    };
    vec![
        ("CONVERSATIONS", conversations(None, false).into()),
        ("CONVERSATIONS with last messages", conversations(None, true).into()),
        ("CONVERSATIONS in the middle", conversations(Some(middle), false).into()),
        ("FRIENDS", contact::Read::Friends { user, page: first }.into()),
        ("GROUPS", group::Read::Groups { user, page: first }.into()),
        ("GROUPS in the middle", group::Read::Groups { user, page: middle_page }.into()),
        ("MEMBERS", group::Read::Members { user, conversation: group, page: first }.into()),
        ("HISTORY after", history(Direction::After(Seq(0))).into()),
        ("HISTORY before", history(Direction::Before(Seq::MAX)).into()),
        ("a standing", timeline::Read::Standing { user, conversation: group }.into()),
        ("a profile", account::Read::Profile { user, who: Who::Id(user) }.into()),
    ]
}

pub fn the_cost_of_a_page_does_not_grow_with_the_account(scenario: &mut Scenario<'_>) {
    let small = subject(scenario, "small", FEW);
    let large = subject(scenario, "large", FEW * TIMES);
    scenario.look_thrice(|scenario| {
        for ((name, of_small), (_, of_large)) in pages(&small).into_iter().zip(pages(&large)) {
            let (before, after) = (scenario.fixture.cost(&of_small), scenario.fixture.cost(&of_large));
            println!("  {name}: {before}, with {TIMES} times as much {after}");
            assert!(after <= 2 * before + 50, "{name} costs {before}, with {TIMES} times as much {after}");
        }
    });
}
