//! A non-blocking connection in an edge-triggered loop: input as frames or objects, and buffered output.
//!
//! All connections of a loop share one [`ReadBuffer`]: it stays in the CPU's cache, and an idle connection owns no
//! buffer. Only an incomplete frame is kept with its connection until the rest arrives.

use crate::legacy::split_object;
use crate::stream::Stream;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use wire::limits::FRAME_BYTES;
use wire::{Dialect, Frame, FrameError, split_frame};

/// The size of a read, bytes.
const READ_BYTES: usize = 64 * 1024;

/// The input of the last read; `at..end` is not consumed yet.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Default for ReadBuffer {
    fn default() -> ReadBuffer {
        ReadBuffer { bytes: vec![0; READ_BYTES], at: 0, end: 0 }
    }
}

/// A complete unit of input.
#[derive(Clone, Copy, Debug)]
pub enum Inbound<'a> {
    /// A TLV frame.
    Frame(Frame<'a>),
    /// An object of the legacy stream.
    Object(&'a [u8]),
}

impl ReadBuffer {
    /// The first byte that is not consumed yet.
    pub fn first_byte(&self) -> Option<u8> {
        self.bytes[self.at..self.end].first().copied()
    }

    /// The next complete frame or object of the last [`Connection::fill`].
    ///
    /// # Errors
    /// The input is not of this dialect.
    #[inline]
    pub fn next(&mut self, dialect: Dialect) -> Result<Option<Inbound<'_>>, FrameError> {
        match dialect {
            Dialect::Tlv => Ok(self.next_frame()?.map(Inbound::Frame)),
            Dialect::Legacy => {
                let split = split_object(&self.bytes[self.at..self.end]);
                Ok(split.map(|(object, taken)| {
                    self.at += taken;
                    Inbound::Object(object)
                }))
            }
        }
    }

    /// The next complete frame of the last [`Connection::fill`].
    ///
    /// # Errors
    /// The input is not a frame.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let split = split_frame(&self.bytes[self.at..self.end], FRAME_BYTES)?;
        Ok(split.map(|(frame, taken)| {
            self.at += taken;
            frame
        }))
    }
}

/// What to do after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Read again: there may be more.
    Read,
    /// Wait for the next event.
    Wait,
    /// The peer has closed the connection, or it is broken.
    Closed,
}

#[derive(Debug)]
pub struct Connection {
    /// `None` once it is closed, so that its descriptor can be reused.
    stream: Option<Stream<TcpStream>>,
    /// The start of an incomplete frame.
    partial: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that are written.
    written: usize,
    /// The socket's send buffer is full, or it is still connecting; the next writable event clears this.
    is_blocked: bool,
    /// The peer has shut down its side, so a short read does not mean that the socket is empty.
    is_ending: bool,
    /// Whether the loop has it on its list of connections with output.
    is_dirty: bool,
}

impl Connection {
    /// Registers a non-blocking stream from which `partial` was read already.
    pub fn register(
        mut stream: Stream<TcpStream>,
        partial: Vec<u8>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream.socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let (output, written) = (Vec::new(), 0);
        Ok(Connection {
            stream: Some(stream),
            partial,
            output,
            written,
            is_blocked: false,
            is_ending: false,
            is_dirty: false,
        })
    }

    /// Registers a stream that is still connecting; nothing is written before it is connected.
    pub fn begin(stream: Stream<TcpStream>, registry: &Registry, token: Token) -> io::Result<Self> {
        let connection = Connection::register(stream, Vec::new(), registry, token)?;
        Ok(Connection { is_blocked: true, ..connection })
    }

    /// Notes that the loop has it on its list; returns whether that is new.
    #[inline]
    pub fn mark_dirty(&mut self) -> bool {
        !mem::replace(&mut self.is_dirty, true)
    }

