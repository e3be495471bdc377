//! A server that stores and checks nothing: one thread, one poll, one read and two writes a message (one write over the
//! legacy dialect, which has no acknowledgements).
//!
//! Its cost is that of the machine and the protocol, so it is the lower bound for a real server. Tests run against it
//! as well: a [`Fault`] makes it do one thing wrong, which the run must notice.

mod directory;
mod fault;
mod legacy;

pub use fault::Fault;

use crate::connection::{Connection, Inbound, ReadBuffer, ReadOutcome};
use crate::error::Error;
use crate::stream::Stream;
use directory::Directory;
use legacy::HeldBack;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use wire::Dialect;

const LISTENER: Token = Token(usize::MAX);
/// How often an idle relay checks whether to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Relay {
    poll: Poll,
    listener: TcpListener,
    address: SocketAddr,
    connections: Slab<Connection>,
    directory: Directory,
    /// The dialect of each connection, by its key, once it has sent something.
    dialects: Vec<Option<Dialect>>,
    held_back: HeldBack,
    /// Connections with output.
    dirty: Vec<usize>,
}

impl Relay {
    /// Listens on `address`; port 0 chooses a free port.
    pub fn bind(address: SocketAddr, fault: Option<Fault>) -> Result<Relay, Error> {
        let bind = || {
            let poll = Poll::new()?;
            let mut listener = TcpListener::bind(address)?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let address = listener.local_addr()?;
            let (connections, directory) = (Slab::new(), Directory::new(fault));
            let (dialects, held_back, dirty) = (Vec::new(), HeldBack::new(), Vec::new());
            Ok(Relay { poll, listener, address, connections, directory, dialects, held_back, dirty })
        };
        bind().map_err(|error| Error::io(format!("listen on {address}"), error))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Relays until `stop` is set.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        self.turns(stop).map_err(|error| Error::io("relay", error))
    }

    fn turns(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let (mut events, mut buffer) = (Events::with_capacity(1024), ReadBuffer::default());
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(STOP_INTERVAL)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled?,
            }
            let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.directory.set_time(since_epoch.as_millis() as u64);
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let Token(key) = event.token();
                // It may have been closed in this turn.
                let mut is_readable = self.connections.get_mut(key).is_some_and(|c| c.handle(event));
                while is_readable {
                    is_readable = self.read(key, &mut buffer);
                }
                self.dirty.push(key);
            }
            self.flush();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer may have closed it already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            let token = Token(entry.key());
            if self.dialects.len() <= token.0 {
                self.dialects.resize(token.0 + 1, None);
            }
            self.dialects[token.0] = None;
            entry.insert(Connection::register(
                Stream::new(stream, None, None),
                Vec::new(),
                self.poll.registry(),
                token,
            )?);
        }
    }

    /// Reads once from a connection. Returns whether there may be more.
    fn read(&mut self, key: usize, buffer: &mut ReadBuffer) -> bool {
        let next = self.connections[key].fill(buffer);
        let dialect = &mut self.dialects[key];
        if let (None, Some(byte)) = (*dialect, buffer.first_byte()) {
            *dialect = Dialect::from_first_byte(byte);
        }
        let dialect = dialect.unwrap_or(Dialect::Tlv);
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        let is_valid = loop {
            let may_continue = match buffer.next(dialect) {
                Ok(Some(Inbound::Frame(frame))) => self.directory.handle(key, frame, connections, dirty),
                Ok(Some(Inbound::Object(object))) => {
                    legacy::handle(&mut self.directory, &mut self.held_back, key, object, connections, dirty)
                }
                Ok(None) => break true,
                Err(_) => false,
            };
            if !may_continue {
                break false;
            }
        };
        if next == ReadOutcome::Closed || !is_valid {
            self.close(key);
            return false;
        }
        self.connections[key].keep(buffer);
        self.connections[key].shrink();
        next == ReadOutcome::Read
    }

    fn flush(&mut self) {
        while let Some(key) = self.dirty.pop() {
            let broken = |c: &mut Connection| c.can_flush() && c.flush().is_err();
            if self.connections.get_mut(key).is_some_and(broken) {
                self.close(key);
            }
        }
    }

    fn close(&mut self, key: usize) {
        self.connections.remove(key).close();
        self.directory.forget(key);
    }
}
