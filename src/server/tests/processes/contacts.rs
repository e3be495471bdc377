//! Contacts: what ends a friendship, and what a user notes about a friend, on one node and on two, on both databases, and
//! in a terminal.

use crate::sessions::{MULTI, log_in, login_of};
use crate::support::nodes::Nodes;
use crate::support::terminal::Terminal;
use crate::support::{Client, PATIENCE, Server};
use crate::terminal::register;
use std::net::SocketAddr;
use wire::account::{Relation, Reply as AccountReply, Request as AccountRequest, Who};
use wire::contact::{Friend, FriendEvent, Push as ContactPush, Remove, Reply as ContactReply, Request, Set};
use wire::session::{ClientKind, Listing, Push as SessionPush};
use wire::{Command, Errno, Page, Push, Reply, UserId};

fn friends(client: &mut Client) -> Vec<Friend> {
    match client.ask_again(&Request::Friends(Page { after: 0, limit: 10 }).into()) {
        Reply::Contact(ContactReply::Friends(page)) => page.friends,
        other => panic!("FRIENDS was answered {other:?}"),
    }
}

fn remove(id: UserId) -> Command {
    Request::Remove(Remove { id }).into()
}

fn set(id: UserId, remark: Option<&str>, tag: Option<&str>) -> Command {
    Request::Set(Set { id, remark: remark.map(Into::into), tag: tag.map(Into::into) }).into()
}

/// Waits until a client is told that its friends have changed.
#[track_caller]
fn is_told_to_list(client: &mut Client) {
    client.push(PATIENCE, |push| match push {
        Push::Session(SessionPush::Changed(changed)) => {
            changed.what.contains(&Listing::Friends).then_some(())
        }
        _ => None,
    });
}

/// An account with sessions at `one` and `two`, and its friend at `two`.
fn note_and_part(one: SocketAddr, two: SocketAddr) {
    let (mut bob, bobs) = Client::join(two, "bob");
    let account = Client::connect(one).register("ann");
    let (mut ann, _) = log_in(one, &login_of(&account, "first", ClientKind::Other));
    let (mut second, _) = log_in(two, &login_of(&account, "second", ClientKind::Other));
    assert_eq!(ann.refusal(&set(bobs.id, Some("x"), None)).errno, Errno::NotFound);
    ann.befriend(bobs.id);
    is_told_to_list(&mut second);

    assert_eq!(ann.ask_again(&set(bobs.id, Some("老板 🙂"), Some("work"))), Reply::Done);
    is_told_to_list(&mut second);
    for client in [&mut ann, &mut second] {
        let row = friends(client).remove(0);
        assert_eq!((row.remark.as_deref(), row.tag.as_deref()), (Some("老板 🙂"), Some("work")));
    }
    let row = friends(&mut bob).remove(0);
    assert_eq!((row.id, row.remark, row.tag), (account.id, None, None));
    let (_, login) = log_in(one, &login_of(&account, "third", ClientKind::Other));
    assert_eq!(login.friends[0].remark.as_deref(), Some("老板 🙂"));
    match ann.ask_again(&AccountRequest::Profile(Some(Who::Id(bobs.id))).into()) {
        Reply::Account(AccountReply::Profile(profile)) => {
            assert_eq!((profile.relation, profile.tag.as_deref()), (Relation::Friend, Some("work")));
        }
        other => panic!("{other:?}"),
    }

    bob.take_pushes();
    assert_eq!(second.ask_again(&remove(bobs.id)), Reply::Done);
    let (id, event) = bob.push(PATIENCE, |push| match push {
        Push::Contact(ContactPush::Friend(change)) => Some((change.id, change.event)),
        _ => None,
    });
    assert_eq!((id, event), (account.id, FriendEvent::Removed));
    is_told_to_list(&mut ann);
    for client in [&mut ann, &mut second, &mut bob] {
        assert_eq!(friends(client), []);
    }
    assert_eq!(bob.refusal(&remove(account.id)).errno, Errno::NotFound);
    // Again, and nothing is noted any more.
    bob.befriend(account.id);
    let row = friends(&mut ann).remove(0);
    assert_eq!((row.id, row.remark, row.tag), (bobs.id, None, None));
}

#[test]
fn friends_are_noted_and_part() {
    let database = crate::support::MariaDb::shared();
    let url = format!("storage.url={}", database.url(&database.new_name()));
    let on_mysql = [&MULTI[..], &["--set", &url]].concat();
    for server in [Server::start(&MULTI), Server::start(&on_mysql)] {
        note_and_part(server.address, server.address);
    }
}

#[test]
fn friends_on_two_nodes_are_noted_and_part() {
    let cluster = Nodes::start(2, &MULTI);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    note_and_part(one, two);
}

#[test]
fn a_terminal_notes_what_a_friend_is_called_and_parts() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = (Terminal::open(server.address), Terminal::open(server.address));
    register(&mut zhang, "zhang san", 1);
    register(&mut li, "li si", 2);
    zhang.type_line("/find LI");
    zhang.expect("users (1):");
    zhang.expect("2      li si");
    zhang.type_line("/find nobody");
    zhang.expect("nobody is called so");
    zhang.type_line("/find x");
    zhang.expect("write it as /find ID|NAME, for example /find zhang");
    zhang.type_line("/remark li si:too early");
    zhang.expect("you are not friends");
    zhang.type_line("/add li si");
    li.expect("you and zhang san (1) are now friends");
    zhang.type_line("/remark li si:my boss \u{202e}x");
    zhang.expect("li si (2) is noted as: my boss \\u{202e}x");
    zhang.type_line("/tag 2:work");
    zhang.expect("li si (2) has the tag work");
    zhang.type_line("/friends");
    zhang.expect("(my boss \\u{202e}x)  [work]");
    zhang.type_line("/profile li si");
    zhang.expect("a friend of yours  (my boss \\u{202e}x)  [work]");
    zhang.type_line("/tag li si:");
    zhang.expect("li si (2) has no tag");
    zhang.type_line("/remark nobody:x");
    zhang.expect("there is no such user");
    zhang.type_line("/unfriend li si");
    zhang.expect("this ends your friendship with li si (2); type yes to go on");
    zhang.type_line("no");
    zhang.expect("nothing was changed");
    zhang.type_line("/unfriend li si");
    zhang.expect("type yes to go on");
    zhang.type_line("yes");
    zhang.expect("you and li si (2) are no longer friends");
    li.expect("you and zhang san (1) are no longer friends");
    li.type_line("/friends");
    li.expect("friends (0):");
}
