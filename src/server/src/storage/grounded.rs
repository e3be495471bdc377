//! Flights of messages of which one was given back: what was sent after it is given back as well, so that all of them
//! are tried again in order (see [`logic::store::Flight`]).

use logic::limits::APPENDS_MAX;
use logic::store::{Flight, Written};
use std::collections::BTreeSet;

/// What is remembered: no more flights than messages can be on their way, the latest ones. Of a flight that is forgotten,
/// nothing is on its way any more.
const KEPT_MAX: usize = APPENDS_MAX;

/// The flights that nothing of may be stored any more.
#[derive(Debug, Default)]
pub struct Grounded(BTreeSet<Flight>);

impl Grounded {
    /// Whether a message must be given back, because one before it was.
    pub fn has(&self, flight: Option<Flight>) -> bool {
        flight.is_some_and(|flight| self.0.contains(&flight))
    }

    /// A message was answered.
    pub fn learn(&mut self, flight: Option<Flight>, written: &Written) {
        if let (Some(flight), Written::Unavailable) = (flight, written) {
            self.0.insert(flight);
            if self.0.len() > KEPT_MAX {
                self.0.pop_first();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_one_that_was_given_back_is_given_back() {
        let mut grounded = Grounded::default();
        let [one, other] = [1, 2].map(|number| Some(Flight(number)));
        grounded.learn(one, &Written::Done);
        grounded.learn(None, &Written::Unavailable);
        assert!(!grounded.has(one) && !grounded.has(None));
        grounded.learn(one, &Written::Unavailable);
        assert!(grounded.has(one) && !grounded.has(other) && !grounded.has(None));
        for number in 0..=KEPT_MAX as u64 {
            grounded.learn(Some(Flight(number)), &Written::Unavailable);
        }
        assert!(grounded.0.len() == KEPT_MAX && !grounded.has(Some(Flight(0))));
    }
}