    #[inline]
    pub fn clear_dirty(&mut self) {
        self.is_dirty = false;
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Closes it and discards its output.
    pub fn close(&mut self) {
        (self.stream, self.written) = (None, 0);
        (self.output, self.partial) = (Vec::new(), Vec::new());
    }

    /// Handles an event. Returns whether there is something to read.
    pub fn handle(&mut self, event: &Event) -> bool {
        if event.is_writable() {
            self.is_blocked = false;
        }
        self.is_ending |= event.is_read_closed() || event.is_error();
        self.is_open() && (event.is_readable() || self.is_ending)
    }

    /// Reads once into `buffer`, after the incomplete frame. Consume all of [`ReadBuffer::next`], then [`Self::keep`]
    /// the rest.
    ///
    /// A short read has emptied the socket: see epoll(7), question 9. With TLS, a read that ends the handshake lets output
    /// through.
    pub fn fill(&mut self, buffer: &mut ReadBuffer) -> ReadOutcome {
        let kept = self.partial.len();
        if buffer.bytes.len() < kept + READ_BYTES {
            buffer.bytes.resize(kept + READ_BYTES, 0);
        }
        let space = &mut buffer.bytes[..kept + READ_BYTES];
        space[..kept].copy_from_slice(&self.partial);
        (buffer.at, buffer.end) = (0, kept);
        let Some(stream) = &mut self.stream else { return ReadOutcome::Closed };
        let was_handshaking = stream.is_handshaking();
        loop {
            let read = stream.read(&mut space[kept..]);
            if was_handshaking && !stream.is_handshaking() {
                self.is_blocked = false;
            }
            match read {
                Ok(0) => return ReadOutcome::Closed,
                Ok(count) => {
                    buffer.end = kept + count;
                    let may_be_more = count == READ_BYTES || self.is_ending || stream.has_more();
                    return if may_be_more { ReadOutcome::Read } else { ReadOutcome::Wait };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadOutcome::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return ReadOutcome::Closed,
            }
        }
    }

    /// Keeps the incomplete frame that is left in `buffer`.
    pub fn keep(&mut self, buffer: &mut ReadBuffer) {
        let rest = &buffer.bytes[buffer.at..buffer.end];
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    /// The output, to append to before [`Self::flush`].
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes of output that are not written yet.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    /// Whether there is output and the socket may accept it.
    pub fn can_flush(&self) -> bool {
        !self.is_blocked && self.has_output()
    }

    fn has_output(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !self.output.is_empty() || stream.has_unsent())
    }

    /// Writes as much as the socket accepts.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.can_flush()
            && let Some(stream) = &mut self.stream
        {
            match stream.write(&self.output[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    self.is_blocked = stream.has_unsent();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
            }
        }
        if self.written > READ_BYTES {
            self.output.drain(..mem::take(&mut self.written));
        }
        Ok(())
    }

    /// Frees an empty output buffer.
    pub fn shrink(&mut self) {
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;
    use wire::frame::put_frame;

    #[test]
    fn frames_are_complete_however_they_are_split_and_the_end_is_noticed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut peer, mut poll) = (listener.accept().unwrap().0, Poll::new().unwrap());
        let mut bytes = Vec::new();
        for request in 1..=200 {
            put_frame(&mut bytes, 6, request, |out| out.resize(out.len() + 1_000, b'x'));
        }
        let first = bytes.drain(..30).collect();
        let stream = Stream::new(TcpStream::from_std(stream), None, None);
        let mut connection = Connection::register(stream, first, poll.registry(), Token(0)).unwrap();
        let writer = std::thread::spawn(move || {
            bytes.chunks(7_001).for_each(|chunk| peer.write_all(chunk).unwrap());
        });
        let (mut events, mut buffer) = (Events::with_capacity(4), ReadBuffer::default());
        let (mut seen, mut next) = (Vec::new(), ReadOutcome::Wait);
        while next != ReadOutcome::Closed {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nothing came for 10 s; last was {next:?}");
            for event in &events {
                let mut is_readable = connection.handle(event);
                while is_readable {
                    next = connection.fill(&mut buffer);
                    while let Some(frame) = buffer.next_frame().unwrap() {
                        seen.push(frame.request);
                    }
                    connection.keep(&mut buffer);
                    is_readable = next == ReadOutcome::Read;
                }
            }
        }
        writer.join().unwrap();
        assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    }
}
