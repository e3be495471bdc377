//! `/api`: logging in, registering and sending over HTTP.

mod bodies;
mod cluster;
mod docs;

use crate::support::client::PASSWORD;
use crate::support::http::{Answer, WEB, asked, bearer, connect, head, json, post, web};
use crate::support::{Client, Server};
use std::io::Write;
use std::net::SocketAddr;
use wire::session::KickCode;
use wire::{Errno, Push, Target, session};

pub fn log_in(address: SocketAddr, name: &str) -> Answer {
    let body = format!(r#"{{"name":"{name}","password":"{PASSWORD}"}}"#);
    let answer = post(address, "/api/login", "", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The token that an answer sets as a cookie.
pub fn token(answer: &Answer) -> String {
    let cookie = answer.cookie();
    cookie.strip_prefix("chat_session=").unwrap_or_else(|| panic!("{cookie}")).to_owned()
}

pub fn send(address: SocketAddr, fields: &str, to: &str, cid: &str, content: &str) -> Answer {
    let body = format!(r#"{{"to_name":"{to}","cid":"{cid}","content":"{content}"}}"#);
    post(address, "/api/send", fields, &body)
}

#[test]
fn who_logs_in_by_http_sends_and_logs_out() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (mut ann, anns) = Client::join(server.address, "ann");
    let (mut bob, bobs) = Client::join(server.address, "bob");
    let answer = log_in(address, "ann");
    let account = answer.json();
    assert_eq!((account["id"].as_u64(), account["name"].as_str()), (Some(anns.id.0.into()), Some("ann")));
    let (cookie, token) = (answer.field("Set-Cookie").unwrap().to_owned(), token(&answer));
    assert!(cookie.contains("; Path=/; ") && cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
    let age: u64 = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    let left = account["token_expires"].as_u64().unwrap() / 1_000;
    assert!((7 * 24 * 3_600 - 60..=7 * 24 * 3_600).contains(&age) && left > age, "{age} {left}");

    // Twice with one cid, and a third one.
    let first = send(address, &bearer(&token), "bob", "c1", "hi");
    assert_eq!((first.status, first.errno()), (200, 0), "{first:?}");
    let again = send(address, &bearer(&token), "bob", "c1", "hi");
    assert_eq!((&again.json()["seq"], &again.json()["duplicate"]), (&first.json()["seq"], &true.into()));
    let by_cookie = format!("Cookie: chat_session={token}\r\nOrigin: http://chat.example\r\n");
    assert_eq!(send(address, &by_cookie, "bob", "c2", "ho").status, 200);
    for client in [&mut bob, &mut ann] {
        let texts = [client.message(), client.message()].map(|message| message.content.to_string());
        assert_eq!(texts, ["hi", "ho"]);
    }
    // Nothing else has come, nobody was kicked, and nobody saw ann come again.
    bob.send(Target::User(anns.id), "well?");
    assert_eq!(&*ann.message().content, "well?");
    assert_eq!(bob.take_pushes(), []);
    ann.send(Target::User(bobs.id), "yes");
    assert_eq!(&*bob.message().content, "yes");

    // A session that lives by the token ends with it.
    let mut other = Client::connect(server.address);
    other.login(&crate::support::Account { token: token.clone().into(), ..anns.clone() });
    let logout = |token: &str| asked(address, head("POST", "/api/logout", &bearer(token)));
    let answer = logout(&token);
    assert_eq!((answer.status, answer.field("Content-Length")), (204, None), "{answer:?}");
    assert!(
        answer.field("Set-Cookie").unwrap().starts_with("chat_session=; Path=/; Max-Age=0;"),
        "{answer:?}"
    );
    let kicked = other.push(crate::support::PATIENCE, |push| match push {
        Push::Session(session::Push::Kicked(kicked)) => Some(kicked.code),
        _ => None,
    });
    assert_eq!(kicked, Some(KickCode::Revoked));
    assert_eq!((logout(&token).status, send(address, &bearer(&token), "bob", "c3", "x").status), (401, 401));
    bob.settle();
    assert_eq!(bob.take_pushes(), []);
}

#[test]
fn an_account_is_registered_and_its_token_used() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let body = format!(r#"{{"name":"carol","password":"{PASSWORD}"}}"#);
    let answer = post(address, "/api/register", "", &body);
    assert_eq!((answer.status, answer.json()["name"].as_str()), (201, Some("carol")), "{answer:?}");
    let token = token(&answer);
    let taken = post(address, "/api/register", "", &body);
    assert_eq!((taken.status, taken.errno()), (409, Errno::NameTaken.number().into()));
    // Later logins by password leave the browser logged in.
    for _ in 0..3 {
        log_in(address, "carol");
    }
    assert_eq!(send(address, &bearer(&token), "carol", "c", "a note").status, 200);
    // By token.
    let answer = post(address, "/api/login", "", &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!((answer.status, self::token(&answer)), (200, token), "{answer:?}");
    // Neither of them is online.
    let mut carol = Client::connect(server.address);
    let wrong = post(address, "/api/login", "", r#"{"name":"carol","password":"wrong wrong"}"#);
    assert_eq!((wrong.status, wrong.field("WWW-Authenticate")), (401, Some("Bearer")));
    let id = answer.json()["id"].as_u64().unwrap() as u32;
    let account = crate::support::Account {
        id: wire::UserId(id),
        name: "carol".into(),
        token: self::token(&answer).into(),
    };
    carol.login(&account);
    assert_eq!(&*carol.message().content, "a note", "what no session has sent is pushed at the next login");
}

#[test]
fn a_request_is_refused_for_its_path_its_method_its_kind_and_its_sender_in_this_order() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (_ann, anns) = Client::join(server.address, "ann");
    let (plain, long) = ("Content-Type: text/plain\r\n", "x".repeat(70_000));
    let with = |method: &str, path: &str, fields: &str, body: &str| {
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut stream = connect(address);
        // The server may answer, and close, before it has read a long body.
        let _ = stream.write_all((head(method, path, &(length + fields)) + body).as_bytes());
        Answer::read(&mut stream)
    };
    let not_found = with("PUT", "/api/nothing", plain, &long);
    assert_eq!((not_found.status, not_found.errno()), (404, Errno::NotFound.number().into()));
    for path in ["/api/login", "/api/logout", "/api/register", "/api/send"] {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let refused = with(method, path, plain, &long);
            assert_eq!((refused.status, refused.field("Allow")), (405, Some("POST")), "{method} {path}");
        }
        assert_eq!(with("POST", path, plain, &long).status, 415, "{path}");
        assert_eq!(with("POST", path, "Content-Type: application/jsonp\r\n", "{}").status, 415, "{path}");
        assert_eq!(with("POST", path, "", "{}").status, 415, "{path}");
    }
    let kind = "Content-Type: application/json; charset=utf-8\r\n";
    for path in ["/api/logout", "/api/send"] {
        assert_eq!(with("POST", path, kind, &long).status, 401, "{path}");
        assert_eq!(with("POST", path, &(bearer("none") + kind), "{").status, 401, "{path}");
        assert_eq!(with("POST", path, "Authorization: Basic YTpi\r\n", "").status, 401, "{path}");
    }
    let known = bearer(&anns.token) + kind;
    let sent = |body: &str| with("POST", "/api/send", &known, body);
    assert_eq!((sent("").status, sent("{").status, sent(&long).status), (400, 400, 413));
    assert_eq!(sent(r#"{"to_name":"nobody","content":"x"}"#).status, 404);
    assert_eq!(sent(r#"{"conversation":99,"content":"x"}"#).status, 403);
    let refused = sent(r#"{"to":1,"content":""}"#);
    assert_eq!((refused.status, refused.json()["field"].as_str()), (400, Some("content")));
    assert_eq!(with("POST", "/api/login", kind, &long).status, 413);
}

#[test]
fn pages_of_other_sites_get_nothing_by_a_cookie() {
    let server = Server::start(&WEB);
    let address = web(&server);
    let (mut ann, _) = Client::join(server.address, "ann");
    let token = token(&log_in(address, "ann"));
    let cookie = format!("Cookie: a=b; chat_session={token}\r\n");
    let pages = [
        ("", 403),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://chat.example:6081\r\n", 403),
        ("Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Sec-Fetch-Site: none\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Origin: http://chat.example\r\n", 200),
        ("Origin: https://chat.example\r\n", 200),
    ];
    for (n, (page, status)) in pages.into_iter().enumerate() {
        let fields = cookie.clone() + page;
        assert_eq!(send(address, &fields, "ann", &n.to_string(), "note").status, status, "{page:?}");
        let logout = asked(address, head("POST", "/api/logout", &(fields.replace(&token, "none"))));
        assert_eq!(logout.status, if status == 403 { 403 } else { 401 }, "{page:?}");
    }
    for _ in 0..3 {
        assert_eq!(&*ann.message().content, "note");
    }
    let foreign = "Origin: https://evil.example\r\n";
    let body = format!(r#"{{"name":"ann","password":"{PASSWORD}"}}"#);
    for path in ["/api/login", "/api/register"] {
        let refused = post(address, path, foreign, &body);
        assert_eq!((refused.status, refused.field("Set-Cookie")), (403, None), "{path}");
    }
    // A program shows its token by itself.
    assert_eq!(send(address, &(bearer(&token) + foreign), "ann", "b", "note").status, 200);
    ann.message();
    assert_eq!(ann.take_pushes(), []);
}

#[test]
fn wrong_passwords_and_too_many_requests_are_throttled() {
    let server = Server::start(&[&WEB[..], &["--set", "limits.requests_per_second=1"]].concat());
    let address = web(&server);
    Client::join(server.address, "ann");
    let guess = || post(address, "/api/login", "", r#"{"name":"ann","password":"a wrong guess"}"#);
    for _ in 0..5 {
        let wrong = guess();
        assert_eq!((wrong.status, wrong.errno()), (401, Errno::BadCredentials.number().into()));
    }
    let refused = guess();
    assert_eq!((refused.status, refused.errno()), (429, Errno::RateLimited.number().into()), "{refused:?}");
    let wait: u64 = refused.field("Retry-After").unwrap().parse().unwrap();
    assert!(wait >= 1 && refused.json()["retry_after_ms"].as_u64().unwrap() <= 1_000 * wait);
    // Ten seconds' worth at once, and twenty look-ups of tokens a second.
    let mut stream = connect(address);
    let request = json("/api/send", &bearer("none"), "{}");
    stream.write_all(request.repeat(400).as_bytes()).unwrap();
    let statuses: Vec<u16> = (0..400).map(|_| Answer::read(&mut stream).status).collect();
    assert!(statuses.iter().filter(|&&status| status == 401).count() >= 100, "{statuses:?}");
    assert!(statuses.contains(&429) && statuses.iter().all(|status| matches!(status, 401 | 429)));
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    let mut server = Server::start_at_fixed_port(&WEB);
    let (_, anns) = Client::join(server.address, "ann");
    let token = token(&log_in(web(&server), "ann"));
    let sent = send(web(&server), &bearer(&token), "ann", "c", "note");
    assert_eq!(sent.status, 200);
    server.kill9();
    server.restart();
    let again = send(web(&server), &bearer(&token), "ann", "c", "note");
    assert_eq!((&again.json()["seq"], &again.json()["duplicate"]), (&sent.json()["seq"], &true.into()));
    let mut ann = Client::login_to(server.address, &anns);
    assert_eq!(&*ann.message().content, "note");
    ann.settle();
    assert_eq!(ann.take_pushes(), []);
}
