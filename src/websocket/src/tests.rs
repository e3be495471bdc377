//! What a reader makes of what a writer has written, however it is split, and of what nobody may send.

use super::*;
use proptest::prelude::*;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;

const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// An event that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseCode>),
}

/// What a server reads in these pieces.
fn read(pieces: &[&[u8]], limit: usize) -> Result<Vec<Seen>, Fault> {
    let mut reader = Reader::new(Role::Server, true);
    let (mut scratch, mut seen) = (Vec::new(), Vec::new());
    for mut rest in pieces.iter().copied() {
        while !rest.is_empty() {
            let Some(event) = reader.next(&mut rest, limit, &mut scratch)? else { break };
            seen.push(match event {
                Event::Message(kind, payload) => Seen::Message(kind, payload.to_vec()),
                Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                Event::Pong => Seen::Pong,
                Event::Close(code) => Seen::Close(code),
            });
        }
        assert!(rest.is_empty(), "bytes are left without an event");
    }
    Ok(seen)
}

/// What a server reads, however the bytes are split.
fn read_all_ways(bytes: &[u8], limit: usize) -> Result<Vec<Seen>, Fault> {
    let whole = read(&[bytes], limit);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(read(&bytes.chunks(piece).collect::<Vec<_>>(), limit), whole, "{piece}");
    }
    whole
}

/// A frame with this first byte, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, Kind::Binary, MASK, |out| out.extend_from_slice(payload));
    out[0] = first;
    out
}

fn binary(payload: &[u8]) -> Seen {
    Seen::Message(Kind::Binary, payload.to_vec())
}

#[test]
fn messages_of_all_lengths_are_read_as_they_were_written() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let mut out = b"before".to_vec();
        put_message(&mut out, Kind::Binary, MASK, |out| out.extend_from_slice(&payload));
        put_control(&mut out, Control::Ping, MASK, b"p");
        put_message(&mut out, Kind::Text, MASK, |out| out.push(b'x'));
        put_close(&mut out, Some(CloseCode::Away), MASK);
        let text = Seen::Message(Kind::Text, b"x".to_vec());
        let expected =
            [binary(&payload), Seen::Ping(b"p".to_vec()), text, Seen::Close(Some(CloseCode::Away))];
        assert_eq!(read_all_ways(&out[6..], 70_000).unwrap(), expected, "{length}");
    }
}

#[test]
fn a_client_reads_what_a_server_writes_without_a_mask() {
    let mut out = Vec::new();
    put_message(&mut out, Kind::Binary, None, |out| out.extend_from_slice(&[7; 300]));
    assert_eq!(out[..4], [0x82, 126, 1, 44]);
    let (mut reader, mut scratch) = (Reader::new(Role::Client, false), Vec::new());
    let mut rest = &out[..];
    assert_eq!(
        reader.next(&mut rest, 300, &mut scratch),
        Ok(Some(Event::Message(Kind::Binary, &[7; 300][..])))
    );
    let masked = frame(0x82, b"x");
    let mut rest = &masked[..];
    assert!(matches!(reader.next(&mut rest, 300, &mut scratch), Err(Fault::Protocol(_))));
}

#[test]
fn fragments_make_one_message_and_controls_may_stand_between_them() {
    let bytes = [
        frame(0x02, b"ab"),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x8a, b""),
        frame(0x00, b"c"),
        frame(0x80, b"def"),
        frame(0x82, b"next"),
    ];
    let expected = [Seen::Ping(b"ping".to_vec()), Seen::Pong, binary(b"abcdef"), binary(b"next")];
    assert_eq!(read_all_ways(&bytes.concat(), 6).unwrap(), expected);
    // The last frame may be empty, and so may be all.
    assert_eq!(read_all_ways(&[frame(0x02, b"a"), frame(0x80, b"")].concat(), 6).unwrap(), [binary(b"a")]);
    assert_eq!(read_all_ways(&[frame(0x02, b""), frame(0x80, b"")].concat(), 6).unwrap(), [binary(b"")]);
}

