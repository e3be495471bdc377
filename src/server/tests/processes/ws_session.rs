//! LOGIN without credentials, by the session cookie of the page that opened a WebSocket.

use crate::api::log_in;
use crate::starts::set;
use crate::support::Client;
use crate::support::client::errno;
use crate::support::http::{asked, head};
use crate::web::web;
use crate::ws::{connect_with, server, upgrade_status};
use std::net::SocketAddr;
use wire::session::{LoggedIn, Login, Request};
use wire::{Command, Credentials, Errno, Reply, Target, session};

fn by_cookie() -> Command {
    Request::Login(Login { by_cookie: true, ..Login::new(Credentials::Token("".into())) }).into()
}

fn logged_in(client: &mut Client) -> Box<LoggedIn> {
    match client.ask(&by_cookie()) {
        Reply::Session(session::Reply::LoggedIn(login)) => login,
        other => panic!("{other:?}"),
    }
}

/// The cookie that a login by HTTP sets, as a browser sends it: `NAME=TOKEN`.
fn cookie(web: SocketAddr, name: &str) -> String {
    log_in(web, name).cookie()
}

fn refused(address: SocketAddr, fields: &str) -> Errno {
    errno(&connect_with(address, fields).ask(&by_cookie()))
}

#[test]
fn a_page_logs_in_by_its_cookie_and_is_not_told_the_token() {
    let server = server(&[]);
    let address = web(&server);
    let (mut ann, anns) = Client::join(server.address, "ann");
    let (_, bobs) = Client::join(server.address, "bob");
    let cookie = cookie(address, "bob");
    let origin = format!("Origin: http://{address}\r\n");
    let of_page = format!("Cookie: theme=dark; {cookie}\r\n{origin}");
    let mut page = connect_with(address, &of_page);
    let login = logged_in(&mut page);
    assert_eq!((login.id, login.token.as_deref(), login.http.as_deref()), (bobs.id, None, None));
    ann.send(Target::User(bobs.id), "hello");
    assert_eq!(&*page.message().content, "hello");
    page.send(Target::User(anns.id), "from the page");
    assert_eq!(&*ann.message().content, "from the page");

    // Without a cookie, with one that no page of this server sends, and by TCP there is nothing to log in by.
    let foreign_name = format!("Cookie: __Host-{cookie}\r\n{origin}");
    let empty = format!("Cookie: chat_session=\r\n{origin}");
    let too_long = format!("Cookie: chat_session={}\r\n{origin}", "0".repeat(129));
    for fields in [&origin, &format!("Cookie: {cookie}\r\n"), &foreign_name, &empty, &too_long] {
        assert_eq!(refused(address, fields), Errno::NotLoggedIn, "{fields}");
    }
    assert_eq!(errno(&Client::connect(server.address).ask(&by_cookie())), Errno::NotLoggedIn);
    // A password counts, whoever's cookie the connection has.
    let mut other = connect_with(address, &of_page);
    match other.ask(&Client::by_password(&anns, "page")) {
        Reply::Session(session::Reply::LoggedIn(login)) => {
            assert!(login.id == anns.id && login.token.is_some());
        }
        reply => panic!("{reply:?}"),
    }

    // The token is looked up when LOGIN comes.
    let mut late = connect_with(address, &of_page);
    let logout = format!("Authorization: Bearer {}\r\n", cookie.split_once('=').unwrap().1);
    assert_eq!(asked(address, head("POST", "/api/logout", &logout)).status, 204);
    assert_eq!(errno(&late.ask(&by_cookie())), Errno::TokenInvalid);
    assert_eq!(refused(address, &of_page), Errno::TokenInvalid);
}

#[test]
fn behind_https_only_pages_and_cookies_that_came_by_it_count() {
    let server = server(&[set("http.url", "\"https://chat.example\"")]);
    let address = web(&server);
    let (_, bobs) = Client::join(server.address, "bob");
    let cookie = cookie(address, "bob");
    assert!(cookie.starts_with("__Host-chat_session="), "{cookie}");
    let plain = cookie.trim_start_matches("__Host-").to_owned();
    let fields = |cookie: &str, origin: &str| format!("Cookie: {cookie}\r\nOrigin: {origin}\r\n");
    for origin in [&format!("http://{address}"), "http://chat.example", "https://evil.example"] {
        assert_eq!(upgrade_status(address, &fields(&cookie, origin)), 403, "{origin}");
    }
    let login = logged_in(&mut connect_with(address, &fields(&cookie, "https://chat.example")));
    assert_eq!((login.id, login.token.as_deref()), (bobs.id, None));
    assert_eq!(login.http.as_deref(), Some("https://chat.example"));
    assert_eq!(refused(address, &fields(&plain, "https://chat.example")), Errno::NotLoggedIn);
}
