//! Input and load that made the muduo family's C++ servers crash, lose messages or stall.

use crate::support::legacy_client::{Answers, LegacyClient};
use crate::support::process::descriptors;
use crate::support::{Client, PATIENCE, Server};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;
use wire::{Target, UserId};

fn user(id: i64) -> Target {
    Target::User(UserId(id as u32))
}

/// Has two users chat across the dialects, to show that the server still works.
fn chat_goes_on(address: SocketAddr, name: &str) {
    let (mut tlv, account) = Client::join(address, &format!("{name} tlv"));
    let (mut legacy, id) = LegacyClient::join(address, name);
    tlv.send(user(id), "ping");
    assert_eq!(legacy.shown().text, "ping");
    legacy.chat(i64::from(account.id.0), "pong");
    assert_eq!(&*tlv.message().content, "pong");
}

#[test]
fn legacy_objects_may_share_a_segment_or_span_several() {
    let server = Server::start(&[]);
    let (mut reader, id) = LegacyClient::join(server.address, "reader");
    let (mut writer, _) = LegacyClient::join(server.address, "writer");
    let chat = |text: &str| writer.one_chat(id, text).to_string();
    let [one, two, three, four] = ["one", "two", "three", "four"].map(chat);
    writer.write(format!("{one}\0{two}\0").as_bytes());
    writer.write(format!("{three}{four}").as_bytes());
    for text in ["one", "two", "three", "four"] {
        assert_eq!(reader.shown().text, text);
    }
    // Byte by byte, then split in two at each boundary that matters.
    for byte in format!("{one}\0").bytes() {
        writer.write(&[byte]);
    }
    assert_eq!(reader.shown().text, "one");
    for at in [1, 8, two.len() / 2, two.len() - 1, two.len()] {
        let object = format!("{two}\0");
        writer.write(&object.as_bytes()[..at]);
        // The first part is read before the second is sent: the server answers another client in between.
        assert!(LegacyClient::connect(server.address, Answers::Inline).login(0).is_err());
        writer.write(&object.as_bytes()[at..]);
        assert_eq!(reader.shown().text, "two");
    }
}

#[test]
fn malformed_legacy_input_affects_no_other_connection() {
    let server = Server::start(&[]);
    let (mut reader, id) = LegacyClient::join(server.address, "reader");
    // Input that is not JSON closes the connection, before login and after.
    for (number, bytes) in [
        &b"hello\0"[..],
        b"{\"msgid\":1,\"id\"\0{\"msgid\":3}",
        b"[{\"msgid\":3}]\0",
        b"{\"msgid\":6,\"msg\":\"\xff\xfe\",\"toid\":1}\0",
        b"{msgid:1}\0",
        b"{\"msgid\":1}}\0",
        b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stranger = LegacyClient::connect(server.address, Answers::Inline);
        stranger.write(bytes);
        stranger.wait_closed();
        let (mut member, _) = LegacyClient::join(server.address, &format!("member {number}"));
        member.write(bytes);
        member.wait_closed();
    }
    // JSON without a known meaning is ignored, and the connection stays open.
    let (mut member, _) = LegacyClient::join(server.address, "member");
    for bytes in [
        &b"{\"id\":1}\0"[..],
        b"{\"msgid\":\"1\"}\0",
        b"{\"msgid\":6,\"msg\":\"a\"}\0",
        b"{\"msgid\":6,\"msg\":\"a\",\"toid\":\"1\"}\0",
        b"\0",
        b"{\"msgid\":4242}\0",
        b"{\"msgid\":10,\"groupid\":4242,\"msg\":\"a\"}\0",
    ] {
        member.write(bytes);
        member.chat(id, "still here");
        assert_eq!(reader.shown().text, "still here", "{}", bytes.escape_ascii());
    }
    let without_password = member.ask(&serde_json::json!({"msgid": 1, "id": 1}));
    assert_eq!(without_password["errno"], 3);
    // Before login every other request is ignored.
    let mut stranger = LegacyClient::connect(server.address, Answers::InThread);
    stranger.chat(id, "from nobody");
    assert!(stranger.login(4242).is_err());
    reader.shows_nothing();
    server.wait_for_log("before login");
    server.wait_for_log("msgid 4242 is unknown");
    chat_goes_on(server.address, "somebody");
}

