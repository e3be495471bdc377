//! Members who come and go while others talk: each gets exactly what was committed while it was a member.

use crate::database::{start_on, start_on_shared};
use crate::support::client::text;
use crate::support::effort::effort;
use crate::support::ledger::Counter;
use crate::support::nodes::Nodes;
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Account, Client, MariaDb, Server};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use wire::group::{Leave, Remove, Request, Role, SetRole};
use wire::message::Push as MessagePush;
use wire::timeline::{Direction, History, Request as TimelineRequest};
use wire::{ConversationId, Errno, Message, Push, Seq, Target, UserId};

/// The pause between two messages: 200 a second.
const PAUSE: Duration = Duration::from_millis(5);
/// Members who come and go at the same time.
const AT_ONCE: usize = 8;

/// What goes on in the group while members come and go.
struct Group {
    id: ConversationId,
    addresses: Vec<SocketAddr>,
    /// Who removes members.
    admin: Mutex<Client>,
    /// Messages that were stored.
    stored: Counter,
}

/// A user who comes and goes.
struct Guest {
    client: Client,
    account: Account,
    /// The entries of the group that were pushed, on all its connections.
    got: BTreeSet<Seq>,
    /// The last one on this connection.
    last: Seq,
}

impl Guest {
    fn join(group: &Group, number: usize) -> Guest {
        let address = group.addresses[number % group.addresses.len()];
        let (client, account) = Client::join(address, &format!("guest {number}"));
        let mut guest = Guest { client, account, got: BTreeSet::new(), last: Seq(0) };
        guest.client.join_group(group.id);
        guest
    }

    /// Takes entries up to the one that `is_last` accepts.
    fn watch(&mut self, group: &Group, mut is_last: impl FnMut(&Message) -> bool) {
        loop {
            let entry = self.client.any_entry();
            assert_eq!(entry.conversation, group.id);
            assert!(self.last < entry.seq, "{} came after {}", entry.seq, self.last);
            self.last = entry.seq;
            self.got.insert(entry.seq);
            if is_last(&entry) {
                return;
            }
        }
    }

    fn watch_messages(&mut self, group: &Group, count: usize) {
        let mut seen = 0;
        self.watch(group, |entry| {
            seen += usize::from(entry.is_message());
            seen == count
        });
    }

    fn watch_end(&mut self, group: &Group) {
        let me = self.account.id;
        self.watch(group, |entry| entry.ends_view_of(me));
    }

    fn leave(&mut self, group: &Group) {
        self.client.change_group(Request::Leave(Leave { conversation: group.id }));
        self.watch_end(group);
    }

    fn is_removed(&self, group: &Group) {
        let remove = Remove { conversation: group.id, id: self.account.id, bar: false };
        group.admin.lock().unwrap().change_group(Request::Remove(remove));
    }

    /// Asserts that a user who has left gets, reads and writes nothing more.
    fn check_that_it_is_out(&mut self, group: &Group) {
        group.stored.wait_for(group.stored.count() + 5);
        self.check_that_it_gets_nothing();
        let (conversation, direction) = (group.id, Direction::After(Seq(0)));
        let history = History { conversation, direction, limit: 10, with_changes: true };
        for request in [
            text(Target::Conversation(conversation), "still here", None),
            TimelineRequest::History(history).into(),
        ] {
            assert_eq!(self.client.refusal(&request).errno, Errno::Forbidden);
        }
    }

    fn check_that_it_gets_nothing(&mut self) {
        let pushed = self.client.take_pushes();
        let of_group = |push: &Push| matches!(push, Push::Message(MessagePush::New(_)) | Push::Timeline(_));
        assert!(!pushed.iter().any(of_group), "{} has left: {pushed:?}", self.account.id);
    }

    fn come_and_go(group: &Group, number: usize) -> Guest {
        let mut guest = Guest::join(group, number);
        guest.watch_messages(group, 3 + number % 5);
        match number % 4 {
            0 => guest.leave(group),
            1 => {
                guest.is_removed(group);
                guest.watch_end(group);
            }
            // While it is away; it logs in to another node.
            2 => {
                let address = group.addresses[(number / 4) % group.addresses.len()];
                drop(std::mem::replace(&mut guest.client, Client::connect(address)));
                guest.is_removed(group);
                group.stored.wait_for(group.stored.count() + 5);
                guest.client.login(&guest.account);
                guest.last = Seq(0);
                guest.watch_end(group);
            }
            _ => {
                guest.leave(group);
                guest.check_that_it_is_out(group);
                guest.client.join_group(group.id);
                guest.watch_messages(group, 2);
                guest.leave(group);
            }
        }
        guest.check_that_it_is_out(group);
        guest
    }
}

