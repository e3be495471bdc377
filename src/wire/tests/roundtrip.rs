//! What one end encodes the other decodes to the same value, however the stream is split.

#![allow(clippy::unwrap_used, reason = "test support")]

mod support;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use support::{command, push, reply};
use wire::kind::{PUSHES, REPLY, REQUESTS, request};
use wire::limits::{FRAME_BYTES, HEADER_BYTES};
use wire::{Command, Frame, Heartbeat, Push, Reply, UnixMillis, UserId, split_frame};

/// Splits the only frame off `bytes`.
fn only_frame(bytes: &[u8]) -> Frame<'_> {
    let (frame, taken) = split_frame(bytes, FRAME_BYTES).unwrap().expect("a whole frame");
    assert_eq!(taken, bytes.len());
    frame
}

/// A frame as `(type, request, value)`.
type OwnedFrame = (u16, u32, Vec<u8>);

/// Reads a stream that arrives in pieces as a connection does.
fn read_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<OwnedFrame> {
    let mut frames = Vec::new();
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while let Some((frame, taken)) = split_frame(&waiting, FRAME_BYTES).unwrap() {
            frames.push((frame.kind, frame.request, frame.value.to_vec()));
            waiting.drain(..taken);
        }
    }
    assert!(waiting.is_empty(), "an incomplete frame is left");
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests(command in command(), request: u32) {
        let mut bytes = Vec::new();
        command.encode(request, &mut bytes);
        let frame = only_frame(&bytes);
        prop_assert_eq!((frame.kind, frame.request), (command.kind(), request));
        let decoded = Command::decode(frame.kind, frame.value);
        prop_assert!(decoded.as_ref() == Ok(&command), "{}", String::from_utf8_lossy(frame.value));
        if !frame.value.is_empty() {
            // Behind a space the value takes the slower path.
            let spaced = [b" ", frame.value].concat();
            prop_assert!(Command::decode(frame.kind, &spaced).as_ref() == Ok(&command));
        }
    }

    #[test]
    fn replies((kind, reply) in reply(), request: u32) {
        let mut bytes = Vec::new();
        reply.encode(kind, request, &mut bytes);
        let frame = only_frame(&bytes);
        prop_assert_eq!((frame.kind, frame.request), (kind | REPLY, request));
        prop_assert_eq!(Reply::decode(frame.kind, frame.value), Ok(reply));
    }

    #[test]
    fn pushes(push in push()) {
        let mut bytes = Vec::new();
        push.encode(&mut bytes);
        let frame = only_frame(&bytes);
        prop_assert_eq!((frame.kind, frame.request), (push.kind(), 0));
        prop_assert_eq!(Push::decode(frame.kind, frame.value), Ok(Some(push)));
    }

    #[test]
    fn heartbeats(sequence: u32, time: u64, user in 0..=UserId::MAX.0) {
        let beat = Heartbeat { sequence, time: UnixMillis(time), user: UserId(user) };
        prop_assert_eq!(Heartbeat::decode(&beat.encode()), Some(beat));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        commands in prop::collection::vec((command(), any::<u32>()), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let (mut stream, mut sent) = (Vec::new(), Vec::new());
        for (command, request) in &commands {
            let start = stream.len();
            command.encode(*request, &mut stream);
            sent.push((command.kind(), *request, stream[start + HEADER_BYTES..].to_vec()));
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        prop_assert_eq!(&read_pieces(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &sent);
        prop_assert_eq!(&read_pieces(stream.chunks(1)), &sent);
        prop_assert_eq!(&read_pieces(std::iter::once(&stream[..])), &sent);
    }
}

/// The types among 2,000 values of a strategy.
fn types_of<T>(strategy: &impl Strategy<Value = T>, kind: impl Fn(T) -> u16) -> BTreeSet<u16> {
    let mut runner = TestRunner::deterministic();
    let mut value = || strategy.new_tree(&mut runner).expect("the strategy gives a value").current();
    (0..2_000).map(|_| kind(value())).collect()
}

/// A new request or push without a strategy fails here.
#[test]
fn the_strategies_cover_every_type() {
    let all = |tables: &[&[(u16, &str)]]| -> BTreeSet<u16> {
        tables.iter().copied().flatten().map(|&(kind, _)| kind).collect()
    };
    let mut requests = all(REQUESTS);
    requests.remove(&request::HEARTBEAT);
    assert_eq!(types_of(&command(), |command| command.kind()), requests);
    assert_eq!(types_of(&push(), |push| push.kind()), all(PUSHES));
    let successful = |(kind, reply)| if matches!(reply, Reply::Refused(_)) { 0 } else { kind };
    assert!(types_of(&reply(), successful).is_superset(&requests));
}
