//! The status codes that this server answers with (RFC 9110, 15).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    SwitchingProtocols,
    Ok,
    Created,
    NoContent,
    PermanentRedirect,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    ContentTooLarge,
    UnsupportedMediaType,
    ExpectationFailed,
    TooManyRequests,
    Internal,
    UpgradeRequired,
    Unavailable,
    InsufficientStorage,
    VersionNotSupported,
}

impl Status {
    /// The code and its reason (RFC 9110, 15).
    pub fn line(self) -> &'static str {
        match self {
            Status::SwitchingProtocols => "101 Switching Protocols",
            Status::Ok => "200 OK",
            Status::Created => "201 Created",
            Status::NoContent => "204 No Content",
            Status::PermanentRedirect => "308 Permanent Redirect",
            Status::BadRequest => "400 Bad Request",
            Status::Unauthorized => "401 Unauthorized",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::Conflict => "409 Conflict",
            Status::UnsupportedMediaType => "415 Unsupported Media Type",
            Status::TooManyRequests => "429 Too Many Requests",
            Status::Internal => "500 Internal Server Error",
            Status::InsufficientStorage => "507 Insufficient Storage",
            Status::ContentTooLarge => "413 Content Too Large",
            Status::ExpectationFailed => "417 Expectation Failed",
            Status::UpgradeRequired => "426 Upgrade Required",
            Status::Unavailable => "503 Service Unavailable",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}
