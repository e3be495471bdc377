//! The handshake, which HTTP carries (RFC 6455, 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use thiserror::Error;

/// What a server appends to the client's key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes that a client's key encodes.
const KEY_BYTES: usize = 16;
/// The longest answer to a handshake.
const HEAD_BYTES: usize = 16 * 1024;

/// Whether the value of Sec-WebSocket-Key is one.
pub fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

/// The value of Sec-WebSocket-Accept that answers a key.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Why a server is not spoken with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    #[error("the server answers with a head of more than 16 KiB")]
    TooLong,
    #[error("the server does not speak HTTP")]
    NotHttp,
    #[error("the server refuses the connection: {0}")]
    Refused(String),
    #[error("the server's answer lacks a right {0}")]
    Field(&'static str),
}

/// The client's end of a handshake.
#[derive(Debug)]
pub struct ClientHandshake {
    key: String,
    protocol: &'static str,
    received: Vec<u8>,
}

impl ClientHandshake {
    /// `random` bytes keep caches from answering.
    pub fn new(protocol: &'static str, random: [u8; KEY_BYTES]) -> ClientHandshake {
        ClientHandshake { key: STANDARD.encode(random), protocol, received: Vec::new() }
    }

    /// What to send. `host` has a port where that is not the usual one.
    pub fn request(&self, host: &str, path: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            self.key, self.protocol
        )
        .into_bytes()
    }

    /// Takes bytes of the answer. Returns what came behind it; `None`: it is not complete.
    ///
    /// # Errors
    /// If the server does not agree.
    pub fn take_in(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, HandshakeError> {
        self.received.extend_from_slice(bytes);
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end.filter(|&end| end <= HEAD_BYTES) else {
            let is_long = self.received.len() > HEAD_BYTES;
            return if is_long { Err(HandshakeError::TooLong) } else { Ok(None) };
        };
        let head = std::str::from_utf8(&self.received[..end]).map_err(|_| HandshakeError::NotHttp)?;
        self.check(head)?;
        Ok(Some(self.received.split_off(end + 4)))
    }

    fn check(&self, head: &str) -> Result<(), HandshakeError> {
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.ok_or(HandshakeError::NotHttp)?;
        if !status.starts_with("101 ") {
            let plain = status.chars().filter(|char| !char.is_control()).take(100);
            return Err(HandshakeError::Refused(plain.collect()));
        }
        let fields: Vec<(&str, &str)> =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect();
        let value = |name: &str| {
            let mut values = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| *value).filter(|_| values.next().is_none())
        };
        let is = |name, wanted: &str| value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        let mut connection = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Connection"));
        let upgrades = connection
            .any(|(_, value)| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
        for (name, is_right) in [
            ("Upgrade", is("Upgrade", "websocket")),
            ("Connection", upgrades),
            ("Sec-WebSocket-Accept", value("Sec-WebSocket-Accept") == Some(&*accept_key(&self.key))),
            ("Sec-WebSocket-Protocol", value("Sec-WebSocket-Protocol") == Some(self.protocol)),
        ] {
            if !is_right {
                return Err(HandshakeError::Field(name));
            }
        }
        match value("Sec-WebSocket-Extensions") {
            None => Ok(()),
            Some(_) => Err(HandshakeError::Field("Sec-WebSocket-Extensions, as none was asked for")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        // RFC 6455, 1.3.
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ== "] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_client_takes_only_the_right_answer_and_keeps_what_follows() {
        let handshake = || ClientHandshake::new("chat.1", *b"the sample nonce");
        let right = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat.1\r\n\r\n";
        assert_eq!(handshake().take_in(&[right.as_bytes(), b"\x82"].concat()), Ok(Some(b"\x82".to_vec())));
        let mut split = handshake();
        for byte in &right.as_bytes()[..right.len() - 1] {
            assert_eq!(split.take_in(&[*byte]), Ok(None));
        }
        assert_eq!(split.take_in(b"\n"), Ok(Some(Vec::new())));
        for connection in ["keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade"] {
            let other = right.replace("Connection: Upgrade", &format!("Connection: {connection}"));
            assert_eq!(handshake().take_in(other.as_bytes()), Ok(Some(Vec::new())), "{other}");
        }
        for (from, to) in [
            ("HTTP/1.1", "HTTP/2"),
            ("101 Switching", "200 OK"),
            ("WebSocket", "h2c"),
            ("s3p", "S3P"),
            ("chat.1", "chat.2"),
            ("Connection: Upgrade", "Connection: close"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        ] {
            let wrong = right.replace(from, to);
            assert!(handshake().take_in(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(handshake().take_in(&[b'x'; HEAD_BYTES + 1]), Err(HandshakeError::TooLong));
    }
}
