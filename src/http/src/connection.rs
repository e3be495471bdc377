//! One connection: its socket, what comes before HTTP on it, and its deadlines.

use crate::addresses::{Addresses, Counted};
use crate::client::{Client, is_among};
use crate::exchange::{Decision, Exchange, Received, Waits};
use crate::request::Request;
use crate::response::Response;
use crate::settings::Settings;
use crate::upgrade::Upgraded;
use mio::Registry;
use mio::event::Event;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use wire::proxy_header::{self, Header};
use wire::session::CookieToken;

/// The most bytes that one connection may read in a turn.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// How long input is thrown away after FIN was sent.
const LINGER: Duration = Duration::from_secs(2);

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    /// For a head, or a PROXY header, from its first byte on; and for a TLS handshake.
    head: Duration,
    /// Between two requests.
    idle: Duration,
    /// Without progress of a body, or of the peer's reading.
    stall: Duration,
    /// For a whole body, from its head on.
    body: Duration,
}

const TIMEOUTS: Timeouts = Timeouts {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    stall: Duration::from_secs(30),
    body: Duration::from_secs(60),
};

pub(crate) type Transport = tls::Stream<TcpStream>;

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Ended,
    /// The client that its PROXY header names has too many connections.
    Surplus,
    /// It speaks WebSocket from now on.
    Upgraded,
}

#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    client: Client,
    /// `None` on connections of this machine and of proxies, which have those of many clients.
    counted: Option<Counted>,
    /// The PROXY header that may still come or be completed; only from a trusted proxy.
    header: Option<Vec<u8>>,
    /// The first byte has told whether this is TLS.
    is_begun: bool,
    exchange: Exchange,
    readable: bool,
    writable: bool,
    /// The peer sends nothing more.
    has_ended: bool,
    /// The connection was reset while a request was being answered.
    is_broken: bool,
    /// It waits for its turn.
    pub is_queued: bool,
    /// What the deadline is about, and since when.
    waits: Waits,
    since: Instant,
    /// The body that was last seen to have begun, and when.
    body: u32,
    body_since: Instant,
    /// FIN was sent; input is thrown away until the peer closes its side too.
    is_lingering: bool,
}

impl Connection {
    /// A connection that was just accepted. The kernel reports what its socket can do as its first event.
    ///
    /// # Errors
    /// If its address has too many.
    pub fn new(
        transport: Transport,
        peer: SocketAddr,
        settings: &Settings,
        addresses: &mut Addresses,
    ) -> Result<Connection, Closed> {
        let ip = peer.ip().to_canonical();
        let is_proxy = is_among(&settings.proxies, ip);
        let is_near = is_proxy || ip.is_loopback();
        let counted = match is_near {
            true => None,
            false => Some(addresses.enter(ip).ok_or(Closed::Surplus)?),
        };
        Ok(Connection {
            transport,
            client: Client { address: SocketAddr::new(ip, peer.port()), is_near, is_encrypted: false },
            counted,
            header: is_proxy.then(Vec::new),
            is_begun: false,
            exchange: Exchange::new(),
            readable: false,
            writable: false,
            has_ended: false,
            is_broken: false,
            is_queued: false,
            waits: Waits::Idle,
            since: Instant::now(),
            body: 0,
            body_since: Instant::now(),
            is_lingering: false,
        })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn counted(&self) -> Option<Counted> {
        self.counted
    }

    /// The connection behind an upgrade, which was asked for by this client.
    ///
    /// # Errors
    /// If the poll does not let go of it.
    pub fn upgraded(
        self,
        client: IpAddr,
        session: Option<CookieToken>,
        registry: &Registry,
    ) -> io::Result<Upgraded> {
        let Connection { mut transport, client: peer, mut exchange, .. } = self;
        registry.deregister(transport.socket_mut())?;
        let (stream, tls) = transport.into_parts();
        let output = mem::take(&mut exchange.output);
        let client = SocketAddr::new(client, peer.address.port());
        Ok(Upgraded { stream, tls, client, session, received: exchange.into_pending(), output })
    }

    pub fn handle_event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable();
        // Its input is not read now.
        self.is_broken |= event.is_write_closed() && self.exchange.waits() == Waits::Answer;
    }

    /// Answers the request that was left to be answered later.
    pub fn answer_later(&mut self, response: &Response) {
        self.exchange.answer_later(response);
        self.progressed(true);
    }

    /// Whether its next step computes a TLS handshake.
    pub fn is_handshaking(&self) -> bool {
        self.transport.is_handshaking() && !self.is_lingering
    }

    fn takes_input(&self) -> bool {
        self.is_lingering || self.is_handshaking() || self.exchange.takes_input()
    }

    fn has_output(&self) -> bool {
        !self.is_lingering && (!self.exchange.output.is_empty() || self.transport.unsent() > 0)
    }

