//! Faults of single rows and pages: where they are, and their log.

use crate::error::StoreError;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Display;

/// Faults that are remembered as logged. Beyond these, further ones are not logged.
const LOGGED_MAX: usize = 1_000;

/// Names the place of a fault.
pub trait At<T> {
    /// Adds the table and the key that the operation was about to the text of a [`StoreError::Fault`].
    fn at(self, table: &str, key: impl Display) -> Result<T, StoreError>;
}

impl<T, E: Into<StoreError>> At<T> for Result<T, E> {
    // Every stored message passes through here.
    #[inline]
    fn at(self, table: &str, key: impl Display) -> Result<T, StoreError> {
        self.map_err(|error| match error.into() {
            // The innermost place is the nearest one.
            StoreError::Fault(what) if !what.starts_with("table `") => {
                StoreError::Fault(format!("table `{table}`, key {key}: {what}"))
            }
            other => other,
        })
    }
}

thread_local! {
    static REPORTED: Cell<u64> = const { Cell::new(0) };
}

/// How many faults this thread has reported. If a read does not change it, no fault left anything out of its answer.
pub fn reported() -> u64 {
    REPORTED.get()
}

/// Logs a fault of a row that costs the others nothing, and leaves it out.
pub fn tolerate<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Err(StoreError::Fault(what)) => {
            report(&what);
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// Logs a fault, once a place. A client may ask for the same damaged row a thousand times a second.
pub fn report(what: &str) {
    static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    REPORTED.set(REPORTED.get() + 1);
    let mut logged = LOGGED.lock();
    let place = what.split_once(": ").map_or(what, |(place, _)| place);
    if logged.len() < LOGGED_MAX && logged.insert(place.to_owned()) {
        log::error!("the database has a fault: {what}; requests that need it are answered INTERNAL");
        if logged.len() == LOGGED_MAX {
            log::error!("the database has more than {LOGGED_MAX} faults; further ones are not logged");
        }
    }
}
