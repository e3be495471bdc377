//! Ctrl-C while a load runs: it ends early, and what was measured until then is told. A second one ends the program.

use crate::error::Error;
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The exit code of a program that Ctrl-C has ended, as a shell tells it.
const ENDED: i32 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on a Ctrl-C is noted; before, it ends the program.
///
/// # Errors
/// The system takes no handler.
pub fn listen() -> Result<(), Error> {
    let mut heard = Ok(());
    ASKED.get_or_init(|| {
        let asked = Arc::new(AtomicBool::new(false));
        // The second one finds the flag set by the first.
        heard = flag::register_conditional_shutdown(SIGINT, ENDED, Arc::clone(&asked))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&asked)))
            .map(drop)
            .map_err(|error| Error::io("watch for signals", error));
        asked
    });
    heard
}

/// Whether the run is to end early.
#[inline]
pub fn is_asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}
