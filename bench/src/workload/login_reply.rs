//! The server's answer to a LOGIN, over TLV and the legacy dialect.

use crate::connection::Inbound;
use crate::legacy::{self, Object, msgid};
use wire::kind::{REPLY, request};
use wire::{Errno, Frame, Reply, session};

#[derive(Debug)]
pub enum LoginReply {
    LoggedIn,
    Refused {
        /// The name of the error.
        why: &'static str,
        retry_after_ms: Option<u64>,
    },
    Malformed,
}

/// Decodes the answer to a LOGIN; `None` for anything else.
pub fn read_login_reply(inbound: Inbound<'_>) -> Option<LoginReply> {
    let refused = |why| LoginReply::Refused { why, retry_after_ms: None };
    match inbound {
        Inbound::Frame(Frame { kind, value, .. }) if kind == REPLY | request::LOGIN => {
            // The whole reply is long; the server writes `errno` first.
            if value.starts_with(b"{\"errno\":0,") {
                return Some(LoginReply::LoggedIn);
            }
            Some(match Reply::decode(kind, value) {
                Ok(Reply::Session(session::Reply::LoggedIn(_))) => LoginReply::LoggedIn,
                Ok(Reply::Refused(refusal)) => {
                    LoginReply::Refused { why: refusal.errno.name(), retry_after_ms: refusal.retry_after_ms }
                }
                _ => LoginReply::Malformed,
            })
        }
        Inbound::Frame(_) => None,
        Inbound::Object(object) => match legacy::read(object) {
            Object::Other(value) => match legacy::errno(&value, msgid::LOGIN_ACK)? {
                0 => Some(LoginReply::LoggedIn),
                1 => Some(refused(Errno::BadCredentials.name())),
                2 => Some(refused(Errno::AlreadyOnline.name())),
                // The legacy dialect has no further error codes.
                _ => Some(refused("REFUSED")),
            },
            Object::Chat(_) => None,
            Object::Malformed => Some(LoginReply::Malformed),
        },
    }
}