#[test]
fn an_endless_legacy_object_closes_the_connection() {
    let server = Server::start(&[]);
    for before in [0, 1] {
        let mut legacy = LegacyClient::connect(server.address, Answers::InThread);
        if before == 1 {
            let id = legacy.register("endless").unwrap();
            legacy.login(id).unwrap();
        }
        let mut begun = b"{\"msgid\":6,\"msg\":\"".to_vec();
        begun.resize(300_000, b'x');
        legacy.write(&begun);
        legacy.wait_closed();
    }
    chat_goes_on(server.address, "somebody");
}

#[test]
fn two_thousand_short_legacy_connections_leave_no_descriptor_open() {
    // The search index opens its files after the start, in its own time.
    let server = Server::start(&["--set", "search.enabled=false"]);
    let address = server.address;
    let before = descriptors(server.pid());
    let threads: Vec<_> = (0..16)
        .map(|_| {
            thread::spawn(move || {
                for round in 0..125 {
                    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
                    let bytes: &[u8] = match round % 5 {
                        0 => b"",
                        1 => b"{\"msgid\":1,\"id\":1,\"password\":\"secret\"}\0",
                        2 => b"{\"msgid\":1,\"id",
                        3 => b"\0",
                        _ => b"{\"msgid\":3}\0",
                    };
                    // The server may have closed the connection already.
                    let _ = stream.write_all(bytes);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    chat_goes_on(address, "somebody");
    let until = Instant::now() + PATIENCE;
    while descriptors(server.pid()) > before {
        assert!(Instant::now() < until, "{} descriptors, not {before}", descriptors(server.pid()));
        thread::yield_now();
    }
}

#[test]
fn a_stalled_legacy_reader_delays_nobody_and_misses_nothing() {
    let server = Server::start(&[]);
    let mut legacy = LegacyClient::connect_narrow(server.address);
    let id = legacy.register("stops").unwrap();
    legacy.login_only(id).unwrap();
    let (mut tlv, _) = Client::join(server.address, "tlv");
    let all: Vec<String> = (0..4_000).map(|number| format!("{number:0700}")).collect();
    for chunk in all.chunks(100) {
        let posted: Vec<u32> = chunk
            .iter()
            .map(|one| tlv.post(&crate::support::client::text(user(id), one, None)).unwrap())
            .collect();
        posted.into_iter().for_each(|request| drop(tlv.reply(request)));
    }
    chat_goes_on(server.address, "somebody");
    legacy.read_on();
    for one in &all {
        assert_eq!(&legacy.shown().text, one);
    }
    tlv.send(user(id), "and on");
    assert_eq!(legacy.shown().text, "and on");
}

#[test]
fn no_legacy_session_survives_kill_9() {
    let mut server = Server::start_at_fixed_port(&["--set", "session.conflict=reject"]);
    let (_first, id) = LegacyClient::join(server.address, "ann");
    assert_eq!(LegacyClient::connect(server.address, Answers::Inline).login(id).unwrap_err().0, 2);
    server.kill9();
    server.restart();
    let mut again = LegacyClient::connect(server.address, Answers::Inline);
    assert_eq!(again.login(id).unwrap().name, "ann");
}

#[test]
fn a_legacy_client_over_its_rate_is_slowed_down_and_loses_nothing() {
    let server = Server::start(&["--set", "limits.messages_per_second=100"]);
    let (mut reader, id) = LegacyClient::join(server.address, "reader");
    let (mut writer, _) = LegacyClient::join(server.address, "writer");
    // A burst worth ten seconds, and three more seconds' worth.
    let all: Vec<String> = (0..1_300).map(|number| number.to_string()).collect();
    let begun = Instant::now();
    let writing = thread::spawn({
        let all = all.clone();
        move || {
            all.iter().for_each(|one| writer.chat(id, one));
            writer
        }
    });
    for one in &all {
        assert_eq!(&reader.shown().text, one);
    }
    assert!(begun.elapsed().as_secs_f64() > 2.5, "{:?}", begun.elapsed());
    drop(writing.join());
}
