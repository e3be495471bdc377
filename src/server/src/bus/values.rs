//! The checks of what is read from keys of Redis: locks, leases and reports. Unlike a publication, a value is read more
//! than once.

use super::rejection::Rejection;
use super::seal::{Keys, Sealed};
use std::collections::HashMap;

/// The most keys whose last value is remembered.
const KEYS_KEPT: usize = 4_096;

/// The last value of each key, by run and counter.
#[derive(Debug, Default)]
pub struct Values {
    last: HashMap<Box<str>, (Box<str>, u64)>,
}

impl Values {
    /// Checks a value that was sealed for this key by a run that lives, at most `age` milliseconds ago, and not before
    /// the last one of that run.
    ///
    /// # Errors
    /// Why it must be dropped.
    pub fn check<'a>(
        &mut self,
        keys: &Keys,
        key: &str,
        value: &'a [u8],
        age: u64,
    ) -> Result<Sealed<'a>, Rejection> {
        let sealed = Sealed::read(value).ok_or(Rejection::Malformed)?;
        keys.check(key, &sealed, age)?;
        let last = self.last.get(key).filter(|(run, _)| **run == *sealed.run);
        if last.is_some_and(|(_, counter)| sealed.counter < *counter) {
            return Err(Rejection::Repeated);
        }
        if last.is_none_or(|(_, counter)| sealed.counter > *counter) {
            if self.last.len() >= KEYS_KEPT {
                self.last.clear();
            }
            self.last.insert(key.into(), (sealed.run.into(), sealed.counter));
        }
        Ok(sealed)
    }
}
