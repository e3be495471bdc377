//! Which names new users may have: over the wire, on both databases, and at a terminal.

use crate::support::client::PASSWORD;
use crate::support::legacy_client::{Answers, LegacyClient};
use crate::support::terminal::Terminal;
use crate::support::{Client, MariaDb, Server};
use wire::account::{self, Register, Who};
use wire::{Command, Errno, Reply};

/// Names that are refused, and a word of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("42", "digits only"),
    ("４２", "digits only"),
    ("alice:bob", "`:`"),
    ("alice：bob", "`:`"),
    ("a/b", "`/`"),
    ("@all", "`@`"),
    ("#1", "`#`"),
    ("a,b", "`,`"),
    ("the \"boss\"", "`\"`"),
    ("-rf", "`-`"),
    ("deleted user 3", "deleted accounts"),
    ("al\u{200b}ice", "U+200B"),
    ("\u{3164}", "U+3164"),
    ("\u{2800}", "U+2800"),
    ("a\u{200d}b", "U+200D"),
    ("аlice", "scripts"),
];

fn register(name: &str) -> Command {
    let (email, code, nick) = (None, None, None);
    let register = Register { name: name.into(), password: PASSWORD.into(), email, code, nick };
    Command::Account(account::Request::Register(Box::new(register)))
}

fn check_names(server: &Server) {
    let mut client = Client::connect(server.address);
    for (name, says) in REFUSED {
        let refusal = client.refusal(&register(name));
        assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::BadRequest, Some("name")), "{name:?}");
        assert!(refusal.errmsg.contains(says), "{name:?}: {}", refusal.errmsg);
    }
    let coco = client.register("coco");
    client.register("ann 👩\u{200d}🚀");
    for name in ["COCO", "сосо", "ｃｏｃｏ"] {
        let refusal = client.refusal(&register(name));
        assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::NameTaken, Some("name")), "{name}");
    }
    // ASCII names collide by case only.
    client.register("c0c0");
    client.login(&coco);
    let profile = Command::Account(account::Request::Profile(Some(Who::Name("ＣＯＣＯ".into()))));
    match client.ask_again(&profile) {
        Reply::Account(account::Reply::Profile(found)) => assert_eq!(found.id, coco.id),
        other => panic!("{other:?}"),
    }

    let mut legacy = LegacyClient::connect(server.address, Answers::Inline);
    for (name, says) in REFUSED.iter().copied().chain([("сосо", "looks like")]) {
        let refused = legacy.register_refused(name);
        assert!(refused.contains(says), "{name:?}: {refused}");
    }
    legacy.register("dodo").expect("the name is free");
}

#[test]
fn names_of_new_users_cannot_be_mistaken() {
    check_names(&Server::start(&[]));
}

#[test]
fn names_of_new_users_cannot_be_mistaken_on_a_database_server() {
    let database = MariaDb::shared();
    let url = database.url(&database.new_name());
    check_names(&Server::start(&["--set", &format!("storage.url={url}")]));
}

#[test]
fn a_name_that_commands_could_not_address_is_refused() {
    let server = Server::start(&[]);
    let mut li = Terminal::open(server.address);
    li.expect("choice: ");
    li.type_line("2");
    for (name, why) in [
        ("12345", "the name must not consist of digits only"),
        ("li:si", "the name must not contain `:`"),
        ("li：si", "the name must not contain `:`"),
        ("-li", "the name must not begin with `-`"),
        ("l\u{456} si", "the name must not mix letters of different scripts"),
    ] {
        li.expect("name: ");
        li.type_line(name);
        li.expect(why);
    }
    li.expect("name: ");
    li.type_line("li 4");
    // The rules are shown before, and what cannot be seen is asked for twice.
    li.expect("a password has 6 to 128");
    for (first, second, answer) in [
        ("12345", None, "a password has 6 to 128"),
        (PASSWORD, Some("another one"), "the passwords are not the same"),
        (PASSWORD, Some(PASSWORD), "your id is 1"),
    ] {
        li.expect("password: ");
        li.type_line(first);
        if let Some(second) = second {
            li.expect("password again: ");
            li.type_line(second);
        }
        li.expect(answer);
    }
}
