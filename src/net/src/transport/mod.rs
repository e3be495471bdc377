//! Transports carry a connection's bytes: a TCP socket, and TLS over it where the client's first byte asks for it.
//!
//! The header of the PROXY protocol is read from the transport before any codec exists: [`proxy_handshake`].

pub(crate) mod proxy_handshake;
mod tcp;

pub(crate) use tcp::Tcp;

pub(crate) type Transport = tls::Stream<Tcp>;
