//! Changes of messages: REACT, and all changes over the wire, on one node and on two, and through kill -9.

use crate::database::start_on_shared;
use crate::support::client::{Closed, text};
use crate::support::legacy_client::LegacyClient;
use crate::support::nodes::Nodes;
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Client, MariaDb, Server};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::change::{Changed, Edit, React, Recall, Reply as ChangeReply, Request};
use wire::timeline::{Direction, History, Reply as TimelineReply, Request as TimelineRequest};
use wire::{Change, ChangeKind, Command, ConversationId, Errno, Message, Reply, Seq, Target, UserId};

fn react(conversation: ConversationId, seq: Seq, reaction: &str, on: bool) -> React {
    React { conversation, seq, reaction: reaction.into(), on, cid: None }
}

fn command(react: React) -> Command {
    Request::React(react).into()
}

pub fn changed(reply: &Reply) -> Changed {
    match reply {
        Reply::Change(
            ChangeReply::Edited(changed) | ChangeReply::Recalled(changed) | ChangeReply::Reacted(changed),
        ) => **changed,
        other => panic!("a change was answered {other:?}"),
    }
}

/// The reactions to a message: each with its count, whether it is the reader's, and the ids.
fn reactions(message: &Message) -> Vec<(&str, u32, bool, Vec<UserId>)> {
    let reactions = message.changes().map_or(&[][..], |changes| &changes.reactions);
    reactions.iter().map(|of| (&*of.reaction, of.count, of.mine, of.ids.clone())).collect()
}

fn check_reactions(one: SocketAddr, two: SocketAddr) {
    let (mut ann, ann_account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (mut eve, _) = Client::join(one, "eve");
    let (mut legacy, legacy_id) = LegacyClient::join(two, "legacy");
    let group = ann.create_group("climbing");
    ann.entry();
    bob.join_group(group);
    ann.wait_for_member(group, bob_account.id);
    legacy.add_group(i64::from(group.0));
    ann.wait_for_member(group, UserId(legacy_id as u32));
    let seq = bob.send(Target::Conversation(group), "up there").seq;
    let told = changed(&ann.ask_again(&command(react(group, seq, "👍", true))));
    // Everybody is told, also on the connection that reacts.
    for client in [&mut ann, &mut bob] {
        let entry = loop {
            let entry = client.any_entry();
            if entry.change().is_some() {
                break entry;
            }
        };
        assert_eq!((entry.seq, entry.time, entry.from), (told.seq, told.time, ann_account.id));
        assert_eq!((&*entry.content_type, &*entry.content), ("reaction", "👍"));
        assert_eq!(entry.change().map(|change| change.of), Some(seq));
    }
    assert_eq!(legacy.shown().text, "up there");
    legacy.shows_nothing();
    // Again: the place of the first one, and no other entry.
    assert_eq!(changed(&ann.ask_again(&command(react(group, seq, "👍", true)))), told);
    assert_eq!(changed(&bob.ask_again(&command(react(group, seq, "👍", false)))).seq, Seq(0));
    changed(&bob.ask_again(&command(react(group, seq, "👍", true))));
    changed(&bob.ask_again(&command(react(group, seq, "🎉", true))));
    changed(&bob.ask_again(&command(react(group, seq, "🎉", false))));
    let both = vec![ann_account.id, bob_account.id];
    for client in [&mut ann, &mut bob] {
        let message = client.history(group, seq.prev()).remove(0);
        assert_eq!(reactions(&message), [("👍", 2, true, both.clone())]);
        assert_eq!(message.changes().map(|changes| changes.changed), Some(Seq(told.seq.0 + 3)));
    }
    // A page without changes.
    let (direction, limit) = (Direction::After(Seq(0)), 200);
    let history = History { conversation: group, direction, limit, with_changes: false };
    let Reply::Timeline(TimelineReply::History(page)) =
        ann.ask_again(&TimelineRequest::History(history).into())
    else {
        panic!("HISTORY is answered")
    };
    assert!(page.messages.iter().all(|entry| entry.change().is_none()));
    assert!(page.messages.iter().any(|message| reactions(message).len() == 1));

    // One space of cids.
    let with_cid = |react: React| command(React { cid: Some("once".into()), ..react });
    let told = changed(&ann.ask_again(&with_cid(react(group, seq, "👀", true))));
    assert_eq!(changed(&ann.ask_again(&with_cid(react(group, seq, "👀", true)))), told);
    for other in [
        with_cid(react(group, seq, "👀", false)),
        with_cid(react(group, seq, "🎉", true)),
        with_cid(react(group, told.seq, "👀", true)),
        text(Target::Conversation(group), "hello", Some("once")),
    ] {
        assert_eq!(ann.refusal(&other).errno, Errno::Conflict);
    }
    for (react, expected) in [
        (react(group, Seq(1), "👍", true), Errno::BadRequest),
        (react(group, told.seq, "👍", true), Errno::BadRequest),
        (react(group, Seq(9_999), "👍", true), Errno::NotFound),
    ] {
        assert_eq!(ann.refusal(&command(react)).errno, expected);
    }
    let refusals =
        [group, ConversationId(999_999)].map(|of| eve.refusal(&command(react(of, seq, "👍", true))));
    assert!(refusals.iter().all(|refusal| refusal.errno == Errno::Forbidden && *refusal == refusals[0]));
    eve.join_group(group);
    assert_eq!(
        eve.refusal(&command(react(group, seq, "👍", true))).errno,
        Errno::NotFound,
        "before her view"
    );
    for letter in 'a'..='r' {
        changed(&ann.ask_again(&command(react(group, seq, &letter.to_string(), true))));
    }
    let refusal = ann.refusal(&command(react(group, seq, "z", true)));
    assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::Quota, Some("reaction")));
}

