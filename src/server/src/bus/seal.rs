//! Authentication of everything that nodes exchange through Redis: publications and values.
//!
//! ```text
//!   version u8 | key u32 | counter u64 | time u64 | length of run u8 | run | payload | tag, 16 bytes
//! ```
//!
//! The tag is a keyed BLAKE2b (RFC 7693) of the *place*, the name of the channel or key, and of everything before the
//! tag. A sealed payload is therefore of no use in another place, of another deployment, or after its time.

use super::rejection::Rejection;
use blake2::Blake2bMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use std::sync::Arc;
use storage::{PeerView, Peers};
use wire::UnixMillis;

/// The largest difference between the time of what is sealed and the database's clock, milliseconds.
pub const TIME_MS: u64 = 10_000;

type Tagger = Blake2bMac<U16>;

const VERSION: u8 = 1;
const TAG: usize = 16;
/// Bytes before the run.
const HEADER: usize = 1 + 4 + 8 + 8 + 1;

/// The fields of a sealed payload, read but not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    key: u32,
    /// Rises with everything that its run seals.
    pub counter: u64,
    /// When it was sealed, by the database's clock.
    pub time: UnixMillis,
    /// The run that sealed it.
    pub run: &'a str,
    pub payload: &'a [u8],
    tag: &'a [u8; TAG],
    /// Everything that the tag covers, but the place.
    covered: &'a [u8],
}

impl Sealed<'_> {
    /// Reads the fields; `None` if the form is another one.
    pub fn read(bytes: &[u8]) -> Option<Sealed<'_>> {
        let (covered, tag) = bytes.split_last_chunk::<TAG>()?;
        let (version, rest) = covered.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (counter, rest) = rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (run, payload) = rest.split_at_checked(usize::from(*length))?;
        (*version == VERSION).then_some(())?;
        Some(Sealed {
            key: u32::from_be_bytes(*key),
            counter: u64::from_be_bytes(*counter),
            time: UnixMillis(u64::from_be_bytes(*time)),
            run: std::str::from_utf8(run).ok()?,
            payload,
            tag,
            covered,
        })
    }
}

/// The keys of the deployment, ready for use.
#[derive(Debug)]
pub struct Keys {
    view: Arc<PeerView>,
    peers: Arc<Peers>,
    taggers: Vec<(u32, Tagger)>,
}

impl Keys {
    pub fn new(view: Arc<PeerView>) -> Keys {
        let peers = view.latest();
        Keys { view, taggers: taggers(&peers), peers }
    }

    /// Takes the latest reading of the database. Returns whether there is a new one.
    pub fn refresh(&mut self) -> bool {
        let latest = self.view.latest();
        let is_new = !Arc::ptr_eq(&latest, &self.peers);
        if is_new {
            self.taggers = taggers(&latest);
            self.peers = latest;
        }
        is_new
    }

    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Checks that an accepted key made the tag for this place, not more than [`TIME_MS`] ahead of the database's clock
    /// and at most `age` milliseconds before that, and that the run lives.
    ///
    /// # Errors
    /// Why it must be dropped.
    pub fn check(&self, place: &str, sealed: &Sealed<'_>, age: u64) -> Result<(), Rejection> {
        let now = self.peers.now();
        if !self.is_authentic(place, sealed, now) {
            return Err(Rejection::Forged);
        }
        if sealed.time.0 + age + TIME_MS < now.0 || sealed.time.0 > now.0 + TIME_MS {
            return Err(Rejection::Late);
        }
        match self.peers.runs.iter().any(|run| **run == *sealed.run) {
            true => Ok(()),
            false => Err(Rejection::Unlisted),
        }
    }

    /// Whether an accepted key made the tag for this place. Takes the same time for every wrong tag.
    fn is_authentic(&self, place: &str, sealed: &Sealed<'_>, now: UnixMillis) -> bool {
        let is_accepted = self.peers.accepted_key(sealed.key, now).is_some();
        let tagger = self.taggers.iter().find(|(id, _)| *id == sealed.key);
        tagger.filter(|_| is_accepted).is_some_and(|(_, tagger)| {
            covering(tagger, place, sealed.covered).verify_slice(sealed.tag).is_ok()
        })
    }
}

/// Seals what one run sends.
#[derive(Debug)]
pub struct Sealer {
    keys: Keys,
    run: Arc<str>,
    counter: u64,
}

impl Sealer {
    pub fn new(keys: Keys, run: Arc<str>) -> Sealer {
        assert!(run.len() < 256, "a run is a name of at most 64 bytes and a suffix of 17");
        Sealer { keys, run, counter: 0 }
    }

    pub fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Seals what `write` appends, for this place.
    pub fn seal(&mut self, place: &str, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        self.keys.refresh();
        let now = self.keys.peers.now();
        self.counter += 1;
        let key = self.keys.peers.key_in_use(now).map_or(0, |key| key.id);
        let mut out = Vec::with_capacity(HEADER + self.run.len() + 256 + TAG);
        out.push(VERSION);
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&self.counter.to_be_bytes());
        out.extend_from_slice(&now.0.to_be_bytes());
        out.push(self.run.len() as u8);
        out.extend_from_slice(self.run.as_bytes());
        write(&mut out);
        // Without a key nothing is accepted from this node, as from one that cannot publish.
        let tagger = self.keys.taggers.iter().find(|(id, _)| *id == key);
        let tag = tagger.map(|(_, tagger)| covering(tagger, place, &out).finalize().into_bytes());
        out.extend_from_slice(&tag.unwrap_or_default());
        out
    }
}

fn taggers(peers: &Peers) -> Vec<(u32, Tagger)> {
    let tagger = |secret: &[u8; 32]| Tagger::new_from_slice(secret).expect("a key may have up to 64 bytes");
    peers.keys.iter().map(|key| (key.id, tagger(&key.secret))).collect()
}

fn covering(tagger: &Tagger, place: &str, covered: &[u8]) -> Tagger {
    let mut tagger = tagger.clone();
    tagger.update(&(place.len() as u64).to_be_bytes());
    tagger.update(place.as_bytes());
    tagger.update(covered);
    tagger
}
