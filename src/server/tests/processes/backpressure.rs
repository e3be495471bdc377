//! Clients that are away, do not acknowledge or do not read: nothing is lost, others are not delayed, memory stays
//! bounded.

use crate::support::busy::slack;
use crate::support::client::{self, text};
use crate::support::ledger::{Sender, audit};
use crate::support::{Account, Client, PATIENCE, Server, process};
use std::time::{Duration, Instant};
use wire::limits::{CONTENT_BYTES, UNACKED_MAX};
use wire::presence::Presence;
use wire::{ConversationId, Push, Reply, Seq, Target, UserId};
use wire::{message, presence};

const BACKLOG_BYTES: usize = 16 << 20;
const MESSAGE_BYTES: usize = 8 << 10;
const BACKLOG: usize = BACKLOG_BYTES / MESSAGE_BYTES;
/// The most memory the server may use here. The journal's resident tail (at most twice 16 MiB), SQLite's caches and
/// queued appends make up most of it; backlogs must not.
const MEMORY_MIB: u64 = 128;

fn content(number: usize, bytes: usize) -> String {
    format!("{number:0bytes$}")
}

/// Has Ann send a backlog to Bob, who is away.
fn backlog(server: &Server) -> (Sender, Account, ConversationId) {
    let mut ann = Sender::join(server.address, "ann");
    let bob = Client::connect(server.address).register("bob");
    let post = |number| (Target::User(bob.id), content(number, MESSAGE_BYTES));
    ann.store(32, BACKLOG, post);
    let (conversation, last) =
        ann.posts.iter().filter_map(|post| post.place).max().expect("messages were stored");
    assert_eq!(last, Seq(BACKLOG as u64));
    (ann, bob, conversation)
}

#[test]
fn a_backlog_of_16_mib_arrives_whole_and_in_order() {
    let server = Server::start(&[]);
    let (ann, bob, conversation) = backlog(&server);
    let mut bob = Client::login_to(server.address, &bob);
    let mut arrived = Vec::new();
    while arrived.len() < BACKLOG {
        let message = bob.message();
        if message.seq.0.is_multiple_of(64) {
            bob.ack(conversation, message.seq).unwrap();
        }
        arrived.push(message);
    }
    audit(conversation, Seq(0), &arrived, &[&ann]);
    assert!(bob.take_pushes().is_empty(), "nothing comes after the last");
    let peak = process::peak_mib(server.pid());
    assert!(peak <= MEMORY_MIB, "the server took {peak} MiB");
}

#[test]
fn a_client_that_never_acknowledges_gets_500_messages_and_stays_connected() {
    let server = Server::start(&[]);
    let (ann, bob, conversation) = backlog(&server);
    let mut client = Client::login_to(server.address, &bob);
    let mut arrived: Vec<_> = (0..UNACKED_MAX).map(|_| client.message()).collect();
    // Neither time nor new messages bring more; requests are answered all the same.
    let mut ann_again = Client::login_to(server.address, &ann.account);
    ann_again.send(Target::User(bob.id), "are you there?");
    for _ in 0..20 {
        ann_again.settle();
        assert_eq!(
            client.take_pushes(),
            [],
            "more than {UNACKED_MAX} were pushed without an acknowledgement"
        );
    }
    assert_eq!(client.history(conversation, Seq(BACKLOG as u64)).len(), 1);
    // Acknowledging 100 messages brings the next 100.
    client.ack(conversation, Seq(100)).unwrap();
    arrived.extend((0..100).map(|_| client.message()));
    assert_eq!(client.take_pushes(), []);
    for (message, seq) in arrived.iter().zip(1..) {
        assert_eq!((message.conversation, message.seq), (conversation, Seq(seq)));
    }
    let peak = process::peak_mib(server.pid());
    assert!(peak <= MEMORY_MIB, "the server took {peak} MiB");
}

#[test]
fn a_stalled_reader_is_closed_after_30_seconds_and_delays_nobody() {
    const STALL: Duration = Duration::from_secs(30);
    // With no grace period, friends see a closed connection at once.
    let server = Server::start(&["--set", "session.grace=0"]);
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (mut bob, bob_account) = Client::join(server.address, "bob");
    let slow = Client::connect(server.address).register("slow");
    ann.befriend(slow.id);

    let socket = client::log_in_and_never_read(server.address, &slow);
    assert_eq!(presence(&mut ann, slow.id, PATIENCE), Some(Presence::Online));
    let before_the_stall = Instant::now();
    // Far more than the kernel and the server buffer for one connection.
    let large = |number: usize| {
        let cid = number.to_string();
        text(Target::User(slow.id), &content(number, CONTENT_BYTES), Some(&cid))
    };
    let posts: Vec<u32> = (0..UNACKED_MAX)
        .map(|number| {
            let sender = if number % 2 == 0 { &mut ann } else { &mut bob };
            sender.post(&large(number)).unwrap()
        })
        .collect();
    for (number, request) in posts.into_iter().enumerate() {
        let sender = if number % 2 == 0 { &mut ann } else { &mut bob };
        let is_stored = matches!(sender.reply(request), Reply::Message(message::Reply::Sent(_)));
        assert!(
            is_stored || matches!(sender.ask_again(&large(number)), Reply::Message(message::Reply::Sent(_)))
        );
    }
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let went = loop {
        let asked = Instant::now();
        let question = ann.send(Target::User(bob_account.id), "still there?");
        assert_eq!(bob.message().seq, question.seq);
        bob.ack(question.conversation, question.seq).unwrap();
        let answer = bob.send(Target::User(ann_account.id), "yes");
        assert_eq!(ann.message().seq, answer.seq);
        ann.ack(answer.conversation, answer.seq).unwrap();
        slowest = slowest.max(asked.elapsed());
        match presence(&mut ann, slow.id, Duration::from_millis(50)) {
            Some(state) => break state,
            None => assert!(begun.elapsed() < STALL + PATIENCE, "the reader that stalls is never closed"),
        }
    };
    assert_eq!(went, Presence::Offline);
    let stalled_at_most = before_the_stall.elapsed();
    assert!(
        stalled_at_most > STALL - Duration::from_secs(1),
        "it was closed after {stalled_at_most:?} already"
    );
    assert!(slowest < slack(Duration::from_secs(5)), "a message between others took {slowest:?}");
    let peak = process::peak_mib(server.pid());
    assert!(peak <= MEMORY_MIB, "the server took {peak} MiB");

    drop(socket);
    let mut slow = Client::login_to(server.address, &slow);
    let mut last = [Seq(0); 2];
    for _ in 0..UNACKED_MAX {
        let message = slow.message();
        let last = &mut last[usize::from(message.from == bob_account.id)];
        assert_eq!(message.seq, last.next());
        *last = message.seq;
    }
    assert_eq!(last, [Seq(UNACKED_MAX as u64 / 2); 2]);
}

/// The friend's next presence change; `None`: there was none in this time.
fn presence(client: &mut Client, friend: UserId, within: Duration) -> Option<Presence> {
    client.try_push(within, |push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == friend => Some(change.state),
        _ => None,
    })
}
