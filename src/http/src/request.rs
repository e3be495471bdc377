//! Requests, and which ones are refused: every byte sequence that two programs could read in two ways.

use crate::fields::{Fields, one};
use crate::origin::is_authority;
use crate::status::Status;
use shiguredo_http11::{BodyKind, RequestHead};

/// A complete head, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: Method,
    /// Begins with `/`, has no `.` or `..` segment and no escaped slash or NUL.
    pub path: String,
    /// The same as it was sent, with the query.
    pub target: String,
    /// A host with or without a port; empty where an old client says none.
    pub host: String,
    /// The fields of an upgrade to WebSocket, if it asks for one.
    pub websocket: Option<Box<WebSocketFields>>,
    /// The values of X-Forwarded-For, joined by commas.
    pub forwarded_for: String,
    /// The connection is used for another request after this one.
    pub keeps_alive: bool,
    pub expects_continue: bool,
    /// Whether JSON is preferred to a page.
    pub wants_json: bool,
    pub has_body: bool,
    /// Of requests to `/api` and `/ws`; empty for others.
    pub fields: Fields,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Other,
}

impl Method {
    /// Whether it changes nothing.
    pub fn is_safe(&self) -> bool {
        matches!(self, Method::Get | Method::Head)
    }
}

/// The fields of a request to speak WebSocket, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebSocketFields {
    pub key: String,
    pub version: String,
    pub protocols: String,
}

impl Request {
    /// Checks a head.
    ///
    /// # Errors
    /// The status to refuse it with; the connection is closed then.
    pub fn of(head: &RequestHead, body: BodyKind) -> Result<Request, Status> {
        let is_current = match head.version() {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err(Status::VersionNotSupported),
        };
        // A tunnel is no request to this server. Trailers would be kept by the parser, and no path needs any.
        if body == BodyKind::Tunnel || one(head, "Trailer")?.is_some() {
            return Err(Status::BadRequest);
        }
        check_framing(head, is_current)?;
        let host = one(head, "Host")?;
        let host = host.unwrap_or_default();
        if (is_current || !host.is_empty()) && !is_authority(host) {
            return Err(Status::BadRequest);
        }
        let target = target_of(head.uri(), host)?;
        let path = path_of(target)?;
        let connection = head.headers().iter().filter(|(name, _)| name == "Connection");
        let says = |word: &str| {
            connection
                .clone()
                .any(|(_, value)| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
        };
        let keeps_alive = if is_current { !says("close") } else { says("keep-alive") && !says("close") };
        // A proxy may have begun to tunnel, and what it passes on then is no request that it vouches for.
        let asks_for_upgrade = head.headers().iter().any(|(name, _)| name == "Upgrade");
        let keeps_alive = keeps_alive && !asks_for_upgrade;
        let expects_continue = match one(head, "Expect")? {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("100-continue") => is_current && body != BodyKind::None,
            Some(_) => return Err(Status::ExpectationFailed),
        };
        let accepts = one(head, "Accept").ok().flatten().unwrap_or_default();
        let forwarded = head.headers().iter().filter(|(name, _)| name == "X-Forwarded-For");
        let forwarded: Vec<&str> = forwarded.map(|(_, value)| value.as_str()).collect();
        let method = match head.method() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => Method::Other,
        };
        let wants_json = accepts.split(',').any(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
        let has_fields = path.starts_with("/api/") || path == "/ws";
        let fields = if has_fields { Fields::of(head)? } else { Fields::default() };
        Ok(Request {
            has_body: body != BodyKind::None && body != BodyKind::ContentLength(0),
            fields,
            method,
            path,
            target: target.to_owned(),
            host: host.to_owned(),
            websocket: (is_current && says("upgrade")).then(|| websocket_fields(head)).transpose()?.flatten(),
            forwarded_for: forwarded.join(","),
            keeps_alive,
            expects_continue,
            wants_json,
        })
    }
}

/// What asks for WebSocket, if the request asks for that protocol.
fn websocket_fields(head: &RequestHead) -> Result<Option<Box<WebSocketFields>>, Status> {
    let is_websocket =
        one(head, "Upgrade")?.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if !is_websocket {
        return Ok(None);
    }
    let value = |name| Ok(one(head, name)?.unwrap_or_default().to_owned());
    let protocols = head.headers().iter().filter(|(name, _)| name == "Sec-WebSocket-Protocol");
    let protocols: Vec<&str> = protocols.map(|(_, value)| value.as_str()).collect();
    Ok(Some(Box::new(WebSocketFields {
        key: value("Sec-WebSocket-Key")?,
        version: value("Sec-WebSocket-Version")?,
        protocols: protocols.join(","),
    })))
}

/// Accepts one way only to say where a request ends: a proxy in front may read any other in another way (RFC 9112, 6.3).
fn check_framing(head: &RequestHead, is_current: bool) -> Result<(), Status> {
    let is_plain = match (one(head, "Transfer-Encoding")?, one(head, "Content-Length")?) {
        (None, None) => true,
        (None, Some(length)) => !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()),
        (Some(coding), None) => is_current && coding.eq_ignore_ascii_case("chunked"),
        (Some(_), Some(_)) => false,
    };
    if is_plain { Ok(()) } else { Err(Status::BadRequest) }
}

/// The path and query of a target in origin form, or in absolute form of our own host.
fn target_of<'a>(target: &'a str, host: &str) -> Result<&'a str, Status> {
    let target = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
        None => target,
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            // The authority counts (RFC 9112, 3.2.2); with another one than Host, two servers could disagree.
            if !authority.eq_ignore_ascii_case(host) {
                return Err(Status::BadRequest);
            }
            if path.is_empty() { "/" } else { path }
        }
    };
    let is_plain = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(target) } else { Err(Status::BadRequest) }
}

/// The path, without percent-encoding.
fn path_of(target: &str) -> Result<String, Status> {
    let path = target.split('?').next().unwrap_or_default();
    let decoded = decoded(path).ok_or(Status::BadRequest)?;
    let is_plain = |segment: &str| !matches!(segment, "." | "..") && !segment.contains(['\0', '\\']);
    if !decoded[1..].split('/').all(is_plain) {
        return Err(Status::BadRequest);
    }
    Ok(decoded)
}

/// Without percent-encoding. `None`: it is malformed, not UTF-8, or hides a separator.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = behind;
            continue;
        }
        let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
        let value =
            u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        if value == b'/' {
            return None;
        }
        bytes.push(value);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).ok()
}
