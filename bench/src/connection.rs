//! A connection inside an edge-triggered loop: bytes in, frames or objects out of them, bytes out.
//!
//! All connections of a loop share one read buffer, the [`ReadBuffer`]: it stays in the CPU's cache, and a connection on
//! which nothing happens owns no buffer at all. Only a frame that is half there is kept aside until the rest comes.

use crate::legacy::split_object;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use wire::limits::FRAME_BYTES;
use wire::{Dialect, Frame, FrameError, split_frame};

/// Bytes that one read asks for.
const READ_BYTES: usize = 64 * 1024;

/// The read buffer that the connections of one loop share: what one read brought, and how much of it was looked at.
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

/// What a server says at once.
#[derive(Clone, Copy, Debug)]
pub enum Unit<'a> {
    /// A TLV frame.
    Frame(Frame<'a>),
    /// An object of the legacy stream.
    Object(&'a [u8]),
}

impl ReadBuffer {
    /// The first byte of what was not looked at yet.
    pub fn first_byte(&self) -> Option<u8> {
        self.bytes[self.at..self.end].first().copied()
    }

    /// The next complete unit of the last [`Connection::fill`]. `Err`: what came is not of this dialect.
    #[inline]
    pub fn next(&mut self, dialect: Dialect) -> Result<Option<Unit<'_>>, FrameError> {
        match dialect {
            Dialect::Tlv => Ok(self.next_frame()?.map(Unit::Frame)),
            Dialect::Legacy => {
                let split = split_object(&self.bytes[self.at..self.end]);
                Ok(split.map(|(object, taken)| {
                    self.at += taken;
                    Unit::Object(object)
                }))
            }
        }
    }

    /// The next complete frame of the last [`Connection::fill`]. `Err`: what came are not frames.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let split = split_frame(&self.bytes[self.at..self.end], FRAME_BYTES)?;
        Ok(split.map(|(frame, taken)| {
            self.at += taken;
            frame
        }))
    }
}

/// What a read left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There may be more to read now.
    Read,
    /// The next edge will tell.
    Wait,
    /// The other side has closed, or the connection is broken.
    Closed,
}

/// One non-blocking connection.
#[derive(Debug)]
pub struct Connection {
    /// `None` once it is closed: its descriptor is free for another.
    stream: Option<TcpStream>,
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    /// The kernel takes no more until an edge says so.
    is_blocked: bool,
    /// The other side will send no more: a short read does not mean that all is read.
    is_ending: bool,
    /// Whether the loop knows that there is something to write.
    is_dirty: bool,
}

impl Connection {
    /// Takes a non-blocking stream, of which `partial` was read already, into a loop.
    pub fn register(
        mut stream: TcpStream,
        partial: Vec<u8>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
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

    /// Takes a stream into a loop that is being connected still: nothing is written before it is.
    pub fn begin(stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        let connection = Connection::register(stream, Vec::new(), registry, token)?;
        Ok(Connection { is_blocked: true, ..connection })
    }

    /// Notes that the loop will look whether there is something to write; whether that is new.
    #[inline]
    pub fn mark_dirty(&mut self) -> bool {
        !mem::replace(&mut self.is_dirty, true)
    }

    /// The loop looks now.
    #[inline]
    pub fn clear_dirty(&mut self) {
        self.is_dirty = false;
    }

    /// Whether it can still be used.
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Closes it; nothing that is not written yet is written.
    pub fn close(&mut self) {
        (self.stream, self.written) = (None, 0);
        (self.output, self.partial) = (Vec::new(), Vec::new());
    }

    /// Notes what an event says. Whether there is something to read.
    pub fn handle(&mut self, event: &Event) -> bool {
        if event.is_writable() {
            self.is_blocked = false;
        }
        self.is_ending |= event.is_read_closed() || event.is_error();
        self.is_open() && (event.is_readable() || self.is_ending)
    }

    /// Reads once into `buffer`, behind the partial frame that was kept. Take all of [`ReadBuffer::next_frame`] next, then
    /// [`Self::keep`] the rest.
    ///
    /// A read that brings less than was asked for has emptied the socket: see epoll(7), question 9.
    pub fn fill(&mut self, buffer: &mut ReadBuffer) -> Next {
        let kept = self.partial.len();
        if buffer.bytes.len() < kept + READ_BYTES {
            buffer.bytes.resize(kept + READ_BYTES, 0);
        }
        let space = &mut buffer.bytes[..kept + READ_BYTES];
        space[..kept].copy_from_slice(&self.partial);
        (buffer.at, buffer.end) = (0, kept);
        let Some(stream) = &mut self.stream else { return Next::Closed };
        loop {
            match stream.read(&mut space[kept..]) {
                Ok(0) => return Next::Closed,
                Ok(count) => {
                    buffer.end = kept + count;
                    let may_be_more = count == READ_BYTES || self.is_ending;
                    return if may_be_more { Next::Read } else { Next::Wait };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Next::Closed,
            }
        }
    }

    /// Keeps the partial frame that is left in `buffer`.
    pub fn keep(&mut self, buffer: &mut ReadBuffer) {
        let rest = &buffer.bytes[buffer.at..buffer.end];
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    /// What is to be written: append frames here, then [`Self::flush`].
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that wait to be written.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    /// Whether something waits to be written and the kernel may take it.
    pub fn can_flush(&self) -> bool {
        self.is_open() && !self.is_blocked && !self.output.is_empty()
    }

    /// Writes as much as the kernel takes. `Err`: the connection is broken.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(stream) = &mut self.stream
            && !self.is_blocked
            && !self.output.is_empty()
        {
            match stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
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

    /// Gives back the memory of the output buffer where nothing waits in it.
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
    fn frames_come_whole_however_they_are_cut_and_the_end_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut peer, mut poll) = (listener.accept().unwrap().0, Poll::new().unwrap());
        let mut bytes = Vec::new();
        for request in 1..=200 {
            put_frame(&mut bytes, 6, request, |out| out.resize(out.len() + 1_000, b'x'));
        }
        let first = bytes.drain(..30).collect();
        let stream = TcpStream::from_std(stream);
        let mut connection = Connection::register(stream, first, poll.registry(), Token(0)).unwrap();
        let writer = std::thread::spawn(move || {
            bytes.chunks(7_001).for_each(|chunk| peer.write_all(chunk).unwrap());
        });
        let (mut events, mut buffer) = (Events::with_capacity(4), ReadBuffer::default());
        let (mut seen, mut next) = (Vec::new(), Next::Wait);
        while next != Next::Closed {
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
                    is_readable = next == Next::Read;
                }
            }
        }
        writer.join().unwrap();
        assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    }
}
