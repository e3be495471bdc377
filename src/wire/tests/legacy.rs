//! The legacy stream: every split and coalescing gives the same objects, and hostile bytes do no harm.

#![allow(clippy::unwrap_used, reason = "test support")]

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wire::contact::Friend;
use wire::group::{Group, Member, Role};
use wire::legacy::request::{Fault, decode};
use wire::legacy::{MsgIds, Scan, Scanner, StreamError, Style, Welcome};
use wire::limits::FRAME_BYTES;
use wire::presence::Presence;
use wire::{ConversationId, ConversationKind, Message, Seq, UnixMillis, UserId};

/// Reads a stream that arrives in parts as the server does, keeping only the incomplete object.
fn objects(parts: &[&[u8]], max: usize) -> (Vec<Vec<u8>>, Option<StreamError>) {
    let (mut scanner, mut kept, mut found) = (Scanner::default(), Vec::new(), Vec::new());
    for part in parts {
        kept.extend_from_slice(part);
        let mut used = 0;
        loop {
            match scanner.scan(&kept[used..], max) {
                Ok(Scan::Object(object)) => {
                    found.push(kept[used..][object.clone()].to_vec());
                    used += object.end;
                }
                Ok(Scan::Incomplete(begin)) => break used += begin,
                Err(error) => return (found, Some(error)),
            }
        }
        kept.drain(..used);
        assert!(kept.len() <= max, "only one object is kept");
    }
    (found, None)
}

fn cut_at<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Any JSON object.
fn object() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["\\PC{0,12}", "[{}\\[\\]\"\\\\\u{0}\n, :]{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"{}\\\\]{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map(text, inner, 0..5).prop_map(|map| json!(map))
}

/// Requests of the clients, valid or nearly so.
fn request() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        (-1..30i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        select(vec![Value::Null, json!([]), json!({"a": [{}]}), json!(1.5), json!(true)]),
    ];
    let field = select(vec![
        "id",
        "name",
        "password",
        "toid",
        "friendid",
        "groupid",
        "groupname",
        "groupdesc",
        "msg",
        "time",
        "other",
    ]);
    let msgid = prop_oneof![5 => (0..12i64).prop_map(Value::from), 1 => value.clone()];
    (msgid, prop::collection::btree_map(field, value, 0..8)).prop_map(|(msgid, fields)| {
        let mut object = json!(fields);
        object["msgid"] = msgid;
        object
    })
}