#[test]
fn every_member_is_told_of_a_reaction() {
    for server in [Server::start(&[]), start_on_shared()] {
        check_reactions(server.address, server.address);
    }
}

#[test]
fn members_on_another_node_are_told_of_a_reaction() {
    let nodes = Nodes::start(2, &[]);
    check_reactions(nodes.nodes[0].address, nodes.nodes[1].address);
}

/// The state of every message that its timeline's entries make.
fn folded(timeline: &[Arc<Message>], reader: UserId) -> BTreeMap<Seq, Message> {
    let mut all: BTreeMap<Seq, Message> = BTreeMap::new();
    for entry in timeline {
        match entry.change() {
            Some(change) => {
                let changed = all.get_mut(&change.of).expect("only messages are changed");
                assert!(changed.apply(entry, reader), "{} changes something", entry.seq);
            }
            None if entry.is_message() => {
                drop(all.insert(entry.seq, Message { extra: None, ..(**entry).clone() }));
            }
            None => {}
        }
    }
    all
}

/// What a client asked, its content, and how it was answered.
type Answered = Vec<(Change, String, Changed)>;

/// Sends messages, reacts to them, edits and recalls them until the server is gone.
fn change_until_it_ends(
    address: SocketAddr,
    name: &str,
    group: ConversationId,
    done: &AtomicUsize,
) -> (UserId, Answered) {
    let (mut client, account) = Client::join(address, name);
    client.join_group(group);
    let mut answered = Answered::new();
    let mut work = || -> Result<(), Closed> {
        let mut seqs: Vec<Seq> = Vec::new();
        for round in 0.. {
            if round % 4 == 0 {
                let sent =
                    client.try_ask(&text(Target::Conversation(group), &format!("{name} {round}"), None))?;
                if let Reply::Message(wire::message::Reply::Sent(sent)) = sent {
                    seqs.push(sent.seq);
                }
            }
            let Some(seq) = seqs.get(round % seqs.len().max(1)).copied() else { continue };
            let (kind, content) = match round % 8 {
                2 | 5 => (ChangeKind::Edit, format!("{name} {round} edited")),
                7 if seqs.len() > 3 => (ChangeKind::Recall, String::new()),
                _ => (ChangeKind::Reaction { on: round % 5 != 4 }, ["👍", "🎉"][round % 2].to_owned()),
            };
            let cid = Some(format!("{name} {round} r").into());
            let request = match kind {
                ChangeKind::Edit => {
                    Request::Edit(Edit { conversation: group, seq, content: content.as_str().into(), cid })
                }
                ChangeKind::Recall => {
                    seqs.retain(|of| *of != seq);
                    Request::Recall(Recall { conversation: group, seq, cid })
                }
                ChangeKind::Reaction { on } => {
                    Request::React(React { cid, ..react(group, seq, &content, on) })
                }
            };
            if let Reply::Change(reply) = client.try_ask(&request.into())? {
                answered.push((Change { of: seq, kind }, content, changed(&reply.into())));
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    let _gone = work();
    (account.id, answered)
}

#[test]
fn what_was_answered_is_there_once_after_kill_9_under_changes() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, account) = Client::join(server.address, "ann");
        let group = ann.create_group("climbing");
        for round in 0..3 {
            let (address, done) = (server.address, AtomicUsize::new(0));
            let answered = thread::scope(|scope| {
                let done = &done;
                let names = (0..3).map(|n| format!("user {round} {n}"));
                let threads: Vec<_> = names
                    .map(|name| scope.spawn(move || change_until_it_ends(address, &name, group, done)))
                    .collect();
                let deadline = Instant::now() + Duration::from_secs(60);
                while done.load(Ordering::Relaxed) < 300 && Instant::now() < deadline {
                    thread::yield_now();
                }
                server.kill9();
                threads.into_iter().map(|thread| thread.join().expect("a client")).collect::<Vec<_>>()
            });
            assert!(done.load(Ordering::Relaxed) >= 300, "changes are made");
            server.restart();
            let mut ann = Client::login_to(server.address, &account);
            let timeline = ann.history(group, Seq(0));
            for (user, answered) in &answered {
                for (change, content, changed) in answered.iter().filter(|(.., told)| told.seq > Seq(0)) {
                    let entry = &timeline[changed.seq.0 as usize - 1];
                    assert_eq!((entry.seq, entry.from, entry.time), (changed.seq, *user, changed.time));
                    assert_eq!(entry.change(), Some(*change));
                    let is_emptied = change.kind == ChangeKind::Edit && entry.content.is_empty();
                    assert!(is_emptied || *entry.content == *content, "{entry:?}");
                }
            }
            let mut cids: Vec<_> =
                timeline.iter().filter_map(|entry| Some((entry.from, entry.cid.clone()?))).collect();
            let count = cids.len();
            cids.sort_unstable();
            cids.dedup();
            assert_eq!(cids.len(), count, "nothing is stored twice");
            for (seq, message) in folded(&timeline, account.id) {
                let stored = &timeline[seq.0 as usize - 1];
                assert_eq!(
                    (stored.changes(), &stored.content),
                    (message.changes(), &message.content),
                    "{seq}"
                );
                assert_eq!(stored.content.is_empty(), stored.recalled().is_some());
            }
        }
    }
}

