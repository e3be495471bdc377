//! Hostile values: decoding never panics, nesting costs no stack, and every refusal is a short sentence.

#![allow(clippy::unwrap_used, reason = "test support")]

mod support;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::thread;
use support::{command, kinds, push, reply};
use wire::limits::{FRAME_BYTES, HEADER_BYTES};
use wire::message;
use wire::{BadRequest, Command, Heartbeat, Push, Reply, split_frame};

/// The longest sentence of a refusal: it must fit into a reply and be readable.
const SENTENCE_BYTES: usize = 400;

fn assert_short(sentence: &str) {
    assert!(sentence.len() <= SENTENCE_BYTES, "{} bytes: {:.100}", sentence.len(), sentence);
}

/// Decodes a value as every type. A decoded command must survive another round trip.
fn decode_as_all(value: &[u8]) {
    for kind in kinds() {
        match Command::decode(kind, value) {
            Ok(command) => {
                let mut bytes = Vec::new();
                command.encode(1, &mut bytes);
                assert!(
                    Command::decode(kind, &bytes[HEADER_BYTES..]).as_ref() == Ok(&command),
                    "{command:?}"
                );
            }
            Err(BadRequest::UnknownType(unknown)) => assert_eq!(unknown, kind),
            Err(BadRequest::Value(sentence)) => assert_short(&sentence),
        }
        if let Err(sentence) = Reply::decode(kind, value) {
            assert_short(&sentence);
        }
    }
    for kind in (0x4000..=0x400a).chain([0x40ff]) {
        if let Err(sentence) = Push::decode(kind, value) {
            assert_short(&sentence);
        }
    }
    let _ = Heartbeat::decode(value);
}

/// One way to corrupt bytes.
#[derive(Clone, Debug)]
enum Corruption {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn corruption() -> impl Strategy<Value = Corruption> {
    let length = 1..40usize;
    // Tokens with a meaning in JSON reach more code than random bytes.
    let token = select(vec![
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "-",
        "1e9",
        ".5",
        "\\u",
        "\\ud800",
        "\\udc00",
        "\0",
        "\u{feff}",
        "{\"id\":1}",
        "\"id\":",
        "\"conversation\":7,",
        "\"content\":\"\",",
    ])
    .prop_map(|token| token.as_bytes().to_vec());
    let junk = prop::collection::vec(any::<u8>(), 1..8);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Corruption::Set(at, byte)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Corruption::Flip(at, bit)),
        (any::<Index>(), prop_oneof![3 => token, 1 => junk])
            .prop_map(|(at, bytes)| Corruption::Insert(at, bytes)),
        (any::<Index>(), length.clone()).prop_map(|(at, length)| Corruption::Remove(at, length)),
        (any::<Index>(), length).prop_map(|(at, length)| Corruption::Repeat(at, length)),
        any::<Index>().prop_map(Corruption::Cut),
    ]
}

fn corrupt(bytes: &mut Vec<u8>, corruption: &Corruption) {
    if bytes.is_empty() {
        return;
    }
    let run =
        |at: &Index, length: usize| at.index(bytes.len())..(at.index(bytes.len()) + length).min(bytes.len());
    match corruption {
        Corruption::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Corruption::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
        Corruption::Insert(at, new) => drop(bytes.splice(run(at, 0), new.iter().copied())),
        Corruption::Remove(at, length) => drop(bytes.drain(run(at, *length))),
        Corruption::Repeat(at, length) => {
            let run = run(at, *length);
            let (again, end) = (bytes[run.clone()].to_vec(), run.end);
            drop(bytes.splice(end..end, again));
        }
        Corruption::Cut(at) => bytes.truncate(at.index(bytes.len())),
    }
}