proptest! {
    #[test]
    fn every_split_and_coalescing_gives_the_same_objects(
        sent in prop::collection::vec((object(), "[\u{0} \r\n\t]{0,3}"), 0..8),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
        byte_by_byte in any::<bool>(),
    ) {
        let stream: String = sent.iter().map(|(object, gap)| format!("{object}{gap}")).collect();
        let parts = match byte_by_byte {
            true => stream.as_bytes().chunks(1).collect(),
            false => cut_at(stream.as_bytes(), &cuts),
        };
        let (found, error) = objects(&parts, FRAME_BYTES);
        prop_assert_eq!(error, None);
        let whole: Vec<Value> = found.iter().map(|object| serde_json::from_slice(object).unwrap()).collect();
        let expected: Vec<Value> = sent.into_iter().map(|(object, _)| object).collect();
        prop_assert_eq!(whole, expected);
    }

    #[test]
    fn corrupted_streams_end_alike_in_every_split(
        sent in prop::collection::vec(object(), 1..4),
        corruption in prop::collection::vec((any::<Index>(), select(b"\0\"\\{}[]x \xff".to_vec())), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        max in 8..200usize,
    ) {
        let mut stream: Vec<u8> = sent.iter().flat_map(|object| format!("{object}\0").into_bytes()).collect();
        for (at, byte) in corruption {
            *at.get_mut(&mut stream) = byte;
        }
        let (found, error) = objects(&cut_at(&stream, &cuts), max);
        prop_assert_eq!((&found, error), { let (f, e) = objects(&[&stream], max); (&f.clone(), e) });
        prop_assert!(found.iter().all(|object| object.len() <= max));
        for object in found {
            let _ = decode(&object, &MsgIds::default());
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        objects(&[&[b"{".as_slice(), &bytes].concat()], 64);
        let _ = decode(&bytes, &MsgIds::default());
    }

    /// Well-formed JSON never closes a connection, and a decoded command is one that a frame could carry.
    #[test]
    fn a_request_gives_a_command_or_is_ignored(request in request()) {
        match decode(request.to_string().as_bytes(), &MsgIds::default()) {
            Ok(command) => {
                let mut frame = Vec::new();
                command.encode(1, &mut frame);
                let again = wire::Command::decode(command.kind(), &frame[wire::limits::HEADER_BYTES..]);
                prop_assert!(again.as_ref() == Ok(&command), "{:?} {:?}", command, again);
            }
            Err(fault) => prop_assert!(!matches!(fault, Fault::Broken(_)), "{} {}", request, fault),
        }
    }

    #[test]
    fn a_welcome_always_fits_and_holds_what_has_room(
        friends in prop::collection::vec("[a\"\\\\宽🙂]{1,50}", 0..30),
        groups in prop::collection::vec(("[a\"宽]{1,50}", "[a\\\\🙂\u{1}]{0,200}", 0..40usize), 0..10),
        missed in prop::collection::vec("[a\"\\\\宽\n]{1,400}", 0..20),
        object_bytes in prop_oneof![Just(1_024usize), Style::OBJECT_BYTES_MIN..20_000],
    ) {
        let style = Style { object_bytes, ..Style::default() };
        let state = Presence::Online;
        let member = |id| Member { id: UserId(id), name: format!("m\"{id}").into(), state, role: Role::Creator };
        let welcome = Welcome {
            id: UserId(1),
            name: "🙂".repeat(50).into(),
            friends: friends.iter().map(|name| Friend { id: UserId(2), name: name.as_str().into(), state, text: None, last_seen: None, remark: None, tag: None }).collect(),
            groups: (1..).zip(&groups).map(|(id, (name, desc, users))| {
                let (name, desc) = (name.as_str().into(), desc.as_str().into());
                let group = Group { conversation: ConversationId(id), name, desc, role: Role::Normal };
                (group, (1..=*users as u32).map(member).collect())
            }).collect(),
            missed: (1..).zip(&missed).map(|(seq, text)| Message {
                conversation: ConversationId(9),
                kind: ConversationKind::Direct,
                seq: Seq(seq),
                from: UserId(7),
                name: "a".into(),
                content_type: "text".into(),
                content: text.as_str().into(),
                time: UnixMillis(0),
                cid: None,
                extra: None,
            }.into()).collect(),
        };
        let mut bytes = Vec::new();
        let included = welcome.put(&mut bytes, &style, &mut |_| "2021-01-01 12:00:00".into());
        prop_assert!(bytes.len() < object_bytes, "{} of {}", bytes.len(), object_bytes);
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let list = |of: &Value, field: &str| -> Vec<Value> {
            let Some(list) = of.get(field) else { return Vec::new() };
            let list = list.as_array().unwrap();
            assert!(!list.is_empty(), "empty lists are left out");
            list.iter().map(|item| serde_json::from_str(item.as_str().unwrap()).unwrap()).collect()
        };
        let shown_friends = list(&answer, "friends");
        prop_assert!(shown_friends.iter().all(|friend| friends.contains(&friend["name"].as_str().unwrap().to_owned())));
        for group in list(&answer, "groups") {
            let (name, desc, users) = &groups[group["id"].as_u64().unwrap() as usize - 1];
            prop_assert_eq!((group["groupname"].as_str().unwrap(), group["groupdesc"].as_str().unwrap()), (&**name, &**desc));
            let shown = list(&group, "users");
            prop_assert!((1..=*users).contains(&shown.len()) && shown[0]["role"] == "creator");
        }
        let texts: Vec<Value> = list(&answer, "offlinemsg");
        prop_assert_eq!(texts.len(), included);
        for (shown, sent) in texts.iter().zip(&missed) {
            let shown = shown["msg"].as_str().unwrap();
            prop_assert!(shown == sent || sent.starts_with(shown.strip_suffix('…').unwrap()));
        }
        // Whatever had room is included.
        let room = object_bytes - 1 - bytes.len();
        if shown_friends.len() < friends.len() {
            prop_assert!(room < 50 * 8 + 100);
        }
        if included < missed.len() && missed.iter().all(|text| text.len() < 50) {
            prop_assert!(room < 1_000);
        }
    }
}

#[test]
fn length_and_nesting_cost_linear_time() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let escaped = |length: usize| format!("{{\"msg\":\"{}\"}}", "\\\"".repeat(length / 2));
    for object in [nested(FRAME_BYTES / 2 - 10), escaped(FRAME_BYTES - 20)] {
        let begun = Instant::now();
        let parts: Vec<&[u8]> = object.as_bytes().chunks(1).collect();
        // The server appends to the incomplete object; only the scanner must not examine bytes twice.
        let mut scanner = Scanner::default();
        for length in 1..=parts.len() {
            let scan = scanner.scan(&object.as_bytes()[..length], FRAME_BYTES).unwrap();
            assert_eq!(matches!(scan, Scan::Object(_)), length == parts.len());
        }
        assert!(decode(object.as_bytes(), &MsgIds::default()).is_err());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