    /// Whether there is something to do without a new event.
    pub fn can_go_on(&self) -> bool {
        self.is_broken || (self.readable && self.takes_input()) || (self.writable && self.has_output())
    }

    /// Whether it has taken too long.
    pub fn is_late(&self, now: Instant) -> bool {
        let Timeouts { head, idle, stall, body } = TIMEOUTS;
        if self.waits == Waits::Body && now.saturating_duration_since(self.body_since) > body {
            return true;
        }
        let allowed = match self.waits {
            _ if self.is_lingering => LINGER,
            _ if self.transport.is_handshaking() => head,
            _ if self.has_output() => stall,
            Waits::Idle => idle,
            Waits::Head => head,
            Waits::Body | Waits::End => stall,
            // Logic answers every request in time.
            Waits::Answer => return false,
        };
        now.saturating_duration_since(self.since) > allowed
    }

    /// It has taken too long: a request that is not complete is answered, everything else just ends.
    pub fn time_out(&mut self, now: Instant) -> Result<(), Closed> {
        let is_silent = self.is_lingering || self.transport.is_handshaking() || self.has_output();
        if is_silent || self.waits == Waits::End || !self.is_begun {
            return Err(Closed::Ended);
        }
        self.exchange.time_out();
        self.since = now;
        self.write()
    }

