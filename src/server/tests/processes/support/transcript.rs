//! The output of a process so far, and waiting for more of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// What a stream has delivered; a thread of its own reads on.
#[derive(Clone)]
pub struct Transcript(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    ended: bool,
}

impl Transcript {
    /// Reads `stream` to its end.
    pub fn of(mut stream: impl Read + Send + 'static) -> Transcript {
        let transcript = Transcript(Arc::default());
        let writer = transcript.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                // A pty fails instead of ending when its other side is closed.
                let count = stream.read(&mut chunk).unwrap_or(0);
                let mut written = writer.lock();
                written.bytes.extend_from_slice(&chunk[..count]);
                written.ended = count == 0;
                writer.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        transcript
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.0.lock().unwrap()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits for `text` after the first `from` bytes; returns where it ends. `None`: it did not come in time, or the
    /// stream ended without it.
    pub fn find(&self, from: usize, text: &str, within: Duration) -> Option<usize> {
        let (deadline, mut searched) = (Instant::now() + within, from);
        let mut written = self.lock();
        loop {
            let bytes = &written.bytes;
            let place = (searched..bytes.len()).find(|&at| bytes[at..].starts_with(text.as_bytes()));
            if let Some(place) = place {
                return Some(place + text.len());
            }
            searched = searched.max((bytes.len() + 1).saturating_sub(text.len()));
            let left = deadline.saturating_duration_since(Instant::now());
            if written.ended || left.is_zero() {
                return None;
            }
            written = self.0.1.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits until there are more than `length` bytes; returns whether there were in time.
    pub fn wait_for_more(&self, length: usize, within: Duration) -> bool {
        let waits = |written: &mut Written| written.bytes.len() <= length && !written.ended;
        let (written, _) = self.0.1.wait_timeout_while(self.lock(), within, waits).unwrap();
        written.bytes.len() > length
    }

    /// Waits for the end of the stream; returns whether it came in time.
    pub fn wait_for_end(&self, within: Duration) -> bool {
        let (written, _) =
            self.0.1.wait_timeout_while(self.lock(), within, |written| !written.ended).unwrap();
        written.ended
    }
}
