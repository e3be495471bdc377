//! What `ops.listen` answers: for probes, for Prometheus, and for whoever looks after the server.

use crate::request::Request;
use crate::response::{HTML, JSON, Response, TEXT};
use crate::site::only_read;
use crate::status::Status;

/// What Prometheus asks for since its version 2.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The state of the server. Each request asks for it anew, so it must be cheap and wait for nothing.
pub trait Operations: Send {
    /// All metrics, in the text format of OpenMetrics.
    fn metrics(&self) -> String;

    /// Whether all loops turn.
    ///
    /// # Errors
    /// A sentence: what stands still. Whoever supervises the server should restart it.
    fn health(&self) -> Result<(), &'static str>;

    /// Whether clients should be sent here.
    ///
    /// # Errors
    /// A sentence: why not.
    fn readiness(&self) -> Result<(), &'static str>;

    /// The state as one JSON object.
    fn status(&self) -> String;

    /// The same as a page for people.
    fn page(&self) -> String;
}

pub(crate) fn answer(request: &Request, operations: &dyn Operations) -> Response {
    let path = request.path.as_str();
    if !matches!(path, "/" | "/healthz" | "/readyz" | "/metrics" | "/status") {
        return Response::plain(Status::NotFound);
    }
    if let Some(refusal) = only_read(request) {
        return refusal;
    }
    let probe = |state: Result<(), &str>| match state {
        Ok(()) => Response::new(Status::Ok, TEXT, "ok\n"),
        Err(why) => Response::new(Status::Unavailable, TEXT, format!("{why}\n")),
    };
    match path {
        "/healthz" => probe(operations.health()),
        "/readyz" => probe(operations.readiness()),
        "/metrics" => Response::new(Status::Ok, OPEN_METRICS, operations.metrics()),
        _ if request.wants_json => Response::new(Status::Ok, JSON, operations.status()),
        _ => Response::new(Status::Ok, HTML, operations.page()),
    }
}
