//! `/api` on two nodes over MariaDB and Redis, and while the database is away.

use super::{log_in, send, token};
use crate::support::http::{WEB, asked, bearer, head, json, post, web};
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, MariaDb, PATIENCE, Server};
use std::thread;
use std::time::Instant;
use wire::session::KickCode;
use wire::{Errno, Push, Target, session};

#[test]
fn what_is_sent_at_one_node_arrives_once_at_the_others() {
    let nodes = Nodes::start(2, &WEB);
    let (here, there) = (web(&nodes.nodes[0]), web(&nodes.nodes[1]));
    let (mut ann, anns) = Client::join(nodes.nodes[0].address, "ann");
    let (mut bob, bobs) = Client::join(nodes.nodes[0].address, "bob");
    let login = log_in(there, "ann");
    let token = token(&login);
    // Ann and bob are at the other node, and each cid is used at both.
    for (n, address) in [there, here, there].into_iter().enumerate() {
        let (cid, other) = (format!("c{n}"), if address == here { there } else { here });
        let first = send(address, &bearer(&token), "bob", &cid, &format!("text {n}"));
        assert_eq!(first.status, 200, "{first:?}");
        let again = send(other, &bearer(&token), "bob", &cid, &format!("text {n}"));
        assert_eq!((&again.json()["seq"], &again.json()["duplicate"]), (&first.json()["seq"], &true.into()));
    }
    for client in [&mut bob, &mut ann] {
        let texts: Vec<String> = (0..3).map(|_| client.message().content.to_string()).collect();
        assert_eq!(texts, ["text 0", "text 1", "text 2"]);
    }
    ann.send(Target::User(bobs.id), "from a session");
    bob.send(Target::User(anns.id), "to a session");
    assert_eq!(&*bob.message().content, "from a session");
    assert_eq!(&*ann.message().content, "to a session");

    // A logout at one node ends what lives by the token at the other.
    let mut other = Client::connect(nodes.nodes[0].address);
    other.login(&Account { token: token.clone().into(), ..anns.clone() });
    assert_eq!(asked(there, head("POST", "/api/logout", &bearer(&token))).status, 204);
    for address in [here, there] {
        let late = send(address, &bearer(&token), "bob", "late", "late");
        assert_eq!((late.status, late.errno()), (401, Errno::TokenInvalid.number().into()));
    }
    let kicked = other.push(PATIENCE, |push| match push {
        Push::Session(session::Push::Kicked(kicked)) => Some(kicked.code),
        _ => None,
    });
    assert_eq!(kicked, Some(KickCode::Revoked));
    bob.settle();
    assert_eq!(bob.take_pushes(), []);
}

#[test]
fn without_the_database_requests_are_refused_in_time_and_work_again() {
    let mut database = MariaDb::start(&[]);
    let server =
        Server::start(&[&WEB[..], &["--set", &format!("storage.url={}", database.url("chat"))]].concat());
    let address = web(&server);
    let (mut ann, _) = Client::join(server.address, "ann");
    let token = token(&log_in(address, "ann"));
    assert_eq!(send(address, &bearer(&token), "ann", "a", "before").status, 200);
    database.kill9();
    for (path, body) in [
        ("/api/send", r#"{"to_name":"ann","content":"during","cid":"b"}"#),
        ("/api/login", r#"{"name":"ann","password":"correct horse"}"#),
        ("/api/register", r#"{"name":"bob","password":"correct horse"}"#),
        ("/api/logout", "{}"),
    ] {
        let begun = Instant::now();
        let refused = post(address, path, &bearer(&token), body);
        assert_eq!((refused.status, refused.errno()), (503, Errno::Unavailable.number().into()), "{path}");
        assert_eq!(refused.field("Retry-After"), Some("1"), "{path}");
        assert!(begun.elapsed() < PATIENCE / 6, "{path}: {:?}", begun.elapsed());
    }
    database.restart();
    let until = Instant::now() + PATIENCE;
    let request = json("/api/send", &bearer(&token), r#"{"to_name":"ann","content":"after","cid":"c"}"#);
    loop {
        let answer = asked(address, &request);
        if answer.status == 200 {
            break;
        }
        assert!(answer.status == 503 && Instant::now() < until, "{answer:?}");
        thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut texts = Vec::new();
    while texts.last().map(String::as_str) != Some("after") {
        texts.push(ann.message().content.to_string());
    }
    let count = |text: &str| texts.iter().filter(|found| *found == text).count();
    assert!(count("before") == 1 && count("during") <= 1 && count("after") == 1, "{texts:?}");
    assert_eq!(texts.len(), count("before") + count("during") + count("after"), "{texts:?}");
}
