//! A client that behaves like the C++ clients of the muduo cluster chat servers, and breaks where they break: it takes
//! up to 1,024 bytes from its socket, reads them up to the first NUL as *one* object, and takes fields out of it by
//! their types. Anything else aborts those clients, and fails the test.

use super::{PASSWORD, PATIENCE};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The size of their receive buffer.
pub const RECV_BYTES: usize = 1_024;
/// The `time` field of everything they send.
pub const SENT_AT: &str = "2021-01-01 12:00:00";

/// Where answers to login and registration are read. Clients of both kinds exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// By the thread that asks. A reading thread starts after the login.
    Inline,
    /// By a thread that reads everything from the beginning.
    InThread,
}

/// A message as the client shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The group, if it was sent to one.
    pub group: Option<i64>,
    pub from: i64,
    pub name: String,
    pub time: String,
    pub text: String,
}

/// What the client shows after a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub name: String,
    /// Id, name, state.
    pub friends: Vec<(i64, String, String)>,
    pub groups: Vec<Group>,
    pub missed: Vec<Shown>,
}

/// A group as a login shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: i64,
    pub name: String,
    pub desc: String,
    /// Id, name, state, role.
    pub users: Vec<(i64, String, String, String)>,
}

#[derive(Debug)]
enum Came {
    /// An answer to login or registration.
    Answer(Value),
    Message(Shown),
}

/// The client. Its message numbers begin at `base + 1`.
pub struct LegacyClient {
    stream: TcpStream,
    answers: Answers,
    base: i64,
    /// Takes exactly [`RECV_BYTES`], not up to as many.
    waits_for_all: bool,
    /// What the reading thread reads; and the sending end, until that thread is started.
    came: Receiver<Came>,
    into: Option<Sender<Came>>,
    reader: Option<JoinHandle<()>>,
    /// Who is logged in.
    me: (i64, String),
}

impl LegacyClient {
    pub fn connect(address: SocketAddr, answers: Answers) -> LegacyClient {
        LegacyClient::connect_numbered(address, answers, 0)
    }

