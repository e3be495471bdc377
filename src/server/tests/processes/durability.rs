//! kill -9 at any moment: acknowledged messages are there afterwards, once and in order.

use crate::support::effort::effort;
use crate::support::ledger::{Counter, Sender, audit};
use crate::support::{Account, Client, Server};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use wire::timeline;
use wire::{Command, ConversationId, Direction, Message, Reply, Seq, Target, UserId};

/// Unanswered messages of one sender at any time.
const WINDOW: usize = 32;
/// The server files messages once the journal holds more than this (`storage/sqlite/run.rs`), and at its start.
const FILED_ABOVE_BYTES: usize = 16 << 20;

/// Four clients that send to a group and to one reader, and all their conversations.
struct Members {
    senders: Vec<Sender>,
    reader: Reader,
    group: ConversationId,
    /// The last audited `seq` of each timeline.
    audited: HashMap<ConversationId, Seq>,
}

/// A client that reconnects after each crash and keeps what it has.
struct Reader {
    account: Account,
    /// The last received `seq` of each conversation.
    has: HashMap<ConversationId, Seq>,
}

impl Members {
    fn join(server: &Server) -> Members {
        let mut senders: Vec<Sender> =
            ["ann", "bob", "cleo", "dan"].map(|name| Sender::join(server.address, name)).into();
        let group = senders[0].client.create_group("all of us");
        let (mut reader, account) = Client::join(server.address, "reader");
        for client in senders.iter_mut().skip(1).map(|sender| &mut sender.client).chain([&mut reader]) {
            client.join_group(group);
        }
        let reader = Reader { account, has: HashMap::new() };
        Members { senders, reader, group, audited: HashMap::new() }
    }

    /// Sends texts of `bytes` bytes until `kill_at` of them are acknowledged; then kills the server.
    fn stream_until_killed(&mut self, server: &mut Server, bytes: usize, kill_at: usize) {
        let acknowledged = Counter::default();
        let (group, reader) = (self.group, self.reader.account.id);
        thread::scope(|scope| {
            for sender in &mut self.senders {
                scope.spawn(|| {
                    let post = |number| (target(group, reader, number), content(number, bytes));
                    sender.stream(WINDOW, usize::MAX, &acknowledged, post).expect_err("the server is killed");
                });
            }
            acknowledged.wait_for(kill_at);
            server.kill9();
        });
    }

    /// Retries unacknowledged messages, then audits every timeline and what the reader receives.
    fn audit(&mut self, server: &Server) {
        for sender in &mut self.senders {
            sender.retry_all(server.address);
        }
        let mut conversations = vec![self.group];
        for sender in &self.senders {
            let direct =
                sender.posts.iter().filter_map(|post| Some(post.place?.0)).find(|&id| id != self.group);
            conversations.extend(direct);
        }
        let mut reader = Client::connect(server.address);
        reader.login(&self.reader.account);
        let senders: Vec<&Sender> = self.senders.iter().collect();
        let mut timelines = HashMap::new();
        for conversation in conversations {
            let after = self.audited.get(&conversation).copied().unwrap_or_default();
            let timeline = reader.history(conversation, after);
            audit(conversation, after, &timeline, &senders);
            self.audited.insert(conversation, timeline.last().map_or(after, |last| last.seq));
            timelines.insert(conversation, timeline);
        }
        self.reader.receive(&mut reader, &timelines);
    }
}

impl Reader {
    /// Takes and acknowledges pushes until everything in the timelines has arrived: each must be the timeline's
    /// next message after what was received before.
    fn receive(&mut self, client: &mut Client, timelines: &HashMap<ConversationId, Vec<Arc<Message>>>) {
        let mut lacking: usize = timelines.values().map(Vec::len).sum();
        let mut pushed: HashMap<ConversationId, Seq> = HashMap::new();
        while lacking > 0 {
            let message = client.any_entry();
            let (conversation, seq) = (message.conversation, message.seq);
            if let Some(last) = pushed.insert(conversation, seq) {
                assert_eq!(seq, last.next(), "the pushes of one conversation leave something out");
            }
            // Pushes acknowledged shortly before a crash may come again.
            let has = self.has.entry(conversation).or_default();
            if seq > *has {
                // In a group the reader's view begins with its own entry.
                let timeline = &timelines[&conversation];
                let first = timeline[0].seq;
                assert_eq!(seq, first.max(has.next()), "the first push leaves something out");
                assert_eq!(message, timeline[(seq.0 - first.0) as usize]);
                *has = seq;
                lacking -= 1;
            }
            client.ack(conversation, seq).unwrap();
        }
        client.settle();
    }
}

