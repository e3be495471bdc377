//! Argon2id: hashes passwords and verifies them.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use logic::{PasswordJob, PasswordResult};
use std::collections::TryReserveError;
use thiserror::Error;

/// Bytes of a salt (RFC 9106, 3.1 recommends 16).
const SALT_BYTES: usize = 16;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// The least capacity of the buffer, KiB. glibc always maps blocks above 32 MiB and returns them to the system when
/// they are freed; smaller ones it may keep (mallopt(3)). Reserved memory that is never touched costs nothing.
const RESERVED_KIB: usize = 33 * 1024;

/// Why a password could not be hashed or verified.
#[derive(Debug, Error)]
enum HashError {
    #[error("{0}")]
    Argon2(argon2::Error),
    #[error("{0}")]
    Hash(argon2::password_hash::Error),
    #[error("{0}")]
    Phc(#[from] argon2::password_hash::phc::Error),
    #[error("it has no salt or no hash")]
    Incomplete,
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("out of memory: {0}")]
    Memory(#[from] TryReserveError),
}

impl From<argon2::Error> for HashError {
    fn from(error: argon2::Error) -> HashError {
        HashError::Argon2(error)
    }
}

impl From<argon2::password_hash::Error> for HashError {
    fn from(error: argon2::password_hash::Error) -> HashError {
        HashError::Hash(error)
    }
}

/// Argon2id (RFC 9106) with a cost for new hashes and a buffer reused for all jobs.
pub(super) struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Hasher {
    pub(super) fn new(memory_kib: u32, iterations: u32) -> Result<Hasher, argon2::Error> {
        Ok(Hasher { params: Params::new(memory_kib, iterations, 1, Some(HASH_BYTES))?, memory: Vec::new() })
    }

    pub(super) fn holds_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    pub(super) fn release(&mut self) {
        self.memory = Vec::new();
    }

    pub(super) fn run(&mut self, job: &PasswordJob) -> PasswordResult {
        match job {
            PasswordJob::Hash { password } => match self.hash(password) {
                Ok(hash) => PasswordResult::Hashed(hash),
                Err(error) => {
                    log::error!("password hashing failed: {error}");
                    PasswordResult::Failed
                }
            },
            PasswordJob::Verify { hash: Some(hash), password } => match self.verify(hash, password) {
                Ok(right) => PasswordResult::Verified(right),
                Err(error @ (HashError::Memory(_) | HashError::Random(_))) => {
                    log::error!("password verification failed: {error}");
                    PasswordResult::Failed
                }
                Err(error) => {
                    log::error!("a stored password hash is malformed, so the login is refused: {error}");
                    self.verify_without_account(password)
                }
            },
            PasswordJob::Verify { hash: None, password } => self.verify_without_account(password),
        }
    }

    fn hash(&mut self, password: &str) -> Result<Box<str>, HashError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(HashError::Random)?;
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

    /// Verifies with the algorithm, version and cost in the PHC string, regardless of the current configuration.
    fn verify(&mut self, hash: &str, password: &str) -> Result<bool, HashError> {
        let stored = PasswordHash::new(hash)?;
        let (Some(salt), Some(expected)) = (&stored.salt, stored.hash) else {
            return Err(HashError::Incomplete);
        };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
        // A PHC string without a version is of version 0x10, which did not include the field.
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from)?;
        let params = Params::try_from(&stored)?;
        // `Output` compares in constant time.
        Ok(self.output(algorithm, version, params, salt, password)? == expected)
    }

    /// Takes as long as a failed verification, so that timing does not reveal whether the account exists.
    fn verify_without_account(&mut self, password: &str) -> PasswordResult {
        let params = self.params.clone();
        match self.output(Algorithm::Argon2id, Version::V0x13, params, &[0; SALT_BYTES], password) {
            Ok(_) => PasswordResult::Verified(false),
            Err(error) => {
                log::error!("password verification failed: {error}");
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
    ) -> Result<Output, HashError> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            // Freed first, so that the old contents are not copied. An old hash may need more than is configured now.
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
    use std::time::{Duration, Instant};

    fn hasher(memory_kib: u32, iterations: u32) -> Hasher {
        Hasher::new(memory_kib, iterations).unwrap()
    }

    fn hash(hasher: &mut Hasher, password: &str) -> Box<str> {
        match hasher.run(&PasswordJob::Hash { password: password.into() }) {
            PasswordResult::Hashed(hash) => hash,
            other => panic!("{other:?}"),
        }
    }

    fn verify(hasher: &mut Hasher, hash: Option<&str>, password: &str) -> bool {
        match hasher.run(&PasswordJob::Verify { hash: hash.map(Into::into), password: password.into() }) {
            PasswordResult::Verified(right) => right,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_right_password_verifies() {
        let mut hasher = hasher(64, 2);
        let stored = hash(&mut hasher, "correct horse");
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{stored}");
        assert!(verify(&mut hasher, Some(&stored), "correct horse"));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", "correct\0horse"] {
            assert!(!verify(&mut hasher, Some(&stored), wrong), "{wrong:?}");
        }
        assert_ne!(hash(&mut hasher, "correct horse"), stored, "the salt is random");
    }

    /// From test.c of the reference implementation, because RFC 9106 has no vector without a secret.
    #[test]
    fn hashes_of_the_reference_implementation_verify() {
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let mut hasher = hasher(8, 1);
        assert!(verify(&mut hasher, Some(stored), "password"));
        assert!(!verify(&mut hasher, Some(stored), "passwore"));
    }

    #[test]
    fn a_hash_is_verified_with_the_cost_it_was_made_with() {
        let (mut low, mut high) = (hasher(16, 1), hasher(512, 3));
        let (cheap, dear) = (hash(&mut low, "secret"), hash(&mut high, "secret"));
        assert!(verify(&mut high, Some(&cheap), "secret") && verify(&mut low, Some(&dear), "secret"));
        assert!(!verify(&mut high, Some(&cheap), "Secret") && !verify(&mut low, Some(&dear), "Secret"));
    }

    #[test]
    fn a_verification_without_an_account_fails_and_takes_as_long() {
        let mut hasher = hasher(8 * 1024, 2);
        let stored = hash(&mut hasher, "secret");
        let mut shortest = [Duration::MAX; 3];
        // Interleaved, so that a change in the machine's speed affects all three alike.
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
    fn malformed_hashes_never_verify() {
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
    fn the_buffer_is_allocated_once_and_can_be_released() {
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
}