#[test]
fn what_breaks_the_protocol_has_its_code() {
    let mut unmasked = Vec::new();
    put_message(&mut unmasked, Kind::Binary, None, |out| out.push(1));
    let long_ping = [&[0x89, 0x80 | 126, 0, 126][..], &[0; 4], &[0; 126]].concat();
    let endless: Vec<u8> = [frame(0x02, b"abc"), frame(0x00, b"def"), frame(0x00, b"g")].concat();
    let huge = [&[0x82, 0xff, 0x7f][..], &[0xff; 7], &[0; 4]].concat();
    let negative = [&[0x82, 0xff, 0x80][..], &[0; 7], &[0; 4]].concat();
    let padded = |first: u8| [&[first, 0xfe, 0, 5][..], &[0; 4], &[0; 5]].concat();
    let long_form = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5][..], &[0; 4], &[0; 5]].concat();
    for (bytes, code) in [
        (unmasked, CloseCode::Protocol),
        (frame(0xc2, b""), CloseCode::Protocol),
        (frame(0xa2, b""), CloseCode::Protocol),
        (frame(0x92, b""), CloseCode::Protocol),
        (frame(0x83, b""), CloseCode::Protocol),
        (frame(0x87, b""), CloseCode::Protocol),
        (frame(0x8b, b""), CloseCode::Protocol),
        (frame(0x09, b""), CloseCode::Protocol),
        (frame(0x08, b""), CloseCode::Protocol),
        (long_ping, CloseCode::Protocol),
        (frame(0x80, b""), CloseCode::Protocol),
        (frame(0x00, b""), CloseCode::Protocol),
        ([frame(0x02, b""), frame(0x82, b"")].concat(), CloseCode::Protocol),
        (frame(0x88, b"1"), CloseCode::Protocol),
        (frame(0x88, &999_u16.to_be_bytes()), CloseCode::Protocol),
        (frame(0x88, &1005_u16.to_be_bytes()), CloseCode::Protocol),
        (frame(0x88, &[&1000_u16.to_be_bytes()[..], b"\xff"].concat()), CloseCode::Invalid),
        (frame(0x82, b"seven b"), CloseCode::Size),
        (endless, CloseCode::Size),
        (huge, CloseCode::Size),
        (negative, CloseCode::Protocol),
        (padded(0x82), CloseCode::Protocol),
        (padded(0x89), CloseCode::Protocol),
        (long_form, CloseCode::Protocol),
    ] {
        assert_eq!(read_all_ways(&bytes, 6).unwrap_err().code(), code, "{bytes:?}");
    }
    let (mut reader, mut scratch) = (Reader::new(Role::Server, false), Vec::new());
    let text = frame(0x01, b"");
    let fault = reader.next(&mut &text[..], 6, &mut scratch).unwrap_err();
    assert_eq!(fault.code(), CloseCode::Unsupported, "at its first frame");
    assert_eq!(read_all_ways(&frame(0x88, b""), 6).unwrap(), [Seen::Close(None)]);
    let normal = frame(0x88, &[&1000_u16.to_be_bytes()[..], b"bye"].concat());
    assert_eq!(read_all_ways(&normal, 6).unwrap(), [Seen::Close(Some(CloseCode::Normal))]);
}

#[test]
fn a_reader_that_waits_for_nothing_holds_no_memory() {
    let mut reader = Reader::new(Role::Server, false);
    let mut scratch = Vec::new();
    let bytes = [frame(0x02, &[1; 5_000]), frame(0x89, b"p"), frame(0x80, &[2; 5_000])].concat();
    for piece in bytes.chunks(100) {
        let mut rest = piece;
        while !rest.is_empty() && reader.next(&mut rest, 10_000, &mut scratch).unwrap().is_some() {}
    }
    assert!(reader.kept() > 0);
    reader.release();
    assert_eq!(reader.kept(), 0);
}

/// A stream in memory that takes and gives a few bytes at a time, and then would block.
#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    output: Vec<u8>,
    room: usize,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.len().min(buffer.len());
        if length == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..length].copy_from_slice(&self.input[..length]);
        self.input.drain(..length);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(mem::take(&mut self.room));
        if length == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.output.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Messages of three bytes.
fn three(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= 3).then_some(3)
}

/// A tunnel and its stream after the handshake.
fn open_tunnel() -> (Tunnel, Pipe) {
    let mut tunnel = Tunnel::new("chat.example", "/ws", "chat.1", three, 1_000);
    let mut pipe = Pipe { room: 1_000, ..Pipe::default() };
    assert!(!tunnel.continue_handshake(&mut pipe).unwrap());
    let request = String::from_utf8(mem::take(&mut pipe.output)).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    pipe.input = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {}\r\n\
         Sec-WebSocket-Protocol: chat.1\r\n\r\n",
        accept_key(key)
    )
    .into_bytes();
    pipe.room = 0;
    assert!(tunnel.continue_handshake(&mut pipe).unwrap());
    (tunnel, pipe)
}

