//! The subscriber's connection: the subscriber reads it, the commander writes to it.

use super::names::Names;
use logic::Ticket;
use logic::bus::{BusInput, Channel};
use parking_lot::{Condvar, Mutex};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, cmd};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long Redis may take to reply, or send nothing, before the connection counts as lost.
pub(super) const SILENCE: Duration = Duration::from_millis(1_500);
/// The pause before a lost connection is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Shared by the two threads of the bus.
pub(super) struct SubscriberConnection {
    redis: ConnectionInfo,
    names: Names,
    /// The channel of this run, which is always subscribed to.
    own_channel: String,
    state: Mutex<State>,
    /// Notified by [`SubscriberConnection::close`].
    closed: Condvar,
}

impl fmt::Debug for SubscriberConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("SubscriberConnection").field("own_channel", &self.own_channel).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// The writing half; `None` while there is no connection.
    stream: Option<TcpStream>,
    /// The channels to be subscribed to, on this connection or on the next one.
    channels: BTreeSet<String>,
    /// SUBSCRIBE commands that Redis has not confirmed, oldest first.
    pending: VecDeque<Subscription>,
    /// When each unanswered PING was sent, monotonic ms of logic.
    pings: VecDeque<u64>,
    is_closed: bool,
}

struct Subscription {
    cause: Cause,
    /// Channels not confirmed yet; Redis confirms each one separately.
    channels_left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// [`logic::BusOrder::Subscribe`].
    Order(Ticket),
    /// A new connection, which subscribes to everything again.
    Reconnect,
}

impl SubscriberConnection {
    /// Not connected yet.
    pub fn new(redis: ConnectionInfo, names: Names, run: Arc<str>) -> SubscriberConnection {
        let own_channel = names.channel(&Channel::Node(run));
        SubscriberConnection { redis, names, own_channel, state: Mutex::default(), closed: Condvar::new() }
    }

    /// The address and the credentials.
    pub fn redis(&self) -> &ConnectionInfo {
        &self.redis
    }

    /// Connects, logs in, and subscribes to all channels again. Returns the reading half.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let ConnectionAddr::Tcp(host, port) = self.redis.addr() else {
            return Err(io::Error::other("cluster.redis must be a TCP address"));
        };
        let mut last = io::Error::other("the host name has no address");
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
        if state.is_closed {
            return Err(io::Error::other("the server is stopping"));
        }
        let mut subscribe = cmd("SUBSCRIBE");
        subscribe.arg(&self.own_channel);
        for channel in &state.channels {
            subscribe.arg(channel);
        }
        stream.write_all(&subscribe.get_packed_command())?;
        let channels_left = 1 + state.channels.len();
        state.pending.push_back(Subscription { cause: Cause::Reconnect, channels_left });
        state.stream = Some(stream.try_clone()?);
        Ok(stream)
    }

    /// Forgets a lost connection. Returns the answers to the orders that still waited for a confirmation.
    pub fn reset(&self) -> Vec<BusInput> {
        let mut state = self.state.lock();
        state.stream = None;
        state.pings.clear();
        let answers = state.pending.drain(..).filter_map(|subscription| match subscription.cause {
            Cause::Order(ticket) => Some(BusInput::Subscribed(ticket)),
            Cause::Reconnect => None,
        });
        answers.collect()
    }

    /// Pauses before the next attempt. Returns `false` if the connection was closed for good.
    pub fn wait_to_retry(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            self.closed.wait_for(&mut state, RETRY_AFTER);
        }
        !state.is_closed
    }

    /// Subscribes to some channels. Returns the answer to the order if there is no connection to subscribe on.
    pub fn subscribe(&self, ticket: Ticket, channels: &[Channel]) -> Option<BusInput> {
        let mut state = self.state.lock();
        let mut subscribe = cmd("SUBSCRIBE");
        for channel in channels {
            let name = self.names.channel(channel);
            subscribe.arg(&name);
            state.channels.insert(name);
        }
        if state.write(&subscribe) {
            let subscription = Subscription { cause: Cause::Order(ticket), channels_left: channels.len() };
            state.pending.push_back(subscription);
            return None;
        }
        Some(BusInput::Subscribed(ticket))
    }

    pub fn unsubscribe(&self, channels: &[Channel]) {
        let mut state = self.state.lock();
        let mut unsubscribe = cmd("UNSUBSCRIBE");
        for channel in channels {
            let name = self.names.channel(channel);
            state.channels.remove(&name);
            unsubscribe.arg(name);
        }
        state.write(&unsubscribe);
    }

    /// Sends a PING. `now` is monotonic ms of logic.
    pub fn ping(&self, now: u64) {
        let mut state = self.state.lock();
        if state.write(&cmd("PING")) {
            state.pings.push_back(now);
        }
    }

    /// Handles the reply to the oldest PING. Returns when that PING was sent, monotonic ms of logic.
    pub fn handle_pong(&self) -> Option<u64> {
        self.state.lock().pings.pop_front()
    }

    /// Handles the confirmation of one channel. Returns the input for logic if that was the last channel of its
    /// SUBSCRIBE.
    pub fn handle_confirmation(&self) -> Option<BusInput> {
        let mut state = self.state.lock();
        let subscription = state.pending.front_mut()?;
        subscription.channels_left -= 1;
        if subscription.channels_left > 0 {
            return None;
        }
        let input = match subscription.cause {
            Cause::Order(ticket) => BusInput::Subscribed(ticket),
            Cause::Reconnect => BusInput::Up,
        };
        state.pending.pop_front();
        Some(input)
    }

    /// Ends the connection for good.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.shut_down();
        self.closed.notify_all();
    }
}

impl State {
    /// Writes to the connection and returns whether that worked. If not, the connection is shut down, which its reader
    /// notices.
    fn write(&mut self, command: &Cmd) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let written = stream.write_all(&command.get_packed_command());
        if written.is_err() {
            self.shut_down();
        }
        written.is_ok()
    }

    fn shut_down(&mut self) {
        if let Some(stream) = self.stream.take() {
            // The peer may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
