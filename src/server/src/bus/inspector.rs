//! The checks that a publication passes before logic sees it.

use super::codec;
use super::names::Names;
use super::rejection::Rejection;
use super::seal::{Keys, Sealed};
use foldhash::{HashMap, HashMapExt};
use logic::BusInput;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest publication: a frame and what surrounds it.
pub const PUBLICATION_BYTES: usize = wire::limits::FRAME_BYTES + 1_024;
/// The most runs whose last counter is kept. Those that live stay.
const RUNS_KEPT: usize = 4_096;

/// Checks publications by key, run, time and counter.
#[derive(Debug)]
pub struct Inspector {
    names: Names,
    keys: Keys,
    /// This node's run, which receives its own publications too.
    run: Arc<str>,
    /// The last counter of each run.
    counters: HashMap<Box<str>, u64>,
    /// Runs with authentic publications that the database has not listed yet.
    unlisted: BTreeSet<Box<str>>,
    has_gap: bool,
}

impl Inspector {
    pub fn new(names: Names, keys: Keys, run: Arc<str>) -> Inspector {
        Inspector { names, keys, run, counters: HashMap::new(), unlisted: BTreeSet::new(), has_gap: false }
    }

    /// Checks and decodes a publication.
    ///
    /// # Errors
    /// Why it must be dropped.
    pub fn inspect(&mut self, place: &[u8], bytes: &[u8]) -> Result<BusInput, Rejection> {
        self.refresh();
        if bytes.len() > PUBLICATION_BYTES {
            return Err(Rejection::Malformed);
        }
        let place = std::str::from_utf8(place).map_err(|_| Rejection::Malformed)?;
        let sealed = Sealed::read(bytes).ok_or(Rejection::Malformed)?;
        if sealed.run == &*self.run {
            return Err(Rejection::Own);
        }
        let checked = self.keys.check(place, &sealed, 0);
        if checked == Err(Rejection::Unlisted) && self.unlisted.len() < RUNS_KEPT {
            self.unlisted.insert(sealed.run.into());
        }
        checked?;
        let last = self.counters.get(sealed.run).copied().unwrap_or(0);
        if sealed.counter <= last {
            return Err(Rejection::Repeated);
        }
        match self.counters.get_mut(sealed.run) {
            Some(counter) => *counter = sealed.counter,
            None => _ = self.counters.insert(sealed.run.into(), sealed.counter),
        }
        let channel = self.names.parse_channel(place).ok_or(Rejection::Misplaced)?;
        let hint = codec::decode(sealed.payload).ok_or(Rejection::Malformed)?;
        match channel.carries(&hint) {
            true => Ok(BusInput::Hint { channel, hint }),
            false => Err(Rejection::Misplaced),
        }
    }

    /// Whether publications of a node were dropped that has turned out to be a member. To be asked now and then, also
    /// while nothing is published.
    pub fn take_gap(&mut self) -> bool {
        self.refresh();
        std::mem::take(&mut self.has_gap)
    }

    fn refresh(&mut self) {
        if !self.keys.refresh() {
            return;
        }
        let runs = &self.keys.peers().runs;
        let unlisted = self.unlisted.len();
        self.unlisted.retain(|run| !runs.contains(run));
        self.has_gap |= self.unlisted.len() < unlisted;
        if self.counters.len() > RUNS_KEPT {
            self.counters.retain(|run, _| runs.contains(run));
        }
    }
}
