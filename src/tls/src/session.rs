//! The two ends of a TLS connection as state machines: records in, plaintext and records out.

use crate::fault::Fault;
use crate::trust::Trust;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConfig, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedConnectionCommon, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{Error, HandshakeKind};
use std::io;
use std::ops::DerefMut;
use std::sync::Arc;

/// The longest record with its header (RFC 8446, 5.2; RFC 5246, 6.2.3 allows longer ones, which nobody sends).
pub(crate) const RECORD_BYTES: usize = 16_384 + 256 + 5;
/// The longest first message of a client: with a post-quantum key and a ticket it has about 2,000 bytes.
pub const HELLO_BYTES: usize = 8 * 1024;
/// What a record adds to its plaintext (TLS 1.2 with AES-GCM; TLS 1.3 without padding: 22).
const RECORD_OVERHEAD: usize = 29;
/// Bytes of records beside plaintext, such as changes of keys, that are free on a connection. Each costs as much CPU as
/// many bytes of plaintext.
const CONTROL_BYTES: u64 = 32 * 1024;
/// Bytes of plaintext that pay for one more.
const PLAIN_BYTES_PER_CONTROL_BYTE: u64 = 4;
/// What the records of a piece of plaintext may add to it: more than any cipher suite does.
const OVERHEAD_BYTES: usize = 64;
/// The plaintext of a record.
const FRAGMENT_BYTES: usize = 16_384;

/// One end of a connection.
pub trait Role: Send {
    /// Incomplete messages of a handshake that are kept.
    #[doc(hidden)]
    const HANDSHAKE_BYTES: usize;
    #[doc(hidden)]
    type Data;
    #[doc(hidden)]
    type Machine: DerefMut<Target = UnbufferedConnectionCommon<Self::Data>> + Send;

    #[doc(hidden)]
    fn process<'c, 'i>(
        machine: &'c mut Self::Machine,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What is wrong with the peer.
    #[doc(hidden)]
    fn error(&self, error: Error) -> io::Error;

    /// The error when the peer ends the connection in the handshake.
    #[doc(hidden)]
    fn cut(&self, has_answered: bool) -> io::Error;
}

/// The server's end.
#[derive(Debug)]
pub struct Server;

/// The client's end.
#[derive(Debug)]
pub struct Client {
    pub(crate) host: Box<str>,
    pub(crate) trust: Trust,
}

impl Role for Server {
    const HANDSHAKE_BYTES: usize = HELLO_BYTES;
    type Data = ServerConnectionData;
    type Machine = UnbufferedServerConnection;

    fn process<'c, 'i>(
        machine: &'c mut Self::Machine,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        machine.process_tls_records(records)
    }

    fn error(&self, error: Error) -> io::Error {
        io::Error::other(error)
    }

    fn cut(&self, _has_answered: bool) -> io::Error {
        io::ErrorKind::UnexpectedEof.into()
    }
}

impl Role for Client {
    /// Of a server, a chain of certificates.
    const HANDSHAKE_BYTES: usize = 64 * 1024;
    type Data = ClientConnectionData;
    type Machine = UnbufferedClientConnection;

    fn process<'c, 'i>(
        machine: &'c mut Self::Machine,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        machine.process_tls_records(records)
    }

    fn error(&self, error: Error) -> io::Error {
        io::Error::other(Fault::of(error, &self.host, &self.trust))
    }

    fn cut(&self, has_answered: bool) -> io::Error {
        let host = self.host.to_string();
        io::Error::other(match has_answered {
            false => Fault::NotTls { host },
            true => {
                let reason = "it closed the connection in the TLS handshake".to_owned();
                Fault::Refused { host, reason }
            }
        })
    }
}

/// The state of one end.
pub(crate) struct Session<R: Role> {
    machine: R::Machine,
    /// The beginning of a record, or of a message that several records hold.
    received: Vec<u8>,
    /// The peer has announced the end of its output.
    pub is_closed_by_peer: bool,
    /// Bytes of plaintext, and of records beside it, since the handshake.
    plain_bytes: u64,
    control_bytes: u64,
    /// The machine must not be called any more: after an error it expects the same bytes again, which are gone.
    has_failed: bool,
}

impl Session<Server> {
    pub fn accept(config: Arc<ServerConfig>) -> Result<Session<Server>, Error> {
        Ok(Session::new(UnbufferedServerConnection::new(config)?))
    }
}

impl<R: Role> Session<R> {
    pub fn new(machine: R::Machine) -> Session<R> {
        Session {
            machine,
            received: Vec::new(),
            is_closed_by_peer: false,
            plain_bytes: 0,
            control_bytes: 0,
            has_failed: false,
        }
    }

    /// Keeps bytes that were received, for the next [`Session::decrypt`].
    pub fn keep(&mut self, received: &[u8]) {
        self.received.extend_from_slice(received);
    }

    /// Bytes that were received and that no complete record was made of yet.
    pub fn incomplete(&self) -> usize {
        self.received.len()
    }

    pub fn is_handshaking(&self) -> bool {
        self.machine.is_handshaking()
    }

