//! Ctrl-C while a load runs: the first ends what is measured, the next the wait for what is under way, and what was
//! measured is told. The third ends the program.

use crate::error::Error;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The exit code of a program that Ctrl-C has ended, as a shell tells it.
const ENDED: i32 = 130;
/// How many end the program.
const ENOUGH: u32 = 3;

static COUNT: AtomicU32 = AtomicU32::new(0);
static BEGUN: Once = Once::new();

/// From here on a Ctrl-C is counted, and passed on to `others`; before, it ends the program.
///
/// # Errors
/// The system takes no handler, or has no thread.
pub fn listen(others: Vec<Pid>) -> Result<(), Error> {
    let mut begun = Ok(());
    BEGUN.call_once(|| {
        let listen = || {
            let mut signals = Signals::new([SIGINT])?;
            thread::Builder::new().name("signals".to_owned()).spawn(move || {
                for _ in signals.forever() {
                    if COUNT.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
                        process::exit(ENDED);
                    }
                    for other in &others {
                        // It may have ended.
                        let _ = kill_process(*other, Signal::INT);
                    }
                }
            })
        };
        begun = listen().map(drop).map_err(|error| Error::io("watch for Ctrl-C", error));
    });
    begun
}

/// How many there were.
#[inline]
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}
