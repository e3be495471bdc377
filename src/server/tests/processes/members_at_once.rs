//! A thousand members join one group at once and leave it at once, while four others send 200 messages a second: each gets
//! exactly what was committed while it was a member.

use crate::membership::{pass_everything, seen_by};
use crate::support::client::Event;
use crate::support::effort::effort;
use crate::support::nodes::Nodes;
use crate::support::polled::Polled;
use crate::support::process::need_descriptors;
use crate::support::setup::asks_again_after;
use crate::support::{Account, Client, PATIENCE, RaiseOnDrop, Server};
use mio::{Events, Poll, Token};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};
use wire::group::{Join, Leave, Remove, Request, Role, SetRole};
use wire::message::Push as MessagePush;
use wire::timeline::{Cursor, Request as TimelineRequest};
use wire::{Command, ConversationId, Errno, Message, Push, Refusal, Reply, Seq, Target, UserId, node};

/// Each speaker sends 50 messages a second, as far as the machine can follow.
const SPEAKERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);
/// Threads, each of which polls its part of the members.
const THREADS: usize = 2;
/// A member goes after up to this many messages since all have joined: a second of them.
const STAY_MAX: usize = 200;
/// A member acknowledges an entry of this many.
const ACK_EVERY: usize = 64;
/// Members of `make test`, which shares the processors with other tests. A thousand, as in `make test-long`, are pushed half a
/// million entries while they join, and as many while they leave: half a minute on two processors.
const MEMBERS: usize = 400;
const MEMBERS_LONG: usize = 1_000;

/// What all threads know of the group.
struct Group {
    id: ConversationId,
    addresses: Vec<SocketAddr>,
    members: usize,
    /// Members who have joined for the first time.
    joined: AtomicUsize,
    /// Members who have gone for good.
    gone: AtomicUsize,
    /// Every node has delivered the last message.
    is_over: AtomicBool,
    /// A thread polls no more, which has failed unless it is over.
    has_ended: AtomicBool,
}

/// How a member goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exit {
    Leave,
    /// An admin removes it, while it is here.
    Removed,
    /// An admin removes it after it has disconnected. Then it logs in again, on the other node where there are two.
    RemovedWhileAway,
    /// It leaves, joins again, and leaves.
    LeaveTwice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    LoggingIn,
    Joining,
    /// Gets this many messages more once all have joined.
    Staying(usize),
    /// Waits for its end, which may have been pushed before the reply.
    Leaving {
        is_answered: bool,
        is_told: bool,
    },
    /// Has acknowledged everything, and is about to disconnect.
    GoingAway,
    Away,
    Gone,
    /// Waits for the answer to a last request.
    Settling,
    Settled,
}

struct Member {
    account: Account,
    number: usize,
    exit: Exit,
    step: Step,
    /// Whether it joined for the second time.
    is_back: bool,
    connection: Option<Polled>,
    /// The request that is waited for, and its number.
    asked: Option<(u32, Command)>,
    /// What is asked again later.
    again: Option<(Instant, Command)>,
    /// Whether an earlier try may have been carried out.
    was_in_doubt: bool,
    /// Between its own entries of joining and of leaving, as pushed.
    is_in: bool,
    /// The last entry that was pushed on this connection.
    last: Seq,
    got: BTreeSet<Seq>,
}

/// The members whom one thread polls.
struct Crowd<'a> {
    group: &'a Group,
    poll: Poll,
    members: Vec<Member>,
    /// Whom the admin is to remove, and whom it has removed, by their places in `members`.
    removals: Sender<(usize, UserId, Sender<usize>)>,
    removed: (Sender<usize>, Receiver<usize>),
}

