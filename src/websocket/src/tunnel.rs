//! [`Tunnel`]: a client's byte stream through a WebSocket.

use crate::handshake::ClientHandshake;
use crate::reader::{Event, Reader, Role};
use crate::writer::{Control, Kind, put_close, put_control, put_message};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;

/// The most bytes that one read takes from the stream.
const READ_BYTES: usize = 64 * 1024;
/// Memory that an idle tunnel may keep.
const KEPT_BYTES: usize = 4 * 1024;
/// Unsent bytes above which no ping is answered.
const UNSENT_BYTES: usize = 64 * 1024;
/// The bytes without a whole message after which a read returns to its caller.
const TAKEN_BYTES: usize = 1024 * 1024;

thread_local! {
    /// For what is read and for the message that it has: one for each thread.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A byte stream that is divided into messages, through a WebSocket over a stream of the caller, which is an argument of
/// every call. Each binary message that is received is appended to what can be read.
///
/// Calls have the results of the stream's own. With one that does not block, a caller that waits for edge-triggered
/// events asks [`Tunnel::has_more`] after each read, and continues with a write of nothing when the stream is writable
/// and there are [`Tunnel::unsent`] bytes.
#[derive(Debug)]
pub struct Tunnel {
    /// `None` once the server has agreed.
    handshake: Option<ClientHandshake>,
    /// The length of the first message in these bytes; `None`: it is not complete.
    message_end: fn(&[u8]) -> Option<usize>,
    reader: Reader,
    /// The longest message of the server.
    limit: usize,
    /// Bytes of the stream that are not decoded: what came behind the handshake.
    received: Vec<u8>,
    /// What can be read; the first `read` bytes have been.
    readable: Vec<u8>,
    read: usize,
    /// The beginning of a message that was written.
    partial: Vec<u8>,
    /// Bytes for the stream; the first `sent` it has.
    outgoing: Vec<u8>,
    sent: usize,
    /// The latest ping, if it is not answered (RFC 6455, 5.5.3: those before it need not be).
    ping: Option<Vec<u8>>,
    masks: Masks,
    has_more: bool,
    is_closed_by_peer: bool,
}

/// Masks that others cannot predict: a keyed hash of a counter.
#[derive(Debug, Default)]
struct Masks {
    key: RandomState,
    count: u64,
}

impl Masks {
    fn next_bytes(&mut self) -> [u8; 8] {
        self.count += 1;
        self.key.hash_one(self.count).to_ne_bytes()
    }

    fn next(&mut self) -> Option<[u8; 4]> {
        let [a, b, c, d, ..] = self.next_bytes();
        Some([a, b, c, d])
    }
}

impl Tunnel {
    /// The beginning of a handshake with this host (and port), for this path and subprotocol. `message_end` is the length
    /// of the first message in what was written, if that is complete; one of the server may have `limit` bytes.
    pub fn new(
        host: &str,
        path: &str,
        protocol: &'static str,
        message_end: fn(&[u8]) -> Option<usize>,
        limit: usize,
    ) -> Tunnel {
        let mut masks = Masks::default();
        let mut random = [0; 16];
        random[..8].copy_from_slice(&masks.next_bytes());
        random[8..].copy_from_slice(&masks.next_bytes());
        let handshake = ClientHandshake::new(protocol, random);
        Tunnel {
            outgoing: handshake.request(host, path),
            handshake: Some(handshake),
            message_end,
            reader: Reader::new(Role::Client, false),
            limit,
            received: Vec::new(),
            readable: Vec::new(),
            read: 0,
            partial: Vec::new(),
            sent: 0,
            ping: None,
            masks,
            has_more: false,
            is_closed_by_peer: false,
        }
    }

    pub fn is_handshaking(&self) -> bool {
        self.handshake.is_some()
    }

    /// Bytes that the stream has not taken.
    pub fn unsent(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    /// Whether another read may succeed before the stream has a new event.
    pub fn has_more(&self) -> bool {
        self.has_more || self.readable.len() > self.read || !self.received.is_empty()
    }

    /// Continues the handshake as far as the stream allows. Returns whether it is over.
    ///
    /// # Errors
    /// What the stream returns, or why the server is not spoken with.
    pub fn continue_handshake(&mut self, stream: &mut (impl Read + Write)) -> io::Result<bool> {
        self.flush(stream)?;
        let mut buffer = [0; 4096];
        while let Some(handshake) = &mut self.handshake {
            let length = match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The read may have completed a handshake below, before which nothing could be written.
                    self.flush(stream)?;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Some(rest) = handshake.take_in(&buffer[..length]).map_err(io::Error::other)? {
                (self.received, self.handshake) = (rest, None);
                self.has_more = true;
            }
        }
        Ok(true)
    }

    /// Reads what the server has sent in messages, once the handshake is over; 0: it has ended its output.
    ///
    /// # Errors
    /// What the stream returns, or what is wrong with the server. [`ErrorKind::WouldBlock`] too where the server has sent
    /// much that is no message: then [`Tunnel::has_more`].
    pub fn read(&mut self, stream: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            if self.readable.len() > self.read {
                let rest = &self.readable[self.read..];
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                self.read += length;
                if self.read == self.readable.len() {
                    self.read = 0;
                    self.readable.clear();
                    self.readable.shrink_to(KEPT_BYTES);
                }
                return Ok(length);
            }
            if self.is_closed_by_peer {
                return Ok(0);
            }
            if self.is_handshaking() && !self.continue_handshake(stream)? {
                return Err(ErrorKind::WouldBlock.into());
            }
            if !self.received.is_empty() {
                let received = mem::take(&mut self.received);
                self.decode(&received, &mut Vec::new())?;
                continue;
            }
            if taken >= TAKEN_BYTES {
                self.has_more = true;
                return Err(ErrorKind::WouldBlock.into());
            }
            let length = SCRATCH.with_borrow_mut(|(space, scratch)| {
                space.resize(READ_BYTES, 0);
                let length = stream.read(space).inspect_err(|_| self.has_more = false)?;
                self.has_more = length == READ_BYTES;
                self.decode(&space[..length], scratch)?;
                Ok::<_, io::Error>(length)
            })?;
            if length == 0 {
                return Ok(0);
            }
            taken += length;
            self.flush(stream)?;
        }
    }

    fn decode(&mut self, mut bytes: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() && !self.is_closed_by_peer {
            let event = self.reader.next(&mut bytes, self.limit, scratch);
            match event.map_err(io::Error::other)? {
                None => break,
                Some(Event::Message(_, payload)) => self.readable.extend_from_slice(payload),
                Some(Event::Ping(payload)) => {
                    self.ping = Some(payload.to_vec());
                }
                Some(Event::Pong) => {}
                Some(Event::Close(code)) => {
                    self.answer_ping();
                    self.ping = None;
                    put_close(&mut self.outgoing, code, self.masks.next());
                    self.is_closed_by_peer = true;
                }
            }
        }
        self.reader.release();
        self.answer_ping();
        Ok(())
    }

    /// Answers the latest ping, unless the stream has not taken much that was written before.
    fn answer_ping(&mut self) {
        if self.unsent() <= UNSENT_BYTES
            && let Some(payload) = self.ping.take()
        {
            put_control(&mut self.outgoing, Control::Pong, self.masks.next(), &payload);
        }
    }

    /// Writes whole messages, and keeps the beginning of one. What it returns as written, but the stream has not taken,
    /// is [`Tunnel::unsent`].
    ///
    /// # Errors
    /// What the stream returns; [`ErrorKind::WouldBlock`] also during the handshake.
    pub fn write(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.flush(stream)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.unsent() > 0 || self.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut partial = mem::take(&mut self.partial);
        let mut rest = match partial.is_empty() {
            true => bytes,
            false => {
                partial.extend_from_slice(bytes);
                &partial[..]
            }
        };
        while let Some(end) = (self.message_end)(rest) {
            let (message, behind) = rest.split_at(end);
            put_message(&mut self.outgoing, Kind::Binary, self.masks.next(), |out| {
                out.extend_from_slice(message);
            });
            rest = behind;
        }
        self.partial = rest.to_vec();
        self.flush(stream)?;
        Ok(bytes.len())
    }

    /// Announces the end of the output. Where the stream is full, the server has to do without.
    ///
    /// # Errors
    /// What the stream returns.
    pub fn close(&mut self, stream: &mut impl Write) -> io::Result<()> {
        if !self.is_handshaking() && !self.is_closed_by_peer {
            self.ping = None;
            let mask = self.masks.next();
            put_close(&mut self.outgoing, Some(crate::CloseCode::Normal), mask);
        }
        self.flush(stream)
    }

    fn flush(&mut self, stream: &mut impl Write) -> io::Result<()> {
        loop {
            if self.unsent() == 0 {
                self.outgoing.clear();
                self.sent = 0;
                self.answer_ping();
                if self.outgoing.is_empty() {
                    self.outgoing.shrink_to(KEPT_BYTES);
                    return Ok(());
                }
            }
            match stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => self.sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sent > UNSENT_BYTES {
            self.outgoing.drain(..mem::take(&mut self.sent));
        }
        self.answer_ping();
        Ok(())
    }
}
