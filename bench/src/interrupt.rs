//! Ctrl-C during a load: the first ends the measured phase, the second the drain, and the results are reported. The
//! third ends the program.

use crate::error::Error;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The exit code for a program ended by SIGINT, as shells report it.
const EXIT_CODE: i32 = 130;
/// The Ctrl-C that ends the program.
const LAST: u32 = 3;

static COUNT: AtomicU32 = AtomicU32::new(0);
static BEGUN: Once = Once::new();

/// From now on counts each Ctrl-C and passes it on to `others`; before, Ctrl-C ends the program.
///
/// # Errors
/// The handler cannot be installed, or its thread cannot be started.
pub fn listen(others: Vec<Pid>) -> Result<(), Error> {
    let mut begun = Ok(());
    BEGUN.call_once(|| {
        let listen = || {
            let mut signals = Signals::new([SIGINT])?;
            thread::Builder::new().name("signals".to_owned()).spawn(move || {
                for _ in signals.forever() {
                    if COUNT.fetch_add(1, Ordering::Relaxed) + 1 == LAST {
                        process::exit(EXIT_CODE);
                    }
                    for other in &others {
                        // It may have ended already.
                        let _ = kill_process(*other, Signal::INT);
                    }
                }
            })
        };
        begun = listen().map(drop).map_err(|error| Error::io("handle Ctrl-C", error));
    });
    begun
}

/// Ctrl-Cs so far.
#[inline]
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}
