//! Which names new users may have, over the wire, on both databases.

use crate::support::client::PASSWORD;
use crate::support::legacy_client::{Answers, LegacyClient};
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
