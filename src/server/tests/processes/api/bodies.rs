//! Bodies that are hostile, slow, cut off, or arrive in pieces.

use crate::support::http::{Answer, WEB, bearer, connect, head, json, post, web};
use crate::support::{Client, Server};
use std::io::{Read, Write};
use std::net::Shutdown;
use wire::Errno;

/// A message as a body.
fn message(cid: &str) -> String {
    format!(r#"{{"to_name":"bob","content":"hi","cid":"{cid}"}}"#)
}

#[test]
fn hostile_json_is_refused_and_the_connection_stays_usable() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (_, anns) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    let mut stream = connect(address);
    let mut ask = |path: &str, body: &[u8]| {
        let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let mut request = head("POST", path, &(fields + &bearer(&anns.token))).into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).unwrap();
        Answer::read(&mut stream)
    };
    let deep = [&b"{\"to_name\":"[..], &b"[".repeat(60_000)[..]].concat();
    let hostile: [&[u8]; 13] = [
        b"{",
        b"[]",
        b"null",
        b"\"to\"",
        &deep,
        br#"{"to_name":"bob","content":"x","content":"y"}"#,
        b"{\"to_name\":\"bob\",\"content\":\"a\0b\"}",
        b"{\"to_name\":\"bob\",\"content\":\"\xff\xfe\"}",
        br#"{"to_name":"bob","content":"\ud800"}"#,
        br#"{"to":99999999999999999999999,"content":"x"}"#,
        br#"{"to":1e400,"content":"x"}"#,
        br#"{"to":-1,"content":"x"}"#,
        br#"{"to_name":"bob","content":"x"} {}"#,
    ];
    for body in hostile {
        for path in ["/api/send", "/api/login", "/api/register"] {
            let refused = ask(path, body);
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
            assert_eq!(
                (refused.status, refused.errno()),
                (400, Errno::BadRequest.number().into()),
                "{path} {shown}"
            );
        }
    }
    assert_eq!(ask("/api/send", message("c").as_bytes()).status, 200);
    assert_eq!(&*bob.message().content, "hi");
    assert_eq!(bob.take_pushes(), []);
}

#[test]
fn a_body_may_come_slowly_and_in_chunks() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (_, anns) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    let fields = bearer(&anns.token) + "Content-Type: application/json\r\n";
    let body = message("slow");
    let mut stream = connect(address);
    let fixed = head("POST", "/api/send", &format!("{fields}Content-Length: {}\r\n", body.len())) + &body;
    for byte in fixed.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(Answer::read(&mut stream).status, 200);
    // On the same connection, in chunks of one byte, with an extension.
    let body = message("chunked");
    let chunks: String = body.chars().map(|c| format!("1;x=y\r\n{c}\r\n")).collect();
    let chunked = head("POST", "/api/send", &(fields.clone() + "Transfer-Encoding: chunked\r\n"));
    stream.write_all((chunked.clone() + &chunks + "0\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    // Told to go on.
    let expecting = fields.clone() + &format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(head("POST", "/api/send", &expecting).as_bytes()).unwrap();
    let told = Answer::read(&mut stream);
    assert_eq!(told.status, 100);
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).json()["duplicate"], true);
    // Told why not, without sending the body.
    stream
        .write_all(head("POST", "/api/send", &expecting.replace("application/json", "x/y")).as_bytes())
        .unwrap();
    assert_eq!(Answer::read(&mut stream).status, 415);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");

    // More than the limit, although it does not say so, and more than it says.
    let mut stream = connect(address);
    let piece = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let _ = stream.write_all((chunked + &piece.repeat(5)).as_bytes());
    assert_eq!(Answer::read(&mut stream).status, 413);
    let mut stream = connect(address);
    let longer =
        json("/api/send", &bearer(&anns.token), &message("more")) + "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    stream.write_all(longer.as_bytes()).unwrap();
    assert_eq!(
        [Answer::read(&mut stream), Answer::read(&mut stream)].map(|answer| answer.status),
        [200, 200]
    );
    for _ in 0..3 {
        assert_eq!(&*bob.message().content, "hi");
    }
    assert_eq!(bob.take_pushes(), []);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (_, anns) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    let mut stream = connect(address);
    let mut requests = String::new();
    for n in 0..50 {
        requests += &json("/api/send", &bearer(&anns.token), &message(&n.to_string()));
        requests += "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    stream.write_all(requests.as_bytes()).unwrap();
    // Half closed: what was asked is answered.
    stream.shutdown(Shutdown::Write).unwrap();
    for n in 1..=50 {
        let sent = Answer::read(&mut stream);
        assert_eq!((sent.status, sent.json()["seq"].as_u64()), (200, Some(n)), "{sent:?}");
        assert!(Answer::read(&mut stream).body.contains("chat server"));
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    for _ in 0..50 {
        bob.message();
    }
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (_, anns) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    // More than may be in progress at a time, so that what is left behind would show.
    for n in 0..1_200 {
        let whole = json("/api/send", &bearer(&anns.token), &message("gone"));
        let cut = match n % 3 {
            0 => whole.len(),
            1 => whole.len() - 1,
            _ => whole.len() / 2,
        };
        let mut stream = connect(address);
        stream.write_all(&whole.as_bytes()[..cut]).unwrap();
    }
    let answer = post(address, "/api/send", &bearer(&anns.token), &message("gone"));
    assert_eq!((answer.status, &answer.json()["duplicate"]), (200, &true.into()), "{answer:?}");
    assert_eq!(&*bob.message().content, "hi");
    bob.settle();
    assert_eq!(bob.take_pushes(), []);
}