/// Objects of known fields with values of every JSON type.
fn object() -> impl Strategy<Value = String> {
    let name = select(vec![
        "id",
        "name",
        "password",
        "token",
        "device",
        "to",
        "to_name",
        "conversation",
        "content",
        "type",
        "cid",
        "seq",
        "after",
        "before",
        "before_id",
        "limit",
        "accept",
        "message",
        "desc",
        "errno",
        "errmsg",
        "messages",
        "what",
        "friends",
        "time",
        "kind",
        "from",
        "unknown",
        "\\u0069d",
    ]);
    let value = prop_oneof![
        select(vec![
            "0",
            "1",
            "7",
            "200",
            "-1",
            "1.0",
            "1e2",
            "9007199254740991",
            "9007199254740992",
            "1e999",
            "\"5\"",
            "\"\"",
            "\"text\"",
            "\"\\u0000\"",
            "\"\\ud83d\\ude00\"",
            "true",
            "false",
            "null",
            "[]",
            "{}",
            "[{\"id\":1}]",
            "{\"a\":[1,{\"b\":null}]}",
            "\"online\"",
            "\"direct\"",
        ])
        .prop_map(str::to_owned),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        support::text(12).prop_map(|text| format!("{text:?}")),
    ];
    prop::collection::vec((name, value), 0..6).prop_map(|fields| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = split_frame(&bytes, FRAME_BYTES);
        decode_as_all(&bytes);
    }

    #[test]
    fn random_objects(object in object()) {
        decode_as_all(object.as_bytes());
    }

    #[test]
    fn corrupted_requests(command in command(), corruptions in prop::collection::vec(corruption(), 1..6)) {
        let mut bytes = Vec::new();
        command.encode(1, &mut bytes);
        let mut value = bytes[HEADER_BYTES..].to_vec();
        corruptions.iter().for_each(|one| corrupt(&mut value, one));
        decode_as_all(&value);

        corruptions.iter().for_each(|one| corrupt(&mut bytes, one));
        if let Ok(Some((frame, taken))) = split_frame(&bytes, FRAME_BYTES) {
            prop_assert_eq!(taken, HEADER_BYTES + frame.value.len());
            decode_as_all(frame.value);
        }
    }

    #[test]
    fn corrupted_replies_and_pushes(
        (kind, reply) in reply(),
        push in push(),
        corruptions in prop::collection::vec(corruption(), 1..6),
    ) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        reply.encode(kind, 1, &mut first);
        push.encode(&mut second);
        for bytes in [first, second] {
            let mut value = bytes[HEADER_BYTES..].to_vec();
            corruptions.iter().for_each(|one| corrupt(&mut value, one));
            decode_as_all(&value);
        }
    }
}

/// Runs `test` on a stack that recursion into nested values would overflow.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(128 * 1024).spawn(test).unwrap().join().unwrap();
}

/// `{"unknown":` and 200 KB of nesting `}`.
fn deep(open: &str, middle: &str, close: &str, rest: &str) -> Vec<u8> {
    let levels = 200_000 / (open.len() + close.len());
    format!("{{\"unknown\":{}{middle}{}{rest}}}", open.repeat(levels), close.repeat(levels)).into_bytes()
}

#[test]
fn nesting_costs_no_stack() {
    on_a_small_stack(|| {
        let fields = ",\"to\":5,\"content\":\"hi\"";
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[0,", "]}]")] {
            let value = deep(open, "0", close, fields);
            assert!(
                matches!(Command::decode(6, &value), Ok(Command::Message(message::Request::Send(_)))),
                "{open}"
            );
            // The fault follows the nesting, so that looking for it passes through all levels.
            let value = deep(open, "0", close, ",\"to\":-5,\"content\":\"hi\"");
            let Err(BadRequest::Value(sentence)) = Command::decode(6, &value) else { panic!("{open}") };
            assert!(sentence.starts_with("`to`: "), "{sentence}");
            decode_as_all(&value);
            // Never closed.
            decode_as_all(&deep(open, "0", "", fields));
            // As the value of a known field.
            for field in ["content", "to", "accept", "messages", "friends", "what", "errno"] {
                decode_as_all(format!("{{\"{field}\":{}", open.repeat(40_000)).as_bytes());
            }
        }
    });
}

#[test]
fn long_values_of_a_wrong_type_give_short_sentences() {
    let long = "\\\"".repeat(100_000);
    for field in ["to", "id", "conversation", "seq", "accept", "limit", "kind", "errno", "what", "state"] {
        decode_as_all(format!("{{\"{field}\":\"{long}\"}}").as_bytes());
        decode_as_all(format!("{{\"{field}\":[\"{long}\"]}}").as_bytes());
    }
    let Err(BadRequest::Value(sentence)) = Command::decode(6, format!("{{\"to\":\"{long}\"}}").as_bytes())
    else {
        panic!("a string is no id");
    };
    assert!(sentence.starts_with("`to`: invalid type: string"), "{sentence}");
    assert!(sentence.contains("expected an integer from 0 to 2147483647"), "{sentence}");
}
