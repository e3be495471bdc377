//! What messages refer to: the entries that they answer, and the members whom they mention.

use crate::database::start_on_shared;
use crate::support::legacy_client::LegacyClient;
use crate::support::nodes::Nodes;
use crate::support::{Client, Server};
use std::net::SocketAddr;
use wire::message::{Request as MessageRequest, Send};
use wire::timeline::{Clear, Request};
use wire::{Command, ConversationId, Errno, Mentions, References, Reply, Seq, Target, UserId};

fn send(target: Target, content: &str, references: References) -> Command {
    let references = Some(Box::new(references));
    Command::Message(MessageRequest::Send(Send { references, ..Send::text(target, content) }))
}

fn answer(seq: Seq) -> References {
    References { reply_to: Some(seq), mentions: Mentions::Nobody }
}

fn mention(users: &[UserId]) -> References {
    References { reply_to: None, mentions: Mentions::Users(users.into()) }
}

fn mention_all() -> References {
    References { reply_to: None, mentions: Mentions::All }
}

fn sent(client: &mut Client, command: &Command) -> Seq {
    match client.ask_again(command) {
        Reply::Message(wire::message::Reply::Sent(sent)) => sent.seq,
        other => panic!("SEND was answered {other:?}"),
    }
}

fn check_references(one: SocketAddr, two: SocketAddr) {
    let (mut ann, ann_account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (_, eve_account) = Client::join(one, "eve");
    let (ann_id, bob_id, eve_id) = (ann_account.id, bob_account.id, eve_account.id);
    let group = ann.create_group("climbing");
    let here = || Target::Conversation(group);
    ann.send(here(), "before bob came");
    bob.join_group(group);
    let (mut legacy, legacy_id) = LegacyClient::join(two, "legacy");
    legacy.add_group(i64::from(group.0));
    let legacy_id = UserId(legacy_id as u32);
    ann.wait_for_member(group, legacy_id);
    let asked = ann.send(here(), "who comes along?").seq;
    assert_eq!(bob.message().extra, None);
    let both = References { reply_to: Some(asked), mentions: Mentions::Users([ann_id, legacy_id].into()) };
    let told = sent(&mut bob, &send(here(), "we do", both.clone()));
    let pushed = ann.message();
    assert_eq!((pushed.seq, pushed.reply_to(), pushed.mentions(ann_id)), (told, Some(asked), true));
    sent(&mut ann, &send(here(), "at eight, all", mention_all()));
    let all = bob.message();
    assert!(all.mentions(bob_id) && all.mentions(legacy_id));
    let in_history = ann.history(group, told.prev());
    assert_eq!(in_history[0], pushed, "HISTORY returns what was pushed");
    assert_eq!(in_history[1], all);
    for content in ["who comes along?", "we do", "at eight, all"] {
        assert_eq!(legacy.shown().text, content, "a legacy client is sent the text alone");
    }
    let direct = bob.send(Target::User(ann_id), "and you?");
    sent(&mut ann, &send(Target::Conversation(direct.conversation), "me too", answer(direct.seq)));
    assert_eq!(bob.message().reply_to(), Some(direct.seq));

    let clear = Command::from(Request::Clear(Clear { conversation: group, upto: asked }));
    assert_eq!(bob.ask_again(&clear), Reply::Done);
    let (absent, bad, forbidden) =
        ((Errno::NotFound, "reply_to"), (Errno::BadRequest, "mentions"), (Errno::Forbidden, "mention_all"));
    let no_message = (Errno::BadRequest, "reply_to");
    for (is_ann, target, references, (errno, field)) in [
        (true, here(), answer(Seq(999)), absent),
        (true, here(), answer(Seq(1)), no_message),
        (false, here(), answer(asked), absent),
        (false, here(), answer(Seq(2)), absent),
        (true, here(), mention(&[bob_id, eve_id]), bad),
        (false, here(), mention_all(), forbidden),
        (true, Target::User(bob_id), mention_all(), forbidden),
        (true, Target::User(bob_id), mention(&[eve_id]), bad),
    ] {
        let sender = if is_ann { &mut ann } else { &mut bob };
        let refusal = sender.refusal(&send(target, "x", references.clone()));
        assert_eq!(
            (refusal.errno, refusal.field.as_deref()),
            (errno, Some(field)),
            "{references:?}: {refusal:?}"
        );
    }
    // Whoever is no member learns nothing of what is there.
    let mut eve = Client::login_to(one, &eve_account);
    for conversation in [group, ConversationId(4_000)] {
        for seq in [asked, Seq(999)] {
            let refusal = eve.refusal(&send(Target::Conversation(conversation), "x", answer(seq)));
            assert_eq!((refusal.errno, refusal.field), (Errno::Forbidden, None));
        }
    }
    assert_eq!(ann.history(group, told.next()).len(), 0, "refused ones are not stored");
}

#[test]
fn messages_answer_messages_and_mention_members() {
    let server = Server::start(&[]);
    check_references(server.address, server.address);
}

#[test]
fn messages_answer_messages_and_mention_members_on_two_nodes() {
    let nodes = Nodes::start(2, &[]);
    check_references(nodes.nodes[0].address, nodes.nodes[1].address);
}

#[test]
fn references_survive_kill_9() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, account) = Client::join(server.address, "ann");
        let (mut bob, bob_account) = Client::join(server.address, "bob");
        let first = ann.send(Target::User(bob_account.id), "lunch?");
        bob.message();
        sent(&mut bob, &send(Target::User(account.id), "yes", answer(first.seq)));
        let pushed = ann.message();
        server.kill9();
        server.restart();
        let mut ann = Client::login_to(server.address, &account);
        assert_eq!(ann.history(first.conversation, Seq(1)), [pushed]);
        let mut bob = Client::login_to(server.address, &bob_account);
        sent(&mut bob, &send(Target::User(account.id), "at noon", answer(first.seq)));
    }
}