    /// Whether the handshake continued an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.machine.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Processes bytes that were received, which are overwritten. The plaintext goes to `plain`, what the protocol has
    /// to send is appended to `out`; after an error that is the alert that says so.
    pub fn decrypt(
        &mut self,
        received: &mut [u8],
        out: &mut Vec<u8>,
        mut plain: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        if self.has_failed {
            return Err(failed());
        }
        if self.received.is_empty() {
            let used = self.process(received, out, &mut plain)?;
            self.received.extend_from_slice(&received[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.received);
            joined.extend_from_slice(received);
            let used = self.process(&mut joined, out, &mut plain)?;
            if used < joined.len() {
                joined.drain(..used);
                self.received = joined;
            }
        }
        let limit = if self.is_handshaking() { R::HANDSHAKE_BYTES } else { RECORD_BYTES };
        if self.received.len() > limit {
            self.has_failed = true;
            return Err(Error::General(format!("a message of the protocol has more than {limit} bytes")));
        }
        Ok(())
    }

    /// Returns how many of the bytes were used.
    fn process(
        &mut self,
        records: &mut [u8],
        out: &mut Vec<u8>,
        plain: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state, .. } =
                R::process(&mut self.machine, &mut records[used..]);
            let (mut is_done, mut length) = (false, 0);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.inspect_err(|_| self.has_failed = true)?;
                        plain(record.payload);
                        length += record.payload.len();
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_closed_by_peer = true,
                // What follows it is not part of the connection.
                Ok(ConnectionState::Closed) => return Ok(records.len()),
                // Early data is not offered, so only these two are left.
                Ok(_blocked_or_idle) => is_done = true,
                Err(error) => {
                    self.has_failed = true;
                    self.take_alert(out);
                    return Err(error);
                }
            }
            used += discard;
            if !self.machine.is_handshaking() {
                self.count(discard, length)?;
            }
            if self.is_closed_by_peer {
                used = records.len();
            }
            if is_done {
                return Ok(used);
            }
        }
    }

    /// Counts records that had this length in all and held this much plaintext. An error: the peer sends too much else.
    fn count(&mut self, records: usize, plain: usize) -> Result<(), Error> {
        let overhead = if plain > 0 { RECORD_OVERHEAD * plain.div_ceil(FRAGMENT_BYTES) } else { 0 };
        self.plain_bytes += plain as u64;
        self.control_bytes += records.saturating_sub(plain + overhead) as u64;
        if self.control_bytes <= CONTROL_BYTES + self.plain_bytes / PLAIN_BYTES_PER_CONTROL_BYTE {
            return Ok(());
        }
        self.has_failed = true;
        Err(Error::General("the peer sends little but changes of keys and empty records".to_owned()))
    }

    /// Appends what the machine has to send after an error. Only while it has something is it safe to call: then it
    /// looks at no records, and otherwise would do so again.
    fn take_alert(&mut self, out: &mut Vec<u8>) {
        while self.machine.wants_write()
            && let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(data)), .. } =
                R::process(&mut self.machine, &mut [])
        {
            encode(data, out);
        }
    }

    /// Writes the records of `plain`, and what the protocol has to send before them, to the beginning of `out`, which
    /// grows where it is too short. Returns their length.
    pub fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let needed = plain.len() + (plain.len() / FRAGMENT_BYTES + 2) * OVERHEAD_BYTES;
        if out.len() < needed {
            out.resize(needed, 0);
        }
        self.write(Some(plain), out)
    }

    /// The same for the announcement that no more plaintext follows.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<usize, Error> {
        if out.len() < OVERHEAD_BYTES {
            out.resize(OVERHEAD_BYTES, 0);
        }
        self.write(None, out)
    }

    /// `None`: the announcement of the end.
    fn write(&mut self, plain: Option<&[u8]>, out: &mut Vec<u8>) -> Result<usize, Error> {
        if self.has_failed {
            return Err(failed());
        }
        let mut early = Vec::new();
        // What was received is incomplete, so it makes no plaintext.
        let mut received = std::mem::take(&mut self.received);
        let written = loop {
            match R::process(&mut self.machine, &mut received).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    match write_traffic(&mut traffic, plain, out) {
                        Ok(length) => break Ok(length),
                        Err(EncryptError::InsufficientSize(size)) => out.resize(size.required_size, 0),
                        Err(EncryptError::EncryptExhausted) => break Err(Error::EncryptError),
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut early),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_closed_by_peer = true,
                Ok(_) => break Err(Error::HandshakeNotComplete),
                Err(error) => break Err(error),
            }
        };
        self.received = received;
        let length = written.inspect_err(|_| self.has_failed = true)?;
        if early.is_empty() {
            return Ok(length);
        }
        out.splice(..0, early.iter().copied());
        Ok(early.len() + length)
    }
}

fn write_traffic<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    plain: Option<&[u8]>,
    out: &mut [u8],
) -> Result<usize, EncryptError> {
    match plain {
        Some(plain) => traffic.encrypt(plain, out),
        None => traffic.queue_close_notify(out),
    }
}

fn failed() -> Error {
    Error::General("the connection has failed before".to_owned())
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) {
    let from = out.len();
    match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => {
            out.resize(from + size.required_size, 0);
            let encoded = data.encode(&mut out[from..]);
            out.truncate(from + encoded.unwrap_or(0));
        }
        Ok(_) | Err(EncodeError::AlreadyEncoded) => {}
    }
}
