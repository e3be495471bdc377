//! The rules, tested one by one.

mod account;
mod backlog;
mod budget;
mod change;
mod cluster;
mod conversation;
mod devices;
mod group;
mod group_sessions;
mod harness;
mod legacy;
mod message;
mod password;
mod presence;
mod readers;
mod search;
mod session;
mod sessionless;
mod sessions;
mod sessions_elsewhere;
mod typing;
mod unread;

use harness::{Harness, rules};
use logic::{ConnId, Input};
use wire::{Command, ConversationId, Seq, Target, UserId, timeline};

const TO_BOB: Target = Target::User(UserId(2));
const ALICE_BOB: ConversationId = ConversationId(1);

fn harness() -> Harness {
    Harness::new(rules(), &["alice", "bob", "carol"])
}

fn ack(conn: ConnId, seq: u64) -> Input {
    Input::Request {
        conn,
        request: 0,
        command: Command::Timeline(timeline::Request::Ack(timeline::Cursor {
            conversation: ALICE_BOB,
            seq: Seq(seq),
        })),
    }
}

fn texts(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}
