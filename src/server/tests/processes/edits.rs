//! EDIT and RECALL over the wire, on one node and on two.

use crate::changes::changed;
use crate::database::start_on_shared;
use crate::support::legacy_client::LegacyClient;
use crate::support::nodes::Nodes;
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Client, MariaDb, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::change::{Edit, React, Recall, Request};
use wire::{ChangeKind, Command, ConversationId, Errno, Message, Seq, Target, UserId};

fn edit(conversation: ConversationId, seq: Seq, content: &str) -> Command {
    Request::Edit(Edit { conversation, seq, content: content.into(), cid: None }).into()
}

fn recall(conversation: ConversationId, seq: Seq) -> Command {
    Request::Recall(Recall { conversation, seq, cid: None }).into()
}

fn react(conversation: ConversationId, seq: Seq) -> Command {
    Request::React(React { conversation, seq, reaction: "👍".into(), on: true, cid: None }).into()
}

/// The next entry that tells of a change.
fn told(client: &mut Client) -> Arc<Message> {
    loop {
        let entry = client.any_entry();
        if entry.change().is_some() {
            return entry;
        }
    }
}

/// The text of a message, and whether it was edited and recalled.
fn state(message: &Message) -> (&str, bool, bool) {
    let changes = message.changes().cloned().unwrap_or_default();
    (&message.content, changes.edited.is_some(), changes.recalled.is_some())
}

fn check_edits(one: SocketAddr, two: SocketAddr) {
    let (mut ann, _) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (mut away, away_account) = Client::join(two, "carl");
    let (mut legacy, legacy_id) = LegacyClient::join(two, "legacy");
    let (mut late, late_id) = LegacyClient::join(one, "late");
    let group = ann.create_group("climbing");
    bob.join_group(group);
    away.join_group(group);
    for (client, id) in [(&mut legacy, legacy_id), (&mut late, late_id)] {
        client.add_group(i64::from(group.0));
        ann.wait_for_member(group, UserId(id as u32));
    }
    ann.wait_for_member(group, away_account.id);
    drop(away);
    late.logout();
    // Answered once it is logged out.
    late.register_refused("ann");
    let to = || Target::Conversation(group);
    let seq = bob.send(to(), "at eigth").seq;
    let place = changed(&bob.ask_again(&edit(group, seq, "at eight")));
    for client in [&mut ann, &mut bob] {
        let entry = told(client);
        assert_eq!((entry.seq, entry.time, entry.from), (place.seq, place.time, bob_account.id));
        assert_eq!((&*entry.content_type, &*entry.content), ("edit", "at eight"));
        assert_eq!(entry.change().map(|change| (change.of, change.kind)), Some((seq, ChangeKind::Edit)));
        let message = client.history(group, seq.prev()).remove(0);
        assert_eq!(state(&message), ("at eight", true, false));
    }
    assert_eq!(legacy.shown().text, "at eigth");
    legacy.shows_nothing();
    assert_eq!(changed(&bob.ask_again(&edit(group, seq, "at eight"))), place, "done already");
    assert_eq!(ann.refusal(&edit(group, seq, "at nine")).errno, Errno::Forbidden);
    let stays = bob.send(to(), "bring a rope").seq;
    changed(&bob.ask_again(&edit(group, seq, "at nine, at the secret place")));
    let again = told(&mut ann);
    assert_eq!(&*again.content, "at nine, at the secret place");
    let emptied = ann.history(group, place.seq.prev()).remove(0);
    assert_eq!((emptied.seq, &*emptied.content_type, &*emptied.content), (place.seq, "edit", ""));

    changed(&ann.ask_again(&react(group, seq)));
    told(&mut ann);
    let gone = changed(&bob.ask_again(&recall(group, seq)));
    let entry = told(&mut ann);
    assert_eq!((entry.seq, &*entry.content_type, &*entry.content), (gone.seq, "recall", ""));
    assert_eq!(changed(&bob.ask_again(&recall(group, seq))), gone, "done already");
    for refused in [edit(group, seq, "back"), react(group, seq)] {
        assert_eq!(bob.refusal(&refused).errno, Errno::NotFound);
    }
    // The owner of the group recalls what others have sent.
    let spam = bob.send(to(), "buy a secret").seq;
    assert_eq!(bob.refusal(&recall(group, Seq(1))).errno, Errno::NotFound, "below the view");
    changed(&ann.ask_again(&recall(group, spam)));
    let timeline = ann.history(group, Seq(0));
    let at = |seq: Seq| &timeline[seq.0 as usize - 1];
    for seq in [seq, spam] {
        assert_eq!(state(at(seq)), ("", false, true));
        assert!(at(seq).changes().is_some_and(|changes| changes.reactions.is_empty()));
    }
    assert_eq!(state(at(stays)), ("bring a rope", false, false));
    assert!(timeline.iter().all(|entry| !entry.content.contains("secret") && !entry.content.contains("eig")));

    // Who was away learns no text of what was recalled, and shows the same in the end.
    let mut away = Client::login_to(two, &away_account);
    let mut shown: Vec<Message> = Vec::new();
    while shown.last().is_none_or(|last| last.seq.0 < timeline.len() as u64) {
        let entry = away.any_entry();
        assert!(!entry.content.contains("secret") && !entry.content.contains("eig"), "{entry:?}");
        if let Some(change) = entry.change()
            && let Some(changed) = shown.iter_mut().find(|message| message.seq == change.of)
        {
            changed.apply(&entry, away_account.id);
        }
        shown.push((*entry).clone());
    }
    for message in shown.iter().filter(|message| message.is_message()) {
        assert_eq!(state(message), state(at(message.seq)), "{}", message.seq);
    }
    // A legacy client that was away is sent what is left; the other one is not sent anything again.
    assert_eq!(legacy.shown().text, "bring a rope");
    assert_eq!(legacy.shown().text, "buy a secret");
    legacy.shows_nothing();
    let home = late.login(late_id).expect("it logs in again");
    assert_eq!(home.missed.iter().map(|shown| &*shown.text).collect::<Vec<_>>(), ["bring a rope"]);
    late.shows_nothing();
}

