//! Signals that end the program, after it has restored the terminal, those after which the screen is drawn anew, and
//! stopping by Ctrl-Z.

use crossbeam_channel::Receiver;
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long the stop may take to take effect.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// A signal that asks the program to end. Ctrl-C and Ctrl-\ at the keyboard are keys, not signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination(i32);

impl Termination {
    /// Ends the program as the signal would have, so that the parent process sees it.
    pub fn raise(self) -> io::Result<()> {
        emulate_default_handler(self.0)
    }
}

/// Stops the whole process group until it is continued.
pub fn stop_until_continued() -> io::Result<()> {
    let mut continued = Signals::new([SIGCONT])?;
    kill_current_process_group(Signal::TSTP)?;
    // The signal may reach another thread first. A process without a shell that could continue it does not stop.
    let asked = Instant::now();
    while continued.pending().next().is_none() && asked.elapsed() < STOP_TIMEOUT {
        thread::sleep(CHECK_EVERY);
    }
    Ok(())
}

/// What was signalled from now on.
#[derive(Debug)]
pub struct Watch {
    pub terminations: Receiver<Termination>,
    /// The terminal may have another size, or another program has written to it.
    pub refreshes: Receiver<()>,
}

pub fn watch() -> io::Result<Watch> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGCONT])?;
    let (terminate, terminations) = crossbeam_channel::unbounded();
    // One is enough, however often the size changes meanwhile.
    let (refresh, refreshes) = crossbeam_channel::bounded(1);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            if matches!(signal, SIGWINCH | SIGCONT) {
                let _ = refresh.try_send(());
            } else if terminate.send(Termination(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(Watch { terminations, refreshes })
}
