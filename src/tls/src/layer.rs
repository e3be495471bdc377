//! [`Layer`]: a TLS session over a byte stream of the caller.

use crate::Acceptor;
use crate::fault::Fault;
use crate::scratch::{self, SCRATCH_BYTES};
use crate::session::{Client, RECORD_BYTES, Role, Server, Session};
use crate::trust::Trust;
use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::Arc;

/// Plaintext that is encrypted before it is written.
const WRITE_BYTES: usize = 48 * 1024;

/// TLS over a byte stream. The stream is an argument of every call, so it stays the caller's.
///
/// Calls have the results of the stream's own: with one that does not block, [`ErrorKind::WouldBlock`] means that the
/// stream can do no more. A caller that waits for edge-triggered events asks [`Layer::has_more`] after each read, and
/// continues with a write of nothing when the stream is writable and there are [`Layer::unsent`] bytes.
///
/// After any other error the connection is of no more use; what TLS found wrong is in the error.
pub struct Layer<R: Role> {
    role: R,
    session: Session<R>,
    /// Records that the stream has not taken; the first `sent` bytes it has.
    outgoing: Vec<u8>,
    sent: usize,
    /// Plaintext that did not fit into the caller's buffer; the first `read` bytes have been read.
    leftover: Vec<u8>,
    read: usize,
    /// The last read from the stream filled the buffer.
    has_more: bool,
    has_received: bool,
    /// The session keeps bytes that it has not looked at.
    has_kept: bool,
    is_ended: bool,
}

impl Layer<Server> {
    /// The server's end. The client speaks first.
    ///
    /// # Errors
    /// If the machine has no random numbers.
    pub fn accept(acceptor: &Acceptor) -> io::Result<Layer<Server>> {
        let session = Session::accept(acceptor.config()).map_err(io::Error::other)?;
        Ok(Layer::new(Server, session))
    }
}

impl Layer<Client> {
    /// The client's end, which checks that the certificate is of this host and that `trust` vouches for it. Nothing is
    /// written before [`Layer::continue_handshake`].
    ///
    /// # Errors
    /// If a certificate cannot name the host.
    pub fn connect(trust: &Trust, host: &str) -> io::Result<Layer<Client>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("a certificate cannot name the host {host}")))?;
        let machine = UnbufferedClientConnection::new(Arc::clone(&trust.config), name)
            .map_err(|error| io::Error::other(Fault::of(error, host, trust)))?;
        let role = Client { host: host.into(), trust: trust.clone() };
        let mut layer = Layer::new(role, Session::new(machine));
        layer.take_in(&mut [], &mut [])?;
        Ok(layer)
    }
}

impl<R: Role> Layer<R> {
    fn new(role: R, session: Session<R>) -> Layer<R> {
        Layer {
            role,
            session,
            outgoing: Vec::new(),
            sent: 0,
            leftover: Vec::new(),
            read: 0,
            has_more: false,
            has_received: false,
            has_kept: false,
            is_ended: false,
        }
    }

