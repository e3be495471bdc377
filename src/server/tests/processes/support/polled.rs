//! A client without a thread of its own: one thread polls many of them.

use super::client::{Event, answer_probe, event};
use super::{Account, Client};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use wire::limits::FRAME_BYTES;
use wire::{Command, Push, UserId, session, split_frame};

/// One connection. It answers PROBE, and neither reconnects nor acknowledges by itself.
pub struct Polled {
    stream: TcpStream,
    user: UserId,
    requests: u32,
    input: Vec<u8>,
    /// What the kernel has not taken yet.
    output: Vec<u8>,
}

impl Polled {
    /// Connects, and posts LOGIN by token as the first request.
    pub fn log_in(poll: &Poll, token: Token, address: SocketAddr, account: &Account) -> Polled {
        let stream = std::net::TcpStream::connect(address).expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).unwrap();
        let (input, output) = (Vec::new(), Vec::new());
        let mut polled = Polled { stream, user: account.id, requests: 0, input, output };
        polled.post(&Client::by_token(account));
        polled
    }

    /// Sends a request; returns its number.
    pub fn post(&mut self, command: &Command) -> u32 {
        self.requests += 1;
        command.encode(self.requests, &mut self.output);
        self.flush();
        self.requests
    }

    /// Sends a request that has no reply.
    pub fn tell(&mut self, command: &Command) {
        command.encode(0, &mut self.output);
        self.flush();
    }

    /// Takes all events that have come.
    pub fn events(&mut self) -> Vec<Event> {
        self.flush();
        let (mut chunk, mut is_open) = ([0; 16 << 10], true);
        while is_open {
            match self.stream.read(&mut chunk) {
                Ok(0) => is_open = false,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("the connection of {}: {error}", self.user),
            }
        }
        let (mut events, mut used) = (Vec::new(), 0);
        while let Some((frame, length)) =
            split_frame(&self.input[used..], FRAME_BYTES).expect("the server sends frames")
        {
            used += length;
            match event(frame.kind, frame.request, frame.value) {
                Event::Push(Push::Session(session::Push::Probe)) => {
                    self.output.extend_from_slice(&answer_probe(self.user));
                }
                event => events.push(event),
            }
        }
        self.input.drain(..used);
        self.flush();
        assert!(is_open, "the server has closed the connection of {}, after {events:?}", self.user);
        events
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("the connection of {}: {error}", self.user),
            }
        }
    }
}
