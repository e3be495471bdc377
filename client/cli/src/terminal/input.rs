//! [`InputThread`]: waits for the keyboard or for piped lines, so that the program never does.

use super::modes::TerminalModes;
use super::prompt::Typed;
use crossbeam_channel::{Receiver, Sender};
use std::io::{self, BufRead, ErrorKind, Read};
use std::thread;

/// Chunks of keys that may wait for the program.
const CHUNKS: usize = 16;

#[derive(Debug)]
pub struct InputThread {
    asked: Sender<()>,
    pub received: Receiver<Received>,
    /// `None`: stdin is not a terminal.
    pub modes: Option<TerminalModes>,
}

#[derive(Debug)]
pub enum Received {
    /// Keys of a terminal.
    Keys(Vec<u8>),
    /// A piped line.
    Line(Typed),
    /// The terminal is gone.
    End,
    Failed(io::Error),
}

impl InputThread {
    /// Starts reading from stdin: the keys of a terminal as they come, piped lines when they are asked for, which paces
    /// them.
    pub fn start() -> io::Result<InputThread> {
        let modes = TerminalModes::begin();
        let (asked, asks) = crossbeam_channel::unbounded();
        let (send, received) = crossbeam_channel::bounded(CHUNKS);
        let is_terminal = modes.is_some();
        thread::Builder::new().name("input".to_owned()).spawn(move || match is_terminal {
            true => read_keys(&send),
            false => asks.into_iter().try_for_each(|()| send.send(read_piped())).unwrap_or_default(),
        })?;
        Ok(InputThread { asked, received, modes })
    }

    /// Asks for a piped line. The previous one must have arrived.
    pub fn ask(&self) {
        // The thread ends only with the program.
        let _ = self.asked.send(());
    }
}

fn read_keys(send: &Sender<Received>) {
    let mut chunk = [0; 4096];
    loop {
        let received = match io::stdin().lock().read(&mut chunk) {
            Ok(0) => Received::End,
            Ok(length) => Received::Keys(chunk[..length].to_owned()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The other side of a pseudo-terminal was closed.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Received::End,
            Err(error) => Received::Failed(error),
        };
        let is_last = !matches!(received, Received::Keys(_));
        if send.send(received).is_err() || is_last {
            return;
        }
    }
}

fn read_piped() -> Received {
    let mut line = Vec::new();
    match io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(0) => Received::Line(Typed::End),
        Ok(_) => Received::Line(match String::from_utf8(line) {
            Ok(line) => Typed::Line(line.trim_end_matches(['\n', '\r']).to_owned()),
            Err(_) => Typed::NotUtf8,
        }),
        Err(error) => Received::Failed(error),
    }
}
