//! Several threads at once: the guarantees of order and of reads.

use super::super::Mysql;
use super::super::publish_barrier::PublishBarrier;
use super::super::threads::{APPENDERS, Threads};
use super::mariadb::MariaDb;
use super::{next_outcome, query, target_on};
use crate::conformance::{BEGIN, append};
use crate::outcome::Outcome;
use logic::contract::message::{Append, StreamId};
use logic::contract::{
    Denial, Found, Query, Read, Requester, Ticket, TokenHash, Write, Written, account, message, session,
    timeline,
};
use runtime::queue::{Bell, Inbox, Outbox, queue};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use wire::{ConversationId, Direction, References, Seq, Target, UserId};

/// All threads of a store, and what they send, in order.
struct Busy {
    threads: Threads,
    outcomes: Inbox<Outcome>,
    bell: Arc<Bell>,
    writes: Outbox<Vec<(Ticket, Write)>>,
    database: String,
}

impl Busy {
    fn new() -> Busy {
        Busy::on(MariaDb::shared())
    }

    fn on(server: &MariaDb) -> Busy {
        let target = target_on(server, &Arc::new(AtomicU64::new(BEGIN.0)));
        let database = target.database.name.clone();
        Mysql::prepare(target.clone()).unwrap();
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(4096, &bell);
        let threads =
            Threads::start(&target, &Arc::new(PublishBarrier::new(APPENDERS)), &outbox, Instant::now())
                .unwrap();
        Busy { writes: threads.writes(), threads, outcomes, bell, database }
    }

    /// Executes a statement on a connection of its own.
    fn ask(&self, sql: &str) {
        let mut conn = MariaDb::shared().connect().unwrap();
        for sql in [&format!("USE {}", self.database), sql] {
            mysql::prelude::Queryable::query_drop(&mut conn, sql).unwrap();
        }
    }

    fn outcome(&self) -> Outcome {
        next_outcome(&self.outcomes, &self.bell)
    }

