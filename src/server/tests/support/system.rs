//! What this system has, and who runs the tests on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Where a program lies. Servers lie in folders that a user's PATH need not have.
pub fn find(program: &str, missing: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|program| program.exists());
    found.unwrap_or_else(|| panic!("{program} is missing: {missing}"))
}

/// Whether root does: a server that is started by root wants to be told as whom to run.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
