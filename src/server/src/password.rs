//! The password thread: Argon2id (RFC 9106), one password at a time, off the logic thread.
//!
//! It owns one block of memory for all jobs, taken when the first one comes and given back after
//! [`IDLE`], so that neither a busy server allocates 19 MiB a login nor an idle one keeps them.
//!
//! A check costs the same whether or not there is such an account, so that the time of an answer tells nothing.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use logic::{PasswordJob, PasswordResult, Ticket};
use runtime::queue::{Bell, Gone, Inbox, Outbox, queue};
use std::collections::TryReserveError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use thiserror::Error;

/// Batches that may wait for the thread.
const QUEUE_BATCHES: usize = 64;
/// After this long without a job the memory is given back.
const IDLE: Duration = Duration::from_secs(10);
/// Random bytes of a salt (RFC 9106, 3.1: 16 is recommended).
const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// glibc maps blocks above 32 MiB always, smaller ones only until the first was freed (mallopt(3)); others may stay
/// with the process after they are freed. So at least this is reserved: what is never touched takes no memory.
const RESERVED_KIB: usize = 33 * 1024;

/// Work for the thread, in order.
pub type Jobs = Vec<(Ticket, PasswordJob)>;
/// What came of it, in the same order.
pub type Results = Vec<(Ticket, PasswordResult)>;

/// The running thread.
#[derive(Debug)]
pub struct PasswordThread {
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl PasswordThread {
    /// Ends the thread after the job at hand and waits for that; jobs that wait are dropped.
    pub fn stop(self) -> thread::Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.thread.join()
    }
}

/// Starts the thread. New hashes take `memory_kib` and `iterations`; each result goes to `to_logic` as soon as it is
/// there, in the order of the jobs.
///
/// It ends when the receiver of `to_logic` is gone, or by [`PasswordThread::stop`].
pub fn start(
    memory_kib: u32,
    iterations: u32,
    to_logic: Outbox<Results>,
) -> io::Result<(Outbox<Jobs>, PasswordThread)> {
    let hasher = Hasher::new(memory_kib, iterations).map_err(io::Error::other)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (hand_over, handed_over) = crossbeam_channel::bounded(1);
    let thread = thread::Builder::new().name("password".to_owned()).spawn({
        let stop = Arc::clone(&stop);
        move || {
            // The bell must be made on the thread that it wakes.
            let bell = Arc::new(Bell::new());
            let (outbox, inbox) = queue(QUEUE_BATCHES, &bell);
            if hand_over.send((outbox, Arc::clone(&bell))).is_ok() {
                run(hasher, &bell, &stop, &inbox, &to_logic);
            }
        }
    })?;
    let (outbox, bell) = handed_over.recv().map_err(io::Error::other)?;
    Ok((outbox, PasswordThread { bell, stop, thread }))
}

fn run(mut hasher: Hasher, bell: &Bell, stop: &AtomicBool, inbox: &Inbox<Jobs>, to_logic: &Outbox<Results>) {
    let stopped = || stop.load(Ordering::SeqCst);
    let mut idle = false;
    while !stopped() {
        let batch = match inbox.try_recv() {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                if idle {
                    hasher.release();
                }
                let timeout = hasher.holds_memory().then_some(IDLE);
                bell.wait(timeout, || stopped() || !inbox.is_empty());
                // Awake and still nothing to do: the time is over (or it was an early wake, which costs little).
                idle = inbox.is_empty();
                continue;
            }
            Err(Gone) => return,
        };
        idle = false;
        for (ticket, job) in batch {
            if stopped() || to_logic.send(vec![(ticket, hasher.carry_out(&job))]).is_err() {
                return;
            }
        }
    }
}

