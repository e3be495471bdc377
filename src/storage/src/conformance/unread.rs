//! How many messages a member has not read. The oracle counts what HISTORY shows.

use super::change::react;
use super::conversation::clear;
use super::edit::recall;
use super::references::{mention, mention_all, refer};
use super::scenario::{DAY_MS, Scenario, append, join};
use logic::contract::timeline::{self, Counted, CountedRange, CursorMove, CursorStep, UnreadCount};
use logic::contract::{Epoch, Found, Read, Write, session};
use wire::limits::UNREAD_WINDOW as WINDOW;
use wire::timeline::{ConversationSummary, SettingsChange};
use wire::{ConversationId, ConversationKind, Direction, Message, Seq, Target, UserId};

pub fn read_up_to(user: UserId, conversation: ConversationId, seq: u64) -> Write {
    let step = CursorStep::Reach { delivered: Seq(seq), read: Seq(seq) };
    let moves = vec![CursorMove { conversation, user, epoch: Epoch::NONE, step }];
    timeline::Write::MoveCursors(moves).into()
}

/// The entries of a range that HISTORY shows a user.
fn shown(scenario: &mut Scenario<'_>, user: UserId, range: CountedRange) -> Vec<Message> {
    let CountedRange { conversation, mut after, last } = range;
    let mut all = Vec::new();
    loop {
        let (page, more, _) = scenario.history(user, conversation, Direction::After(after), 200);
        let Some(end) = page.last() else { return all };
        after = end.seq;
        all.extend(page.iter().filter(|message| message.seq <= last).map(|message| (**message).clone()));
        if !more || after >= last {
            return all;
        }
    }
}

/// What the entries of a range that HISTORY shows count.
fn recount(scenario: &mut Scenario<'_>, user: UserId, range: CountedRange) -> UnreadCount {
    let entries = shown(scenario, user, range);
    let counted: Vec<_> =
        entries.iter().filter(|message| message.is_message() && message.from != user).collect();
    // Recalled by an entry of the range: the one that changed it last.
    let is_recalled = |message: &&Message| {
        let by = message.changes().filter(|changes| changes.recalled.is_some());
        by.is_some_and(|changes| changes.changed <= range.last)
    };
    let counted: Vec<_> = counted.into_iter().filter(|message| !is_recalled(message)).collect();
    let mentions = counted.iter().filter(|message| message.mentions(user)).count() as u64;
    UnreadCount { unread: counted.len() as u64, mentions, more: false }
}

fn of_row(row: &ConversationSummary) -> UnreadCount {
    UnreadCount { unread: row.unread, mentions: row.mentions, more: row.unread_more }
}

fn counted_of_row(row: &ConversationSummary) -> Option<Counted> {
    Some(Counted { first: row.first_seq, count: of_row(row) })
}

fn range_of(row: &ConversationSummary) -> CountedRange {
    let after = row.read_seq.max(row.first_seq.prev());
    CountedRange { conversation: row.conversation, after, last: row.last_seq }
}

fn counts(scenario: &mut Scenario<'_>, user: UserId, ranges: Vec<CountedRange>) -> Vec<Option<Counted>> {
    match scenario.read(timeline::Read::Count { user, ranges }.into()) {
        Found::Timeline(timeline::Found::Counts(counts)) => counts,
        other => panic!("{other:?}"),
    }
}

/// The conversations of a user, all of whose counts must equal a recount, also in the view of a login.
pub fn checked(scenario: &mut Scenario<'_>, user: UserId) -> Vec<ConversationSummary> {
    let (rows, more) = scenario.conversations(user, None, 50);
    assert!(!more);
    match scenario.read(Read::Session(session::Read::LoginView { user, with_last: false })) {
        Found::Session(session::Found::LoginView(view)) => assert_eq!(*view.conversations, rows),
        other => panic!("{other:?}"),
    }
    let ranges: Vec<CountedRange> = rows.iter().map(range_of).collect();
    assert_eq!(
        counts(scenario, user, ranges.clone()),
        rows.iter().map(counted_of_row).collect::<Vec<_>>(),
        "asked apart"
    );
    for (row, range) in rows.iter().zip(ranges) {
        let exact = recount(scenario, user, range);
        let has_more = row.kind == ConversationKind::Group && range.last.0 > range.after.0 + WINDOW;
        if has_more {
            assert!(row.unread_more && row.unread <= exact.unread && row.mentions <= exact.mentions);
        } else {
            assert_eq!(of_row(row), exact, "{user} in {row:?}");
        }
    }
    rows
}

