//! Another clock for a process: libfaketime, which is preloaded, reads how far it is from the real one from a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const MISSING: &str = "libfaketime is missing: run scripts/test-needs.sh (make test does)";

/// A wall clock that a test sets. Processes notice within two seconds, or when they start.
pub struct FakeClock {
    folder: TempDir,
}

impl FakeClock {
    /// It shows `time`, in milliseconds since the epoch.
    pub fn at(time: u64) -> FakeClock {
        let clock = FakeClock { folder: tempfile::tempdir().unwrap() };
        clock.set(time);
        clock
    }

    pub fn set(&self, time: u64) {
        let ahead = time as i64 - real() as i64;
        // At once: a process may be reading it.
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{:+.3}\n", ahead as f64 / 1_000.0)).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    /// What it shows.
    pub fn now(&self) -> u64 {
        let offset: f64 = fs::read_to_string(self.file()).unwrap().trim().parse().unwrap();
        real().saturating_add_signed((offset * 1_000.0).round() as i64)
    }

    /// How long it takes until it shows `time`.
    pub fn until(&self, time: u64) -> Duration {
        Duration::from_millis(time.saturating_sub(self.now()))
    }

    /// What a process needs in its environment. Monotonic clocks stay as they are.
    pub fn environment(&self) -> [(String, String); 4] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

fn real() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Where distributions install it.
fn library() -> PathBuf {
    let folders = ["/usr/lib", "/usr/lib64"].iter().flat_map(|folder| {
        let inner = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        inner.chain([Path::new(folder).to_owned()])
    });
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).expect(MISSING)
}
