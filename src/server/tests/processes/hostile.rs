//! Bytes that no client would send affect only the connection they come on.

use crate::support::client::{PASSWORD, errno};
use crate::support::{Client, Event, PATIENCE, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use wire::frame::{MAGIC, put_frame};
use wire::kind::request;
use wire::limits::{FRAME_BYTES, FRAME_BYTES_BEFORE_LOGIN};
use wire::{Errno, Push, Refusal, Reply, Target, split_frame};

/// Two users who chat all along and must not notice anything.
struct Bystanders {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl Bystanders {
    fn chat_on(address: SocketAddr) -> Bystanders {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut ann, _) = Client::join(address, "bystander 1");
        let (mut bob, account) = Client::join(address, "bystander 2");
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut chats = 0;
            while !stopped.load(Ordering::Relaxed) || chats == 0 {
                let sent = ann.send(Target::User(account.id), &chats.to_string());
                let message = bob.message();
                assert_eq!((message.seq, &*message.content), (sent.seq, &*chats.to_string()));
                bob.ack(message.conversation, message.seq).unwrap();
                chats += 1;
            }
            chats
        });
        Bystanders { stop, thread: Some(thread) }
    }

    /// Ends the chat and asserts that nothing went wrong in it.
    fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let chats = self.thread.take().unwrap().join().expect("the bystanders noticed something");
        assert!(chats > 0);
    }
}

fn frame(kind: u16, number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, kind, number, |out| out.extend_from_slice(value));
    bytes
}

/// A header that announces `length` bytes, with none of them.
fn header(kind: u16, number: u32, length: u32) -> Vec<u8> {
    let mut bytes = frame(kind, number, b"");
    bytes[8..].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Everything the server sends after these bytes until it closes the connection.
fn last_words(mut client: Client, bytes: &[u8]) -> Vec<Event> {
    // The server may close before it has read them all.
    let _ = client.write(bytes);
    client.wait_closed(PATIENCE)
}

#[track_caller]
fn error_push(said: &[Event]) -> &Refusal {
    match said {
        [Event::Push(Push::Error(refusal))] => refusal,
        other => panic!("instead of one ERROR push came {other:?}"),
    }
}

#[test]
fn bytes_that_are_no_frame_get_an_error_and_close_the_connection() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::chat_on(server.address);
    let stranger = || Client::connect(server.address);
    // A wrong version, before a login and after; a good frame and then garbage.
    for bytes in [&[0x43, 0x02][..], &[0x43, 0xFF, 0, 0], b"Cnothing"] {
        assert_eq!(error_push(&last_words(stranger(), bytes)).errno, Errno::BadRequest);
    }
    let (member, _) = Client::join(server.address, "member");
    assert_eq!(error_push(&last_words(member, b"GARBAGE")).errno, Errno::BadRequest);
    let mut client = stranger();
    client.settle();
    assert_eq!(error_push(&last_words(client, b"garbage")).errno, Errno::BadRequest);
    // Other protocols get no answer in this one.
    for bytes in [
        "GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "[{\"msgid\":1}]",
        "\u{16}\u{3}\u{1}",
    ] {
        assert!(last_words(stranger(), bytes.as_bytes()).is_empty(), "{bytes}");
    }
    bystanders.finish();
}

#[test]
fn an_oversized_frame_is_refused_by_its_header() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::chat_on(server.address);
    let member = |name| Client::join(server.address, name).0;
    let before_login = FRAME_BYTES_BEFORE_LOGIN as u32 + 1;
    for (client, bytes) in [
        (member("one"), header(request::SEND, 99, FRAME_BYTES as u32 + 1)),
        (member("two"), header(request::SEND, 99, u32::MAX)),
        (Client::connect(server.address), header(request::LOGIN, 99, before_login)),
        (Client::connect(server.address), header(request::HEARTBEAT, 99, before_login)),
    ] {
        let said = last_words(client, &bytes);
        let refused = matches!(&said[..], [Event::Reply(99, reply)] if errno(reply) == Errno::TooLarge);
        assert!(refused, "{bytes:?} was answered {said:?}");
    }
    // A request without a number is answered by an ERROR push.
    let said = last_words(member("three"), &header(request::SEND, 0, FRAME_BYTES as u32 + 1));
    assert_eq!(error_push(&said).errno, Errno::TooLarge);

    // A frame of the maximum length is accepted, before login and after.
    let spaces = |length: usize| [b"{}".to_vec(), vec![b' '; length - 2]].concat();
    let mut client = Client::connect(server.address);
    let number = client.post_raw(request::NODES, &spaces(FRAME_BYTES_BEFORE_LOGIN));
    assert_eq!(errno(&client.reply(number)), Errno::Ok);
    let mut client = member("four");
    let number = client.post_raw(request::NODES, &spaces(FRAME_BYTES));
    assert_eq!(errno(&client.reply(number)), Errno::Ok);
    bystanders.finish();
}

#[test]
fn an_invalid_request_is_refused_and_the_connection_stays_open() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::chat_on(server.address);
    let (mut client, account) = Client::join(server.address, "member");
    for kind in [0, 2, 5, 10, 199, 999, 0x3FFF, 0x4001, 0x40FF, 0x8006, 0xFFFF] {
        let number = client.post_raw(kind, b"{}");
        assert_eq!(errno(&client.reply(number)), Errno::UnknownType, "type {kind}");
    }
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let unknown_field = format!("{{\"x\":{},\"limit\":5}}", deep("[", "]"));
    let number = client.post_raw(request::GROUPS, unknown_field.as_bytes());
    assert_eq!(errno(&client.reply(number)), Errno::Ok, "an unknown field is ignored, however deep");

    let too_deep = [deep("[", "]"), deep("[", ""), "{\"a\":".repeat(50_000)].map(String::into_bytes);
    let wrong: [&[u8]; 17] = [
        b"{",
        b"[]",
        b"null",
        b"1",
        b"{} {}",
        b"{\"to\":1,}",
        b"{'to':1}",
        b"\xFF\xFE",
        b"{\"content\":\"\xC0\xAF\"}",
        b"{\"to\":-1,\"content\":\"x\"}",
        b"{\"to\":1.0,\"content\":\"x\"}",
        b"{\"to\":1e0,\"content\":\"x\"}",
        b"{\"to\":2147483648,\"content\":\"x\"}",
        b"{\"to\":1,\"to\":1,\"content\":\"x\"}",
        b"{\"to\":1,\"content\":\"\\ud800\"}",
        b"{\"to\":1,\"content\":null}",
        b"{\"to\":1,\"content\":\"\"}",
    ];
    for value in wrong.into_iter().chain(too_deep.iter().map(Vec::as_slice)) {
        let number = client.post_raw(request::SEND, value);
        let reply = client.reply(number);
        let shown = String::from_utf8_lossy(&value[..value.len().min(50)]);
        assert_eq!(errno(&reply), Errno::BadRequest, "{shown} was answered {reply:?}");
    }
    let number = client.post_raw(request::HEARTBEAT, b"{}");
    assert_eq!(errno(&client.reply(number)), Errno::BadRequest);
    client.heartbeat(account.id);
    bystanders.finish();
}

