//! A stand-in for the server: one thread, one poll, one read and two writes a message (in the legacy dialect, which has no
//! acknowledgements, one), nothing stored or checked.
//!
//! What it costs a message is what the machine and the protocol cost; what a server costs beyond it is the server's. It
//! is the double of the tests as well: [`Fault`] makes it do one wrong that a run must notice.

mod directory;
mod fault;
mod legacy;

pub use fault::Fault;

use crate::connection::{Connection, Next, ReadBuffer, Unit};
use crate::error::Error;
use directory::Directory;
use legacy::Held;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use wire::Dialect;

const LISTENER: Token = Token(usize::MAX);
/// How often a relay that nothing happens to looks whether it shall stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// A relay that listens.
#[derive(Debug)]
pub struct Relay {
    poll: Poll,
    listener: TcpListener,
    address: SocketAddr,
    connections: Slab<Connection>,
    directory: Directory,
    /// What each connection speaks, by its key, once it has spoken.
    dialects: Vec<Option<Dialect>>,
    held: Held,
    /// Connections that have something to write.
    dirty: Vec<usize>,
}

impl Relay {
    /// Listens on `address`; port 0: any free one.
    pub fn bind(address: SocketAddr, fault: Option<Fault>) -> Result<Relay, Error> {
        let bind = || {
            let poll = Poll::new()?;
            let mut listener = TcpListener::bind(address)?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let address = listener.local_addr()?;
            let (connections, directory) = (Slab::new(), Directory::new(fault));
            let (dialects, held, dirty) = (Vec::new(), Held::new(), Vec::new());
            Ok(Relay { poll, listener, address, connections, directory, dialects, held, dirty })
        };
        bind().map_err(|error| Error::io(format!("listen on {address}"), error))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Relays until `stop`.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        self.turns(stop).map_err(|error| Error::io("relay", error))
    }

    fn turns(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let (mut events, mut buffer) = (Events::with_capacity(1024), ReadBuffer::default());
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(LOOK_UP)) {
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
                // It may have been closed in this very turn.
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
                // The peer may have gone already.
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
            entry.insert(Connection::register(stream, Vec::new(), self.poll.registry(), token)?);
        }
    }

    /// Reads once from a connection. Whether there may be more.
    fn read(&mut self, key: usize, buffer: &mut ReadBuffer) -> bool {
        let next = self.connections[key].fill(buffer);
        let dialect = &mut self.dialects[key];
        if let (None, Some(byte)) = (*dialect, buffer.first_byte()) {
            *dialect = Dialect::from_first_byte(byte);
        }
        let dialect = dialect.unwrap_or(Dialect::Tlv);
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        let is_well = loop {
            let goes_on = match buffer.next(dialect) {
                Ok(Some(Unit::Frame(frame))) => self.directory.handle(key, frame, connections, dirty),
                Ok(Some(Unit::Object(object))) => {
                    legacy::handle(&mut self.directory, &mut self.held, key, object, connections, dirty)
                }
                Ok(None) => break true,
                Err(_) => false,
            };
            if !goes_on {
                break false;
            }
        };
        if next == Next::Closed || !is_well {
            self.close(key);
            return false;
        }
        self.connections[key].keep(buffer);
        self.connections[key].shrink();
        next == Next::Read
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