/// The row of one conversation.
fn row(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> (u64, u64) {
    let rows = checked(scenario, user);
    let row = rows.iter().find(|row| row.conversation == conversation).expect("it is listed");
    (row.unread, row.mentions)
}

pub fn unread_are_the_messages_of_others(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    let here = || Target::Conversation(group);
    scenario.all(vec![append(anna, here(), "1", "before anybody joined"), join(ben, group)]);
    // Seqs 4 to 9.
    scenario.all(vec![
        append(anna, here(), "2", "hi"),
        append(ben, here(), "3", "own"),
        refer(anna, here(), "4", mention(&[ben])),
        refer(anna, here(), "5", mention_all()),
        refer(ben, here(), "6", mention(&[ben, anna])),
    ]);
    scenario.one(react(ben, group, 4, "👍", true));
    scenario.join(cleo, group);
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, anna, group), (2, 1));
        assert_eq!(row(scenario, ben, group), (3, 2), "not what was before it joined, nor own ones");
        assert_eq!(row(scenario, cleo, group), (0, 0), "a new member has read what was before");
    });
    scenario.one(read_up_to(ben, group, 6));
    let all = SettingsChange { pinned: None, muted: Some(true), hidden: Some(true) };
    scenario.one(timeline::Write::Set { user: ben, conversation: group, change: all }.into());
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, ben, group), (1, 1), "hidden and muted ones count like others");
    });
    // What was cleared is not unread, although it was not read.
    scenario.say(anna, here(), "7", "later");
    scenario.one(clear(anna, group, 5));
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, ben, group), (2, 1));
        assert_eq!(row(scenario, anna, group), (1, 1));
        assert_eq!(row(scenario, cleo, group), (1, 0));
    });
    scenario.one(clear(ben, group, 11));
    assert_eq!(row(scenario, ben, group), (0, 0));
    // What is recalled counts no more.
    let said = refer(anna, here(), "8", mention(&[ben]));
    let outcomes = scenario.all(vec![said, append(anna, here(), "9", "x"), recall(anna, group, 12)]);
    assert_eq!(outcomes.len(), 3);
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, ben, group), (1, 0));
        assert_eq!(row(scenario, cleo, group), (2, 0));
    });
    scenario.one(recall(anna, group, 13));
    scenario.look_thrice(|scenario| assert_eq!(row(scenario, ben, group), (0, 0)));
    // Direct ones and notes.
    let direct = scenario.say(anna, Target::User(ben), "d1", "x").conversation;
    let there = || Target::Conversation(direct);
    scenario.all(vec![
        append(anna, there(), "d2", "x"),
        refer(anna, there(), "d3", mention(&[ben])),
        append(ben, there(), "d4", "x"),
        refer(ben, there(), "d5", mention(&[ben])),
    ]);
    scenario.one(react(anna, direct, 1, "👍", true));
    let notes = scenario.say(anna, Target::User(anna), "n1", "x").conversation;
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, anna, direct), (2, 0));
        assert_eq!(row(scenario, ben, direct), (3, 1));
        assert_eq!(row(scenario, anna, notes), (0, 0));
    });
    // Who is no member learns nothing, and nothing is counted beyond the end.
    let range = |conversation| CountedRange { conversation, after: Seq(0), last: Seq::MAX };
    assert_eq!(counts(scenario, cleo, vec![range(direct), range(ConversationId(999))]), [None; 2]);
    let all = UnreadCount { unread: 3, mentions: 1, more: false };
    assert_eq!(counts(scenario, ben, vec![range(direct)]), [Some(Counted { first: Seq(1), count: all })]);
}

/// Many messages of two users in one conversation, not evenly divided, with mentions and reactions among them.
fn talk(scenario: &mut Scenario<'_>, pair: [UserId; 2], to: &Target, from: u64, count: u64) {
    let text = |n: u64| {
        let sender = pair[usize::from(n.is_multiple_of(3))];
        match n.is_multiple_of(50) {
            true => refer(sender, to.clone(), &format!("{n}"), mention(&pair)),
            false => append(sender, to.clone(), &format!("{n}"), "x"),
        }
    };
    scenario.all((from..from + count).map(text).collect());
}

