//! What a relay makes of an object of the legacy stream.

use super::directory::{Directory, inject};
use super::fault::FaultKind;
use crate::connection::Connection;
use crate::legacy::{Object, msgid, put, read};
use serde_json::{Value, json};
use slab::Slab;
use std::collections::HashMap;

/// Messages that a fault holds back, by whom they are for.
pub(super) type Held = HashMap<u32, Option<Vec<u8>>>;

/// Does what `object` asks. Whether the connection `key` may go on.
pub(super) fn handle(
    directory: &mut Directory,
    held: &mut Held,
    key: usize,
    object: &[u8],
    connections: &mut Slab<Connection>,
    dirty: &mut Vec<usize>,
) -> bool {
    match read(object) {
        Object::Chat(received) => {
            let wrong = directory.next_fault();
            if wrong == Some(FaultKind::Disconnect) || directory.user_of(key) != Some(received.from) {
                return false;
            }
            let Some(peer) = directory.connection_of(received.place) else { return true };
            let out = connections[peer].output();
            let start = out.len();
            out.extend_from_slice(object);
            out.push(0);
            let held = held.entry(received.place).or_default();
            if wrong.is_some() || held.is_some() {
                inject(out, start, wrong, held, b"\",\"msgid\":");
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
        Object::Broken => false,
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
