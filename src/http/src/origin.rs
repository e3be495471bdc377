//! [`Origin`]: where a page comes from.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The scheme, host and port of a URL (RFC 6454). Its text has the form `https://chat.example:6080`: the host in lower
/// case, and a port only where it is not that of the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_secure: bool,
    authority: String,
}

impl Origin {
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Origin, Self::Err> {
        const FORM: &str =
            "must have the form `https://host` or `https://host:port` (or `http://`), without a path";
        let (is_secure, rest) = match text.split_once("://").ok_or(FORM)? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return Err(FORM),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if !is_authority(authority) {
            return Err(FORM);
        }
        let authority = authority.to_ascii_lowercase();
        let port = if is_secure { ":443" } else { ":80" };
        let bare = authority.strip_suffix(port).map(str::to_owned);
        Ok(Origin { is_secure, authority: bare.unwrap_or(authority) })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Whether the text is a host with or without a port, as it may be in a Host field (RFC 9110, 7.2): a name of letters,
/// digits, `-`, `_` and `.`, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (!host.is_empty() && host.bytes().all(is_plain), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_host && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_text() {
        for (text, shown) in [
            ("https://Chat.Example", "https://chat.example"),
            ("https://chat.example:443/", "https://chat.example"),
            ("http://chat.example:443", "http://chat.example:443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("https://[::1]:6080", "https://[::1]:6080"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), shown);
            assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
        }
        for bad in [
            "",
            "chat.example",
            "ftp://chat.example",
            "https://",
            "https://:1",
            "https://a/b",
            "https://a:b",
            "https://a:65536",
            "https://a:+1",
            "https://u@a",
            "https://a b",
            "https://[::1",
            "https://[x]",
            "https://a//",
            "https://a\r\nb",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
        }
    }
}