#[test]
fn a_name_of_a_whole_frame_is_refused_before_any_work_on_it() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::chat_on(server.address);
    let (mut client, _) = Client::join(server.address, "member");
    // Folding U+FDFA yields 18 characters.
    let name = "\u{fdfa}".repeat(80_000);
    for (kind, value, field) in [
        (request::ADD_FRIEND, format!("{{\"name\":\"{name}\"}}"), "name"),
        (request::PROFILE, format!("{{\"name\":\"{name}\"}}"), "name"),
        (request::SEND, format!("{{\"to_name\":\"{name}\",\"content\":\"x\"}}"), "to_name"),
        (request::LOGIN, format!("{{\"name\":\"{name}\",\"password\":\"x\"}}"), "name"),
    ] {
        let number = client.post_raw(kind, value.as_bytes());
        match client.reply(number) {
            Reply::Refused(refusal) => {
                assert_eq!(refusal.errno, Errno::BadRequest);
                assert!(refusal.errmsg.contains(&format!("`{field}`")), "{}", refusal.errmsg);
            }
            other => panic!("type {kind} was answered {other:?}"),
        }
    }
    bystanders.finish();
}

/// Whether the last frame in these bytes is incomplete.
fn announces_more_than_came(mut bytes: &[u8]) -> bool {
    while let Ok(Some((_, length))) = split_frame(bytes, FRAME_BYTES_BEFORE_LOGIN) {
        bytes = &bytes[length..];
    }
    matches!(split_frame(bytes, FRAME_BYTES_BEFORE_LOGIN), Ok(None)) && !bytes.is_empty()
}

#[test]
fn random_bytes_on_200_connections_affect_no_other_connection() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::chat_on(server.address);
    // xorshift64* from a fixed seed, so that a failure can be repeated.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    };
    for round in 0..200 {
        let mut bytes: Vec<u8> = (0..random() % 3_000).map(|_| random() as u8).collect();
        match round % 4 {
            // Random from the first byte, after the magic, or as a frame's value; or a valid frame with one bit
            // flipped.
            0 => {}
            1 => bytes.splice(..0, MAGIC).for_each(drop),
            2 => bytes = frame((random() % 24) as u16, random() as u32, &bytes),
            _ => {
                let login = format!("{{\"name\":\"bystander 1\",\"password\":\"not {PASSWORD}\"}}");
                bytes = frame(request::LOGIN, 1, login.as_bytes());
                let at = random() as usize % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
            }
        }
        // One valid frame more: the server answers if it is still in step, and closes the connection otherwise.
        bytes.extend(frame(request::NODES, 7, b"{}"));
        let mut client = Client::connect(server.address);
        let _ = client.write(&bytes);
        if round % 2 == 0 {
            drop(client);
        } else if !announces_more_than_came(&bytes) {
            let event = client.event(PATIENCE);
            assert!(!matches!(event, Ok(None)), "round {round} was neither answered nor closed");
        }
    }
    bystanders.finish();
}