    fn users(&self, count: u64) -> Vec<UserId> {
        let create = |number| {
            let (name, password) = (format!("user {number}").into(), "".into());
            (Ticket(number), Write::Account(account::Write::Create { name, password, nick: None }))
        };
        self.writes.send((0..count).map(create).collect()).unwrap();
        match self.outcome() {
            Outcome::Written(batch) => batch
                .into_iter()
                .map(|(_, written)| match written {
                    Written::Account(account::Written::Created { user, .. }) => user,
                    other => panic!("{other:?}"),
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }
}

/// Every user writes to every other, first before any pair has a conversation, later by the conversation's id as soon
/// as it is known. What one user sends to another must keep its order.
#[test]
fn order_is_kept_while_a_conversation_is_created() {
    let busy = Busy::new();
    let users = busy.users(8);
    let mut tickets: HashMap<u64, (UserId, UserId, u64)> = HashMap::new();
    let mut places: HashMap<(UserId, UserId), Vec<(u64, Seq)>> = HashMap::new();
    let mut known: HashMap<(UserId, UserId), ConversationId> = HashMap::new();
    let rounds = 30;
    let mut answered = 0;
    for round in 0..rounds {
        let mut batch = Vec::new();
        for &from in &users {
            for &to in users.iter().filter(|&&to| to != from) {
                let ticket = 1_000 + tickets.len() as u64;
                tickets.insert(ticket, (from, to, round));
                let target = match known.get(&(from, to)) {
                    Some(conversation) if round % 2 == 0 => Target::Conversation(*conversation),
                    _ => Target::User(to),
                };
                batch.push((Ticket(ticket), append(from, target, &format!("{round} to {to}"), "x")));
            }
        }
        busy.writes.send(batch).unwrap();
        // Some outcomes arrive before the next batch, some after it.
        while answered < tickets.len() && (round == rounds - 1 || answered < tickets.len() / 2) {
            let Outcome::Written(batch) = busy.outcome() else { panic!() };
            for (ticket, written) in batch {
                let (from, to, number) = tickets[&ticket.0];
                let Written::Message(message::Written::Appended { message, .. }) = written else {
                    panic!("{written:?}")
                };
                known.insert((from, to), message.conversation);
                places.entry((from, to)).or_default().push((number, message.seq));
                answered += 1;
            }
        }
    }
    for ((from, to), mut places) in places {
        assert_eq!(places.len() as u64, rounds);
        places.sort_unstable();
        assert!(places.is_sorted_by_key(|(_, seq)| *seq), "{from} to {to}: {places:?}");
    }
    busy.threads.stop();
}

/// The table of the month that a reply needs is missing: that costs the reply alone, not what is stored with it.
#[test]
fn a_reply_to_a_lost_month_fails_alone() {
    let busy = Busy::new();
    let [anna, ben] = busy.users(2)[..] else { panic!() };
    busy.writes.send(vec![(Ticket(10), append(anna, Target::User(ben), "1", "hi"))]).unwrap();
    let Outcome::Written(batch) = busy.outcome() else { panic!() };
    let Written::Message(message::Written::Appended { message, .. }) = &batch[0].1 else {
        panic!("{batch:?}")
    };
    busy.ask("UPDATE segment SET month = 200001");
    let here = || Target::Conversation(message.conversation);
    let mut batch: Vec<_> =
        (11..20).map(|number| (Ticket(number), append(ben, here(), &number.to_string(), "plain"))).collect();
    let Write::Message(message::Write::Append(reply)) = &mut batch[4].1 else { panic!() };
    reply.references = Some(Box::new(References { reply_to: Some(message.seq), ..References::default() }));
    busy.writes.send(batch).unwrap();
    let mut failed = Vec::new();
    let mut left = 9;
    while left > 0 {
        let Outcome::Written(batch) = busy.outcome() else { panic!() };
        left -= batch.len();
        for (ticket, written) in batch {
            match written {
                Written::Message(message::Written::Appended { .. }) => {}
                Written::Failed => failed.push(ticket),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(failed, [Ticket(15)]);
    busy.threads.stop();
}

/// A batch that finds the database unreachable is rejected; a later one of the same stream must be too, even if the
/// database is back.
#[test]
fn a_stream_is_stored_in_order_or_rejected() {
    let busy = Busy::new();
    let users = busy.users(3);
    let (anna, ben, stranger) = (users[0], users[1], UserId(999_999));
    let say = |ticket: u64, to: Target, stream: u64| match append(anna, to, &ticket.to_string(), "x") {
        Write::Message(message::Write::Append(append)) => (
            Ticket(ticket),
            Write::Message(message::Write::Append(Append { stream: Some(StreamId(stream)), ..append })),
        ),
        _ => unreachable!(),
    };
    let answers = |writes: Vec<(Ticket, Write)>| {
        let wanted = writes.len();
        busy.writes.send(writes).unwrap();
        let mut answered: BTreeMap<u64, Written> = BTreeMap::new();
        while answered.len() < wanted {
            let Outcome::Written(batch) = busy.outcome() else { panic!() };
            answered.extend(batch.into_iter().map(|(ticket, written)| (ticket.0, written)));
        }
        answered.into_values().collect::<Vec<_>>()
    };
    let seqs = |answers: Vec<Written>| -> Vec<Option<u64>> {
        let seq = |written| match written {
            Written::Message(message::Written::Appended { message, .. }) => Some(message.seq.0),
            Written::Unavailable | Written::Failed => None,
            other => panic!("{other:?}"),
        };
        answers.into_iter().map(seq).collect()
    };
    let to_ben = || Target::User(ben);
    assert_eq!(seqs(answers(vec![say(10, to_ben(), 1)])), [Some(1)]);
    for (round, stream) in [(0, 2), (1, 4), (2, 6)] {
        // With the table renamed the database rejects messages and nothing else.
        busy.ask("RENAME TABLE conversation TO away");
        let ticket = 100 * (round + 1);
        assert_eq!(seqs(answers(vec![say(ticket, to_ben(), stream)])), [None]);
        busy.ask("RENAME TABLE away TO conversation");
        let late = vec![say(ticket + 1, to_ben(), stream), say(ticket + 2, to_ben(), stream)];
        assert_eq!(seqs(answers(late)), [None, None], "they would overtake the one that was given back");
        let again = vec![
            say(ticket, to_ben(), stream + 1),
            say(ticket + 1, to_ben(), stream + 1),
            say(ticket + 2, to_ben(), stream + 1),
        ];
        let first = 2 + 3 * round;
        assert_eq!(seqs(answers(again)), [Some(first), Some(first + 1), Some(first + 2)]);
    }
    // Messages to a user who does not exist are denied, many with one query.
    let nobody = (1..=50).map(|ticket| say(1_000 + ticket, Target::User(stranger), 8)).collect();
    assert!(answers(nobody).iter().all(|written| matches!(written, Written::Denied(Denial::NotFound))));
    busy.threads.stop();
}

/// The largest batch, with the longest names and `cid`s, on a server with the smallest packet that is accepted.
#[test]
fn targets_are_resolved_in_packets_that_the_server_accepts() {
    const MANY: u64 = 14_000;
    let server = MariaDb::start(&["--max-allowed-packet=4M"]);
    let busy = Busy::on(&server);
    let anna = busy.users(1)[0];
    let name = |number: u64| Target::Name(format!("{number:0>10}{}", "\u{20000}".repeat(40)).into());
    let user = |number: u64| Target::User(UserId(1_000_000 + number as u32));
    for target in [&name as &dyn Fn(u64) -> Target, &user] {
        let say = |number| (Ticket(number), append(anna, target(number), &format!("{number:0>64}"), "x"));
        busy.writes.send((0..MANY).map(say).collect()).unwrap();
        let Outcome::Written(batch) = busy.outcome() else { panic!() };
        assert_eq!(batch.len() as u64, MANY);
        for (_, written) in batch {
            assert!(matches!(written, Written::Denied(Denial::NotFound)), "{written:?}");
        }
    }
    busy.threads.stop();
}

/// No read returns a message before its outcome is in the queue.
#[test]
fn reads_never_overtake_outcomes() {
    let busy = Busy::new();
    let users = busy.users(2);
    let (anna, ben) = (users[0], users[1]);
    let reads = busy.threads.reads();
    busy.writes.send(vec![(Ticket(10), append(anna, Target::User(ben), "first", "x"))]).unwrap();
    let Outcome::Written(first) = busy.outcome() else { panic!() };
    let Written::Message(message::Written::Appended { message, .. }) = &first[0].1 else { panic!() };
    let conversation = message.conversation;
    let (mut answered, mut seen, mut ticket) = (Seq(1), Seq(0), 100);
    let (mut writing, mut reading) = (0, 0);
    while answered < Seq(1_000) {
        while writing < 3 {
            writing += 1;
            ticket += 1;
            let message = append(anna, Target::Conversation(conversation), &format!("{ticket}"), "x");
            busy.writes.send(vec![(Ticket(ticket), message)]).unwrap();
        }
        while reading < 2 {
            reading += 1;
            let direction = Direction::Before(Seq::MAX);
            let read = Read::Timeline(timeline::Read::History {
                user: ben,
                conversation,
                direction,
                limit: 1,
                with_changes: true,
            });
            reads
                .send(vec![Query { requester: Requester::Account(users[reading % 2]), ..query(1, read) }])
                .unwrap();
        }
        match busy.outcome() {
            Outcome::Written(batch) => {
                for (_, written) in batch {
                    let Written::Message(message::Written::Appended { message, .. }) = written else {
                        panic!("{written:?}")
                    };
                    assert_eq!(message.seq, answered.next());
                    answered = message.seq;
                    writing -= 1;
                }
            }
            Outcome::Found(found) => {
                reading -= 1;
                // On a machine that stalls for a second a read may be answered `Unavailable`.
                let Found::Timeline(timeline::Found::History { messages, .. }) = &found[0].1 else {
                    continue;
                };
                seen = messages[0].seq;
                assert!(seen <= answered, "{seen} is read, and outcomes have come up to {answered}");
            }
            Outcome::Fatal(why) => panic!("{why}"),
        }
    }
    assert!(seen > Seq(1), "reads came between");
    busy.threads.stop();
}

/// A message may wait for long because its conversation is locked. What is settled is decided all the same, although
/// other threads have nothing to do.
#[test]
fn nothing_issued_before_is_undecided_once_it_is_settled() {
    let busy = Busy::new();
    let users = busy.users(2);
    let (anna, ben) = (users[0], users[1]);
    let say = |ticket: u64, cid: &str| (Ticket(ticket), append(anna, Target::User(ben), cid, "x"));
    let one = || match busy.outcome() {
        Outcome::Written(mut batch) if batch.len() == 1 => batch.pop().unwrap(),
        other => panic!("{other:?}"),
    };
    busy.writes.send(vec![say(10, "first")]).unwrap();
    let (_, Written::Message(message::Written::Appended { message, .. })) = one() else { panic!() };
    let mut other = MariaDb::shared().connect().unwrap();
    let lock = format!("SELECT 1 FROM conversation WHERE id = {} FOR UPDATE", message.conversation);
    for sql in [&format!("USE {}", busy.database), "START TRANSACTION", &lock] {
        mysql::prelude::Queryable::query_drop(&mut other, sql).unwrap();
    }
    let settle = (Ticket(12), Write::Session(session::Write::Settle));
    busy.writes.send(vec![say(11, "late"), settle]).unwrap();
    // The writer executes this one behind all that it was given before.
    let nothing = Write::Session(session::Write::RevokeToken(TokenHash::default()));
    busy.writes.send(vec![(Ticket(13), nothing)]).unwrap();
    assert_eq!(one().0, Ticket(13));
    mysql::prelude::Queryable::query_drop(&mut other, "ROLLBACK").unwrap();
    let (ticket, written) = one();
    assert!(matches!(written, Written::Message(message::Written::Appended { .. })), "{written:?}");
    assert_eq!((ticket, one().0), (Ticket(11), Ticket(12)));
    busy.threads.stop();
}
