//! The thread that listens. It never stops reading Redis: what logic cannot take is dropped, and it is told of the gap.

use super::codec;
use super::link::Link;
use logic::BusInput;
use redis::{Parser, Value};
use runtime::queue::Outbox;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Listens until told to stop, connecting again whenever the connection is lost.
pub fn run(link: &Link, run: &str, started: Instant, inputs: &Outbox<Vec<BusInput>>, stopping: &AtomicBool) {
    let mut teller = Teller { inputs, kept: Vec::new(), is_up: false };
    let mut is_away = false;
    while !stopping.load(Ordering::SeqCst) {
        let end = match link.connect() {
            Ok(stream) => {
                is_away = false;
                listen(link, run, &stream, &mut teller)
            }
            Err(error) => error.to_string(),
        };
        let (waited, goes_on) = link.lost();
        for input in waited {
            teller.tell(input);
        }
        if std::mem::take(&mut teller.is_up) {
            teller.tell(BusInput::Down);
        }
        if !goes_on {
            return;
        }
        if !std::mem::replace(&mut is_away, true) {
            let after = started.elapsed().as_secs();
            log::warn!(
                "Redis is away after {after} s of this run: {end}; messages reach other nodes by the database"
            );
        }
    }
}

/// Reads until the connection is lost; why.
fn listen(link: &Link, run: &str, stream: &TcpStream, teller: &mut Teller<'_>) -> String {
    let (mut parser, mut stream) = (Parser::new(), Steady(stream));
    loop {
        let value = match parser.parse_value(&mut stream) {
            Ok(value) => value,
            Err(error) => return error.to_string(),
        };
        let Some(said) = read(run, value) else { continue };
        match said {
            Said::News(input) => teller.tell(input),
            Said::Confirmed => {
                if let Some(input) = link.confirmed() {
                    if input == BusInput::Up {
                        teller.is_up = true;
                        log::info!("Redis is there; this node is {run}");
                    }
                    teller.tell(input);
                }
            }
            Said::Pong => {
                if let Some(at) = link.ponged() {
                    teller.tell(BusInput::Heard { at });
                }
            }
            Said::Refused(why) => return why,
        }
    }
}

/// A stream that goes on after an interruption: a process that stood still is interrupted where it waits with a deadline
/// (signal(7)), and has lost nothing.
struct Steady<'a>(&'a TcpStream);

impl Read for Steady<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

/// What Redis says on a subscriber's connection.
enum Said {
    News(BusInput),
    Confirmed,
    Pong,
    Refused(String),
}

fn read(run: &str, value: Value) -> Option<Said> {
    let words = match value {
        Value::Array(words) => words,
        Value::SimpleString(word) if word == "PONG" => return Some(Said::Pong),
        Value::ServerError(error) => return Some(Said::Refused(format!("{error:?}"))),
        _ => return None,
    };
    let bytes = |at: usize| match words.get(at) {
        Some(Value::BulkString(bytes)) => Some(bytes.as_slice()),
        _ => None,
    };
    match bytes(0)? {
        b"message" => {
            let (channel, news) = (codec::channel(bytes(1)?)?, codec::decode(run, bytes(2)?)?);
            Some(Said::News(BusInput::News { channel, news }))
        }
        b"subscribe" => Some(Said::Confirmed),
        b"pong" => Some(Said::Pong),
        _ => None,
    }
}

/// Tells logic without ever waiting for it.
struct Teller<'a> {
    inputs: &'a Outbox<Vec<BusInput>>,
    /// What must not be lost, for when there is room again.
    kept: Vec<BusInput>,
    /// Whether logic was told that the bus is there.
    is_up: bool,
}

impl Teller<'_> {
    fn tell(&mut self, input: BusInput) {
        let mut batch = std::mem::take(&mut self.kept);
        batch.push(input);
        if let Ok(Err(mut back)) = self.inputs.try_send(batch) {
            let before = back.len();
            back.retain(|input| !matches!(input, BusInput::News { .. } | BusInput::Heard { .. }));
            if back.len() < before && !back.contains(&BusInput::Gap) {
                back.insert(0, BusInput::Gap);
            }
            self.kept = back;
        }
    }
}