/// The entries of a timeline that a user is to get: from each of its joins to the leave after it.
pub fn seen_by(user: UserId, timeline: &[Arc<Message>]) -> BTreeSet<Seq> {
    let (mut is_member, mut seen) = (false, BTreeSet::new());
    for entry in timeline {
        is_member |= entry.begins_view_of(user);
        if is_member {
            seen.insert(entry.seq);
        }
        is_member &= !entry.ends_view_of(user);
    }
    assert!(!is_member, "{user} is still a member");
    seen
}

/// Returns when every node has delivered what was stored up to now, to whom it delivers it.
pub fn pass_everything(addresses: &[SocketAddr], member: &mut Client, group: ConversationId) {
    for (number, address) in addresses.iter().enumerate() {
        let (mut observer, _) = Client::join(*address, &format!("observer {number}"));
        observer.join_group(group);
        // A node delivers in order.
        let last = member.send(Target::Conversation(group), "the last one").seq;
        while observer.any_entry().seq < last {}
    }
}

fn members_come_and_go(addresses: &[SocketAddr], guests: usize) {
    let (mut ann, _) = Client::join(addresses[0], "ann");
    let (mut admin, admin_account) = Client::join(addresses[addresses.len() - 1], "adam");
    let id = ann.create_group("climbing");
    admin.join_group(id);
    let role = Role::Admin;
    ann.change_group(Request::SetRole(SetRole { conversation: id, id: admin_account.id, role }));
    let group =
        Group { id, addresses: addresses.to_vec(), admin: Mutex::new(admin), stored: Counter::default() };
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let gone: Vec<Guest> = thread::scope(|scope| {
        let speaker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                ann.send(Target::Conversation(id), "on and on");
                group.stored.add_one();
                thread::sleep(PAUSE);
            }
        });
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                    let numbers = numbers.take_while(|number| *number < guests);
                    numbers.map(|number| Guest::come_and_go(&group, number)).collect::<Vec<_>>()
                })
            })
            .collect();
        let gone: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        speaker.join().expect("ann speaks to the end");
        gone.into_iter().flat_map(|of_one| of_one.expect("nobody lacks anything")).collect()
    });
    pass_everything(addresses, &mut ann, id);
    let timeline = ann.history(id, Seq(0));
    assert_eq!(gone.len(), guests);
    for mut guest in gone {
        guest.check_that_it_gets_nothing();
        let expected = seen_by(guest.account.id, &timeline);
        assert_eq!(guest.got, expected, "what was pushed to {}", guest.account.id);
    }
}

#[test]
fn whoever_comes_and_goes_gets_what_was_said_meanwhile_on_sqlite() {
    let server = Server::start(&[]);
    members_come_and_go(&[server.address], effort(24, 1_000));
}

#[test]
fn whoever_comes_and_goes_gets_what_was_said_meanwhile_on_mysql() {
    let server = start_on_shared();
    members_come_and_go(&[server.address], effort(16, 1_000));
}

#[test]
fn whoever_comes_and_goes_gets_what_was_said_meanwhile_on_two_nodes() {
    let nodes = Nodes::start(2, &[]);
    members_come_and_go(&[nodes.nodes[0].address, nodes.nodes[1].address], effort(24, 1_000));
}

/// The second attempt finds that the leaver is no member any more.
#[test]
fn a_leave_with_a_lost_commit_answer_is_reported_as_it_was_stored() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let server = start_on(&database.url_at(proxy.port, &database.new_name()));
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    for round in 0..12 {
        let conversation = ann.create_group(&format!("group {round}"));
        bob.join_group(conversation);
        assert_eq!([ann.entry().seq, ann.entry().seq, bob.entry().seq], [1, 2, 2].map(Seq));
        let leave = Request::Leave(Leave { conversation }).into();
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], "INSERT INTO former_member");
        assert_eq!(bob.ask(&leave), wire::Reply::Done);
        proxy.wait_until_cut();
        // Both are told once, the leaver also.
        assert_eq!([ann.entry().seq, bob.entry().seq], [3, 3].map(Seq));
        assert_eq!(bob.refusal(&leave).errno, Errno::Forbidden);
        ann.send(Target::Conversation(conversation), "bye");
    }
    assert_eq!(ann.take_pushes(), []);
    assert_eq!(bob.take_pushes(), []);
}