    /// A client of a fork with other message numbers.
    pub fn connect_numbered(address: SocketAddr, answers: Answers, base: i64) -> LegacyClient {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).expect("the server accepts connections");
        LegacyClient::on(socket.into(), answers, base)
    }

    /// A client with a small receive buffer in the kernel, which it may leave full for a while. The kernel then splits
    /// objects at any byte (it probes a closed window with what fits), so this client waits for all [`RECV_BYTES`].
    pub fn connect_narrow(address: SocketAddr) -> LegacyClient {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).expect("the server accepts connections");
        let mut legacy = LegacyClient::on(socket.into(), Answers::Inline, 0);
        legacy.waits_for_all = true;
        legacy
    }

    fn on(stream: TcpStream, answers: Answers, base: i64) -> LegacyClient {
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let (into, came) = mpsc::channel();
        let me = (0, String::new());
        let into = Some(into);
        let mut legacy =
            LegacyClient { stream, answers, base, waits_for_all: false, came, into, reader: None, me };
        if answers == Answers::InThread {
            legacy.read_on();
        }
        legacy
    }

    /// Starts the reading thread.
    pub fn read_on(&mut self) {
        if let Some(into) = self.into.take() {
            let (base, waits_for_all) = (self.base, self.waits_for_all);
            let mut stream = self.stream.try_clone().unwrap();
            self.reader = Some(thread::spawn(move || {
                while let Some(object) = receive(&mut stream, waits_for_all) {
                    if into.send(sort(object, base)).is_err() {
                        return;
                    }
                }
            }));
        }
    }

    // ---- what a user does ---------------------------------------------------------------------------------------

    /// Registers; returns the id, or `None` if that was refused.
    #[track_caller]
    pub fn register(&mut self, name: &str) -> Option<i64> {
        let answer = self.ask(&json!({"msgid": self.base + 4, "name": name, "password": PASSWORD}));
        assert_eq!(int(&answer, "msgid"), self.base + 5);
        (int(&answer, "errno") == 0).then(|| int(&answer, "id"))
    }

    /// Registers, which is refused; returns the reason.
    #[track_caller]
    pub fn register_refused(&mut self, name: &str) -> String {
        let answer = self.ask(&json!({"msgid": self.base + 4, "name": name, "password": PASSWORD}));
        assert_eq!((int(&answer, "msgid"), int(&answer, "errno")), (self.base + 5, 1), "{name:?}");
        text(&answer, "errmsg")
    }

    /// Logs in; returns what the client shows, or `errno` and `errmsg`.
    #[track_caller]
    pub fn login(&mut self, id: i64) -> Result<Home, (i64, String)> {
        let home = self.login_only(id)?;
        self.read_on();
        Ok(home)
    }

    /// Logs in, and reads nothing after the answer.
    #[track_caller]
    pub fn login_only(&mut self, id: i64) -> Result<Home, (i64, String)> {
        let answer = self.ask(&json!({"msgid": self.base + 1, "id": id, "password": PASSWORD}));
        assert_eq!(int(&answer, "msgid"), self.base + 2);
        if int(&answer, "errno") != 0 {
            return Err((int(&answer, "errno"), text(&answer, "errmsg")));
        }
        self.me = (int(&answer, "id"), text(&answer, "name"));
        assert_eq!(self.me.0, id);
        Ok(home(&answer, self.base))
    }

    /// Makes an account and logs in to it.
    #[track_caller]
    pub fn join(address: SocketAddr, name: &str) -> (LegacyClient, i64) {
        let mut legacy = LegacyClient::connect(address, Answers::InThread);
        let id = legacy.register(name).expect("the name is free");
        legacy.login(id).expect("the password is right");
        (legacy, id)
    }

    /// The account that is logged in.
    pub fn id(&self) -> i64 {
        self.me.0
    }

    pub fn logout(&mut self) {
        self.send(&json!({"msgid": self.base + 3, "id": self.me.0}));
    }

    pub fn chat(&mut self, to: i64, text: &str) {
        let object = self.one_chat(to, text);
        self.send(&object);
    }

    /// The ONE_CHAT object.
    pub fn one_chat(&self, to: i64, text: &str) -> Value {
        let (id, name) = &self.me;
        json!({"msgid": self.base + 6, "id": id, "name": name, "toid": to, "msg": text, "time": SENT_AT})
    }

    pub fn add_friend(&mut self, friend: i64) {
        self.send(&json!({"msgid": self.base + 7, "id": self.me.0, "friendid": friend}));
    }

    pub fn create_group(&mut self, name: &str, desc: &str) {
        self.send(&json!({"msgid": self.base + 8, "id": self.me.0, "groupname": name, "groupdesc": desc}));
    }

    pub fn add_group(&mut self, group: i64) {
        self.send(&json!({"msgid": self.base + 9, "id": self.me.0, "groupid": group}));
    }

    pub fn group_chat(&mut self, group: i64, text: &str) {
        let (id, name) = &self.me;
        let object = json!({"msgid": self.base + 10, "id": id, "name": name, "groupid": group, "msg": text, "time": SENT_AT});
        self.send(&object);
    }

    // ---- the wire ------------------------------------------------------------------------------------------------

    /// Sends an object, with a NUL behind it.
    pub fn send(&mut self, object: &Value) {
        self.write(format!("{object}\0").as_bytes());
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn ask(&mut self, object: &Value) -> Value {
        self.send(object);
        self.answer()
    }

    /// Waits for an answer.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        if self.answers == Answers::Inline {
            self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let object = receive(&mut self.stream, self.waits_for_all).expect("the server answers");
            self.stream.set_read_timeout(None).unwrap();
            return object;
        }
        match self.next(PATIENCE) {
            Some(Came::Answer(answer)) => answer,
            other => panic!("instead of an answer came {other:?}"),
        }
    }

    /// The next message that the client shows.
    #[track_caller]
    pub fn shown(&mut self) -> Shown {
        match self.next(PATIENCE) {
            Some(Came::Message(shown)) => shown,
            other => panic!("instead of a message came {other:?}"),
        }
    }

    /// Asserts that nothing is shown for a while.
    #[track_caller]
    pub fn shows_nothing(&mut self) {
        if let Some(came) = self.next(Duration::from_millis(300)) {
            panic!("nothing was to come, but {came:?}");
        }
    }

    #[track_caller]
    fn next(&mut self, within: Duration) -> Option<Came> {
        match self.came.recv_timeout(within) {
            Ok(came) => Some(came),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                if let Some(Err(abort)) = self.reader.take().map(JoinHandle::join) {
                    resume_unwind(abort);
                }
                panic!("the server has closed the connection");
            }
        }
    }

    /// Waits until the server closes the connection, which makes these clients exit.
    #[track_caller]
    pub fn wait_closed(mut self) {
        self.read_on();
        loop {
            match self.came.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the connection is open after {PATIENCE:?}"),
            }
        }
    }
}