#[test]
fn a_tunnel_is_not_held_up_by_pings_and_answers_the_latest() {
    let (mut tunnel, mut pipe) = open_tunnel();
    let pings = 100_000_u32;
    for number in 1..=pings {
        let payload = [&number.to_be_bytes()[..], &[0; 100]].concat();
        put_control(&mut pipe.input, Control::Ping, None, &payload);
    }
    let mut buffer = [0; 4];
    let mut reads = 0;
    while !pipe.input.is_empty() {
        let left = pipe.input.len();
        assert_eq!(tunnel.read(&mut pipe, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        let taken = left - pipe.input.len();
        assert!(taken <= 1024 * 1024 + 64 * 1024 && tunnel.unsent() < 100 * 1024, "{taken}");
        assert!(tunnel.has_more() || pipe.input.is_empty());
        reads += 1;
    }
    assert!(reads > 5, "{reads}");
    while tunnel.unsent() > 0 {
        pipe.room = 1_000;
        assert_eq!(tunnel.write(&mut pipe, b"").unwrap(), 0);
    }
    let mut reader = Reader::new(Role::Server, false);
    let (mut rest, mut scratch) = (&pipe.output[..], Vec::new());
    let mut pongs = 0;
    while !rest.is_empty() {
        assert_eq!(reader.next(&mut rest, 0, &mut scratch), Ok(Some(Event::Pong)));
        pongs += 1;
    }
    assert!((1..1_000).contains(&pongs), "{pongs}");
    // A pong ends with its payload, masked.
    let last = &pipe.output[pipe.output.len() - 108..];
    let mut payload = last[4..8].to_vec();
    payload.iter_mut().zip(&last[..4]).for_each(|(byte, mask)| *byte ^= mask);
    assert_eq!(payload, pings.to_be_bytes());
}

#[test]
fn a_tunnel_sends_whole_messages_and_reads_a_stream() {
    let mut tunnel = Tunnel::new("chat.example", "/ws", "chat.1", three, 1_000);
    let mut pipe = Pipe::default();
    while tunnel.unsent() > 0 {
        pipe.room = 5;
        assert!(!tunnel.continue_handshake(&mut pipe).unwrap());
    }
    let request = String::from_utf8(mem::take(&mut pipe.output)).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(is_key(key) && request.starts_with("GET /ws HTTP/1.1\r\nHost: chat.example\r\n"), "{request}");
    pipe.input = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {}\r\n\
         Sec-WebSocket-Protocol: chat.1\r\n\r\n",
        accept_key(key)
    )
    .into_bytes();
    put_message(&mut pipe.input, Kind::Binary, None, |out| out.extend_from_slice(b"first"));
    put_control(&mut pipe.input, Control::Ping, None, b"?");
    put_message(&mut pipe.input, Kind::Binary, None, |out| out.extend_from_slice(b"second"));
    assert!(tunnel.continue_handshake(&mut pipe).unwrap());

    let mut read = Vec::new();
    let mut buffer = [0; 4];
    while let Ok(length) = tunnel.read(&mut pipe, &mut buffer) {
        read.extend_from_slice(&buffer[..length]);
    }
    assert_eq!(read, b"firstsecond");
    assert!(!tunnel.has_more());
    for part in [&b"a"[..], b"bcde", b"fg"] {
        let mut taken = 0;
        while taken < part.len() || tunnel.unsent() > 0 {
            pipe.room = 3;
            match tunnel.write(&mut pipe, &part[taken..]) {
                Ok(length) => taken += length,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
    // The ping is answered, too.
    assert_eq!(read_all_ways(&pipe.output, 10).unwrap(), [Seen::Pong, binary(b"abc"), binary(b"def")]);
    pipe.input = Vec::new();
    put_close(&mut pipe.input, Some(CloseCode::Away), None);
    pipe.room = 100;
    assert_eq!(tunnel.read(&mut pipe, &mut buffer).unwrap(), 0);
}

proptest! {
    /// Any bytes end in events or a fault, however they are split, and never in more memory than the limit.
    #[test]
    fn any_bytes_mean_the_same_however_they_are_split(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0_usize..400
    ) {
        let cut = cut.min(bytes.len());
        prop_assert_eq!(read(&[&bytes[..cut], &bytes[cut..]], 100), read(&[&bytes], 100));
    }

    #[test]
    fn any_frames_mean_the_same_however_they_are_split(
        frames in proptest::collection::vec((any::<u8>(), 0_usize..200), 0..8), cut in 0_usize..1600
    ) {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|&(first, length)| frame(first, &vec![first; length])).collect();
        let cut = cut.min(bytes.len());
        prop_assert_eq!(read(&[&bytes[..cut], &bytes[cut..]], 300), read(&[&bytes], 300));
    }
}