    /// Whether no plaintext can be written yet.
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the handshake continued an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.session.is_resumed()
    }

    /// Bytes of records that the stream has not taken.
    pub fn unsent(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    /// Whether another read may succeed before the stream has a new event.
    pub fn has_more(&self) -> bool {
        !self.is_ended && (self.has_more || self.session.is_closed_by_peer || self.leftover.len() > self.read)
    }

    /// Keeps bytes that were read from the stream before there was a layer, for [`Layer::continue_handshake`].
    pub fn begin(&mut self, received: &[u8]) {
        (self.has_received, self.has_kept) = (true, true);
        self.session.keep(received);
    }

    /// Continues the handshake as far as the stream allows. Returns whether it is over.
    ///
    /// # Errors
    /// What the stream returns, or what is wrong with the peer.
    pub fn continue_handshake(&mut self, stream: &mut (impl Read + Write)) -> io::Result<bool> {
        self.flush(stream)?;
        while self.is_handshaking() {
            match self.receive(stream, &mut []) {
                // A peer that has ended its output can never finish, so nothing is computed for it.
                Ok(_) if self.is_ended => return Err(self.role.cut(self.has_received)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.has_kept => {
                    let taken = self.take_in(&mut [], &mut []);
                    let flushed = self.flush(stream);
                    taken?;
                    flushed?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads plaintext; 0: the peer has ended its output. At most the bytes of one read from the stream are processed.
    ///
    /// # Errors
    /// What the stream returns, or what is wrong with the peer.
    pub fn read(&mut self, stream: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        if self.leftover.len() > self.read {
            let rest = &self.leftover[self.read..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.read += length;
            if self.read == self.leftover.len() {
                (self.leftover, self.read) = (Vec::new(), 0);
            }
            // The stream was not read, so it may have more since its last event.
            self.has_more = true;
            return Ok(length);
        }
        loop {
            if self.is_ended || self.session.is_closed_by_peer {
                self.is_ended = true;
                return Ok(0);
            }
            let length = self.receive(stream, buffer)?;
            if length > 0 || self.is_ended {
                return Ok(length);
            }
            // Records without plaintext: more of them are for another call.
            if self.has_more {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Reads once from the stream. Returns the length of the plaintext in `buffer`.
    fn receive(&mut self, stream: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        scratch::with(|scratch| {
            // Plaintext is shorter than its records, so it fits if the buffer is long.
            let room = buffer.len().saturating_sub(self.session.incomplete());
            let room = room.clamp(RECORD_BYTES, SCRATCH_BYTES);
            let length = loop {
                match stream.read(&mut scratch[..room]) {
                    Ok(length) => break length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.has_more = false;
                        return Err(error);
                    }
                }
            };
            self.has_more = length == room;
            if length == 0 {
                self.is_ended = true;
                return Ok(0);
            }
            let taken = self.take_in(&mut scratch[..length], buffer);
            // What the handshake has to say, also about an error.
            let flushed = self.flush(stream);
            let length = taken?;
            flushed.map(|()| length)
        })
    }

    fn take_in(&mut self, received: &mut [u8], buffer: &mut [u8]) -> io::Result<usize> {
        self.has_received |= !received.is_empty();
        self.has_kept = false;
        let (mut filled, leftover) = (0, &mut self.leftover);
        let decrypted = self.session.decrypt(received, &mut self.outgoing, |plain| {
            let fits = if leftover.is_empty() { plain.len().min(buffer.len() - filled) } else { 0 };
            buffer[filled..filled + fits].copy_from_slice(&plain[..fits]);
            filled += fits;
            leftover.extend_from_slice(&plain[fits..]);
        });
        match decrypted {
            Ok(()) => Ok(filled),
            Err(error) => Err(self.role.error(error)),
        }
    }

    /// Encrypts and writes plaintext, as much as the stream takes. What it returns as written, but the stream has not
    /// taken, is [`Layer::unsent`].
    ///
    /// # Errors
    /// What the stream returns; [`ErrorKind::WouldBlock`] also during the handshake.
    pub fn write(&mut self, stream: &mut impl Write, plain: &[u8]) -> io::Result<usize> {
        self.flush(stream)?;
        if plain.is_empty() {
            return Ok(0);
        }
        if self.unsent() > 0 || self.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        for part in plain.chunks(WRITE_BYTES) {
            scratch::with(|scratch| {
                let length = self.session.encrypt(part, scratch).map_err(|error| self.role.error(error))?;
                self.pass_on(stream, &scratch[..length])
            })?;
            taken += part.len();
            if self.unsent() > 0 {
                break;
            }
        }
        Ok(taken)
    }

    /// Announces the end of the output (close_notify). Where the stream is full, the peer has to do without.
    ///
    /// # Errors
    /// What the stream returns.
    pub fn close(&mut self, stream: &mut impl Write) -> io::Result<()> {
        self.flush(stream)?;
        if self.unsent() > 0 || self.is_handshaking() {
            return Ok(());
        }
        scratch::with(|scratch| match self.session.close(scratch) {
            Ok(length) => self.pass_on(stream, &scratch[..length]),
            Err(_) => Ok(()),
        })
    }

    /// Writes records, and keeps what the stream does not take.
    fn pass_on(&mut self, stream: &mut impl Write, records: &[u8]) -> io::Result<()> {
        let taken = write_once(stream, records)?;
        self.outgoing.extend_from_slice(&records[taken..]);
        Ok(())
    }

    /// Writes the records that the stream has not taken before.
    ///
    /// # Errors
    /// What the stream returns.
    pub fn flush(&mut self, stream: &mut impl Write) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.sent += write_once(stream, &self.outgoing[self.sent..])?;
        if self.unsent() == 0 {
            self.sent = 0;
            drop(mem::take(&mut self.outgoing));
        }
        Ok(())
    }
}

/// Writes until the stream takes no more. Returns how much it took.
fn write_once(stream: &mut impl Write, mut bytes: &[u8]) -> io::Result<usize> {
    let length = bytes.len();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length - bytes.len())
}

/// Whether TLS found something wrong with a client, and not the stream.
pub fn is_session_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).is_some()
}

impl<R: Role> fmt::Debug for Layer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("is_handshaking", &self.is_handshaking()).finish_non_exhaustive()
    }
}
