//! Signals that end the program, for the terminal gets back what it was first, and those that stop it for a while.

use crossbeam_channel::Receiver;
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long a stop may take to begin.
const STOPS_WITHIN: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A signal that asks the program to end. Ctrl-C and Ctrl-\ at the keyboard are keys, not some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(i32);

impl Ending {
    /// Ends the program as the signal would have, so that whoever waits for it learns of that.
    pub fn obey(self) -> io::Result<()> {
        emulate_default_handler(self.0)
    }
}

/// Stops the program, with whatever the shell counts to it, until it is continued.
pub fn stop_until_continued() -> io::Result<()> {
    let mut continued = Signals::new([SIGCONT])?;
    kill_current_process_group(Signal::TSTP)?;
    // The signal may reach another thread first. Where nobody could continue the program it does not stop.
    let asked = Instant::now();
    while continued.pending().next().is_none() && asked.elapsed() < STOPS_WITHIN {
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
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
