//! The system's programs, and the user who runs the tests.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The path of a program. Servers are installed in folders that need not be in a user's PATH.
pub fn find(program: &str, missing: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|program| program.exists());
    found.unwrap_or_else(|| panic!("{program} is missing: {missing}"))
}

/// Whether root runs the tests: servers that root starts must be told which user to run as.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
