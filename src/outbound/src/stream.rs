//! A TCP connection, with or without TLS.

use parking_lot::Mutex;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::{Fault, Trust};

/// How much is read from the socket at once: the longest TLS record and its header (RFC 8446, 5.2).
const CHUNK: usize = 16_384 + 256 + 5;

/// A connection that blocks, with time limits. After an error it is of no more use.
///
/// A clone is the same connection: one thread may read while another writes. Only one of them may read, because bytes
/// that were received but not decrypted yet belong to the stream that received them.
pub struct Stream {
    socket: TcpStream,
    tls: Option<Tls>,
    /// When everything must be over; `None`: only each wait is limited.
    deadline: Option<Instant>,
}

struct Tls {
    session: Arc<Mutex<ClientConnection>>,
    host: Arc<str>,
    trust: Trust,
    /// Received, but not decrypted yet.
    received: Vec<u8>,
    /// How many bytes of `received` are done with.
    consumed: usize,
}

impl Stream {
    /// Connects to one of the addresses of a host. `limit` is the time for each of them.
    ///
    /// # Errors
    /// If the name has no address, or none of them accepts.
    pub fn dial(host: &str, port: u16, limit: Duration) -> io::Result<Stream> {
        let mut last = io::Error::other("the host name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, limit) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return Ok(Stream { socket, tls: None, deadline: None });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Encrypts from here on, after checking the peer's certificate: its signer, its time and its name.
    ///
    /// # Errors
    /// A [`Fault`] inside the error if the peer cannot be used, or what a read or write returns.
    pub fn start_tls(&mut self, trust: &Trust, host: &str) -> io::Result<()> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("a certificate cannot name the host {host}")))?;
        let fault = |error| io::Error::other(Fault::of(error, host, trust));
        let session = ClientConnection::new(trust.config(), name).map_err(fault)?;
        let mut tls = Tls {
            session: Arc::new(Mutex::new(session)),
            host: host.into(),
            trust: trust.clone(),
            received: Vec::new(),
            consumed: 0,
        };
        let session = Arc::clone(&tls.session);
        let mut session = session.lock();
        while session.is_handshaking() {
            self.flush_session(&mut session)?;
            if tls.is_drained() && self.receive_ciphertext(&mut tls)? == 0 {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "it closed the connection in the TLS handshake",
                ));
            }
            self.decrypt(&mut session, &mut tls)?;
        }
        self.flush_session(&mut session)?;
        self.tls = Some(tls);
        Ok(())
    }

    /// Whether nobody on the way can read or change what is sent.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Until when everything must be over, whatever the peer does.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Limits each wait for the peer from here on, instead of the whole.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.deadline = None;
        self.socket.set_read_timeout(Some(limit))?;
        self.socket.set_write_timeout(Some(limit))
    }

    /// The same connection, for another thread that only writes.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn try_clone(&self) -> io::Result<Stream> {
        let tls = self.tls.as_ref().map(|tls| Tls {
            session: Arc::clone(&tls.session),
            host: Arc::clone(&tls.host),
            trust: tls.trust.clone(),
            received: Vec::new(),
            consumed: 0,
        });
        Ok(Stream { socket: self.socket.try_clone()?, tls, deadline: self.deadline })
    }

    /// Ends the connection, also for its clones: a read that waits returns.
    pub fn shut_down(&self) {
        if let Some(tls) = &self.tls {
            // Without waiting for another thread that writes: the peer notices the end anyway.
            if let Some(mut session) = tls.session.try_lock() {
                session.send_close_notify();
                let _ = self.flush_session(&mut session);
            }
        }
        // The peer may have closed it already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Reads from the socket. Retries interrupted reads: after SIGSTOP and SIGCONT a read with a timeout fails with
    /// EINTR (signal(7)), although nothing was lost.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket_limit(TcpStream::set_read_timeout)?;
            match (&self.socket).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Passes what is left until the deadline to the socket, if there is one.
    fn socket_limit(&self, set: fn(&TcpStream, Option<Duration>) -> io::Result<()>) -> io::Result<()> {
        let Some(deadline) = self.deadline else { return Ok(()) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        set(&self.socket, Some(left))
    }

    fn receive_ciphertext(&self, tls: &mut Tls) -> io::Result<usize> {
        tls.received.resize(CHUNK, 0);
        tls.consumed = 0;
        let received = self.receive(&mut tls.received);
        tls.received.truncate(*received.as_ref().unwrap_or(&0));
        received
    }

    /// Passes some of what was received to the session.
    fn decrypt(&self, session: &mut ClientConnection, tls: &mut Tls) -> io::Result<()> {
        tls.consumed += session.read_tls(&mut &tls.received[tls.consumed..])?;
        match session.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // Tells the peer, which may not listen any more.
                let _ = self.flush_session(session);
                Err(io::Error::other(Fault::of(error, &tls.host, &tls.trust)))
            }
        }
    }

    /// Sends what the session has to send.
    fn flush_session(&self, session: &mut ClientConnection) -> io::Result<()> {
        while session.wants_write() {
            self.socket_limit(TcpStream::set_write_timeout)?;
            match session.write_tls(&mut &self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Tls {
    fn is_drained(&self) -> bool {
        self.consumed == self.received.len()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut tls) = self.tls.take() else { return self.receive(buffer) };
        let done = self.read_decrypted(&mut tls, buffer);
        self.tls = Some(tls);
        done
    }
}

impl Stream {
    fn read_decrypted(&self, tls: &mut Tls, buffer: &mut [u8]) -> io::Result<usize> {
        let session = Arc::clone(&tls.session);
        loop {
            // Never held while waiting for the peer: another thread may write meanwhile. The socket is only waited for
            // when nothing that was received is left, decrypted or not.
            let mut locked = session.lock();
            match locked.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A connection that ends without the alert that announces it (RFC 8446, 6.1): what runs over TLS here has
                // frames, so that a cut is noticed.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if tls.is_drained() {
                drop(locked);
                if self.receive_ciphertext(tls)? == 0 {
                    return Ok(0);
                }
                locked = session.lock();
            }
            self.decrypt(&mut locked, tls)?;
            // Replies of the protocol itself, as to a new key of the peer.
            self.flush_session(&mut locked)?;
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            self.socket_limit(TcpStream::set_write_timeout)?;
            return (&self.socket).write(bytes);
        };
        let mut session = tls.session.lock();
        let length = session.writer().write(bytes)?;
        self.flush_session(&mut session)?;
        Ok(length)
    }

    /// Nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.socket.peer_addr().ok();
        f.debug_struct("Stream").field("peer", &peer).field("is_encrypted", &self.is_encrypted()).finish()
    }
}
