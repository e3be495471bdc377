//! A connection that never waits for the server.

use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use wire::frame::put_frame;

/// How long the kernel may take to accept a connection.
const CONNECTING: Duration = Duration::from_millis(200);

/// An address of an attacker, one of a group of its own.
pub fn attacker(group: u8, number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, group, 0, 1 + number))
}

/// A frame of any kind.
pub fn frame(kind: u16, number: u32, value: &serde_json::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, kind, number, |out| out.extend_from_slice(value.to_string().as_bytes()));
    bytes
}

/// A connection from an address, opened anew whenever the server has closed it.
#[derive(Debug)]
pub struct Connection {
    from: IpAddr,
    to: SocketAddr,
    receive_buffer: Option<usize>,
    stream: Option<TcpStream>,
    /// What the kernel has not taken yet.
    unsent: Vec<u8>,
}

impl Connection {
    pub fn new(from: IpAddr, to: SocketAddr) -> Connection {
        Connection { from, to, receive_buffer: None, stream: None, unsent: Vec::new() }
    }

    /// From its next opening on, the kernel keeps little that is not read.
    pub fn keep_little(&mut self) {
        self.receive_buffer = Some(16 << 10);
    }

    /// Another one from the same address.
    pub fn another(&self) -> Connection {
        Connection::new(self.from, self.to)
    }

    /// Opens it if it is closed; whether it was opened now.
    pub fn open(&mut self) -> bool {
        if self.stream.is_some() {
            return false;
        }
        self.unsent.clear();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.bind(&SocketAddr::new(self.from, 0).into()).unwrap();
        // The server may be at its limit.
        if socket.connect_timeout(&self.to.into(), CONNECTING).is_err() {
            return false;
        }
        socket.set_nonblocking(true).unwrap();
        self.stream = Some(socket.into());
        true
    }

    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Reads and discards what has come.
    pub fn discard(&mut self) {
        let mut buffer = [0; 64 << 10];
        while let Some(stream) = &mut self.stream {
            match stream.read(&mut buffer) {
                Ok(count) if count == buffer.len() => {}
                Ok(1..) => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => self.stream = None,
            }
        }
    }

    /// Writes, unless the server does not even read what was written before.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
        }
        while let Some(stream) = self.stream.as_mut().filter(|_| !self.unsent.is_empty()) {
            match stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.stream = None,
            }
        }
    }
}

/// The latest connections, open for a while so that the server has time to answer.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Connection>);

impl Recent {
    const KEPT: usize = 20;

    pub fn keep(&mut self, connection: Connection) {
        self.0.push_back(connection);
        self.0.iter_mut().for_each(Connection::discard);
        if self.0.len() > Recent::KEPT {
            self.0.pop_front();
        }
    }
}