impl Drop for LegacyClient {
    fn drop(&mut self) {
        // Ends the reading thread; the connection may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// `recv` into 1,024 bytes, with `MSG_WAITALL` where asked, parsed as one object. `None`: the connection is gone.
fn receive(stream: &mut TcpStream, waits_for_all: bool) -> Option<Value> {
    let mut buffer = [0; RECV_BYTES];
    let received = if waits_for_all {
        stream.read_exact(&mut buffer).map(|()| RECV_BYTES)
    } else {
        stream.read(&mut buffer)
    };
    let length = match received {
        Ok(length) if length > 0 => length,
        _ => return None,
    };
    let came = &buffer[..length];
    let nul = came.iter().position(|&byte| byte == 0).unwrap_or_else(|| abort("no NUL at its end", came));
    if nul + 1 < length {
        abort("more than one object, of which the others are lost", came);
    }
    Some(serde_json::from_slice(&came[..nul]).unwrap_or_else(|error| abort(&error.to_string(), came)))
}

fn abort(why: &str, came: &[u8]) -> ! {
    panic!("terminate called after throwing: {why}: {}", came.escape_ascii());
}

fn sort(object: Value, base: i64) -> Came {
    match int(&object, "msgid") - base {
        2 | 5 => Came::Answer(object),
        _ => Came::Message(message(&object, base)),
    }
}

fn message(object: &Value, base: i64) -> Shown {
    let group = match int(object, "msgid") - base {
        6 => None,
        10 => Some(int(object, "groupid")),
        other => panic!("a message of msgid {other} + {base}: {object}"),
    };
    let [name, time, text] = ["name", "time", "msg"].map(|field| text(object, field));
    Shown { group, from: int(object, "id"), name, time, text }
}

fn home(answer: &Value, base: i64) -> Home {
    let friend = |f: Value| (int(&f, "id"), text(&f, "name"), text(&f, "state"));
    let user = |u: Value| (int(&u, "id"), text(&u, "name"), text(&u, "state"), text(&u, "role"));
    let group = |g: Value| Group {
        id: int(&g, "id"),
        name: text(&g, "groupname"),
        desc: text(&g, "groupdesc"),
        users: strings(&g, "users").into_iter().map(user).collect(),
    };
    let list = |field: &str| if answer.get(field).is_some() { strings(answer, field) } else { Vec::new() };
    Home {
        name: text(answer, "name"),
        friends: list("friends").into_iter().map(friend).collect(),
        groups: list("groups").into_iter().map(group).collect(),
        missed: list("offlinemsg").iter().map(|object| message(object, base)).collect(),
    }
}

// nlohmann::json throws where a field is missing or of another type.

fn int(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_else(|| panic!("`{field}` of {object} is no integer"))
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("`{field}` of {object} is no string")).to_owned()
}

fn strings(object: &Value, field: &str) -> Vec<Value> {
    let list = object[field].as_array().unwrap_or_else(|| panic!("`{field}` of {object} is no array"));
    let parse =
        |item: &Value| serde_json::from_str(item.as_str().expect("a string")).expect("JSON in a string");
    list.iter().map(parse).collect()
}