impl Crowd<'_> {
    /// Polls until every member has gone and the last message has passed.
    fn run(mut self) -> Vec<Member> {
        let _ended = RaiseOnDrop(&self.group.has_ended);
        let mut events = Events::with_capacity(1_024);
        for at in 0..self.members.len() {
            self.connect(at, 0);
        }
        let mut quiet_since = Instant::now();
        loop {
            self.poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
            for event in &events {
                quiet_since = Instant::now();
                self.read(event.token().0);
            }
            while let Ok(at) = self.removed.1.try_recv() {
                self.was_removed(at);
            }
            self.ask_again();
            if self.group.is_over.load(Ordering::Relaxed) {
                return self.settle();
            }
            let open =
                || self.members.iter().map(|member| (member.account.id, member.step)).collect::<Vec<_>>();
            assert!(quiet_since.elapsed() < 2 * PATIENCE, "nothing comes any more: {:?}", open());
        }
    }

    /// `offset`: to another node than at first.
    fn connect(&mut self, at: usize, offset: usize) {
        let (member, addresses) = (&mut self.members[at], &self.group.addresses);
        let address = addresses[(member.number + offset) % addresses.len()];
        let connection = Polled::log_in(&self.poll, Token(at), address, &member.account);
        member.connection = Some(connection);
        member.asked = Some((1, Client::by_token(&member.account)));
        member.last = Seq(0);
    }

    fn read(&mut self, at: usize) {
        let Some(connection) = &mut self.members[at].connection else { return };
        for event in connection.events() {
            match event {
                Event::Reply(number, reply) => self.answered(at, number, reply),
                Event::Push(Push::Message(MessagePush::New(entry))) => self.pushed(at, &entry),
                Event::Push(_) | Event::Heartbeat(..) => {}
            }
            // What came behind the reply before it went away comes again after its login.
            if self.members[at].connection.is_none() {
                return;
            }
        }
    }

    fn pushed(&mut self, at: usize, entry: &Message) {
        let (member, group) = (&mut self.members[at], self.group);
        let me = member.account.id;
        assert_eq!(entry.conversation, group.id);
        assert!(member.last < entry.seq, "{me} got {} after {}", entry.seq, member.last);
        member.is_in |= entry.begins_view_of(me);
        assert!(member.is_in, "{me} is no member and got {entry:?}");
        member.is_in &= !entry.ends_view_of(me);
        member.last = entry.seq;
        member.got.insert(entry.seq);
        if member.got.len().is_multiple_of(ACK_EVERY) {
            member.acknowledge(group.id);
        }
        match &mut member.step {
            Step::Staying(0) if group.joined.load(Ordering::Relaxed) == group.members => self.go(at),
            Step::Staying(left) if entry.is_message() => *left = left.saturating_sub(1),
            Step::Leaving { is_told, .. } if !member.is_in => {
                *is_told = true;
                self.finish_leaving(at);
            }
            _ => {}
        }
    }

    fn answered(&mut self, at: usize, number: u32, reply: Reply) {
        let (member, group) = (&mut self.members[at], self.group);
        let (asked, command) = member.asked.take().expect("something was asked");
        assert_eq!(asked, number);
        if let Reply::Refused(refusal) = &reply {
            if let Some(pause) = asks_again_after(refusal) {
                member.was_in_doubt |= refusal.errno == Errno::Unavailable;
                member.again = Some((Instant::now() + pause, command));
                return;
            }
            assert!(member.may_be_refused(refusal), "{command:?} was refused: {refusal:?}");
        }
        member.was_in_doubt = false;
        match member.step {
            Step::LoggingIn => {
                member.step = Step::Joining;
                member.ask(Request::Join(Join { conversation: group.id }).into());
            }
            Step::Joining => {
                group.joined.fetch_add(usize::from(!member.is_back), Ordering::Relaxed);
                member.step = Step::Staying(member.number * 7 % STAY_MAX);
            }
            Step::Leaving { is_told, .. } => {
                member.step = Step::Leaving { is_answered: true, is_told };
                self.finish_leaving(at);
            }
            Step::GoingAway => {
                member.step = Step::Away;
                member.connection = None;
                self.remove(at);
            }
            Step::Settling => member.step = Step::Settled,
            Step::Away | Step::Staying(_) | Step::Gone | Step::Settled => {
                panic!("nothing was asked, and answered {reply:?}")
            }
        }
    }

    fn was_removed(&mut self, at: usize) {
        let member = &mut self.members[at];
        match member.exit {
            Exit::RemovedWhileAway => {
                member.step = Step::Leaving { is_answered: true, is_told: false };
                self.connect(at, 1);
            }
            _ => {
                let Step::Leaving { is_told, .. } = member.step else { panic!("nobody removes {at}") };
                member.step = Step::Leaving { is_answered: true, is_told };
                self.finish_leaving(at);
            }
        }
    }

    /// Begins to go as the member is to go.
    fn go(&mut self, at: usize) {
        let (member, group) = (&mut self.members[at], self.group);
        let leaving = Step::Leaving { is_answered: false, is_told: false };
        match member.exit {
            Exit::Leave | Exit::LeaveTwice => {
                member.step = leaving;
                member.ask(Request::Leave(Leave { conversation: group.id }).into());
            }
            Exit::Removed => {
                member.step = leaving;
                self.remove(at);
            }
            Exit::RemovedWhileAway => {
                member.acknowledge(group.id);
                member.step = Step::GoingAway;
                member.ask(node::Request::Nodes.into());
            }
        }
    }

    fn remove(&mut self, at: usize) {
        let removal = (at, self.members[at].account.id, self.removed.0.clone());
        self.removals.send(removal).expect("the admin stays");
    }

    /// Once a member has both been answered and told that it is none any more.
    fn finish_leaving(&mut self, at: usize) {
        let (member, group) = (&mut self.members[at], self.group);
        if member.step != (Step::Leaving { is_answered: true, is_told: true }) {
            return;
        }
        if member.exit == Exit::LeaveTwice {
            member.exit = Exit::Leave;
            member.is_back = true;
            member.step = Step::Joining;
            member.ask(Request::Join(Join { conversation: group.id }).into());
        } else {
            member.step = Step::Gone;
            group.gone.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ask_again(&mut self) {
        for member in &mut self.members {
            if let Some((_, command)) = member.again.take_if(|(due, _)| *due <= Instant::now()) {
                member.ask(command);
            }
        }
    }

    /// Takes what the server has sent up to now.
    fn settle(mut self) -> Vec<Member> {
        for member in &mut self.members {
            assert_eq!(member.step, Step::Gone);
            member.step = Step::Settling;
            member.ask(node::Request::Nodes.into());
        }
        let mut events = Events::with_capacity(1_024);
        let deadline = Instant::now() + PATIENCE;
        while self.members.iter().any(|member| member.step == Step::Settling) {
            assert!(Instant::now() < deadline, "NODES is not answered");
            self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
            for event in &events {
                self.read(event.token().0);
            }
        }
        self.members
    }
}

impl Member {
    fn new(number: usize, account: Account) -> Member {
        let exit = [Exit::Leave, Exit::Removed, Exit::RemovedWhileAway, Exit::LeaveTwice][number % 4];
        Member {
            account,
            number,
            exit,
            step: Step::LoggingIn,
            is_back: false,
            connection: None,
            asked: None,
            again: None,
            was_in_doubt: false,
            is_in: false,
            last: Seq(0),
            got: BTreeSet::new(),
        }
    }

    fn ask(&mut self, command: Command) {
        let connection = self.connection.as_mut().expect("a member that asks is connected");
        self.asked = Some((connection.post(&command), command));
    }

    fn acknowledge(&mut self, conversation: ConversationId) {
        let connection = self.connection.as_mut().expect("a member that acknowledges is connected");
        connection.tell(&TimelineRequest::Ack(Cursor { conversation, seq: self.last }).into());
    }

    /// What was in doubt may have been carried out by an earlier try.
    fn may_be_refused(&self, refusal: &Refusal) -> bool {
        let done = match self.step {
            Step::Joining => Errno::Conflict,
            Step::Leaving { .. } => Errno::Forbidden,
            _ => return false,
        };
        self.was_in_doubt && refusal.errno == done
    }
}

/// Removes members at the word of the threads that poll them.
fn remove_all(mut admin: Client, group: ConversationId, removals: &Receiver<(usize, UserId, Sender<usize>)>) {
    while let Ok((at, id, done)) = removals.recv() {
        admin.change_group(Request::Remove(Remove { conversation: group, id, bar: false }));
        // Whoever asked may have failed.
        let _ = done.send(at);
    }
}

/// Sends until all members have gone, and 20 messages more.
fn speak(speaker: &mut Client, group: &Group) {
    let mut more = 20;
    while more > 0 && !group.has_ended.load(Ordering::Relaxed) {
        speaker.send(Target::Conversation(group.id), "on and on");
        more -= usize::from(group.gone.load(Ordering::Relaxed) == group.members);
        thread::sleep(PAUSE);
    }
}

fn all_join_and_all_go(addresses: &[SocketAddr], members: usize) {
    need_descriptors(4_000);
    let at = |number: usize| addresses[number % addresses.len()];
    let mut speakers: Vec<Client> =
        (0..SPEAKERS).map(|number| Client::join(at(number), &format!("speaker {number}")).0).collect();
    let id = speakers[0].create_group("climbing");
    speakers[1..].iter_mut().for_each(|speaker| speaker.join_group(id));
    let (mut admin, account) = Client::join(at(1), "adam");
    admin.join_group(id);
    speakers[0].change_group(Request::SetRole(SetRole {
        conversation: id,
        id: account.id,
        role: Role::Admin,
    }));
    let accounts: Vec<Account> =
        (0..members).map(|number| admin.register(&format!("member {number}"))).collect();
    let group = Group {
        id,
        addresses: addresses.to_vec(),
        members,
        joined: AtomicUsize::new(0),
        gone: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        has_ended: AtomicBool::new(false),
    };
    let (removals, to_remove) = mpsc::channel();
    let (mut speakers, gone) = thread::scope(|scope| {
        let over = RaiseOnDrop(&group.is_over);
        let crowds: Vec<_> = (0..THREADS)
            .map(|part| {
                let of_part = accounts.iter().cloned().enumerate().skip(part).step_by(THREADS);
                let members = of_part.map(|(number, account)| Member::new(number, account)).collect();
                let (poll, removed) = (Poll::new().unwrap(), mpsc::channel());
                let crowd = Crowd { group: &group, poll, members, removals: removals.clone(), removed };
                scope.spawn(|| crowd.run())
            })
            .collect();
        drop(removals);
        scope.spawn(move || remove_all(admin, id, &to_remove));
        let group = &group;
        let speaking: Vec<_> = speakers
            .into_iter()
            .map(|mut speaker| {
                scope.spawn(move || {
                    speak(&mut speaker, group);
                    speaker
                })
            })
            .collect();
        let speakers =
            speaking.into_iter().map(|speaker| speaker.join().expect("a speaker speaks to the end"));
        let mut speakers: Vec<Client> = speakers.collect();
        pass_everything(addresses, &mut speakers[0], id);
        drop(over);
        let gone = crowds.into_iter().flat_map(|crowd| crowd.join().expect("nobody lacks anything"));
        (speakers, gone.collect::<Vec<_>>())
    });
    let timeline = speakers[0].history(id, Seq(0));
    assert_eq!(gone.len(), members);
    for member in gone {
        let expected = seen_by(member.account.id, &timeline);
        assert_eq!(member.got, expected, "what was pushed to {}", member.account.id);
    }
}

#[test]
fn a_thousand_join_and_go_while_others_talk_on_sqlite() {
    let server = Server::start(&[]);
    all_join_and_all_go(&[server.address], effort(MEMBERS, MEMBERS_LONG));
}

#[test]
fn a_thousand_join_and_go_while_others_talk_on_two_nodes() {
    let nodes = Nodes::start(2, &[]);
    all_join_and_all_go(&[nodes.nodes[0].address, nodes.nodes[1].address], effort(MEMBERS, MEMBERS_LONG));
}
