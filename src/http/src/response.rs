//! Answers as bytes.

use crate::request::Method;
use crate::status::Status;
use std::fmt::Write;

/// An answer; whether its body is sent depends on the request's method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub status: Status,
    pub content_type: &'static str,
    pub body: String,
    /// Further fields. No value has a line end.
    pub fields: Vec<(&'static str, String)>,
}

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

impl Response {
    pub fn new(status: Status, content_type: &'static str, body: impl Into<String>) -> Response {
        Response { status, content_type, body: body.into(), fields: Vec::new() }
    }

    /// The status as its own text.
    pub fn plain(status: Status) -> Response {
        Response::new(status, TEXT, format!("{}\n", status.line()))
    }

    pub fn with(mut self, field: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((field, value.into()));
        self
    }

    pub fn encode(&self, method: &Method, keeps_alive: bool, out: &mut Vec<u8>) {
        if self.status == Status::SwitchingProtocols {
            return self.encode_switch(out);
        }
        let mut head = format!("HTTP/1.1 {}\r\n", self.status.line());
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if self.status != Status::NoContent {
            field("Content-Type", &self.content_type);
            field("Content-Length", &self.body.len());
        }
        field("Cache-Control", &"no-store");
        field("X-Content-Type-Options", &"nosniff");
        field(
            "Content-Security-Policy",
            &"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        );
        for (name, value) in &self.fields {
            field(name, value);
        }
        if !keeps_alive {
            field("Connection", &"close");
        }
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(b"\r\n");
        if *method != Method::Head {
            out.extend_from_slice(self.body.as_bytes());
        }
    }

    /// There is no body: another protocol follows (RFC 9110, 15.2.2).
    fn encode_switch(&self, out: &mut Vec<u8>) {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        out.extend_from_slice(format!("HTTP/1.1 {}\r\n{fields}\r\n", self.status.line()).as_bytes());
    }
}
