//! Members of groups as terminals manage them.

use crate::support::terminal::Terminal;
use crate::support::{Client, PASSWORD, Server};
use wire::group::{Remove, Request, Role, SetRole};
use wire::{Target, UserId};

const ZHANG: UserId = UserId(1);

#[test]
fn a_terminal_manages_the_members_of_a_group() {
    let server = Server::start(&[]);
    let mut zhang = Terminal::open(server.address);
    let again = ("password again: ", PASSWORD);
    for (asked, answer) in [("choice: ", "2"), ("name: ", "zhang san"), ("password: ", PASSWORD), again] {
        zhang.expect(asked);
        zhang.type_line(answer);
    }
    zhang.expect("help lists the commands");
    let (mut li, account) = Client::join(server.address, "li si");
    let (mut wang, wang_account) = Client::join(server.address, "wang wu");
    let group = li.create_group("climbing");
    zhang.type_line(&format!("/join {group}"));
    zhang.expect("you joined");
    wang.join_group(group);
    zhang.expect("wang wu joined");
    zhang.type_line("/kick wang wu");
    zhang.expect("this removes wang wu");
    zhang.type_line("no");
    zhang.expect("nothing was changed");
    zhang.type_line("/kick wang wu");
    zhang.expect("type yes to go on");
    zhang.type_line("yes");
    zhang.expect("only admins may do this");
    li.change_group(Request::SetRole(SetRole { conversation: group, id: ZHANG, role: Role::Admin }));
    zhang.expect("made zhang san an admin");
    zhang.type_line("/kick wang wu");
    zhang.expect("type yes to go on");
    zhang.type_line("yes");
    zhang.expect("removed wang wu");
    wang.wait_for_end(group, wang_account.id);
    zhang.type_line("/role li si normal");
    zhang.expect("only the creator");
    zhang.type_line("/leave");
    zhang.expect("type yes to leave it");
    zhang.type_line("yes");
    zhang.expect("is closed: you are no member any more");
    zhang.type_line("/groups");
    zhang.expect("groups (0)");
    // Joining again opens it again, and a removal closes it.
    zhang.type_line(&format!("/join {group}"));
    zhang.expect("you joined");
    li.send(Target::Conversation(group), "welcome back");
    zhang.expect("welcome back");
    li.change_group(Request::Remove(Remove { conversation: group, id: ZHANG, bar: true }));
    zhang.expect("is closed: you are no member any more");
    zhang.type_line(&format!("/join {group}"));
    zhang.expect("the group does not take you in");
    zhang.type_line(&format!("chat:{}:bye", account.id));
    assert_eq!(&*li.message().content, "bye");
}