    /// Reads once, answers, and writes once.
    pub fn step(
        &mut self,
        buffer: &mut [u8],
        settings: &Settings,
        addresses: &mut Addresses,
        answer: &mut impl FnMut(&Client, &Request, Received) -> Decision,
    ) -> Result<(), Closed> {
        if self.is_broken {
            return Err(Closed::Ended);
        }
        if self.is_handshaking() {
            return self.continue_handshake();
        }
        if self.readable && self.takes_input() {
            let read = match self.is_lingering {
                true => self.transport.socket_mut().read(buffer),
                false => self.transport.read(buffer),
            };
            match read {
                Ok(0) if self.is_lingering => return Err(Closed::Ended),
                // What it has asked for is still answered, but nothing more comes.
                Ok(0) => {
                    self.readable = false;
                    self.has_ended = true;
                }
                Ok(_) if self.is_lingering => {}
                Ok(length) => {
                    self.take_in(&buffer[..length], settings, addresses, answer)?;
                    self.check_switched()?;
                    self.progressed(matches!(self.exchange.waits(), Waits::Body | Waits::Idle));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = self.transport.has_more();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.fail(&error)?,
            }
        }
        self.write()?;
        // What waited for room in the output; it is written in the next step.
        if self.exchange.output.is_empty() && !self.is_lingering && !self.transport.is_handshaking() {
            let client = &self.client;
            self.exchange.proceed(&mut |request: &Request, received| answer(client, request, received));
            self.check_switched()?;
            self.progressed(false);
            let is_answered = self.exchange.waits() != Waits::Answer;
            if self.has_ended && is_answered && self.exchange.output.is_empty() {
                self.exchange.end();
                self.write()?;
            }
        }
        Ok(())
    }

    fn check_switched(&self) -> Result<(), Closed> {
        if self.exchange.is_switched() { Err(Closed::Upgraded) } else { Ok(()) }
    }

    fn take_in(
        &mut self,
        bytes: &[u8],
        settings: &Settings,
        addresses: &mut Addresses,
        answer: &mut impl FnMut(&Client, &Request, Received) -> Decision,
    ) -> Result<(), Closed> {
        if self.is_begun {
            let client = &self.client;
            self.exchange
                .take_in(bytes, &mut |request: &Request, received| answer(client, request, received));
            return Ok(());
        }
        let Some(mut received) = self.header.take() else {
            return self.begin(bytes, settings, addresses, answer);
        };
        received.extend_from_slice(bytes);
        let header = match proxy_header::may_begin(&received) {
            true => proxy_header::parse(&received).map_err(|_malformed| Closed::Ended)?,
            false => Header::Absent,
        };
        match header {
            Header::Possible | Header::Begun => {
                self.header = Some(received);
                Ok(())
            }
            Header::Absent => self.begin(&received, settings, addresses, answer),
            Header::Whole { source, length } => {
                if let Some(source) = source {
                    self.client.address = source;
                    self.counted = Some(addresses.enter(source.ip()).ok_or(Closed::Surplus)?);
                }
                self.begin(&received[length..], settings, addresses, answer)
            }
        }
    }

    /// Takes the first bytes of the client.
    fn begin(
        &mut self,
        bytes: &[u8],
        settings: &Settings,
        addresses: &mut Addresses,
        answer: &mut impl FnMut(&Client, &Request, Received) -> Decision,
    ) -> Result<(), Closed> {
        let Some(&first) = bytes.first() else { return Ok(()) };
        self.is_begun = true;
        match &settings.encryption {
            Some(encryption) if first == tls::FIRST_BYTE => {
                self.client.is_encrypted = true;
                self.since = Instant::now();
                match self.transport.start_tls(&encryption.acceptor, bytes) {
                    Ok(()) => Ok(()),
                    Err(error) => self.fail(&error),
                }
            }
            _ => self.take_in(bytes, settings, addresses, answer),
        }
    }

    /// Continues the TLS handshake with what the client has sent.
    fn continue_handshake(&mut self) -> Result<(), Closed> {
        match self.transport.continue_handshake() {
            Ok(false) => self.readable = false,
            // The time for a request begins.
            Ok(true) => {
                self.readable = true;
                self.since = Instant::now();
            }
            Err(error) => self.fail(&error)?,
        }
        self.writable &= self.transport.unsent() == 0;
        Ok(())
    }

    /// The stream cannot be read any further. What TLS has to say about that is still sent.
    fn fail(&mut self, error: &io::Error) -> Result<(), Closed> {
        if !tls::is_session_error(error) {
            return Err(Closed::Ended);
        }
        log::debug!("TLS with {}: {error}", self.client.address);
        self.exchange.output = Vec::new();
        self.linger()
    }

    /// Notes what the deadline is about now. `is_progress`: its time begins anew.
    fn progressed(&mut self, is_progress: bool) {
        let waits = match &self.header {
            Some(received) if !received.is_empty() => Waits::Head,
            _ => self.exchange.waits(),
        };
        if is_progress && self.header.is_none() || waits != self.waits {
            self.since = Instant::now();
        }
        self.waits = waits;
        if self.body != self.exchange.bodies() {
            self.body = self.exchange.bodies();
            self.body_since = Instant::now();
        }
    }

    fn write(&mut self) -> Result<(), Closed> {
        while self.writable && self.has_output() {
            let unsent = self.transport.unsent();
            match self.transport.write(&self.exchange.output) {
                Ok(length) => {
                    self.exchange.output.drain(..length);
                    if length > 0 || self.transport.unsent() < unsent {
                        self.progressed(true);
                    }
                    // The kernel takes no more.
                    self.writable = self.transport.unsent() == 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed::Ended),
            }
        }
        if self.exchange.output.is_empty() && self.exchange.output.capacity() > READ_BYTES {
            self.exchange.output = Vec::new();
        }
        let is_over = self.exchange.waits() == Waits::End && !self.transport.is_handshaking();
        if is_over && !self.has_output() && !self.is_lingering {
            self.linger()?;
        }
        Ok(())
    }

    /// Sends FIN. The peer may still send: closing now would make the kernel destroy what it has not read.
    fn linger(&mut self) -> Result<(), Closed> {
        let closed = self.transport.send_close_notify();
        closed.and_then(|()| self.transport.socket().shutdown(Shutdown::Write)).map_err(|_| Closed::Ended)?;
        self.is_lingering = true;
        self.readable = true;
        self.since = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Limits;
    use crate::status::Status;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    #[test]
    fn a_body_that_comes_byte_by_byte_is_refused_after_a_minute() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let settings = Settings::plain(Limits { connections: 1, per_address: 1 });
        let mut addresses = Addresses::new(1);
        stream.set_nonblocking(true).unwrap();
        let transport = Transport::new(mio::net::TcpStream::from_std(stream), None);
        let mut connection = Connection::new(transport, peer, &settings, &mut addresses).unwrap();
        let mut send = |connection: &mut Connection, bytes: &[u8]| {
            client.write_all(bytes).unwrap();
            (connection.readable, connection.writable) = (true, true);
            let answer = &mut |_: &Client, _: &Request, received: Received| match received {
                Received::Head => Decision::Wait,
                _ => Decision::Answer(Response::plain(Status::Ok)),
            };
            connection.step(&mut [0; 256], &settings, &mut addresses, answer).unwrap();
        };
        let head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";
        send(&mut connection, head);
        // Each byte comes 20 s after the one before, on a clock that stands still between them.
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        for byte in [b"1", b"2"] {
            assert!(!connection.is_late(after(20)));
            connection.body_since -= Duration::from_secs(20);
            send(&mut connection, byte);
        }
        assert!(!connection.is_late(after(15)) && connection.is_late(after(21)), "40 s are over");
        // The body of the next request has its own time, also where it begins with the end of this one.
        send(&mut connection, &[b"34".as_slice(), head, b"1"].concat());
        assert!(connection.waits == Waits::Body && !connection.is_late(after(29)));
        assert!(connection.is_late(after(31)), "nothing comes any more");
        connection.time_out(after(31)).unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert!(said.contains("HTTP/1.1 408 ") && said.contains("HTTP/1.1 200 "), "{said}");
    }
}
