//! Who has read a message.

use super::page_cost::users;
use super::scenario::{Scenario, join};
use logic::contract::timeline::{self, CursorMove, CursorStep, NoReaders};
use logic::contract::{Denial, Epoch, Found, Read, Write};
use wire::timeline::ReadersPage;
use wire::{ConversationId, Page, Seq, Target, UserId};

fn ask(user: UserId, conversation: ConversationId, seq: u64, page: Page) -> Read {
    Read::Timeline(timeline::Read::Readers { user, conversation, seq: Seq(seq), page })
}

fn readers(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    seq: u64,
    page: Page,
) -> ReadersPage {
    match scenario.read(ask(user, conversation, seq, page)) {
        Found::Timeline(timeline::Found::Readers(page)) => *page,
        other => panic!("{other:?}"),
    }
}

/// Why a message has no readers.
pub fn no_readers(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    seq: u64,
) -> NoReaders {
    match scenario.read(ask(user, conversation, seq, Page { after: 0, limit: 50 })) {
        Found::Timeline(timeline::Found::NoReaders(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn read_up_to(scenario: &mut Scenario<'_>, users: &[UserId], conversation: ConversationId, seq: Seq) {
    let step = CursorStep::Reach { delivered: seq, read: seq };
    let moves = users.iter().map(|&user| CursorMove { conversation, user, epoch: Epoch::NONE, step });
    scenario.one(Write::Timeline(timeline::Write::MoveCursors(moves.collect())));
}

pub fn an_own_message_in_a_group_has_readers(scenario: &mut Scenario<'_>) {
    let names = ["anna", "ben", "cleo", "dan", "eve"];
    let [anna, ben, cleo, dan, eve] = names.map(|name| scenario.user(name));
    let group = scenario.group(anna, "climbing");
    let other = scenario.group(anna, "running");
    for user in [ben, cleo, dan] {
        scenario.join(user, group);
        scenario.join(user, other);
    }
    let first = scenario.say(anna, Target::Conversation(group), "1", "who comes along?").seq;
    let second = scenario.say(dan, Target::Conversation(group), "2", "I do").seq;
    scenario.join(eve, group);
    let third = scenario.say(anna, Target::Conversation(group), "3", "then we are two").seq;
    assert_eq!((first, second, third), (Seq(5), Seq(6), Seq(8)));
    read_up_to(scenario, &[ben], group, first);
    read_up_to(scenario, &[dan, eve], group, third);
    // Neither what was only received nor another conversation counts.
    let received = CursorStep::Reach { delivered: third, read: Seq(0) };
    let step = CursorMove { conversation: group, user: cleo, epoch: Epoch::NONE, step: received };
    scenario.one(Write::Timeline(timeline::Write::MoveCursors(vec![step])));
    scenario.look_thrice(|scenario| {
        let all = Page { after: 0, limit: 50 };
        let mut look = |user, seq: Seq, page| {
            let ReadersPage { readers, count, of, more } = readers(scenario, user, group, seq.0, page);
            (readers.into_iter().map(|reader| (reader.id, reader.name)).collect::<Vec<_>>(), count, of, more)
        };
        let [ben, dan, eve] = [(ben, "ben".into()), (dan, "dan".into()), (eve, "eve".into())];
        // Eve joined later, though she has read everything.
        assert_eq!(look(anna, first, all), (vec![ben.clone(), dan.clone()], 2, 3, false));
        assert_eq!(look(dan.0, second, all), (vec![], 0, 3, false));
        assert_eq!(look(anna, third, all), (vec![dan.clone(), eve.clone()], 2, 4, false));
        let one = Page { after: 0, limit: 1 };
        assert_eq!(look(anna, third, one), (vec![dan.clone()], 2, 4, true));
        assert_eq!(look(anna, third, Page { after: dan.0.0, ..one }), (vec![eve.clone()], 2, 4, false));
        assert_eq!(look(anna, third, Page { after: eve.0.0, ..one }), (vec![], 2, 4, false));
    });
}

pub fn only_the_sender_of_a_message_learns_its_readers(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    scenario.say(ben, Target::User(anna), "0", "hi");
    let own = scenario.say(anna, Target::Conversation(group), "1", "hi").seq;
    scenario.join(ben, group);
    let direct = scenario.say(anna, Target::User(ben), "2", "hi");
    scenario.look_thrice(|scenario| {
        let mut refusal = |user, conversation, seq| match scenario.read(ask(
            user,
            conversation,
            seq,
            Page { after: 0, limit: 50 },
        )) {
            Found::Timeline(timeline::Found::NoReaders(why)) => Some(why),
            Found::Denied(Denial::Forbidden) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(own, Seq(2));
        for seq in [0, 4, Seq::MAX.0] {
            assert_eq!(refusal(anna, group, seq), Some(NoReaders::Absent), "{seq}");
        }
        assert_eq!(refusal(anna, group, 1), Some(NoReaders::NoMessage));
        assert_eq!(refusal(anna, group, 3), Some(NoReaders::NoMessage));
        // Ben's view begins with his joining.
        assert_eq!(refusal(ben, group, 2), Some(NoReaders::Absent));
        for seq in [1, 2, 99] {
            assert_eq!(refusal(anna, direct.conversation, seq), Some(NoReaders::Direct));
            for conversation in [group, direct.conversation, ConversationId(999)] {
                assert_eq!(refusal(cleo, conversation, seq), None, "who is no member learns nothing");
            }
        }
    });
    let of_ben = scenario.say(ben, Target::Conversation(group), "3", "hello").seq;
    let found = scenario.read(ask(anna, group, of_ben.0, Page { after: 0, limit: 50 }));
    assert!(matches!(found, Found::Timeline(timeline::Found::NoReaders(NoReaders::NotOwn))), "{found:?}");
}

pub fn names_of_readers_are_read_only_for_a_page(scenario: &mut Scenario<'_>) {
    const FEW: u32 = 40;
    const MANY: u32 = 160;
    let owner = scenario.user("owner");
    let [small, large] = [FEW, MANY].map(|count| {
        let group = scenario.group(owner, "group");
        let members = users(scenario, &format!("of {count}"), count);
        scenario.all(members.iter().map(|user| join(*user, group)).collect());
        let seq = scenario.say(owner, Target::Conversation(group), &format!("{count}"), "hi").seq;
        read_up_to(scenario, &members, group, seq);
        (group, seq.0)
    });
    scenario.file();
    // What a hundred more members cost.
    let mut growth = |limit| {
        let [few, many] = [small, large].map(|(group, seq)| {
            let page = Page { after: 0, limit };
            let all = readers(scenario, owner, group, seq, page);
            assert_eq!(all.count, all.of);
            scenario.fixture.cost(&ask(owner, group, seq, page))
        });
        many.saturating_sub(few)
    };
    let (of_one, of_all) = (growth(1), growth(200));
    println!("  {} more members: {of_one}, with their names {of_all}", MANY - FEW);
    assert!(3 * of_one <= 2 * of_all, "a page of one costs {of_one} more, one of all {of_all}");
}
