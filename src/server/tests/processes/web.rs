//! HTTP and HTTPS on `http.listen`, directly and behind a real nginx.

use crate::encryption::{NAMES, install, openssl, path, start, with};
use crate::ops::{answered, printed};
use crate::starts::set;
use crate::support::certificates::Authority;
use crate::support::web_nginx::WebNginx;
use crate::support::{Nginx, Server};
use rustix::process::Signal;
use std::net::SocketAddr;

pub(crate) fn listening() -> [String; 2] {
    set("http.listen", "127.0.0.1:0")
}

pub(crate) fn web(server: &Server) -> SocketAddr {
    printed(server, "web:")
}

/// A request whose answer ends the connection.
fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: chat.example\r\n{fields}Connection: close\r\n\r\n")
}

/// What is answered to this request over TLS, whose certificate must be of the host `127.0.0.1`.
fn over_tls(address: SocketAddr, authority: &Authority, typed: &str) -> String {
    let file = authority.file();
    let checks = ["-CAfile", path(&file), "-verify_return_error", "-verify_ip", "127.0.0.1", "-quiet"];
    openssl(address, &[&checks[..], &["-ign_eof"]].concat(), typed)
}

#[test]
fn a_browser_speaks_tls_on_the_same_port() {
    let authority = Authority::new();
    let identity = authority.issue(&NAMES);
    let mut settings = with(&identity);
    settings.push(listening());
    let server = start(&settings);
    let get = request("GET", "/", "");
    let said = over_tls(web(&server), &authority, &get);
    assert!(said.contains("HTTP/1.1 200 OK") && said.contains("<h1>chatserver</h1>"), "{said}");
    // Requests behind the first in one record, and in many.
    let keeps = "GET /nothing HTTP/1.1\r\nHost: chat.example\r\n\r\n".repeat(500);
    let said = over_tls(web(&server), &authority, &(keeps + &get));
    assert_eq!(said.matches("HTTP/1.1 404 Not Found").count(), 500, "{said}");
    assert!(said.contains("200 OK") && said.contains("</html>\n"), "{said}");
    // This machine may do without.
    assert!(answered(web(&server), get.as_bytes()).starts_with("HTTP/1.1 200 OK"));

    install(&identity, &authority.issue(&["localhost"]));
    server.signal(Signal::HUP);
    server.wait_for_log("TLS: reloaded the certificate");
    let said = over_tls(web(&server), &authority, &get);
    assert!(said.contains("verify error") && !said.contains("HTTP/1.1"), "{said}");
    let file = authority.file();
    let arguments = ["-CAfile", path(&file), "-verify_return_error", "-verify_hostname", "localhost"];
    let said = openssl(web(&server), &[&arguments[..], &["-quiet", "-ign_eof"]].concat(), &get);
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
}

#[test]
fn a_browser_that_must_use_tls_is_sent_there() {
    let authority = Authority::new();
    let mut settings = with(&authority.issue(&NAMES));
    settings.extend([listening(), set("tls.required", "always")]);
    let server = start(&settings);
    let said = answered(web(&server), request("GET", "/a%20b?c=%0d", "").as_bytes());
    assert!(said.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"), "{said}");
    assert!(said.contains("\r\nLocation: https://chat.example/a%20b?c=%0d\r\n"), "{said}");
    let said = answered(web(&server), request("POST", "/", "Content-Length: 0\r\n").as_bytes());
    assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n") && !said.contains("Location"), "{said}");
    let said = answered(web(&server), b"GET / HTTP/1.1\r\nHost: evil/x\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
    let said = over_tls(web(&server), &authority, &request("GET", "/", ""));
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");

    settings.push(set("http.url", "https://talk.example:8443"));
    let server = start(&settings);
    let said = answered(web(&server), request("HEAD", "/x", "").as_bytes());
    assert!(said.contains("\r\nLocation: https://talk.example:8443/x\r\n"), "{said}");
}

/// A node that trusts proxies on this machine, and logs requests.
fn node(settings: &[[String; 2]]) -> Server {
    let own = [listening(), set("http.proxies", r#"["127.0.0.1"]"#), set("log.level", "debug")];
    start(&[settings, &own].concat())
}

/// The options by which `openssl` connects from this address.
fn from(ip: &str) -> [&str; 2] {
    ["-bind", ip]
}

#[test]
fn behind_nginx_a_request_is_of_the_client_and_not_of_the_proxy() {
    let authority = Authority::new();
    let identity = authority.issue(&NAMES);
    let node = node(&with(&identity));
    let nginx = WebNginx::start(web(&node), &identity);
    let file = authority.file();
    let ask = |address: SocketAddr, ip: &str, typed: &str| {
        let checks = ["-CAfile", path(&file), "-verify_return_error", "-verify_ip", "127.0.0.1"];
        openssl(address, &[&checks[..], &["-quiet", "-ign_eof"], &from(ip)].concat(), typed)
    };
    // What the client says of others is not believed.
    let said = ask(nginx.address, "127.0.0.9", &request("GET", "/", "X-Forwarded-For: 192.0.2.1\r\n"));
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}{}", nginx.log());
    node.wait_for_log("http: Get \"/\" from 127.0.0.9\n");
    // With the PROXY protocol, nginx passes TLS through as it is.
    let passing = Nginx::start(&[web(&node)]);
    let said =
        ask(passing.address, "127.0.0.7", &request("GET", "/nothing", "X-Forwarded-For: 192.0.2.1\r\n"));
    assert!(said.contains("HTTP/1.1 404 Not Found"), "{said}{}", passing.log());
    node.wait_for_log("http: Get \"/nothing\" from 127.0.0.7\n");
    // Whoever is no proxy is not believed either.
    let other = start(&[listening(), set("log.level", "debug")]);
    let said = answered(web(&other), request("GET", "/", "X-Forwarded-For: 192.0.2.1\r\n").as_bytes());
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    other.wait_for_log("http: Get \"/\" from 127.0.0.1\n");
}
