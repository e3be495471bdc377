//! The hot paths of every message, without sockets and storage.

use crate::harness::Harness;
use std::hint::black_box;
use std::sync::Arc;
use wire::limits::FRAME_BYTES;
use wire::message;
use wire::message::Send;
use wire::message::Sent;
use wire::{
    Command, ConversationId, ConversationKind, Message, Push, Reply, Seq, Target, UnixMillis, UserId, kind,
    split_frame,
};

const CONTENT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const CID: &str = "00000500abcdef000000004d";

#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub name: &'static str,
    /// One unit of its work.
    pub unit: &'static str,
    /// Does this many units.
    pub run: fn(u64),
}

pub const PATHS: &[Path] = &[
    Path { name: "decode", unit: "a SEND of 64 bytes, from bytes to a command", run: decode },
    Path { name: "encode", unit: "the reply and the MESSAGE, to bytes", run: encode },
    Path {
        name: "logic",
        unit: "a message between two users: sent, stored, delivered, acknowledged",
        run: logic,
    },
    Path {
        name: "fan-out",
        unit: "a message in a group of 500: sent, stored, delivered, acknowledged",
        run: fan_out,
    },
];

fn decode(units: u64) {
    let mut bytes = Vec::new();
    let target = Target::Conversation(ConversationId(1234));
    let send = Send { cid: Some(CID.into()), ..Send::text(target, CONTENT) };
    Command::Message(message::Request::Send(send)).encode(77, &mut bytes);
    for _ in 0..units {
        let split = split_frame(black_box(&bytes), FRAME_BYTES).expect("the frame was just encoded");
        let (frame, _) = split.expect("the frame is complete");
        let command = Command::decode(frame.kind, frame.value);
        assert!(black_box(command).is_ok());
    }
}

fn encode(units: u64) {
    let (conversation, seq, time) = (ConversationId(1234), Seq(567_890), UnixMillis(1_700_000_000_000));
    let message = Message {
        conversation,
        kind: ConversationKind::Direct,
        seq,
        from: UserId(4321),
        name: "zhang san".into(),
        content_type: "text".into(),
        content: CONTENT.into(),
        time,
        cid: Some(CID.into()),
        extra: None,
    };
    let (reply, push) = (
        Reply::Message(message::Reply::Sent(Sent { conversation, seq, time, duplicate: false })),
        Push::Message(message::Push::New(Arc::new(message))),
    );
    let mut out = Vec::new();
    for _ in 0..units {
        out.clear();
        black_box(&reply).encode(kind::request::SEND, 77, &mut out);
        black_box(&push).encode(&mut out);
        black_box(&out);
    }
}

fn logic(units: u64) {
    let mut harness = Harness::new(100, 2);
    (0..units).for_each(|unit| harness.send_message((unit % 50) as usize));
}

fn fan_out(units: u64) {
    let mut harness = Harness::new(500, 500);
    (0..units).for_each(|_| harness.send_message(0));
}
