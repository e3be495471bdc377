//! The receiving thread. It never stops reading from Redis: if logic's inbox is full, it drops hints and reports a gap.

use super::client::{Client, change_for, reason};
use super::connection::SubscriberConnection;
use super::inspector::Inspector;
use super::rejection::Rejections;
use logic::BusInput;
use redis::{RedisError, Value};
use runtime::queue::Outbox;

/// Receives until the connection is closed for good, and reconnects whenever it is lost.
pub(super) fn run(
    connection: &SubscriberConnection,
    run: &str,
    inspector: Inspector,
    inputs: &Outbox<Vec<BusInput>>,
) {
    let mut logic = LogicInbox { inputs, unsent: Vec::new(), is_up: false };
    let mut gate = Gate { inspector, rejections: Rejections::default() };
    let mut outage = Outage::default();
    loop {
        let error = match connection.connect() {
            Ok(client) => receive(connection, run, client, &mut gate, &mut logic, &mut outage),
            Err(error) => error.to_string(),
        };
        for answer in connection.reset() {
            logic.push(answer);
        }
        if std::mem::take(&mut logic.is_up) {
            logic.push(BusInput::Down);
        }
        if !connection.wait_to_retry() {
            return;
        }
        outage.failed(error);
    }
}

/// Attempts to connect that failed one after the other. Each reason is logged once and then counted.
#[derive(Default)]
struct Outage {
    reason: String,
    attempts: u64,
}

impl Outage {
    fn failed(&mut self, reason: String) {
        self.attempts += 1;
        if self.reason != reason {
            log::warn!(
                "the Redis subscriber is not connected ({reason}); messages to other nodes now go through the database \
                 and take up to 2.5 s longer"
            );
            self.reason = reason;
        }
    }

    fn is_over(&mut self, run: &str) {
        match std::mem::take(self).attempts {
            0 => log::info!("connected to Redis as {run}"),
            attempts => log::info!("connected to Redis as {run} after {attempts} failed attempts"),
        }
    }
}

/// Receives until the connection is lost. Returns the reason.
fn receive(
    connection: &SubscriberConnection,
    run: &str,
    mut client: Client,
    gate: &mut Gate,
    logic: &mut LogicInbox<'_>,
    outage: &mut Outage,
) -> String {
    loop {
        let value = match client.read() {
            Ok(value) => value,
            Err(error) => return error.to_string(),
        };
        match parse(&value) {
            Some(Event::Publication { channel, payload }) => {
                if let Some(input) = gate.admit(channel, payload) {
                    logic.push(input);
                }
            }
            Some(Event::Confirmed) => {
                if let Some(input) = connection.handle_confirmation() {
                    if input == BusInput::Up {
                        logic.is_up = true;
                        outage.is_over(run);
                    }
                    logic.push(input);
                }
            }
            Some(Event::Pong) => {
                if gate.inspector.take_gap() {
                    logic.push(BusInput::Gap);
                }
                gate.rejections.report();
                if let Some(at) = connection.handle_pong() {
                    logic.push(BusInput::Heard { at });
                }
            }
            Some(Event::Refused(error)) => return error,
            None => {}
        }
    }
}

/// Drops what must not reach logic, and counts it.
struct Gate {
    inspector: Inspector,
    rejections: Rejections,
}

impl Gate {
    fn admit(&mut self, channel: &[u8], payload: &[u8]) -> Option<BusInput> {
        let inspected = self.inspector.inspect(channel, payload);
        inspected.inspect_err(|rejection| self.rejections.note(*rejection)).ok()
    }
}

/// What Redis sends to a subscriber.
enum Event<'a> {
    Publication { channel: &'a [u8], payload: &'a [u8] },
    Confirmed,
    Pong,
    Refused(String),
}

fn parse(value: &Value) -> Option<Event<'_>> {
    let words = match value {
        Value::Array(words) => words,
        Value::SimpleString(word) if word == "PONG" => return Some(Event::Pong),
        Value::ServerError(error) => {
            let error = RedisError::from(error.clone());
            let reason = reason(&error);
            return Some(Event::Refused(match change_for(&error) {
                Some(change) => format!("{reason}; {change}"),
                None => reason,
            }));
        }
        _ => return None,
    };
    let bytes = |at: usize| match words.get(at) {
        Some(Value::BulkString(bytes)) => Some(bytes.as_slice()),
        _ => None,
    };
    match bytes(0)? {
        b"message" => Some(Event::Publication { channel: bytes(1)?, payload: bytes(2)? }),
        b"subscribe" => Some(Event::Confirmed),
        b"pong" => Some(Event::Pong),
        _ => None,
    }
}

/// Passes inputs to logic without ever waiting for it.
struct LogicInbox<'a> {
    inputs: &'a Outbox<Vec<BusInput>>,
    /// Inputs that must not be lost and did not fit into the inbox yet.
    unsent: Vec<BusInput>,
    /// Whether logic was last told that the bus is up.
    is_up: bool,
}

impl LogicInbox<'_> {
    fn push(&mut self, input: BusInput) {
        let mut batch = std::mem::take(&mut self.unsent);
        batch.push(input);
        if let Ok(Err(mut batch)) = self.inputs.try_send(batch) {
            let has_lost_hints = batch.iter().any(|input| matches!(input, BusInput::Hint { .. }));
            batch.retain(|input| !matches!(input, BusInput::Hint { .. } | BusInput::Heard { .. }));
            if has_lost_hints && !batch.contains(&BusInput::Gap) {
                batch.insert(0, BusInput::Gap);
            }
            self.unsent = batch;
        }
    }
}
