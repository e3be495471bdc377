//! Load on several nodes that come and go: clients that send to each other, move to another node when theirs is
//! lost or drains, and retry what has no answer. In the end everything is audited.

use super::busy::slack;
use super::client::{Closed, Event};
use super::ledger::{Counter, Sender, audit};
use super::nodes::Balancer;
use super::setup::UNAVAILABLE_FOR;
use super::{Account, Client, PATIENCE, RaiseOnDrop};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConversationId, Message, Push, Reply, Seq, Target, UserId};
use wire::{message, session};

/// Unanswered messages of one sender at any time.
const WINDOW: usize = 16;

/// How soon everything is delivered after the last fault: the end of a lease, and one poll of the database.
fn catches_up_within() -> Duration {
    Duration::from_millis(5_500) + slack(Duration::from_millis(9_500))
}

/// Two senders and one listener a node, all of them members of the same groups.
pub struct Members {
    balancer: Arc<Balancer>,
    nodes: usize,
    senders: Vec<Sender>,
    listeners: Vec<Listener>,
    groups: Vec<ConversationId>,
}

/// How connections moved.
#[derive(Default)]
pub struct Moves {
    /// Sessions that were resumed on another connection.
    pub resumed: AtomicUsize,
    /// Senders whose connection ended without GOING_AWAY.
    pub unwarned: AtomicUsize,
}

impl Members {
    /// Registers the members and makes their groups.
    pub fn join(balancer: &Arc<Balancer>, nodes: usize) -> Members {
        let mut senders: Vec<Sender> = (0..2 * nodes)
            .map(|number| Sender::join(balancer.address_near(number % nodes), &format!("sender {number}")))
            .collect();
        let groups: Vec<_> = (0..2).map(|n| senders[n].client.create_group(&format!("group {n}"))).collect();
        let mut listeners = Vec::new();
        for number in 0..nodes {
            let (mut client, account) =
                Client::join(balancer.address_near(number), &format!("listener {number}"));
            join_all(&mut client, &groups);
            listeners.push(Listener { account, received: HashMap::new() });
        }
        for (number, sender) in senders.iter_mut().enumerate() {
            let others: Vec<_> =
                groups.iter().enumerate().filter(|&(n, _)| n != number).map(|(_, &group)| group).collect();
            join_all(&mut sender.client, &others);
        }
        Members { balancer: Arc::clone(balancer), nodes, senders, listeners, groups }
    }

    /// Sends and listens until `trouble` is over. Then unacknowledged messages are retried, every timeline is
    /// audited, and each listener must have been pushed all of its messages once, in order.
    pub fn chat_through(mut self, trouble: impl FnOnce(&Counter)) -> Moves {
        let (moves, promised) = (Moves::default(), Counter::default());
        let (over, complete) = (AtomicBool::new(false), AtomicBool::new(false));
        let (balancer, groups) = (&*self.balancer, &self.groups);
        let listening: Vec<UserId> = self.listeners.iter().map(|listener| listener.account.id).collect();
        let counts: Vec<Counter> = listening.iter().map(|_| Counter::default()).collect();
        let timelines = thread::scope(|scope| {
            // Also if the test itself fails.
            let all_is_complete = RaiseOnDrop(&complete);
            for (number, listener) in self.listeners.iter_mut().enumerate() {
                let (count, complete) = (&counts[number], &complete);
                scope.spawn(move || while listener.listen(balancer, number, count, complete).is_err() {});
            }
            thread::scope(|scope| {
                let all_is_over = RaiseOnDrop(&over);
                for (number, sender) in self.senders.iter_mut().enumerate() {
                    let home = number % self.nodes;
                    let listener = listening[(number + 1) % listening.len()];
                    let post = move |n: usize| (target(groups, listener, n), format!("message {n}"));
                    let (over, promised, moves) = (&over, &promised, &moves);
                    scope.spawn(move || {
                        while !over.load(Relaxed) {
                            send_some(sender, balancer, home, promised, moves, post);
                        }
                    });
                }
                promised.wait_for(200);
                trouble(&promised);
                drop(all_is_over);
            });
            let begun = Instant::now();
            for sender in &mut self.senders {
                sender.retry_all(balancer.address_near(0));
            }
            let timelines = audit_all(&mut self.senders, groups);
            for (count, listener) in counts.iter().zip(&listening) {
                let timelines = of_listener(&timelines, *listener, groups);
                let whole: usize = timelines.map(|(_, all)| messages(all).count()).sum();
                count.wait_within(whole, catches_up_within().saturating_sub(begun.elapsed()));
            }
            drop(all_is_complete);
            timelines
        });
        for listener in &self.listeners {
            let mut conversations = listener.received.len();
            for (conversation, timeline) in of_listener(&timelines, listener.account.id, &self.groups) {
                let received = &listener.received[&conversation];
                let same = messages(received).eq(messages(timeline));
                assert!(same, "{conversation} was pushed otherwise");
                conversations -= 1;
            }
            assert_eq!(conversations, 0, "conversations that nobody has written in were pushed");
        }
        moves
    }
}

/// Every timeline: its conversation, its listener if it is direct, and its messages.
type Timelines = Vec<(ConversationId, Option<UserId>, Vec<Arc<Message>>)>;

