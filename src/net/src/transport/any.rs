//! [`AnyTransport`]: the transport of a connection, one variant for each kind.

use super::{Tcp, Transport};
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::io::{Read, Result, Write};

#[derive(Debug)]
pub(crate) enum AnyTransport {
    Tcp(Tcp),
}

impl Transport for AnyTransport {
    fn unsent(&self) -> usize {
        let AnyTransport::Tcp(transport) = self;
        transport.unsent()
    }

    fn close_write(&mut self) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.close_write()
    }

    fn keep_alive(&self) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.keep_alive()
    }
}

impl Read for AnyTransport {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let AnyTransport::Tcp(transport) = self;
        transport.read(buffer)
    }
}

impl Write for AnyTransport {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let AnyTransport::Tcp(transport) = self;
        transport.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.flush()
    }
}

impl Source for AnyTransport {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> Result<()> {
        let AnyTransport::Tcp(transport) = self;
        transport.deregister(registry)
    }
}
