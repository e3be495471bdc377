//! How a relay handles the objects of the legacy dialect.

use super::directory::{Directory, inject};
use super::fault::FaultKind;
use crate::connection::Connection;
use crate::legacy::{Object, msgid, put, read};
use serde_json::{Value, json};
use slab::Slab;
use std::collections::HashMap;

/// Messages held back by a fault, by their receiver.
pub(super) type HeldBack = HashMap<u32, Option<Vec<u8>>>;

/// Handles `object`. Returns whether the connection `key` may stay open.
pub(super) fn handle(
    directory: &mut Directory,
    held_back: &mut HeldBack,
    key: usize,
    object: &[u8],
    connections: &mut Slab<Connection>,
    dirty: &mut Vec<usize>,
) -> bool {
    match read(object) {
        Object::Chat(received) => {
            let fault = directory.next_fault();
            if fault == Some(FaultKind::Disconnect) || directory.user_of(key) != Some(received.from) {
                return false;
            }
            let Some(peer) = directory.connection_of(received.destination) else { return true };
            let out = connections[peer].output();
            let start = out.len();
            out.extend_from_slice(object);
            out.push(0);
            let held_back = held_back.entry(received.destination).or_default();
            if fault.is_some() || held_back.is_some() {
                inject(out, start, fault, held_back, b"\",\"msgid\":");
            }
            dirty.push(peer);
            true
        }
        Object::Other(value) => {
            let Some(answer) = answer(directory, key, &value) else { return false };
            put(connections[key].output(), &answer);
            dirty.push(key);
            true
        }
        Object::Malformed => false,
    }
}

fn answer(directory: &mut Directory, key: usize, value: &Value) -> Option<Value> {
    match value.get("msgid")?.as_u64()? {
        msgid::REGISTER => {
            let id = directory.register(value.get("name")?.as_str()?.into());
            Some(json!({"msgid": msgid::REGISTER_ACK, "errno": 0, "id": id}))
        }
        msgid::LOGIN => {
            let id = value.get("id")?.as_u64()? as u32;
            let name = directory.log_in(key, id)?;
            Some(json!({"msgid": msgid::LOGIN_ACK, "errno": 0, "id": id, "name": name}))
        }
        _ => None,
    }
}
