//! How a connection from a proxy begins: the proxy says whose it is, by the PROXY protocol, before anything else.
//!
//! Only peers that the configuration names are believed, for whoever may say this may claim any address. From them it
//! may come or not: a client on the proxy's own machine speaks for itself. So the first bytes decide, and who has begun
//! nothing that could be a header in time is no proxy.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::context::Context;
use crate::transport::proxy_header::{self, Header, Malformed};
use std::net::SocketAddr;

/// What is known of who is behind a connection that a proxy made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProxiedPeer {
    /// Nothing yet: what has come may be the beginning of a header.
    Awaited(Vec<u8>),
    /// Who it is, as the proxy says.
    Known(SocketAddr),
}

impl ProxiedPeer {
    /// For a connection that was just accepted.
    pub fn awaited() -> Box<ProxiedPeer> {
        Box::new(ProxiedPeer::Awaited(Vec::new()))
    }
}

/// Whether the proxy may still say whose connection it is.
pub(crate) fn is_awaited(conn: &Connection) -> bool {
    matches!(conn.origin.as_deref(), Some(ProxiedPeer::Awaited(_)))
}

/// Takes what was read.
pub(crate) fn take_in(conn: &mut Connection, bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
    let Some(ProxiedPeer::Awaited(begun)) = conn.origin.as_deref_mut() else {
        return conn.take_in(bytes, context);
    };
    begun.extend_from_slice(bytes);
    match proxy_header::parse(begun) {
        Ok(Header::Possible | Header::Begun) => Ok(()),
        Ok(Header::Absent) => end(conn, None, 0, context),
        Ok(Header::Whole { source, length }) => end(conn, source, length, context),
        Err(Malformed) => Err(CloseReason::BadProxyHeader),
    }
}

/// The time for it is over.
pub(crate) fn expire(conn: &mut Connection, context: &mut Context) -> Result<(), CloseReason> {
    match conn.origin.as_deref() {
        Some(ProxiedPeer::Awaited(begun)) if proxy_header::parse(begun) == Ok(Header::Begun) => {
            Err(CloseReason::ProxyTimeout)
        }
        _ => end(conn, None, 0, context),
    }
}

/// Goes on with what came behind a header of `length` bytes, if there was one.
fn end(
    conn: &mut Connection,
    source: Option<SocketAddr>,
    length: usize,
    context: &mut Context,
) -> Result<(), CloseReason> {
    let stated = source.map(|source| Box::new(ProxiedPeer::Known(source)));
    let before = std::mem::replace(&mut conn.origin, stated);
    context.arm(conn);
    match before.as_deref() {
        Some(ProxiedPeer::Awaited(begun)) if begun.len() > length => conn.take_in(&begun[length..], context),
        _ => Ok(()),
    }
}
