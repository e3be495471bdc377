//! Every field of every request has a bound, which decoding checks and whose refusal names the field.

#![allow(clippy::unwrap_used, reason = "test support")]

mod support;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{command, kinds};
use wire::kind::FIELDS;
use wire::legacy::{self, MsgIds};
use wire::limits::HEADER_BYTES;
use wire::{BadRequest, Command};

/// More than any text or list may have, in bytes, characters and elements.
const TOO_MANY: usize = 40_000;

/// Valid values of each type of request.
fn samples() -> BTreeMap<u16, Vec<Map<String, Value>>> {
    let (strategy, mut runner) = (command(), TestRunner::deterministic());
    let mut samples: BTreeMap<u16, Vec<Map<String, Value>>> = BTreeMap::new();
    for _ in 0..3_000 {
        let command = strategy.new_tree(&mut runner).unwrap().current();
        let mut bytes = Vec::new();
        command.encode(1, &mut bytes);
        let value = serde_json::from_slice(&bytes[HEADER_BYTES..]).unwrap();
        samples.entry(command.kind()).or_default().push(value);
    }
    samples
}

/// Values like `value` that no bound may allow.
fn excessive(value: &Value) -> Vec<Value> {
    let list = |element: &Value| Value::Array(vec![element.clone(); TOO_MANY]);
    match value {
        // The second is a single character that normalization expands to 18.
        Value::String(_) => vec!["x".repeat(TOO_MANY).into(), "\u{fdfa}".repeat(TOO_MANY).into()],
        Value::Number(_) => vec![u64::MAX.into()],
        Value::Array(elements) => elements.first().map(list).into_iter().collect(),
        Value::Object(fields) => {
            let with = |name: &String, value: Value| {
                let mut fields = fields.clone();
                fields.insert(name.clone(), value);
                Value::Object(fields)
            };
            let each = fields.iter().map(|(name, value)| (name, excessive(value)));
            each.flat_map(|(name, values)| values.into_iter().map(move |value| with(name, value))).collect()
        }
        Value::Bool(_) | Value::Null => vec![],
    }
}

#[test]
fn every_field_has_a_bound() {
    let samples = samples();
    for &(kind, fields) in FIELDS.iter().copied().flatten() {
        let values = &samples[&kind];
        let seen: BTreeSet<&str> = values.iter().flat_map(|value| value.keys().map(String::as_str)).collect();
        let declared: BTreeSet<&str> = fields.iter().copied().collect();
        assert_eq!(seen, declared, "the strategy for type {kind} and the fields that decoding reads differ");
        for &field in fields {
            let valid = values.iter().find(|value| value.contains_key(field)).unwrap();
            for excess in excessive(&valid[field]) {
                let mut value = valid.clone();
                value.insert(field.to_owned(), excess);
                let value = serde_json::to_vec(&value).unwrap();
                match Command::decode(kind, &value) {
                    Err(BadRequest::Value(sentence)) => {
                        assert!(
                            sentence.contains(&format!("`{field}")),
                            "type {kind}, `{field}`: {sentence}"
                        );
                    }
                    other => panic!("type {kind}, `{field}` of {} bytes: {other:?}", value.len()),
                }
            }
        }
    }
}

#[test]
fn every_request_declares_its_fields() {
    let declared: BTreeSet<u16> = FIELDS.iter().copied().flatten().map(|&(kind, _)| kind).collect();
    let all: BTreeSet<u16> = kinds().into_iter().filter(|&kind| kind != 99).collect();
    assert_eq!(declared, all);
}

#[test]
fn every_text_of_a_legacy_object_has_a_bound() {
    let msgids = MsgIds::default();
    for (object, field) in [
        (json!({"msgid": msgids.login, "id": 1, "password": "123456"}), "password"),
        (json!({"msgid": msgids.register, "name": "ann", "password": "123456"}), "name"),
        (json!({"msgid": msgids.register, "name": "ann", "password": "123456"}), "password"),
        (json!({"msgid": msgids.one_chat, "toid": 1, "msg": "hi"}), "msg"),
        (json!({"msgid": msgids.group_chat, "groupid": 1, "msg": "hi"}), "msg"),
        (json!({"msgid": msgids.create_group, "groupname": "g", "groupdesc": "d"}), "groupname"),
        (json!({"msgid": msgids.create_group, "groupname": "g", "groupdesc": "d"}), "groupdesc"),
    ] {
        legacy::request::decode(object.to_string().as_bytes(), &msgids).unwrap();
        for excess in excessive(&object[field]) {
            let mut object = object.clone();
            object[field] = excess;
            let fault = legacy::request::decode(object.to_string().as_bytes(), &msgids).unwrap_err();
            assert!(fault.to_string().contains(&format!("`{field}`")), "{fault}");
        }
    }
}