pub fn a_long_direct_conversation_is_counted_exactly(scenario: &mut Scenario<'_>) {
    let pair = [scenario.user("anna"), scenario.user("ben")];
    let to = Target::User(pair[1]);
    let conversation = scenario.say(pair[0], to, "0", "x").conversation;
    let to = Target::Conversation(conversation);
    for part in 0..12 {
        talk(scenario, pair, &to, 1 + part * 210, 210);
        let last = scenario.conversations(pair[0], None, 1).0[0].last_seq.0;
        // Those of the other one are refused.
        let recalls = (last - 25..last).flat_map(|seq| pair.map(|user| recall(user, conversation, seq)));
        scenario.all(recalls.collect());
        match part % 4 {
            0 => scenario.file(),
            1 => {
                let first = 1 + part * 200;
                let reactions = (0..30).map(|n| react(pair[1], conversation, first + n, "👍", true));
                scenario.all(reactions.collect());
            }
            2 => scenario.wait(DAY_MS),
            _ => scenario.fixture.restart(),
        }
    }
    scenario.look_thrice(|scenario| {
        for user in pair {
            let (unread, mentions) = row(scenario, user, conversation);
            assert!(unread > 700 && mentions > 10, "{unread} {mentions}");
            let last = scenario.conversations(user, None, 1).0[0].last_seq;
            for after in [1, 255, 256, 257, 900, 1_500, 2_047, last.0 - 1, last.0] {
                for last in [last, Seq(last.0 - 1), Seq(last.0 - 300), Seq(1_024)] {
                    let range = CountedRange { conversation, after: Seq(after), last };
                    let exact =
                        if after < last.0 { recount(scenario, user, range) } else { UnreadCount::default() };
                    let count = counts(scenario, user, vec![range])[0].map(|counted| counted.count);
                    assert_eq!(count, Some(exact), "{user} {range:?}");
                }
            }
        }
    });
    // Each READ counts from there on.
    for seq in [1, 700, 1_400, 2_000, 2_400] {
        scenario.one(read_up_to(pair[0], conversation, seq));
        row(scenario, pair[0], conversation);
    }
}

pub fn a_long_group_is_counted_to_a_lower_bound(scenario: &mut Scenario<'_>) {
    let pair = [scenario.user("anna"), scenario.user("ben")];
    let group = scenario.group(pair[0], "climbing");
    scenario.join(pair[1], group);
    let to = Target::Conversation(group);
    talk(scenario, pair, &to, 1, WINDOW);
    scenario.look_thrice(|scenario| {
        assert_eq!(row(scenario, pair[1], group), (WINDOW - WINDOW / 3, 20 * 2 / 3 + 1));
        assert!(!scenario.conversations(pair[1], None, 1).0[0].unread_more);
    });
    talk(scenario, pair, &to, 1 + WINDOW, 700);
    scenario.look_thrice(|scenario| {
        let (unread, _) = row(scenario, pair[1], group);
        let row = &scenario.conversations(pair[1], None, 1).0[0];
        assert!(row.unread_more && unread >= WINDOW / 2, "{unread}");
    });
    for seq in [400, 703, 1_000, 1_702] {
        scenario.one(read_up_to(pair[1], group, seq));
        row(scenario, pair[1], group);
    }
    assert_eq!(row(scenario, pair[1], group), (0, 0));
}

/// Numbers that look random, the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

pub fn counts_equal_a_recount_after_any_operations(scenario: &mut Scenario<'_>) {
    let users = ["anna", "ben", "cleo", "dan"].map(|name| scenario.user(name));
    let mut groups = vec![scenario.group(users[0], "one"), scenario.group(users[1], "two")];
    let mut conversations = groups.clone();
    for pair in [[0, 1], [1, 2], [2, 0], [3, 3]] {
        let [one, other] = pair.map(|at| users[at]);
        conversations.push(scenario.say(one, Target::User(other), &format!("{pair:?}"), "x").conversation);
    }
    let mut dice = Dice(7);
    for round in 0..12 {
        let mut writes = Vec::new();
        for n in 0..60 {
            let (user, conversation) = (dice.one_of(&users), dice.one_of(&conversations));
            let (to, cid) = (Target::Conversation(conversation), format!("{round} {n}"));
            let seq = dice.below(40 * (round + 1));
            // Some are refused, which is as good.
            writes.push(match dice.below(12) {
                0..=5 => append(user, to, &cid, "x"),
                6 => refer(user, to, &cid, mention(&[dice.one_of(&users)])),
                7 => refer(user, to, &cid, mention_all()),
                8 if n % 2 == 0 => recall(user, conversation, seq),
                8 => react(user, conversation, seq, dice.one_of(&["👍", "❤"]), dice.below(3) > 0),
                9 => join(user, dice.one_of(&groups)),
                10 => read_up_to(user, conversation, seq),
                _ => clear(user, conversation, seq / 2),
            });
        }
        // Cursors lie within the timeline, as logic keeps them.
        let ends: std::collections::BTreeMap<_, _> = users
            .iter()
            .flat_map(|user| scenario.conversations(*user, None, 50).0)
            .map(|row| (row.conversation, row.last_seq))
            .collect();
        for write in &mut writes {
            if let Write::Timeline(timeline::Write::MoveCursors(moves)) = write {
                let end = ends.get(&moves[0].conversation).copied().unwrap_or_default();
                if let CursorStep::Reach { delivered, read } = &mut moves[0].step {
                    (*delivered, *read) = ((*delivered).min(end), (*read).min(end));
                }
            }
        }
        scenario.all(writes);
        match round % 4 {
            0 => scenario.wait(1_000),
            1 => scenario.file(),
            2 => scenario.fixture.restart(),
            _ => {
                scenario.wait(DAY_MS);
                groups.push(scenario.group(users[2], &format!("group {round}")));
            }
        }
        for user in users {
            checked(scenario, user);
        }
    }
    scenario.look_thrice(|scenario| {
        let unread: u64 = users.iter().flat_map(|user| checked(scenario, *user)).map(|row| row.unread).sum();
        assert!(unread > 100, "{unread}");
    });
}

