//! Requests over HTTP by bare sockets.

use super::{PATIENCE, Server};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Listens for HTTP on any free port.
pub const WEB: [&str; 2] = ["--set", "http.listen=127.0.0.1:0"];

/// Where a server listens for HTTP.
pub fn web(server: &Server) -> SocketAddr {
    let said = server.stdout();
    let line = said.lines().find_map(|line| line.strip_prefix("web:")).expect(&said);
    let address = line.trim().trim_start_matches("http://").trim_start_matches("https://");
    address.trim_end_matches('/').parse().unwrap()
}

/// The answer to a request, as its bytes say.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The lines of its head.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads one answer, whose length its head says.
    pub fn read(stream: &mut TcpStream) -> Answer {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut byte).expect("an answer comes in time");
            assert!(length > 0, "no whole answer: {:?}", String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let status = head[9..12].parse().unwrap();
        let answer = Answer { status, head, body: String::new() };
        let length = answer.field("Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        Answer { body: String::from_utf8(body).unwrap(), ..answer }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The number of the error that it tells of.
    pub fn errno(&self) -> u64 {
        self.json()["errno"].as_u64().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The name and value of the cookie that it sets.
    pub fn cookie(&self) -> String {
        let cookie = self.field("Set-Cookie").unwrap_or_else(|| panic!("{self:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of a request. `fields`: lines, each with its end.
pub fn head(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: chat.example\r\n{fields}\r\n")
}

/// A request with a JSON body.
pub fn json(path: &str, fields: &str, body: &str) -> String {
    let own = format!("Content-Type: application/json\r\nContent-Length: {}\r\n{fields}", body.len());
    head("POST", path, &own) + body
}

/// The answer to one request.
pub fn asked(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request.as_ref()).unwrap();
    Answer::read(&mut stream)
}

/// The answer to a POST of JSON.
pub fn post(address: SocketAddr, path: &str, fields: &str, body: &str) -> Answer {
    asked(address, json(path, fields, body))
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}
