//! How long the machine itself delays a program: what another program takes of the processors and the disk delays a
//! server that shares its resources well just as much as one that does not.

use super::stage::{Samples, Stage};
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A message passes as many threads on its way from its sender to the reply.
const THREADS: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// A chain of threads like those that a message passes, with a disk flush in its middle, but without a server: it has
/// nothing else to do than to pass on a token every 20 ms.
pub struct Chain(JoinHandle<Samples>);

impl Chain {
    /// Measures until the test is over.
    pub fn start(stage: &Stage) -> Chain {
        let stage = stage.clone();
        Chain(thread::spawn(move || {
            let (first, mut last) = channel();
            for number in 1..THREADS {
                let (next, out) = channel();
                let before = std::mem::replace(&mut last, out);
                let flushes = number == THREADS / 2;
                thread::spawn(move || pass_on(&before, &next, flushes));
            }
            measure(&stage, &first, &last)
        }))
    }

    /// How long the token took from end to end.
    pub fn stop(self) -> Samples {
        self.0.join().expect("the chain passes on what it gets")
    }
}

fn measure(stage: &Stage, first: &Sender<()>, last: &Receiver<()>) -> Samples {
    let mut samples = Samples::default();
    while let Some(scene) = stage.scene() {
        let begun = Instant::now();
        first.send(()).expect("the chain lives");
        last.recv().expect("the chain lives");
        samples.add(scene, stage, begun);
        thread::sleep(PAUSE);
    }
    samples
}

/// Passes on each token, after a flush if this thread `flushes`. It ends with the thread before it.
fn pass_on(before: &Receiver<()>, next: &Sender<()>, flushes: bool) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    while before.recv().is_ok() {
        if flushes {
            file.write_all(b"token").and_then(|()| file.sync_data()).expect("the disk takes it");
        }
        if next.send(()).is_err() {
            return;
        }
    }
}
