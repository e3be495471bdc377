//! A disk in memory that fails like a real one: a crash keeps any part of what was not synced.

use super::disk::{Disk, SECTOR};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// The disk. Clones share it, so that it outlives the store.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    segments: Vec<Vec<u8>>,
    /// The writes since the last sync, the oldest first.
    unsynced: Vec<(usize, u64, Vec<u8>)>,
    is_full: bool,
    sync_fails: bool,
}

impl MemoryDisk {
    /// Whether writes fail for lack of space from now on.
    pub fn set_full(&self, full: bool) {
        self.shared.lock().is_full = full;
    }

    /// Whether syncs fail from now on.
    pub fn set_sync_fails(&self, fails: bool) {
        self.shared.lock().sync_fails = fails;
    }

    /// A power failure: each sector that was not synced keeps its old or its new content, as `keep` decides. Afterwards
    /// the disk works again.
    pub fn crash(&self, mut keep: impl FnMut() -> bool) {
        let mut shared = self.shared.lock();
        for (segment, at, bytes) in std::mem::take(&mut shared.unsynced) {
            for (sector, at) in bytes.chunks(SECTOR).zip((at..).step_by(SECTOR)) {
                if keep() {
                    put(&mut shared.segments[segment], at, sector);
                }
            }
        }
        (shared.is_full, shared.sync_fails) = (false, false);
    }
}

impl Disk for MemoryDisk {
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>> {
        Ok(self.shared.lock().segments.clone())
    }

    fn add(&mut self) -> io::Result<()> {
        let mut shared = self.shared.lock();
        if shared.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        shared.segments.push(Vec::new());
        Ok(())
    }

    fn write(&mut self, segment: usize, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.shared.lock();
        if shared.is_full && at + bytes.len() as u64 > shared.segments[segment].len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        shared.unsynced.push((segment, at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self, _segment: usize) -> io::Result<()> {
        let mut shared = self.shared.lock();
        if shared.sync_fails {
            return Err(io::Error::other("the disk does not answer"));
        }
        for (segment, at, bytes) in std::mem::take(&mut shared.unsynced) {
            put(&mut shared.segments[segment], at, &bytes);
        }
        Ok(())
    }
}

fn put(segment: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).expect("it fits memory");
    let end = at + bytes.len();
    if segment.len() < end {
        segment.resize(end, 0);
    }
    segment[at..end].copy_from_slice(bytes);
}
