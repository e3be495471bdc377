//! What `http.listen` answers.

use crate::request::Request;
use crate::response::{HTML, Response};
use crate::settings::Settings;
use crate::status::Status;
use crate::upgrade::{self, WebSockets};

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>chatserver</title>\
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3em auto;max-width:34em;padding:0 1em;color-scheme:light dark}</style>\
<h1>chatserver</h1><p>This is a chat server. Talk with <code>chatclient</code> on its chat port.</p></html>\n";

pub(crate) fn answer(
    request: &Request,
    settings: &Settings,
    websockets: &dyn WebSockets,
    is_secure: bool,
) -> Response {
    if request.path == "/ws" {
        return upgrade::answer(request, settings, websockets, is_secure);
    }
    if request.path != "/" {
        return Response::plain(Status::NotFound);
    }
    only_read(request).unwrap_or_else(|| Response::new(Status::Ok, HTML, PAGE))
}

/// The refusal of a method that changes something, on a path that is only read.
pub(crate) fn only_read(request: &Request) -> Option<Response> {
    let is_refused = !request.method.is_safe();
    is_refused.then(|| Response::plain(Status::MethodNotAllowed).with("Allow", "GET, HEAD"))
}