#[test]
fn every_member_is_told_of_edits_and_recalls() {
    for server in [Server::start(&[]), start_on_shared()] {
        check_edits(server.address, server.address);
    }
}

#[test]
fn members_on_another_node_are_told_of_edits_and_recalls() {
    let nodes = Nodes::start(2, &[]);
    check_edits(nodes.nodes[0].address, nodes.nodes[1].address);
}

#[test]
fn edits_and_recalls_may_be_switched_off() {
    let server = Server::start(&["--set", "chat.edit_minutes=0", "--set", "chat.recall_minutes=0"]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let (_, bob) = Client::join(server.address, "bob");
    let sent = ann.send(Target::User(bob.id), "hi");
    for command in [edit(sent.conversation, sent.seq, "ho"), recall(sent.conversation, sent.seq)] {
        let refusal = ann.refusal(&command);
        assert_eq!((refusal.errno, refusal.until), (Errno::Forbidden, Some(sent.time)));
    }
    let group = ann.create_group("climbing");
    let seq = ann.send(Target::Conversation(group), "up").seq;
    changed(&ann.ask_again(&recall(group, seq)));
}

#[test]
fn an_edit_with_a_lost_commit_answer_is_made_once() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let url = database.url_at(proxy.port, &database.new_name());
    let server = Server::start(&["--set", &format!("storage.url={url}")]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, account) = Client::join(server.address, "bob");
    let direct = ann.send(Target::User(account.id), "hi").conversation;
    bob.message();
    let mut seq = Seq(1);
    for round in 0..9 {
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], "INSERT INTO changed ");
        let (command, content) = match round % 4 {
            3 => (recall(direct, seq), String::new()),
            _ => (edit(direct, seq, &format!("hi {round}")), format!("hi {round}")),
        };
        let told = changed(&ann.ask(&command));
        proxy.wait_until_cut();
        let entry = bob.entry();
        assert_eq!((entry.seq, &*entry.content, ann.entry().seq), (told.seq, &*content, told.seq));
        assert_eq!(&*ann.history(direct, seq.prev()).remove(0).content, content);
        if round % 4 == 3 {
            seq = ann.send(Target::User(account.id), "and now").seq;
            bob.message();
        }
    }
    assert_eq!((ann.take_pushes(), bob.take_pushes()), (vec![], vec![]), "nothing is told twice");
}
