//! What is meant for a group never reaches a direct chat, whose id a group's may be mistaken for.

use crate::support::legacy_client::LegacyClient;
use crate::support::{Client, MariaDb, Server};
use wire::message::Send;
use wire::{Command, ConversationId, Errno, Target, UserId, group, message};

fn send(target: Target, content: &str) -> Command {
    Command::Message(message::Request::Send(Send::text(target, content)))
}

fn check_recipients(server: &Server) {
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (mut legacy, legacy_id) = LegacyClient::join(server.address, "legacy");
    ann.send(Target::User(UserId(legacy_id as u32)), "a direct chat");
    assert_eq!(legacy.shown().text, "a direct chat");
    let direct = ConversationId(1);
    assert_eq!(ann.refusal(&send(Target::Group(direct), "hi all")).errno, Errno::Forbidden);
    assert_eq!(ann.refusal(&send(Target::Group(ConversationId(99)), "hi all")).errno, Errno::Forbidden);
    let join = |conversation| Command::Group(group::Request::Join(group::Join { conversation }));
    assert_eq!(ann.refusal(&join(direct)).errno, Errno::NotFound);
    assert_eq!(ann.refusal(&join(ConversationId(99))).errno, Errno::NotFound);

    legacy.group_chat(i64::from(direct.0), "hi all");
    legacy.add_group(i64::from(direct.0));
    legacy.chat(i64::from(ann_account.id.0), "only you");
    let message = ann.message();
    assert_eq!((&*message.content, message.conversation), ("only you", direct));

    let group = ann.create_group("all");
    legacy.add_group(i64::from(group.0));
    ann.wait_for_member(group, UserId(legacy_id as u32));
    legacy.group_chat(i64::from(group.0), "hi all");
    let message = ann.message();
    assert_eq!((&*message.content, message.conversation), ("hi all", group));
    ann.ask_again(&send(Target::Group(group), "hi"));
    assert_eq!(legacy.shown().text, "hi");
    legacy.shows_nothing();
}

#[test]
fn a_group_message_reaches_no_direct_chat() {
    check_recipients(&Server::start(&[]));
}

#[test]
fn a_group_message_reaches_no_direct_chat_on_a_database_server() {
    let database = MariaDb::shared();
    let url = database.url(&database.new_name());
    check_recipients(&Server::start(&["--set", &format!("storage.url={url}")]));
}