pub fn the_cost_of_a_count_does_not_grow(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let mut costs = Vec::new();
    for (user, count) in [(ben, 1_200), (eve, 9_600)] {
        let texts = (0..count).map(|n| append(anna, Target::User(user), &format!("{user} {n}"), "x"));
        let texts: Vec<Write> = texts.collect();
        for part in texts.chunks(300) {
            scenario.all(part.to_vec());
            scenario.file();
        }
        assert_eq!(scenario.conversations(user, None, 50).0[0].unread, count);
        let read = timeline::Read::Conversations {
            user,
            before: None,
            limit: 50,
            with_unread: true,
            with_last: false,
        };
        costs.push(scenario.fixture.cost(&read.into()));
        let read = timeline::Read::Conversations {
            user,
            before: None,
            limit: 50,
            with_unread: false,
            with_last: false,
        };
        let uncounted = scenario.fixture.cost(&read.clone().into());
        assert!(uncounted < costs[costs.len() - 1], "{uncounted} {costs:?}");
        match scenario.read(read.into()) {
            Found::Timeline(timeline::Found::Conversations { entries, .. }) => {
                assert_eq!(of_row(&entries[0]), UnreadCount::default());
            }
            other => panic!("{other:?}"),
        }
    }
    println!("  1,200 unread: {}, 9,600: {}", costs[0], costs[1]);
    assert!(costs[1] <= 2 * costs[0] + 50, "{costs:?}");
}

pub fn what_has_no_totals_is_read_once(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    let mut costs = Vec::new();
    for (peer, from, count) in [("ben", 0, 1_200), ("cleo", 15_000, 9_600)] {
        let pair = [anna, scenario.user(peer)];
        let conversation = scenario.say(anna, Target::User(pair[1]), peer, "x").conversation;
        let to = Target::Conversation(conversation);
        for part in 0..count / 300 {
            talk(scenario, pair, &to, from + 1 + part * 300, 300);
            scenario.file();
        }
        // Recalled before they are counted, so that their headers mention nobody.
        scenario.all(vec![recall(anna, conversation, 51), recall(pair[1], conversation, 151)]);
        scenario.file();
        scenario.fixture.forget_totals();
        let mentions = [count / 150, count / 50 - count / 150];
        for (user, mentions) in pair.into_iter().zip(mentions) {
            assert_eq!(row(scenario, user, conversation).1, mentions - 1);
        }
        // Recalled afterwards.
        scenario.all(vec![recall(anna, conversation, 101), recall(pair[1], conversation, 301)]);
        for (user, mentions) in pair.into_iter().zip(mentions) {
            assert_eq!(row(scenario, user, conversation).1, mentions - 2);
        }
        // These have totals.
        talk(scenario, pair, &to, from + 1 + count, 300);
        scenario.file();
        talk(scenario, pair, &to, from + 301 + count, 300);
        scenario.look_thrice(|scenario| {
            for (user, mentions) in pair.into_iter().zip(mentions) {
                assert!(row(scenario, user, conversation).1 > mentions);
            }
        });
        scenario.file();
        let user = pair[1];
        let read = timeline::Read::Conversations {
            user,
            before: None,
            limit: 50,
            with_unread: true,
            with_last: false,
        };
        costs.push(scenario.fixture.cost_again(&read.into()));
        for seq in [1, 200, 256, 700, 1_100] {
            scenario.one(read_up_to(user, conversation, seq));
            row(scenario, user, conversation);
        }
    }
    println!("  1,200 without totals: {}, 9,600: {}", costs[0], costs[1]);
    assert!(costs[1] <= 2 * costs[0] + 50, "{costs:?}");
}
