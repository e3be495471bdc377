//! Signals that end the program: the terminal gets back what it was first.

use crossbeam_channel::Receiver;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::thread;

/// A signal that asks the program to end. Ctrl-C and Ctrl-\ at the keyboard are keys, not some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(i32);

impl Ending {
    /// Ends the program as the signal would have, so that whoever waits for it learns of that.
    pub fn obey(self) -> io::Result<()> {
        emulate_default_handler(self.0)
    }
}

/// From now on these signals come here.
pub fn watch() -> io::Result<Receiver<Ending>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let (given, taken) = crossbeam_channel::unbounded();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            if given.send(Ending(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(taken)
}
