//! A blocking, typed connection for setting up a run before the clock starts.

use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::legacy;
use crate::stream::Stream;
use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use wire::limits::FRAME_BYTES;
use wire::{Command, Errno, Push, Refusal, Reply, kind, split_frame};

/// The longest wait for an answer, and how long a request is repeated while the server is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before a request is repeated, if the server names none.
const RETRY_MS: u64 = 100;

#[derive(Debug)]
pub enum ReplyOrPush {
    /// The reply to this request number.
    Reply(u32, Reply),
    Push(Push),
}

#[derive(Debug)]
pub struct Client {
    stream: Stream<TcpStream>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// Makes connection `number`.
    pub fn connect(endpoints: &Endpoints, number: u64) -> Result<Client, Error> {
        Ok(Client { stream: endpoints.connect(number)?, input: Vec::new(), output: Vec::new() })
    }

    /// Sends a request; request number 0 asks for no reply.
    pub fn send(&mut self, command: &Command, request: u32) -> Result<(), Error> {
        self.output.clear();
        command.encode(request, &mut self.output);
        self.stream.write_all(&self.output).map_err(|error| Error::io("write to the server", error))
    }

    /// Shuts down the sending side.
    pub fn shut_down(&mut self) -> Result<(), Error> {
        let ended =
            self.stream.send_close_notify().and_then(|()| self.stream.socket.shutdown(Shutdown::Write));
        ended.map_err(|error| Error::io("close a connection", error))
    }

    /// Waits until the server closes the connection, and so has read everything; its last output is discarded.
    pub fn wait_for_end(&self) -> Result<(), Error> {
        let received = io::copy(&mut &self.stream.socket, &mut io::sink());
        received.map(drop).map_err(|error| Error::io("wait until the server closes a connection", error))
    }

    /// Waits for the next reply or known push.
    pub fn receive(&mut self) -> Result<ReplyOrPush, Error> {
        loop {
            let split = split_frame(&self.input, FRAME_BYTES);
            if let Some((frame, taken)) = split.map_err(|error| Error::Protocol(error.to_string()))? {
                let parsed = if frame.kind & kind::REPLY != 0 {
                    Reply::decode(frame.kind, frame.value)
                        .map(|reply| Some(ReplyOrPush::Reply(frame.request, reply)))
                } else {
                    Push::decode(frame.kind, frame.value).map(|push| push.map(ReplyOrPush::Push))
                };
                self.input.drain(..taken);
                match parsed.map_err(Error::Protocol)? {
                    Some(said) => return Ok(said),
                    None => continue,
                }
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        let mut chunk = [0; 8 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    return Err(Error::Protocol("it closed the connection without an answer".to_owned()));
                }
                Ok(count) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read the server's answer", error)),
            }
        }
    }

    /// Sends an object of the legacy dialect.
    pub fn send_object(&mut self, object: &Value) -> Result<(), Error> {
        self.output.clear();
        legacy::put(&mut self.output, object);
        self.stream.write_all(&self.output).map_err(|error| Error::io("write to the server", error))
    }

    /// Waits for the legacy answer of type `ack` to `what`; discards other objects.
    pub fn answer_object(&mut self, what: &'static str, ack: u64) -> Result<Value, Error> {
        loop {
            let Some((object, taken)) = legacy::split_object(&self.input) else {
                self.read()?;
                continue;
            };
            let read = serde_json::from_slice(object);
            self.input.drain(..taken);
            let object: Value =
                read.map_err(|error| Error::Protocol(format!("it sent an invalid object: {error}")))?;
            match legacy::errno(&object, ack) {
                Some(0) => return Ok(object),
                Some(_) => return Err(Error::Protocol(format!("it answered {what} with {object}"))),
                None => {}
            }
        }
    }

    /// Waits for the reply to `command`, which was sent as request 1, and repeats it while the server is busy. Discards
    /// pushes.
    pub fn answer(&mut self, what: &'static str, command: &Command) -> Result<Reply, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive()? {
                ReplyOrPush::Reply(1, Reply::Refused(refusal)) => {
                    thread::sleep(pause(what, refusal, deadline)?);
                    self.send(command, 1)?;
                }
                ReplyOrPush::Reply(1, reply) => return Ok(reply),
                ReplyOrPush::Reply(..) | ReplyOrPush::Push(_) => {}
            }
        }
    }

    /// The stream, and the input that is not consumed yet.
    pub fn into_parts(self) -> (Stream<TcpStream>, Vec<u8>) {
        (self.stream, self.input)
    }
}

/// The pause before `what` is repeated.
///
/// # Errors
/// The refusal is final, or `deadline` comes before the pause is over.
fn pause(what: &'static str, refusal: Box<Refusal>, deadline: Instant) -> Result<Duration, Error> {
    let is_temporary = matches!(refusal.errno, Errno::Busy | Errno::RateLimited);
    let wait = Duration::from_millis(refusal.retry_after_ms.unwrap_or(RETRY_MS).max(1));
    if !is_temporary || Instant::now() + wait > deadline {
        return Err(Error::Refused { what, refusal });
    }
    Ok(wait)
}

/// Sends many commands over one connection, at most `window` at a time, and repeats those that the server is too busy
/// for. Returns what `take` makes of the replies, in the order of `commands`.
pub fn ask_all<T>(
    client: &mut Client,
    what: &'static str,
    commands: &[Command],
    window: usize,
    mut take: impl FnMut(usize, Reply) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut taken: Vec<Option<T>> = commands.iter().map(|_| None).collect();
    let mut waiting: Vec<usize> = (0..commands.len()).rev().collect();
    let (mut open, mut done, mut deadline) = (0, 0, Instant::now() + PATIENCE);
    while done < commands.len() {
        while open < window
            && let Some(index) = waiting.pop()
        {
            let request = u32::try_from(index + 1).expect("far fewer commands than 2^32");
            client.send(&commands[index], request)?;
            open += 1;
        }
        let ReplyOrPush::Reply(request, reply) = client.receive()? else { continue };
        let index = (request as usize).wrapping_sub(1);
        if taken.get(index).is_none_or(Option::is_some) {
            return Err(Error::Protocol(format!(
                "it answered request {request} ({what}), which was not outstanding"
            )));
        }
        open -= 1;
        if let Reply::Refused(refusal) = reply {
            thread::sleep(pause(what, refusal, deadline)?);
            waiting.push(index);
        } else {
            taken[index] = Some(take(index, reply)?);
            done += 1;
            deadline = Instant::now() + PATIENCE;
        }
    }
    Ok(taken.into_iter().flatten().collect())
}
