//! Whatever one end encodes, the other reads as the same, in any split of the stream.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use proptest::prelude::*;
use support::{command, push, reply};
use wire::kind::REPLY;
use wire::limits::{FRAME_BYTES, HEADER_BYTES};
use wire::{Command, Frame, Heartbeat, Push, Reply, UnixMillis, UserId, split_frame};

/// The one frame that `bytes` is.
fn only_frame(bytes: &[u8]) -> Frame<'_> {
    let (frame, taken) = split_frame(bytes, FRAME_BYTES).unwrap().expect("a whole frame");
    assert_eq!(taken, bytes.len());
    frame
}

/// A frame that does not borrow what it came in.
type Kept = (u16, u32, Vec<u8>);

/// Reads a stream that arrives in pieces, the way a connection does.
fn read_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Kept> {
    let mut frames = Vec::new();
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while let Some((frame, taken)) = split_frame(&waiting, FRAME_BYTES).unwrap() {
            frames.push((frame.kind, frame.request, frame.value.to_vec()));
            waiting.drain(..taken);
        }
    }
    assert!(waiting.is_empty(), "half a frame is left");
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
