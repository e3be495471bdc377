//! The tokens of a thread's `mio::Poll`.

use logic::ConnId;
use mio::Token;

/// The waker. No connection has this token, because slots are far fewer.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// The token of a connection: its slot and generation. The reactor is implied by the poll.
pub(crate) fn of(id: ConnId) -> Token {
    Token(id.slot() << 32 | id.generation() as usize)
}

/// The connection that `token` names in the poll of this reactor.
pub(crate) fn conn_id(reactor: usize, token: Token) -> ConnId {
    ConnId::new(reactor, token.0 >> 32, token.0 as u32)
}
