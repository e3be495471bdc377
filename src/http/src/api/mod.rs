//! `/api`: what programs and pages ask without a chat connection.
//!
//! * `auth`: whose request it is, and from which page it comes.
//! * `calls`: the requests between their heads and their answers.
//! * `answer`: replies of logic as answers over HTTP.
//!
//! A request is looked at in this order: path, method, kind of its body, credentials, page, then the rest of it.

mod answer;
mod calls;

pub(crate) use calls::{ORDERS as ORDERS_A_REQUEST, TOTAL as REQUESTS};

use crate::auth::{self, Credentials};
use crate::exchange::{BODY_BYTES, Decision, Received};
use crate::request::{Method, Request};
use crate::response::Response;
use crate::settings::Settings;
use crate::status::Status;
use calls::{Call, Calls, Step};
use logic::{ConnId, Grant, Input, Order, Sessionless};
use runtime::queue::{Inbox, Outbox};
use std::net::IpAddr;
use wire::account::{self, Registered};
use wire::kind::request::{LOGIN, REGISTER, SEND};
use wire::session::Login;
use wire::{Command, Errno, Refusal, Reply, message, session};

const GOING_AWAY: &str = "the server is going away";
const RETRY_MS: u64 = 1_000;

/// The sender of a request, as far as the connection tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// The slot of the connection.
    pub slot: usize,
    /// Whom it counts against.
    pub address: IpAddr,
    /// Whether browsers reach this server over TLS.
    pub is_secure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Login,
    Logout,
    Register,
    Send,
}

impl Path {
    fn of(path: &str) -> Option<Path> {
        match path {
            "/api/login" => Some(Path::Login),
            "/api/logout" => Some(Path::Logout),
            "/api/register" => Some(Path::Register),
            "/api/send" => Some(Path::Send),
            _ => None,
        }
    }
}

/// Whether a path belongs here.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

#[derive(Debug)]
pub(crate) struct Api {
    calls: Calls,
    orders: Inbox<Vec<Order>>,
}

impl Api {
    /// `number`: that of this thread in a [`ConnId`].
    pub fn new(number: usize, to_logic: Outbox<Vec<Input>>, orders: Inbox<Vec<Order>>) -> Api {
        Api { calls: Calls::new(number, to_logic), orders }
    }

    pub fn handle(
        &mut self,
        sender: Sender,
        settings: &Settings,
        request: &Request,
        received: Received,
    ) -> Decision {
        let checked = check(sender, settings, request);
        let (path, credentials) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return Decision::Answer(refusal),
        };
        if self.calls.admit(sender.slot, sender.address, sender.is_secure).is_err() {
            self.calls.end(sender.slot);
            let refusal = Refusal::later(Errno::Busy, "too many requests are in progress", RETRY_MS);
            return Decision::Answer(answer::refused(refusal));
        }
        let body = match received {
            Received::Head => return Decision::Wait,
            Received::Whole(body) => Ok(body),
            Received::TooLarge => {
                Err(Refusal::new(Errno::TooLarge, format!("the body is longer than {BODY_BYTES} bytes")))
            }
        };
        match self.begin(sender, path, credentials, body) {
            Ok(()) => Decision::Wait,
            Err(refusal) => {
                self.calls.end(sender.slot);
                Decision::Answer(answer::refused(refusal))
            }
        }
    }

    fn begin(
        &mut self,
        Sender { slot, address, .. }: Sender,
        path: Path,
        credentials: Option<Credentials>,
        body: Result<Vec<u8>, Refusal>,
    ) -> Result<(), Refusal> {
        match (path, credentials) {
            (Path::Login, _) => {
                let Command::Session(session::Request::Login(login)) = decode(LOGIN, &body?)? else {
                    return Err(internal());
                };
                if login.by_cookie {
                    let sentence = "`token`, or `id` or `name` with `password`, is needed";
                    return Err(Refusal::new(Errno::BadRequest, sentence));
                }
                self.calls.begin(slot, address, Step::Login, None);
                self.calls.ask(slot, Sessionless::Login(login));
            }
            (Path::Register, _) => {
                let command = decode(REGISTER, &body?)?;
                let Command::Account(account::Request::Register(register)) = &command else {
                    return Err(internal());
                };
                self.calls.begin(slot, address, Step::Register { name: register.name.clone() }, None);
                self.calls.command(slot, command);
            }
            (Path::Logout, Some(credentials)) => {
                body?;
                self.calls.begin(slot, address, Step::Logout, Some(&credentials));
                self.calls.ask(slot, Sessionless::Logout { token: credentials.token });
            }
            (Path::Send, Some(credentials)) => {
                let send = body.and_then(|body| match decode(SEND, &body)? {
                    Command::Message(message::Request::Send(send)) => Ok(send),
                    _ => Err(internal()),
                });
                self.calls.begin(slot, address, Step::Send, Some(&credentials));
                self.calls.ask(slot, Sessionless::Send { token: credentials.token, send });
            }
            (Path::Logout | Path::Send, None) => return Err(internal()),
        }
        Ok(())
    }

    /// The client of a request has gone.
    pub fn abandon(&mut self, slot: usize) {
        self.calls.end(slot);
    }

    /// Whether logic has sent something.
    pub fn has_news(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Whether something is left to be sent to logic.
    pub fn has_unsent(&self) -> bool {
        self.calls.has_unsent()
    }

    /// The answers that have come, with the slots of their connections.
    pub fn answers(&mut self) -> Vec<(usize, Response)> {
        let mut answers = Vec::new();
        while let Ok(Some(orders)) = self.orders.try_recv() {
            for order in orders {
                match order {
                    Order::Granted { conn, grant } => {
                        if let Some((_, call)) = self.calls.get_mut(conn) {
                            call.grant = Some(*grant);
                        }
                    }
                    Order::Reply { conn, reply, .. } => answers.extend(self.answered(conn, reply)),
                    // Nothing else is meant for clients without a session.
                    _ => {}
                }
            }
        }
        answers
    }

    fn answered(&mut self, conn: ConnId, reply: Reply) -> Option<(usize, Response)> {
        let (slot, call) = self.calls.get_mut(conn)?;
        if let (Step::Register { name }, Reply::Account(account::Reply::Registered(registered))) =
            (&mut call.step, &reply)
        {
            // By its first use it becomes a token as those of logins: later logins of the account leave it alone.
            let Registered { id, token, token_expires: expires } = (**registered).clone();
            let name = std::mem::take(name);
            let login = Login::new(wire::Credentials::Token(token.clone()));
            call.step = Step::Registered { id, name, token, expires };
            self.calls.ask(slot, Sessionless::Login(login));
            return None;
        }
        let call = self.calls.end(slot)?;
        Some((slot, respond(call, &reply)))
    }

    /// Sends to logic what this turn has brought. Returns answers where logic has ended.
    pub fn flush(&mut self) -> Vec<(usize, Response)> {
        if self.calls.flush().is_ok() {
            return Vec::new();
        }
        // What it has answered before it ended.
        let mut answers = self.answers();
        let waiting = self.calls.waiting();
        let refused = |slot| {
            self.calls.end(slot);
            (slot, answer::refused(Refusal::later(Errno::Busy, GOING_AWAY, RETRY_MS)))
        };
        answers.extend(waiting.into_iter().map(refused));
        answers
    }
}

