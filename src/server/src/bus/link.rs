//! The subscriber's connection: read by the subscriber alone, written to by the commander.

use super::{RETRY_AFTER, SILENCE, codec};
use logic::Ticket;
use logic::bus::{BusInput, Channel};
use parking_lot::{Condvar, Mutex};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, cmd};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// What both threads know of the connection.
pub struct Link {
    redis: ConnectionInfo,
    own: String,
    state: Mutex<State>,
    /// Rung when the end has come.
    ended: Condvar,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

#[derive(Default)]
struct State {
    /// The writing half; `None` while there is no connection.
    stream: Option<TcpStream>,
    /// What this node listens to, now or when there is a connection again.
    channels: BTreeSet<String>,
    /// Whose channels are being confirmed, in order, and how many of them are left.
    pending: VecDeque<(For, usize)>,
    /// When PINGs were sent that are not answered, monotonic ms of logic.
    pings: VecDeque<u64>,
    closed: bool,
}

/// What a confirmation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// An order of logic.
    Order(Ticket),
    /// All that was listened to before the connection was lost.
    Restoring,
}

impl Link {
    /// A link that is not connected.
    pub fn new(redis: ConnectionInfo, run: Arc<str>) -> Link {
        let own = codec::name(&Channel::Node(run));
        Link { redis, own, state: Mutex::default(), ended: Condvar::new() }
    }

    /// Where Redis is, with its credentials.
    pub fn redis(&self) -> &ConnectionInfo {
        &self.redis
    }

    /// Connects, logs in, and asks for all channels again. Gives the reading half.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let ConnectionAddr::Tcp(host, port) = self.redis.addr() else {
            return Err(io::Error::other("only TCP is supported"));
        };
        let mut last = io::Error::other("the name has no address");
        let mut connected = None;
        for address in (host.as_str(), *port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, SILENCE) {
                Ok(stream) => {
                    connected = Some(stream);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let mut stream = connected.ok_or(last)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let settings = self.redis.redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            stream.write_all(&auth.arg(password).get_packed_command())?;
        }
        let mut state = self.state.lock();
        if state.closed {
            return Err(io::Error::other("the server stops"));
        }
        let mut subscribe = cmd("SUBSCRIBE");
        subscribe.arg(&self.own);
        for channel in &state.channels {
            subscribe.arg(channel);
        }
        stream.write_all(&subscribe.get_packed_command())?;
        let count = 1 + state.channels.len();
        state.pending.push_back((For::Restoring, count));
        state.stream = Some(stream.try_clone()?);
        Ok(stream)
    }

    /// The connection is lost: gives who waited for a confirmation. Waits a moment; false: the end has come.
    pub fn lost(&self) -> (Vec<BusInput>, bool) {
        let mut state = self.state.lock();
        state.stream = None;
        state.pings.clear();
        let waited = state.pending.drain(..).filter_map(|(what, _)| match what {
            For::Order(ticket) => Some(BusInput::Subscribed(ticket)),
            For::Restoring => None,
        });
        let waited = waited.collect();
        if !state.closed {
            self.ended.wait_for(&mut state, RETRY_AFTER);
        }
        (waited, !state.closed)
    }

    /// Listens to some channels. Gives the answer if there is no connection.
    pub fn subscribe(&self, ticket: Ticket, channels: &[Channel]) -> Option<BusInput> {
        let mut state = self.state.lock();
        let mut subscribe = cmd("SUBSCRIBE");
        for channel in channels {
            let name = codec::name(channel);
            subscribe.arg(&name);
            state.channels.insert(name);
        }
        if state.write(&subscribe) {
            state.pending.push_back((For::Order(ticket), channels.len()));
            return None;
        }
        Some(BusInput::Subscribed(ticket))
    }

    /// Listens to some channels no more.
    pub fn unsubscribe(&self, channels: &[Channel]) {
        let mut state = self.state.lock();
        let mut unsubscribe = cmd("UNSUBSCRIBE");
        for channel in channels {
            let name = codec::name(channel);
            state.channels.remove(&name);
            unsubscribe.arg(name);
        }
        state.write(&unsubscribe);
    }

    /// Asks whether the connection lives.
    pub fn ping(&self, now: u64) {
        let mut state = self.state.lock();
        if state.write(&cmd("PING")) {
            state.pings.push_back(now);
        }
    }

    /// A PING was answered: gives when it was sent.
    pub fn ponged(&self) -> Option<u64> {
        self.state.lock().pings.pop_front()
    }

    /// A channel was confirmed: gives what that says.
    pub fn confirmed(&self) -> Option<BusInput> {
        let mut state = self.state.lock();
        let (what, left) = state.pending.front_mut()?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        let input = match *what {
            For::Order(ticket) => BusInput::Subscribed(ticket),
            For::Restoring => BusInput::Up,
        };
        state.pending.pop_front();
        Some(input)
    }

    /// Ends the connection for good.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.cut();
        self.ended.notify_all();
    }
}

impl State {
    /// Whether there is a connection that took it. One that does not is cut, which its reader notices.
    fn write(&mut self, command: &Cmd) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let written = stream.write_all(&command.get_packed_command());
        if written.is_err() {
            self.cut();
        }
        written.is_ok()
    }

    fn cut(&mut self) {
        if let Some(stream) = self.stream.take() {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// How long a connection attempt of the commander may take.
pub const CONNECT: Duration = SILENCE;