/// Why a password could not be hashed or checked.
#[derive(Debug, Error)]
enum Fault {
    #[error("{0}")]
    Argon2(argon2::Error),
    #[error("{0}")]
    Hash(argon2::password_hash::Error),
    #[error("{0}")]
    Phc(#[from] argon2::password_hash::phc::Error),
    #[error("there is no salt or no hash in it")]
    Incomplete,
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("no memory: {0}")]
    Memory(#[from] TryReserveError),
}

impl From<argon2::Error> for Fault {
    fn from(error: argon2::Error) -> Fault {
        Fault::Argon2(error)
    }
}

impl From<argon2::password_hash::Error> for Fault {
    fn from(error: argon2::password_hash::Error) -> Fault {
        Fault::Hash(error)
    }
}

/// Argon2id and the memory it works in.
struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Hasher {
    fn new(memory_kib: u32, iterations: u32) -> Result<Hasher, argon2::Error> {
        Ok(Hasher { params: Params::new(memory_kib, iterations, 1, Some(HASH_BYTES))?, memory: Vec::new() })
    }

    fn holds_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    fn release(&mut self) {
        self.memory = Vec::new();
    }

    fn carry_out(&mut self, job: &PasswordJob) -> PasswordResult {
        match job {
            PasswordJob::Hash { password } => match self.hash(password) {
                Ok(hash) => PasswordResult::Hashed(hash),
                Err(fault) => {
                    log::error!("cannot hash a password: {fault}");
                    PasswordResult::Failed
                }
            },
            PasswordJob::Verify { hash: Some(hash), password } => match self.verify(hash, password) {
                Ok(right) => PasswordResult::Verified(right),
                Err(fault @ (Fault::Memory(_) | Fault::Random(_))) => {
                    log::error!("cannot check a password: {fault}");
                    PasswordResult::Failed
                }
                Err(fault) => {
                    log::error!("a stored password hash is malformed: {fault}");
                    self.verify_nothing(password)
                }
            },
            PasswordJob::Verify { hash: None, password } => self.verify_nothing(password),
        }
    }

    fn hash(&mut self, password: &str) -> Result<Box<str>, Fault> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(Fault::Random)?;
        let params = self.params.clone();
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(self.output(Algorithm::Argon2id, Version::V0x13, params, &salt, password)?),
        };
        Ok(hash.to_string().into_boxed_str())
    }

    /// Checks with the algorithm, version and cost that the PHC string names, whatever is configured now.
    fn verify(&mut self, hash: &str, password: &str) -> Result<bool, Fault> {
        let stored = PasswordHash::new(hash)?;
        let (Some(salt), Some(expected)) = (&stored.salt, stored.hash) else { return Err(Fault::Incomplete) };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
        // Strings from before the version was written in them are of the version before (PHC string format).
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from)?;
        let params = Params::try_from(&stored)?;
        // `Output` compares in constant time.
        Ok(self.output(algorithm, version, params, salt, password)? == expected)
    }

    /// Takes the time of a check that fails, for who has no account to check against.
    fn verify_nothing(&mut self, password: &str) -> PasswordResult {
        let params = self.params.clone();
        match self.output(Algorithm::Argon2id, Version::V0x13, params, &[0; SALT_BYTES], password) {
            Ok(_) => PasswordResult::Verified(false),
            Err(fault) => {
                log::error!("cannot check a password: {fault}");
                PasswordResult::Failed
            }
        }
    }

    fn output(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: &[u8],
        password: &str,
    ) -> Result<Output, Fault> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            // What is there need not be copied. A hash made with a higher cost may need more than is configured.
            self.release();
            self.memory.try_reserve_exact(blocks.max(RESERVED_KIB))?;
            self.memory.resize(blocks, Block::new());
        }
        let mut output = [0; Output::MAX_LENGTH];
        let output = &mut output[..params.output_len().unwrap_or(HASH_BYTES)];
        Argon2::new(algorithm, version, params).hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            output,
            &mut self.memory,
        )?;
        Ok(Output::new(output)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn hasher(memory_kib: u32, iterations: u32) -> Hasher {
        Hasher::new(memory_kib, iterations).unwrap()
    }

    fn hash(hasher: &mut Hasher, password: &str) -> Box<str> {
        match hasher.carry_out(&PasswordJob::Hash { password: password.into() }) {
            PasswordResult::Hashed(hash) => hash,
            other => panic!("{other:?}"),
        }
    }

    fn verify(hasher: &mut Hasher, hash: Option<&str>, password: &str) -> bool {
        match hasher.carry_out(&PasswordJob::Verify { hash: hash.map(Into::into), password: password.into() })
        {
            PasswordResult::Verified(right) => right,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_password_itself_is_right() {
        let mut hasher = hasher(64, 2);
        let stored = hash(&mut hasher, "correct horse");
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{stored}");
        assert!(verify(&mut hasher, Some(&stored), "correct horse"));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", "correct\0horse"] {
            assert!(!verify(&mut hasher, Some(&stored), wrong), "{wrong:?}");
        }
        assert_ne!(hash(&mut hasher, "correct horse"), stored, "the salt is random");
    }

    /// RFC 9106 has no vector without a secret; this one is of the reference implementation's test.c.
    #[test]
    fn the_reference_implementation_agrees() {
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let mut hasher = hasher(8, 1);
        assert!(verify(&mut hasher, Some(stored), "password"));
        assert!(!verify(&mut hasher, Some(stored), "passwore"));
    }

    #[test]
    fn a_hash_keeps_the_cost_it_was_made_with() {
        let (mut low, mut high) = (hasher(16, 1), hasher(512, 3));
        let (cheap, dear) = (hash(&mut low, "secret"), hash(&mut high, "secret"));
        assert!(verify(&mut high, Some(&cheap), "secret") && verify(&mut low, Some(&dear), "secret"));
        assert!(!verify(&mut high, Some(&cheap), "Secret") && !verify(&mut low, Some(&dear), "Secret"));
    }

    #[test]
    fn without_an_account_the_answer_is_no_and_takes_as_long() {
        let mut hasher = hasher(8 * 1024, 2);
        let stored = hash(&mut hasher, "secret");
        let mut shortest = [Duration::MAX; 3];
        // In turn, so that a machine whose speed changes is as fast for each of them.
        for _ in 0..8 {
            for (shortest, hash) in shortest.iter_mut().zip([Some(&*stored), None, Some("$argon2id$")]) {
                let started = Instant::now();
                assert!(!verify(&mut hasher, hash, "another"));
                *shortest = started.elapsed().min(*shortest);
            }
        }
        let [known, unknown, malformed] = shortest;
        for other in [unknown, malformed] {
            assert!(other * 2 > known && known * 2 > other, "{known:?} {unknown:?} {malformed:?}");
        }
    }

    #[test]
    fn malformed_hashes_are_never_right() {
        let mut hasher = hasher(8, 1);
        let stored = hash(&mut hasher, "secret");
        for cut in 0..stored.len() {
            assert!(!verify(&mut hasher, Some(&stored[..cut]), "secret"), "{}", &stored[..cut]);
        }
        for bad in
            ["plain", "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO0", "$scrypt$v=19$m=8,t=1,p=1$c29t"]
        {
            assert!(!verify(&mut hasher, Some(bad), "secret"));
        }
    }

    #[test]
    fn memory_is_taken_once_and_given_back() {
        let mut hasher = hasher(64, 1);
        assert!(!hasher.holds_memory());
        hash(&mut hasher, "secret");
        let block = hasher.memory.as_ptr();
        let stored = hash(&mut hasher, "secret");
        verify(&mut hasher, Some(&stored), "secret");
        verify(&mut hasher, None, "secret");
        assert_eq!(hasher.memory.as_ptr(), block);
        hasher.release();
        assert!(!hasher.holds_memory());
    }

    #[test]
    fn the_thread_answers_in_order_and_stops_also_while_it_sleeps() {
        let bell = Arc::new(Bell::new());
        let (to_logic, results) = queue(8, &bell);
        let (jobs, thread) = start(8, 1, to_logic).unwrap();
        let batch = |tickets: std::ops::Range<u64>| -> Vec<_> {
            tickets.map(|n| (Ticket(n), PasswordJob::Hash { password: n.to_string().into() })).collect()
        };
        jobs.send(batch(0..20)).unwrap();
        jobs.send(batch(20..30)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut answered = Vec::new();
        while answered.len() < 30 && Instant::now() < deadline {
            match results.try_recv().unwrap() {
                Some(batch) => answered.extend(batch.into_iter().map(|(ticket, _)| ticket.0)),
                None => bell.wait(Some(Duration::from_secs(1)), || !results.is_empty()),
            }
        }
        assert_eq!(answered, (0..30).collect::<Vec<_>>());
        thread.stop().unwrap();
        assert_eq!(jobs.send(batch(0..1)), Err(Gone), "the thread is gone");
    }

    #[test]
    fn stopping_does_not_wait_for_the_queue() {
        let bell = Arc::new(Bell::new());
        let (to_logic, _results) = queue(10_000, &bell);
        let (jobs, thread) = start(8 * 1024, 2, to_logic).unwrap();
        let job = || PasswordJob::Verify { hash: None, password: "secret".into() };
        jobs.send((0..100_000).map(|n| (Ticket(n), job())).collect()).unwrap();
        let started = Instant::now();
        thread.stop().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