/// Every third message goes to the group.
fn target(group: ConversationId, reader: UserId, number: usize) -> Target {
    if number.is_multiple_of(3) { Target::Conversation(group) } else { Target::User(reader) }
}

fn content(number: usize, bytes: usize) -> String {
    format!("{number:0bytes$}")
}

#[test]
fn acknowledged_messages_survive_kill_9_once_and_in_order() {
    survives_kill_9(Server::start(&[]), effort(20, 150));
}

/// Kills a server in mid-stream, over and over, and audits it after each restart.
pub fn survives_kill_9(mut server: Server, rounds: usize) {
    let mut members = Members::join(&server);
    for round in 0..rounds {
        // At another place each round, from the very first acknowledgement on.
        let kill_at = 1 + round * round * 7 % 613;
        members.stream_until_killed(&mut server, 20 + round * 10, kill_at);
        server.restart();
        members.audit(&server);
    }
}

#[test]
fn a_crash_while_messages_are_filed_loses_and_doubles_nothing() {
    let mut server = Server::start(&[]);
    let mut members = Members::join(&server);
    let (bytes, mut half_filed) = (16_000, 0);
    let mut records_before = 0;
    for round in 0..8 {
        // Just beyond what the journal keeps; then some slices of the filing later each round.
        let kill_at = FILED_ABOVE_BYTES / bytes + 1 + round * 20;
        members.stream_until_killed(&mut server, bytes, kill_at);
        let audited: u64 = members.audited.values().map(|seq| seq.0).sum();
        let (filed, records) = left_behind(&server);
        half_filed += usize::from(filed > audited && records == records_before);
        // The next start files the rest; it is killed there, too.
        for _ in 0..round {
            server.restart_and_kill9_before_it_listens();
        }
        server.restart();
        members.audit(&server);
        records_before = left_behind(&server).1;
    }
    assert!(
        half_filed > 4,
        "only {half_filed} crashes came between the first slice of a filing and the last"
    );
}

/// What a copy of the disk holds: how many messages are filed, and the journal record up to which all are.
fn left_behind(server: &Server) -> (u64, u64) {
    let copy = tempfile::tempdir().unwrap();
    for file in ["chat.db", "chat.db-wal"] {
        std::fs::copy(server.folder().join("data").join(file), copy.path().join(file)).unwrap();
    }
    let database = rusqlite::Connection::open(copy.path().join("chat.db")).unwrap();
    let number = |sql| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    let filed = number("SELECT coalesce(sum(last_seq), 0) FROM conversation");
    (filed, number("SELECT number FROM journal_filed"))
}

#[test]
fn a_timeline_reads_the_same_in_both_directions_and_after_a_restart() {
    let mut server = Server::start(&[]);
    let mut ann = Sender::join(server.address, "ann");
    let group = ann.client.create_group("notes");
    let post = |number| (Target::Conversation(group), content(number, 2_000));
    ann.store(WINDOW, 450, post);
    let forwards = ann.client.history(group, Seq(0));
    audit(group, Seq(0), &forwards, &[&ann]);

    server.kill9();
    server.restart();
    let mut again = Client::login_to(server.address, &ann.account);
    let (mut backwards, mut before) = (Vec::new(), Seq(452));
    loop {
        let direction = Direction::Before(before);
        let page = match again.ask_again(&Command::Timeline(timeline::Request::History(timeline::History {
            conversation: group,
            direction,
            limit: 200,
            with_changes: true,
        }))) {
            Reply::Timeline(timeline::Reply::History(page)) => page,
            other => panic!("HISTORY was answered {other:?}"),
        };
        assert!(page.messages.is_sorted_by_key(|message| message.seq), "a page is in order of seq");
        before = page.messages[0].seq;
        backwards.extend(page.messages.into_iter().rev());
        if !page.more {
            break;
        }
    }
    backwards.reverse();
    assert_eq!(backwards, forwards);
}