#[test]
fn a_reaction_with_a_lost_commit_answer_is_made_once() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let url = database.url_at(proxy.port, &database.new_name());
    let server = Server::start(&["--set", &format!("storage.url={url}")]);
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (mut bob, account) = Client::join(server.address, "bob");
    let direct = ann.send(Target::User(account.id), "hi");
    bob.message();
    for round in 0..15 {
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], "INSERT INTO changed ");
        let on = round % 2 == 0;
        let told = changed(&bob.ask(&command(react(direct.conversation, direct.seq, "👍", on))));
        proxy.wait_until_cut();
        // Both are told once.
        assert_eq!(told.seq, Seq(round as u64 + 2));
        assert_eq!((ann.entry().seq, bob.entry().seq), (told.seq, told.seq));
        let message = ann.history(direct.conversation, Seq(0)).remove(0);
        let expected = [("👍", 1, false, vec![account.id])];
        assert_eq!(reactions(&message), expected[..usize::from(on)]);
    }
    let timeline = ann.history(direct.conversation, Seq(0));
    assert_eq!(timeline[0].changes(), folded(&timeline, ann_account.id)[&direct.seq].changes());
    assert_eq!((ann.take_pushes(), bob.take_pushes()), (vec![], vec![]), "nothing is told twice");
}
