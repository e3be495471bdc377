//! What messages refer to: the entries that they answer, and the members whom they mention.

use super::scenario::{Scenario, append, appended, seqs};
use logic::contract::message::{Append, BadReference};
use logic::contract::{Denial, Found, Read, Write, Written, message, timeline};
use std::sync::Arc;
use wire::{Direction, Mentions, Message, References, Seq, Target, UserId};

pub fn refer(sender: UserId, target: Target, cid: &str, references: References) -> Write {
    let Write::Message(message::Write::Append(plain)) = append(sender, target, cid, "see above") else {
        unreachable!()
    };
    Write::Message(message::Write::Append(Append { references: Some(Box::new(references)), ..plain }))
}

pub fn answer(seq: u64) -> References {
    References { reply_to: Some(Seq(seq)), mentions: Mentions::Nobody }
}

pub fn mention(users: &[UserId]) -> References {
    References { reply_to: None, mentions: Mentions::Users(users.into()) }
}

pub fn mention_all() -> References {
    References { reply_to: None, mentions: Mentions::All }
}

/// A message without its sender's name, which an append in a test makes up.
fn essence(messages: &[Arc<Message>]) -> Vec<Message> {
    messages.iter().map(|message| Message { name: "".into(), ..(**message).clone() }).collect()
}

pub fn refused(written: &Written) -> BadReference {
    match written {
        Written::Denied(Denial::Reference(why)) => *why,
        other => panic!("{other:?}"),
    }
}

pub fn messages_refer_to_messages_and_members(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    let here = || Target::Conversation(group);
    let both = References { reply_to: Some(Seq(3)), mentions: Mentions::Users([anna, ben].into()) };
    // The second answers a message of its own batch.
    let mut sent: Vec<_> = scenario
        .all(vec![
            append(ben, here(), "1", "who comes along?"),
            refer(anna, here(), "2", answer(3)),
            refer(ben, here(), "3", both.clone()),
            append(anna, here(), "4", "plain"),
            refer(anna, here(), "5", mention_all()),
        ])
        .iter()
        .map(appended)
        .collect();
    assert_eq!(
        sent.iter().map(|message| message.reply_to()).collect::<Vec<_>>(),
        [None, Some(Seq(3)), Some(Seq(3)), None, None]
    );
    assert_eq!(sent[2].extra.as_deref().map(|extra| &extra.references), Some(&both));
    assert!(sent[2].mentions(anna) && !sent[2].mentions(ben), "nobody mentions oneself");
    assert!(sent[3].extra.is_none() && sent[4].mentions(ben));
    let mut round = 0;
    scenario.look_thrice(|scenario| {
        round += 1;
        let (page, ..) = scenario.history(ben, group, Direction::After(Seq(2)), 50);
        assert_eq!(essence(&page), essence(&sent));
        let feed = timeline::Read::Feed {
            conversation: group,
            member: Some(ben),
            after: Seq(4),
            limit: 9,
            bytes: 1,
        };
        let Found::Timeline(timeline::Found::Feed { messages, .. }) = scenario.read(Read::Timeline(feed))
        else {
            panic!()
        };
        assert_eq!(essence(&messages), essence(&sent[2..3]));
        // Whatever the second message with a cid refers to.
        let again = scenario.one(refer(ben, here(), "3", answer(4)));
        let Written::Message(message::Written::Duplicate(first)) = again else { panic!("{again:?}") };
        assert_eq!(first.seq, sent[2].seq);
        // What is resident, filed and read again can be answered.
        for seq in [3, sent.len() as u64 + 2] {
            sent.push(appended(&scenario.one(refer(anna, here(), &format!("{round} {seq}"), answer(seq)))));
        }
    });
}

pub fn a_message_refers_only_to_what_its_sender_sees(scenario: &mut Scenario<'_>) {
    let [anna, ben, cleo] = ["anna", "ben", "cleo"].map(|name| scenario.user(name));
    let group = scenario.group(anna, "climbing");
    let here = || Target::Conversation(group);
    scenario.say(anna, here(), "1", "before ben came");
    scenario.join(ben, group);
    let direct = scenario.say(anna, Target::User(ben), "2", "hi").conversation;
    for n in 0..3 {
        scenario.say(anna, here(), &format!("g{n}"), "hi all");
    }
    // 1 created, 2 a message, 3 ben joined, 4 to 6 messages.
    let clear = timeline::Write::Clear { user: anna, conversation: group, upto: Seq(4) };
    scenario.one(clear.into());
    let mut last = 6;
    let mut round = 0;
    scenario.look_thrice(|scenario| {
        round += 1;
        let cid = &*format!("refused {round}");
        for (sender, target, references, why) in [
            (ben, here(), answer(0), BadReference::Absent),
            (ben, here(), answer(last + 1), BadReference::Absent),
            (ben, here(), answer((1 << 53) - 1), BadReference::Absent),
            (ben, here(), answer(2), BadReference::Absent),
            (anna, here(), answer(4), BadReference::Absent),
            (ben, here(), answer(3), BadReference::NoMessage),
            (ben, here(), mention(&[anna, cleo]), BadReference::NoMember),
            (ben, here(), mention(&[UserId(999)]), BadReference::NoMember),
            (ben, here(), mention_all(), BadReference::NotAdmin),
            (anna, Target::User(ben), mention_all(), BadReference::NotAdmin),
            (anna, Target::User(ben), mention(&[cleo]), BadReference::NoMember),
            (anna, Target::Conversation(direct), answer(2), BadReference::Absent),
        ] {
            assert_eq!(
                refused(&scenario.one(refer(sender, target, cid, references.clone()))),
                why,
                "{references:?}"
            );
        }
        let written = scenario.all(vec![
            refer(ben, here(), "in the same batch", answer(last + 1)),
            refer(cleo, here(), "no member", answer(5)),
            // The cid of a message that was refused is free.
            refer(ben, here(), cid, answer(4)),
            refer(anna, here(), &format!("{round} anna"), answer(5)),
        ]);
        assert_eq!(refused(&written[0]), BadReference::Absent, "it follows");
        assert!(matches!(written[1], Written::Denied(Denial::Forbidden)));
        assert_eq!((appended(&written[2]).seq, appended(&written[3]).seq), (Seq(last + 1), Seq(last + 2)));
        last += 2;
        let (page, ..) = scenario.history(ben, group, Direction::After(Seq(6)), 50);
        assert_eq!(seqs(&page), (7..=last).collect::<Vec<_>>(), "refused ones take no seq");
    });
}