fn of_listener<'a>(
    timelines: &'a Timelines,
    listener: UserId,
    groups: &'a [ConversationId],
) -> impl Iterator<Item = (ConversationId, &'a Vec<Arc<Message>>)> {
    let his = move |&&(id, to, _): &&(ConversationId, Option<UserId>, _)| {
        groups.contains(&id) || to == Some(listener)
    };
    timelines.iter().filter(his).map(|(id, _, timeline)| (*id, timeline))
}

/// The messages of a timeline, without the other entries.
fn messages(timeline: &[Arc<Message>]) -> impl Iterator<Item = &Arc<Message>> {
    timeline.iter().filter(|message| message.is_message())
}

fn audit_all(senders: &mut [Sender], groups: &[ConversationId]) -> Timelines {
    let mut timelines = Timelines::new();
    for &group in groups {
        let timeline = senders[0].client.history(group, Seq(0));
        audit(group, Seq(0), &timeline, &senders.iter().collect::<Vec<_>>());
        timelines.push((group, None, timeline));
    }
    for sender in senders {
        let direct = sender.posts.iter().find_map(|post| match post.target {
            Target::User(listener) => Some((post.place?.0, listener)),
            Target::Conversation(_) | Target::Group(_) | Target::Name(_) => None,
        });
        let (conversation, listener) = direct.expect("everybody has sent to a listener");
        let timeline = sender.client.history(conversation, Seq(0));
        audit(conversation, Seq(0), &timeline, &[sender]);
        timelines.push((conversation, Some(listener), timeline));
    }
    timelines
}

fn target(groups: &[ConversationId], listener: UserId, number: usize) -> Target {
    match number % 4 {
        0 => Target::Conversation(groups[number / 4 % groups.len()]),
        _ => Target::User(listener),
    }
}

fn join_all(client: &mut Client, groups: &[ConversationId]) {
    groups.iter().for_each(|&group| client.join_group(group));
}

/// Sends some messages; moves to another node where this one is lost or drains.
fn send_some(
    sender: &mut Sender,
    balancer: &Balancer,
    home: usize,
    promised: &Counter,
    moves: &Moves,
    post: impl FnMut(usize) -> (Target, String),
) {
    let begin = sender.posts.len();
    let end = sender.stream(WINDOW, 2 * WINDOW, promised, post);
    if end.is_err() || sender.was_warned {
        moves.unwarned.fetch_add(usize::from(!sender.was_warned), Relaxed);
        let until = Instant::now() + PATIENCE;
        loop {
            match sender.resume(balancer.address_near(home)) {
                Ok(resumed) => {
                    assert!(resumed, "the session of {} has ended", sender.account.name);
                    moves.resumed.fetch_add(1, Relaxed);
                    break;
                }
                // That node was killed, too.
                Err(Closed) => assert!(Instant::now() < until, "no node takes {}", sender.account.name),
            }
        }
    } else {
        sender.heed_refusals(begin);
    }
}

/// A client that reads and keeps what it is pushed.
struct Listener {
    account: Account,
    received: HashMap<ConversationId, Vec<Arc<Message>>>,
}

impl Listener {
    /// Listens on one connection until everything is `complete` or the connection is lost.
    fn listen(
        &mut self,
        balancer: &Balancer,
        home: usize,
        count: &Counter,
        complete: &AtomicBool,
    ) -> Result<(), Closed> {
        let mut client = Client::try_connect(balancer.address_near(home)).map_err(|_| Closed)?;
        client.post(&Client::by_token(&self.account))?;
        // The last `seq` of each conversation that was pushed on this connection.
        let mut pushed: HashMap<ConversationId, Seq> = HashMap::new();
        loop {
            match client.event(Duration::from_millis(50))? {
                Some(Event::Push(Push::Message(message::Push::New(message)))) => {
                    let (conversation, seq) = (message.conversation, message.seq);
                    if let Some(last) = pushed.insert(conversation, seq) {
                        assert_eq!(seq, last.next(), "pushes of one connection leave something out");
                    }
                    let received = self.received.entry(conversation).or_default();
                    let first = received.first().unwrap_or(&message);
                    let of_own = first.system().is_some_and(|told| told.who.contains(&self.account.id));
                    assert!(first.seq == Seq(1) || of_own, "a member's view begins with its own entry");
                    let place = seq.0.checked_sub(first.seq.0).expect("nothing before it is pushed") as usize;
                    if place < received.len() {
                        // Pushed again, because its acknowledgement was not stored in time.
                        assert_eq!(received[place], message, "another message is at its place");
                    } else {
                        assert_eq!(place, received.len(), "the first push leaves something out");
                        if message.is_message() {
                            count.add_one();
                        }
                        received.push(message);
                    }
                    client.ack(conversation, seq)?;
                }
                Some(Event::Push(Push::Session(session::Push::GoingAway(_)))) => return Err(Closed),
                // The database is away, or this node drains.
                Some(Event::Reply(_, Reply::Refused(_))) => {
                    thread::sleep(UNAVAILABLE_FOR);
                    return Err(Closed);
                }
                Some(_) => {}
                None if complete.load(Relaxed) => return Ok(()),
                None => {}
            }
        }
    }
}
