//! How a connection from a proxy begins: the proxy says whose it is, by the PROXY protocol, before anything else.
//!
//! Only peers that the configuration names are believed, for whoever may say this may claim any address. From them it
//! may come or not: a client on the proxy's own machine speaks for itself. So the first bytes decide, and who has begun
//! nothing that could be a header in time is no proxy.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::proxy::{self, Header, Malformed};
use crate::shared::Shared;
use std::net::SocketAddr;

/// What is known of who is behind a connection that a proxy made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing yet: what has come may be the beginning of a header.
    Awaited(Vec<u8>),
    /// Who it is, as the proxy says.
    Stated(SocketAddr),
}

impl Origin {
    /// For a connection that was just accepted.
    pub fn awaited() -> Box<Origin> {
        Box::new(Origin::Awaited(Vec::new()))
    }
}

/// Whether the proxy may still say whose connection it is.
pub(super) fn is_awaited(conn: &Connection) -> bool {
    matches!(conn.origin.as_deref(), Some(Origin::Awaited(_)))
}

/// Takes what was read.
pub(super) fn take_in(conn: &mut Connection, bytes: &[u8], shared: &mut Shared) -> Result<(), CloseReason> {
    let Some(Origin::Awaited(begun)) = conn.origin.as_deref_mut() else { return conn.take_in(bytes, shared) };
    begun.extend_from_slice(bytes);
    match proxy::parse(begun) {
        Ok(Header::Possible | Header::Begun) => Ok(()),
        Ok(Header::Absent) => end(conn, None, 0, shared),
        Ok(Header::Whole { source, length }) => end(conn, source, length, shared),
        Err(Malformed) => Err(CloseReason::BadProxyHeader),
    }
}

/// The time for it is over.
pub(super) fn expire(conn: &mut Connection, shared: &mut Shared) -> Result<(), CloseReason> {
    match conn.origin.as_deref() {
        Some(Origin::Awaited(begun)) if proxy::parse(begun) == Ok(Header::Begun) => {
            Err(CloseReason::ProxyTimeout)
        }
        _ => end(conn, None, 0, shared),
    }
}

/// Goes on with what came behind a header of `length` bytes, if there was one.
fn end(
    conn: &mut Connection,
    source: Option<SocketAddr>,
    length: usize,
    shared: &mut Shared,
) -> Result<(), CloseReason> {
    let stated = source.map(|source| Box::new(Origin::Stated(source)));
    let before = std::mem::replace(&mut conn.origin, stated);
    shared.arm(conn);
    match before.as_deref() {
        Some(Origin::Awaited(begun)) if begun.len() > length => conn.take_in(&begun[length..], shared),
        _ => Ok(()),
    }
}
