//! `GET /ws`: the upgrade to WebSocket (RFC 6455, 4.2). What follows is none of HTTP's: the connection is handed over.

use crate::auth;
use crate::request::{Method, Request, WebSocketFields};
use crate::response::Response;
use crate::settings::Settings;
use crate::status::Status;
use mio::net::TcpStream;
use std::net::SocketAddr;
use tls::{Layer, Server};
use wire::limits::TOKEN_BYTES;
use wire::session::CookieToken;

/// The subprotocol: a binary message is one frame of the chat server's protocol.
const PROTOCOL: &str = "chat.1";
const VERSION: &str = "13";

/// Where upgraded connections go.
pub trait WebSockets: Send {
    /// Whether there is room for another one.
    fn has_room(&self) -> bool;

    /// Serves a connection from now on.
    fn adopt(&self, upgraded: Upgraded);
}

/// A connection that speaks WebSocket from now on. It is registered with no poll.
#[derive(Debug)]
pub struct Upgraded {
    pub stream: TcpStream,
    pub tls: Option<Box<Layer<Server>>>,
    /// The client, which a proxy may have named.
    pub client: SocketAddr,
    /// What LOGIN without credentials logs in by.
    pub session: Option<CookieToken>,
    /// What the client has sent since the upgrade.
    pub received: Vec<u8>,
    /// What it has not been sent yet: answers, that to the upgrade at the end.
    pub output: Vec<u8>,
}

/// The answer to a request for `/ws`. Its status is 101 if the connection is to be handed over.
pub(crate) fn answer(
    request: &Request,
    settings: &Settings,
    websockets: &dyn WebSockets,
    is_secure: bool,
) -> Response {
    if request.method != Method::Get {
        return Response::plain(Status::MethodNotAllowed).with("Allow", "GET");
    }
    if auth::is_foreign(&request.fields, &request.host, settings, is_secure) {
        return Response::plain(Status::Forbidden);
    }
    let Some(fields) = &request.websocket else {
        return upgrade_required();
    };
    let WebSocketFields { key, version, protocols } = &**fields;
    if version != VERSION {
        return upgrade_required();
    }
    let knows = protocols.split(',').any(|protocol| protocol.trim() == PROTOCOL);
    if !knows || !websocket::is_key(key) || request.has_body {
        return Response::plain(Status::BadRequest);
    }
    if !websockets.has_room() {
        return Response::plain(Status::Unavailable).with("Retry-After", "5");
    }
    Response::plain(Status::SwitchingProtocols)
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Accept", websocket::accept_key(key))
        .with("Sec-WebSocket-Protocol", PROTOCOL)
}

/// The session that a page of this server has in its cookie. A program that says no Origin has none: what it sends by
/// itself is no browser's.
pub(crate) fn session(request: &Request, settings: &Settings, is_secure: bool) -> Option<CookieToken> {
    let is_own = request.fields.origin.is_some()
        && auth::is_same_site(&request.fields, &request.host, settings, is_secure);
    let token = is_own.then(|| auth::session_cookie(&request.fields, is_secure)).flatten();
    // The connection keeps it, and no token is longer.
    token.filter(|token| token.len() <= TOKEN_BYTES).map(CookieToken)
}

/// What must be asked for (RFC 9110, 15.5.22; RFC 6455, 4.4).
fn upgrade_required() -> Response {
    Response::plain(Status::UpgradeRequired)
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Version", VERSION)
}
