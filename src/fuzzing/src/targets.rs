//! The targets, and what each of them promises.

use chatserver::bus::codec;
use chatserver::bus::inspector::Inspector;
use chatserver::bus::names::Names;
use chatserver::bus::seal::Keys;
use chatserver::config::Config;
use logic::bus::Channel;
use std::sync::Arc;
use std::time::Instant;
use storage::{BusKey, PeerView, Peers};
use websocket::{Event, Reader, Role};
use wire::legacy::{MsgIds, Scan, Scanner, request};
use wire::limits::{FRAME_BYTES, HEADER_BYTES};
use wire::proxy_header::{Header, may_begin, parse};
use wire::{BadRequest, Command, Push, Reply, UnixMillis, UserId, split_frame};

/// The database's time at a node that reads publications, in Unix milliseconds.
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// The longest sentence of a refusal, bytes.
const SENTENCE_BYTES: usize = 400;

/// A stream of frames: a frame that decodes survives another round trip, and every refusal is a short sentence.
pub fn frames(mut bytes: &[u8]) {
    while let Ok(Some((frame, taken))) = split_frame(bytes, FRAME_BYTES) {
        assert_eq!(taken, HEADER_BYTES + frame.value.len());
        let decoded = Command::decode(frame.kind, frame.value);
        if !frame.value.is_empty() {
            // The fast path takes no object behind a space.
            let spaced = [b" ", frame.value].concat();
            assert_eq!(decoded.as_ref().ok(), Command::decode(frame.kind, &spaced).as_ref().ok());
        }
        match decoded {
            Ok(command) => {
                let mut encoded = Vec::new();
                command.encode(1, &mut encoded);
                let again = Command::decode(frame.kind, &encoded[HEADER_BYTES..]);
                assert!(again.as_ref() == Ok(&command), "{command:?} became {again:?}");
            }
            Err(BadRequest::UnknownType(kind)) => assert_eq!(kind, frame.kind),
            Err(BadRequest::Value(sentence)) => assert!(sentence.len() <= SENTENCE_BYTES, "{sentence}"),
        }
        if let Err(sentence) = Reply::decode(frame.kind, frame.value) {
            assert!(sentence.len() <= SENTENCE_BYTES, "{sentence}");
        }
        if let Err(sentence) = Push::decode(frame.kind, frame.value) {
            assert!(sentence.len() <= SENTENCE_BYTES, "{sentence}");
        }
        bytes = &bytes[taken..];
    }
}

/// A stream of objects of legacy clients: where the bytes are split makes no difference. The first byte says where.
pub fn legacy(bytes: &[u8]) {
    let Some((&split, stream)) = bytes.split_first() else { return };
    let msgids = MsgIds::default();
    let whole = objects(stream, stream.len());
    assert_eq!(whole, objects(stream, 1 + usize::from(split)), "the split made a difference");
    for object in whole.0 {
        // Decoded or refused: either is fine.
        let _ = request::decode(&object, &msgids);
    }
}

/// The objects of a stream that arrives in pieces of this length, and whether it ended in an error.
fn objects(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut scanner, mut pending, mut objects) = (Scanner::default(), Vec::new(), Vec::new());
    for piece in stream.chunks(piece.max(1)) {
        pending.extend_from_slice(piece);
        loop {
            match scanner.scan(&pending, FRAME_BYTES) {
                Ok(Scan::Object(at)) => {
                    objects.push(pending[at.clone()].to_vec());
                    pending.drain(..at.end);
                }
                Ok(Scan::Incomplete(begin)) => {
                    pending.drain(..begin);
                    break;
                }
                Err(_) => return (objects, true),
            }
        }
    }
    (objects, false)
}

/// The header of the PROXY protocol: no prefix of a header is taken for something else or for a whole one.
pub fn proxy_header(bytes: &[u8]) {
    let whole = |bytes: &[u8]| match parse(bytes) {
        Ok(Header::Whole { length, .. }) => Some(length),
        _ => None,
    };
    if let Some(length) = whole(bytes) {
        assert!((1..=bytes.len()).contains(&length), "a header of {length} of {} bytes", bytes.len());
        for cut in 0..length {
            assert_eq!(whole(&bytes[..cut]), None, "whole after {cut} of {length} bytes");
            assert!(may_begin(&bytes[..cut]), "not the beginning of a header after {cut} of {length} bytes");
        }
    }
}

/// What a client sends on a WebSocket: it means the same in pieces of any length, and a message is never longer than the
/// limit.
pub fn websocket(bytes: &[u8]) {
    const LIMIT: usize = 4_096;
    let read = |piece: usize| {
        let (mut reader, mut scratch) = (Reader::new(Role::Server, false), Vec::new());
        let mut said = Vec::new();
        for mut rest in bytes.chunks(piece) {
            while !rest.is_empty() {
                match reader.next(&mut rest, LIMIT, &mut scratch) {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        if let Event::Message(_, message) = event {
                            assert!(message.len() <= LIMIT, "a message of {} bytes", message.len());
                        }
                        said.push(format!("{event:?}"));
                    }
                    Err(fault) => {
                        said.push(format!("{fault:?}"));
                        return said;
                    }
                }
            }
            reader.release();
        }
        said
    };
    let whole = read(usize::MAX);
    for piece in [1, 3, 100] {
        assert_eq!(read(piece), whole, "in pieces of {piece}");
    }
}

/// A segment of the embedded database's journal, and a page of its tables: damage is an error, not a panic.
pub fn journal(bytes: &[u8]) {
    storage::fuzzing::journal_segment(bytes);
    storage::fuzzing::message_page(bytes);
}

/// A configuration file: the effective configuration of a valid one is valid and means the same.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = Config::parse(text) {
        let printed = config.to_toml();
        let again = Config::parse(&printed).expect("an effective configuration can be read");
        assert_eq!(again.to_toml(), printed);
    }
}

/// A publication in Redis: nothing is taken that is not authenticated, and what a node with the key publishes survives
/// another round trip.
pub fn bus(bytes: &[u8]) {
    let keys = vec![BusKey { id: 1, secret: [1; 32], since: UnixMillis(0) }];
    let runs = ["n1~1", "n2~1"].map(Into::into).into();
    let peers = PeerView::new(Peers { keys, runs, clock: NOW, read_at: Instant::now() });
    let names = Names::new("0123456789abcdef0123456789abcdef");
    let channel = names.channel(&Channel::User(UserId(8)));
    let mut inspector = Inspector::new(names, Keys::new(Arc::new(peers)), "n1~1".into());
    let inspected = inspector.inspect(channel.as_bytes(), bytes);
    assert!(inspected.is_err(), "taken without the key: {inspected:?}");
    if let Some(hint) = codec::decode(bytes) {
        let mut encoded = Vec::new();
        codec::encode(&hint, &mut encoded);
        let again = codec::decode(&encoded);
        assert!(again.as_ref() == Some(&hint), "{hint:?} became {again:?}");
    }
}
