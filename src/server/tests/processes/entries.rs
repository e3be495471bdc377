//! Entries that tell of changes of a group: each is there exactly if its change is.

use crate::support::client::Event;
use crate::support::effort::effort;
use crate::support::ledger::{Counter, Sender, audit};
use crate::support::{Client, Server};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;
use wire::{Command, ConversationId, Message, Page, Reply, Seq, Target, UserId, group};

/// Users who join in one round.
const JOINERS: usize = 6;

#[test]
fn a_join_and_its_entry_survive_kill_9_together() {
    joins_survive_kill_9(Server::start(&[]), effort(8, 80));
}

/// Kills a server while users join a group between messages to it, over and over. After each restart those are members
/// of whom an entry tells, and nobody else.
pub fn joins_survive_kill_9(mut server: Server, rounds: usize) {
    let mut ann = Sender::join(server.address, "ann");
    let group = ann.client.create_group("climbing");
    let mut promised: BTreeSet<UserId> = [ann.account.id].into();
    for round in 0..rounds {
        let mut joiners: Vec<(Client, UserId)> = (0..JOINERS)
            .map(|number| {
                let (client, account) = Client::join(server.address, &format!("joiner {round} {number}"));
                (client, account.id)
            })
            .collect();
        let (acknowledged, joined) = (Counter::default(), Counter::default());
        let join = Command::Group(group::Request::Join(group::Join { conversation: group }));
        let sure: Vec<UserId> = thread::scope(|scope| {
            scope.spawn(|| {
                let post = |number: usize| (Target::Conversation(group), format!("message {number}"));
                ann.stream(8, usize::MAX, &acknowledged, post).expect_err("the server is killed");
            });
            let waiting: Vec<_> = joiners
                .iter_mut()
                .map(|(client, user)| {
                    let (join, joined) = (&join, &joined);
                    scope.spawn(move || has_joined(client, join, joined).then_some(*user))
                })
                .collect();
            // At another moment each round.
            acknowledged.wait_for(1 + round * 5);
            joined.wait_for(round % JOINERS);
            server.kill9();
            waiting.into_iter().filter_map(|waiting| waiting.join().unwrap()).collect()
        });
        promised.extend(sure);
        server.restart();
        ann.retry_all(server.address);
        let timeline = ann.client.history(group, Seq(0));
        audit(group, Seq(0), &timeline, &[&ann]);
        let told: Vec<UserId> = timeline.iter().filter_map(|entry| who(entry)).collect();
        let members: BTreeSet<UserId> = members(&mut ann.client, group);
        assert_eq!(told.len(), members.len(), "nobody is told of twice: {told:?}");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), members);
        assert!(promised.is_subset(&members), "who was told so is a member");
    }
}

/// Asks to join; returns whether that was answered before the connection was lost.
fn has_joined(client: &mut Client, join: &Command, joined: &Counter) -> bool {
    if client.post(join).is_err() {
        return false;
    }
    loop {
        match client.event(Duration::from_millis(50)) {
            Ok(Some(Event::Reply(_, Reply::Group(group::Reply::Joined(_))))) => {
                joined.add_one();
                return true;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Who became a member by an entry.
fn who(entry: &Message) -> Option<UserId> {
    let told = entry.system().filter(|told| told.adds_members())?;
    assert_eq!((&*told.who, told.by), (&[entry.from][..], entry.from));
    Some(entry.from)
}

fn members(client: &mut Client, conversation: ConversationId) -> BTreeSet<UserId> {
    let mut all = BTreeSet::new();
    loop {
        let page = Page { after: all.last().map_or(0, |user: &UserId| user.0), limit: 200 };
        match client
            .ask_again(&Command::Group(group::Request::Members(group::Members { conversation, page })))
        {
            Reply::Group(group::Reply::Members(page)) => {
                all.extend(page.members.iter().map(|member| member.id));
                if !page.more {
                    return all;
                }
            }
            other => panic!("MEMBERS was answered {other:?}"),
        }
    }
}
