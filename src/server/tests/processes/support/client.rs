//! A bare protocol client: it neither reconnects nor acknowledges by itself. It answers PROBE, so that a test may
//! wait for long. Set-up steps, which retry, are in [`super::setup`].

use super::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::frame::put_frame;
use wire::kind::{REPLY, request};
use wire::limits::FRAME_BYTES;
use wire::{
    Command, ConversationId, Credentials, Errno, Heartbeat, Message, Push, Refusal, Reply, Seq, Target,
    UnixMillis, UserId, split_frame,
};
use wire::{message, session, timeline};

pub const PASSWORD: &str = "correct horse";

/// An account and its token.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    pub name: String,
    pub token: Box<str>,
}

/// What a server sends.
#[derive(Clone, Debug)]
pub enum Event {
    /// The reply to the request of this number.
    Reply(u32, Reply),
    /// The answer to a heartbeat.
    Heartbeat(u32, Heartbeat),
    Push(Push),
}

/// The server closed or reset the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// One connection. A thread of its own reads it, so that it never exerts backpressure.
pub struct Client {
    stream: TcpStream,
    /// The sending half; the reading thread uses it, too, to answer PROBE.
    writer: Arc<Mutex<TcpStream>>,
    events: Receiver<Event>,
    requests: u32,
    /// Events that came while another one was waited for.
    pushes: VecDeque<Push>,
    replies: HashMap<u32, Reply>,
    reader: Option<JoinHandle<()>>,
}

impl Client {
    // ---- connecting --------------------------------------------------------------------------------------------

