//! Answers of logic as answers over HTTP.

use crate::response::{JSON, Response};
use crate::status::Status;
use serde_json::json;
use wire::{Errno, Refusal, Reply, UnixMillis, UserId};

/// A refusal: its JSON, and the status that belongs to its error number.
pub(super) fn refused(refusal: Refusal) -> Response {
    refused_as(status(refusal.errno), refusal)
}

/// A refusal for a reason that has a status of its own.
pub(super) fn refused_as(status: Status, refusal: Refusal) -> Response {
    let wait = refusal.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1));
    let needs_wait = matches!(status, Status::TooManyRequests | Status::Unavailable);
    let response = reply(status, &refusal.into());
    let response = match wait.or(needs_wait.then_some(1)) {
        Some(seconds) => response.with("Retry-After", seconds.to_string()),
        None => response,
    };
    match status {
        Status::Unauthorized => response.with("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// The value of a reply, as a frame has it.
pub(super) fn reply(status: Status, reply: &Reply) -> Response {
    let mut value = Vec::new();
    reply.encode_value(&mut value);
    Response::new(status, JSON, String::from_utf8_lossy(&value))
}

/// Who has logged in or was registered.
pub(super) fn account(status: Status, id: UserId, name: &str, expires: UnixMillis) -> Response {
    let account = json!({ "id": id.0, "name": name, "token_expires": expires.0 });
    Response::new(status, JSON, account.to_string())
}

fn status(errno: Errno) -> Status {
    match errno {
        Errno::Ok => Status::Ok,
        Errno::BadCredentials | Errno::NotLoggedIn | Errno::TokenInvalid => Status::Unauthorized,
        Errno::AlreadyOnline | Errno::NameTaken | Errno::Conflict => Status::Conflict,
        Errno::BadRequest | Errno::UnknownType | Errno::CodeWrong => Status::BadRequest,
        Errno::TooLarge => Status::ContentTooLarge,
        Errno::RateLimited => Status::TooManyRequests,
        Errno::Busy | Errno::Unavailable => Status::Unavailable,
        Errno::NotFound => Status::NotFound,
        Errno::Forbidden | Errno::Blocked => Status::Forbidden,
        Errno::Quota => Status::InsufficientStorage,
        Errno::Internal => Status::Internal,
    }
}