/// Checks what can be checked before the body is read.
fn check(
    sender: Sender,
    settings: &Settings,
    request: &Request,
) -> Result<(Path, Option<Credentials>), Response> {
    let Request { method, path, fields, host, .. } = request;
    let refusal = |errno, sentence: &'static str| Refusal::new(errno, sentence);
    let Some(path) = Path::of(path) else {
        return Err(answer::refused(refusal(Errno::NotFound, "there is no such path")));
    };
    if *method != Method::Post {
        let refusal = refusal(Errno::BadRequest, "this path takes POST only");
        return Err(answer::refused_as(Status::MethodNotAllowed, refusal).with("Allow", "POST"));
    }
    if request.has_body && !fields.content_type.as_deref().is_some_and(is_json) {
        let refusal = refusal(Errno::BadRequest, "the body must be JSON: `Content-Type: application/json`");
        return Err(answer::refused_as(Status::UnsupportedMediaType, refusal));
    }
    let foreign = || Err(answer::refused(refusal(Errno::Forbidden, "pages of other sites may not ask this")));
    match path {
        Path::Login | Path::Register => match auth::is_foreign(fields, host, settings, sender.is_secure) {
            true => foreign(),
            false => Ok((path, None)),
        },
        Path::Logout | Path::Send => {
            let Some(credentials) = auth::credentials(fields, sender.is_secure) else {
                return Err(answer::refused(refusal(Errno::NotLoggedIn, "log in first")));
            };
            match credentials.is_cookie && !auth::is_same_site(fields, host, settings, sender.is_secure) {
                true => foreign(),
                false => Ok((path, Some(credentials))),
            }
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn decode(kind: u16, body: &[u8]) -> Result<Command, Refusal> {
    Command::decode(kind, body).map_err(Refusal::from)
}

fn internal() -> Refusal {
    Refusal::new(Errno::Internal, "the server failed; its log says why")
}

/// The answer to a request that logic has answered.
fn respond(call: Call, reply: &Reply) -> Response {
    let Call { step, is_secure, by_cookie, grant, .. } = call;
    let cookie = |grant: &Grant| auth::cookie(&grant.token, grant.expires, is_secure);
    match (step, reply, grant) {
        (Step::Login, Reply::Done, Some(grant)) => {
            let response = answer::account(Status::Ok, grant.user, &grant.name, grant.expires);
            response.with("Set-Cookie", cookie(&grant))
        }
        // Also where its use failed: the account is made.
        (Step::Registered { id, name, token, expires }, _, grant) => {
            let expires = grant.map_or(expires, |grant| grant.expires);
            let response = answer::account(Status::Created, id, &name, expires);
            response.with("Set-Cookie", auth::cookie(&token, expires, is_secure))
        }
        (Step::Logout, Reply::Done, _) => {
            Response::new(Status::NoContent, "", "").with("Set-Cookie", auth::no_cookie(is_secure))
        }
        (Step::Send, Reply::Message(_) | Reply::Refused(_), grant) => {
            let response = match reply {
                Reply::Refused(refusal) => answer::refused((**refusal).clone()),
                reply => answer::reply(Status::Ok, reply),
            };
            // A token that was revoked meanwhile is not set again.
            match grant.filter(|_| by_cookie && response.status != Status::Unauthorized) {
                Some(grant) => response.with("Set-Cookie", cookie(&grant)),
                None => response,
            }
        }
        (_, Reply::Refused(refusal), _) => answer::refused((**refusal).clone()),
        _ => answer::refused(internal()),
    }
}