    /// Connects, without a login.
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).expect("the server accepts connections")
    }

    /// Connects, unless the kernel refuses.
    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// Connects from another local address, such as 127.0.0.5; returns the whole source address, too.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> (Client, SocketAddr) {
        let (stream, source) = connect_from(source, address);
        (Client::over(stream).unwrap(), source)
    }

    /// Over a stream that is connected.
    pub fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (reader, writer) = (stream.try_clone()?, Arc::new(Mutex::new(stream.try_clone()?)));
        let ((into, events), answers) = (mpsc::channel(), Arc::clone(&writer));
        let reader = Some(thread::spawn(move || read_events(reader, &answers, &into)));
        let (pushes, replies) = (VecDeque::new(), HashMap::new());
        Ok(Client { stream, writer, events, requests: 0, pushes, replies, reader })
    }

    /// LOGIN by token.
    pub fn by_token(account: &Account) -> Command {
        Command::Session(session::Request::Login(session::Login::new(Credentials::Token(
            account.token.clone(),
        ))))
    }

    /// LOGIN by password.
    pub fn by_password(account: &Account, device: &str) -> Command {
        let credentials = Credentials::Password { who: Who::Id(account.id), password: PASSWORD.into() };
        Command::Session(session::Request::Login(session::Login {
            device: Some(device.into()),
            ..session::Login::new(credentials)
        }))
    }

    /// The server's address.
    pub fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    // ---- sending -----------------------------------------------------------------------------------------------

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.writer.lock().unwrap().write_all(bytes).map_err(|error| {
            assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the server has not read for {PATIENCE:?}");
            Closed
        })
    }

    /// Sends a request; returns its number.
    pub fn post(&mut self, command: &Command) -> Result<u32, Closed> {
        let (request, mut bytes) = (self.next_request(), Vec::new());
        command.encode(request, &mut bytes);
        self.write(&bytes).map(|()| request)
    }

    /// Sends a frame of any kind; returns its number.
    pub fn post_raw(&mut self, kind: u16, value: &[u8]) -> u32 {
        let (request, mut bytes) = (self.next_request(), Vec::new());
        put_frame(&mut bytes, kind, request, |out| out.extend_from_slice(value));
        self.write(&bytes).expect("the connection lives");
        request
    }

    /// A fresh request number.
    pub fn next_request(&mut self) -> u32 {
        self.requests += 1;
        self.requests
    }

    /// Acknowledges everything up to `seq`.
    pub fn ack(&mut self, conversation: ConversationId, seq: Seq) -> Result<(), Closed> {
        let mut bytes = Vec::new();
        Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq }))
            .encode(0, &mut bytes);
        self.write(&bytes)
    }

    // ---- waiting -----------------------------------------------------------------------------------------------

    /// The next event that no one has waited for. `Ok(None)`: there was none in this time.
    pub fn event(&mut self, within: Duration) -> Result<Option<Event>, Closed> {
        match self.events.recv_timeout(within) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                // The connection has ended, unless the reading thread failed to parse its input.
                if let Some(Err(panic)) = self.reader.take().map(JoinHandle::join) {
                    resume_unwind(panic);
                }
                Err(Closed)
            }
        }
    }

    /// The reply to a request that was posted.
    #[track_caller]
    pub fn reply(&mut self, request: u32) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(reply) = self.replies.remove(&request) {
                return reply;
            }
            match self.event(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(Event::Reply(number, reply))) => drop(self.replies.insert(number, reply)),
                Ok(Some(Event::Push(push))) => self.pushes.push_back(push),
                Ok(Some(Event::Heartbeat(..))) => {}
                other => panic!("instead of the reply to request {request} came {other:?}"),
            }
        }
    }

    /// Sends a request and waits for its reply.
    #[track_caller]
    pub fn ask(&mut self, command: &Command) -> Reply {
        let request = self.post(command).expect("the connection lives");
        self.reply(request)
    }

    /// Sends a request to a server that may be killed meanwhile, and waits for its reply.
    pub fn try_ask(&mut self, command: &Command) -> Result<Reply, Closed> {
        let request = self.post(command)?;
        self.try_reply(request)
    }

    /// The reply to a request that was posted to a server that may be killed meanwhile.
    #[track_caller]
    pub fn try_reply(&mut self, request: u32) -> Result<Reply, Closed> {
        if let Some(reply) = self.replies.remove(&request) {
            return Ok(reply);
        }
        loop {
            match self.event(PATIENCE)? {
                Some(Event::Reply(number, reply)) if number == request => return Ok(reply),
                Some(Event::Reply(number, reply)) => drop(self.replies.insert(number, reply)),
                Some(Event::Push(push)) => self.pushes.push_back(push),
                Some(Event::Heartbeat(..)) => {}
                None => panic!("no reply to request {request} has come in {PATIENCE:?}"),
            }
        }
    }

    /// Sends a request that must be refused.
    #[track_caller]
    pub fn refusal(&mut self, command: &Command) -> Refusal {
        match self.ask_again(command) {
            Reply::Refused(refusal) => *refusal,
            other => panic!("instead of a refusal came {other:?}"),
        }
    }

    /// The next push that `wanted` accepts; others before it are kept.
    #[track_caller]
    pub fn push<T>(&mut self, within: Duration, wanted: impl Fn(&Push) -> Option<T>) -> T {
        match self.try_push(within, wanted) {
            Some(found) => found,
            None => panic!("the push has not come in {within:?}; others: {:?}", self.pushes),
        }
    }

    /// The next push that `wanted` accepts; `None`: it has not come in this time.
    #[track_caller]
    pub fn try_push<T>(&mut self, within: Duration, wanted: impl Fn(&Push) -> Option<T>) -> Option<T> {
        let kept = self.pushes.iter().enumerate().find_map(|(at, push)| Some((at, wanted(push)?)));
        if let Some((at, found)) = kept {
            self.pushes.remove(at);
            return Some(found);
        }
        let deadline = Instant::now() + within;
        loop {
            match self.event(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(Event::Push(push))) => match wanted(&push) {
                    Some(found) => return Some(found),
                    None => self.pushes.push_back(push),
                },
                Ok(Some(Event::Reply(number, reply))) => drop(self.replies.insert(number, reply)),
                Ok(Some(Event::Heartbeat(..))) => {}
                Ok(None) => return None,
                Err(Closed) => {
                    panic!("the server has closed the connection; before it said {:?}", self.pushes)
                }
            }
        }
    }

    /// The next message.
    #[track_caller]
    pub fn message(&mut self) -> Arc<Message> {
        self.push(PATIENCE, |push| match push {
            Push::Message(message::Push::New(message)) if message.is_message() => Some(Arc::clone(message)),
            _ => None,
        })
    }

    /// The next entry of a timeline, a message or not.
    #[track_caller]
    pub fn any_entry(&mut self) -> Arc<Message> {
        self.push(PATIENCE, |push| match push {
            Push::Message(message::Push::New(entry)) => Some(Arc::clone(entry)),
            _ => None,
        })
    }

    /// The next entry of a timeline that is not a message.
    #[track_caller]
    pub fn entry(&mut self) -> Arc<Message> {
        self.push(PATIENCE, |push| match push {
            Push::Message(message::Push::New(entry)) if !entry.is_message() => Some(Arc::clone(entry)),
            _ => None,
        })
    }

    /// All pushes that were not waited for, up to the reply to one more request.
    pub fn take_pushes(&mut self) -> Vec<Push> {
        self.settle();
        self.pushes.drain(..).collect()
    }

    /// Waits until the server has closed the connection; returns the events before that.
    #[track_caller]
    pub fn wait_closed(&mut self, within: Duration) -> Vec<Event> {
        let deadline = Instant::now() + within;
        let mut said: Vec<Event> = self.pushes.drain(..).map(Event::Push).collect();
        loop {
            match self.event(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(event)) => said.push(event),
                Ok(None) => panic!("the connection is open after {within:?}"),
                Err(Closed) => return said,
            }
        }
    }

    /// Sends a heartbeat; returns how long its answer took.
    #[track_caller]
    pub fn heartbeat(&mut self, user: UserId) -> Duration {
        let beat = Heartbeat { sequence: self.requests, time: UnixMillis(0), user };
        let begun = Instant::now();
        let request = self.post_raw(request::HEARTBEAT, &beat.encode());
        loop {
            match self.event(PATIENCE) {
                Ok(Some(Event::Heartbeat(number, answer))) if number == request => {
                    assert_eq!((answer.sequence, answer.user), (beat.sequence, user));
                    return begun.elapsed();
                }
                Ok(Some(Event::Heartbeat(..))) => {}
                Ok(Some(Event::Push(push))) => self.pushes.push_back(push),
                Ok(Some(Event::Reply(number, reply))) => drop(self.replies.insert(number, reply)),
                other => panic!("instead of an answer to the heartbeat came {other:?}"),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Ends the reading thread; the connection may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Connects from another local address; returns the whole source address, too.
pub fn connect_from(source: IpAddr, address: SocketAddr) -> (TcpStream, SocketAddr) {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    let source = stream.local_addr().unwrap();
    (stream, source)
}

/// Logs in with a small receive buffer and reads nothing, not even the reply.
pub fn log_in_and_never_read(address: SocketAddr, account: &Account) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    let (mut stream, mut login) = (TcpStream::from(socket), Vec::new());
    Client::by_token(account).encode(1, &mut login);
    stream.write_all(&login).unwrap();
    stream
}

/// SEND of a text.
pub fn text(target: Target, content: &str, cid: Option<&str>) -> Command {
    let cid = cid.map(Into::into);
    Command::Message(message::Request::Send(message::Send { cid, ..message::Send::text(target, content) }))
}

/// The `errno` of a reply.
pub fn errno(reply: &Reply) -> Errno {
    match reply {
        Reply::Refused(refusal) => refusal.errno,
        _ => Errno::Ok,
    }
}

fn read_events(mut stream: TcpStream, answers: &Mutex<TcpStream>, into: &Sender<Event>) {
    let (mut bytes, mut chunk, mut user) = (Vec::new(), vec![0; 64 * 1024], UserId(0));
    loop {
        let count = match stream.read(&mut chunk) {
            Ok(count) if count > 0 => count,
            _ => return,
        };
        bytes.extend_from_slice(&chunk[..count]);
        let mut used = 0;
        while let Some((frame, length)) =
            split_frame(&bytes[used..], FRAME_BYTES).expect("the server sends frames")
        {
            used += length;
            let event = event(frame.kind, frame.request, frame.value);
            match &event {
                Event::Push(Push::Session(session::Push::Probe)) => {
                    // If the connection is gone, the next read ends this thread.
                    let _ = answers.lock().unwrap().write_all(&answer_probe(user));
                    continue;
                }
                Event::Reply(_, Reply::Session(session::Reply::LoggedIn(session))) => user = session.id,
                _ => {}
            }
            if into.send(event).is_err() {
                return;
            }
        }
        bytes.drain(..used);
    }
}

/// The HEARTBEAT that answers PROBE, and has no reply.
pub fn answer_probe(user: UserId) -> Vec<u8> {
    let (beat, mut bytes) = (Heartbeat { sequence: 0, time: UnixMillis(0), user }, Vec::new());
    put_frame(&mut bytes, request::HEARTBEAT, 0, |out| out.extend_from_slice(&beat.encode()));
    bytes
}

/// What a frame from the server means.
pub fn event(kind: u16, number: u32, value: &[u8]) -> Event {
    if kind & REPLY == 0 {
        assert_eq!(number, 0, "a push answers no request");
        return Event::Push(
            Push::decode(kind, value).unwrap().expect("the server sends what this version knows"),
        );
    }
    match Heartbeat::decode(value).filter(|_| kind == REPLY | request::HEARTBEAT) {
        Some(beat) => Event::Heartbeat(number, beat),
        None => Event::Reply(number, Reply::decode(kind, value).unwrap()),
    }
}
