//! The subscriber's connection: the subscriber reads it, the commander writes to it.

use super::client::{Client, ClientError};
use super::endpoint::Endpoint;
use super::names::Names;
use logic::Ticket;
use logic::bus::{BusInput, Channel};
use outbound::Stream;
use parking_lot::{Condvar, Mutex};
use redis::{Cmd, cmd};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// The pause before a lost connection is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Shared by the two threads of the bus.
pub(super) struct SubscriberConnection {
    endpoint: Endpoint,
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
    stream: Option<Stream>,
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
    pub fn new(endpoint: Endpoint, names: Names, run: Arc<str>) -> SubscriberConnection {
        let own_channel = names.channel(&Channel::Node(run));
        SubscriberConnection { endpoint, names, own_channel, state: Mutex::default(), closed: Condvar::new() }
    }

    /// The address and the credentials.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects, logs in, and subscribes to all channels again. Returns the connection, to read from.
    ///
    /// # Errors
    /// Why that fails, or that the connection was closed for good.
    pub fn connect(&self) -> Result<Client, ClientError> {
        let mut client = Client::connect(&self.endpoint)?;
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(io::Error::other("the server is stopping").into());
        }
        let mut subscribe = cmd("SUBSCRIBE");
        subscribe.arg(&self.own_channel);
        for channel in &state.channels {
            subscribe.arg(channel);
        }
        client.stream().write_all(&subscribe.get_packed_command())?;
        let channels_left = 1 + state.channels.len();
        state.pending.push_back(Subscription { cause: Cause::Reconnect, channels_left });
        state.stream = Some(client.writer()?);
        Ok(client)
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
            stream.shut_down();
        }
    }
}
