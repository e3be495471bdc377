//! Secrets: read from files, which can be private, and never from arguments, which every local user can see.

use runtime::regular_file::{Access, open_regular, read_to_limit};
use std::env;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The start of a path to a systemd credential (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "$CREDENTIALS_DIRECTORY";
/// The longest secret, bytes.
const SECRET_BYTES: u64 = 4_096;
/// The permission of everybody else to read or write a file (inode(7)).
const OTHERS: u32 = 0o006;

/// The only line of a file, without its line break. The path may be `$CREDENTIALS_DIRECTORY/NAME`. A file that every
/// user of the machine can read holds no secret, so it is refused.
///
/// # Errors
/// A sentence that names the file and says what to change; `key` is the configuration key with the path.
pub fn secret(key: &str, path: &Path) -> Result<String, String> {
    let failed = |why: String| format!("`{key}` names {}: {why}", path.display());
    let path = named_file(path).map_err(failed)?;
    let file = open_regular(&path, Access::Read).map_err(|error| failed(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    if is_exposed(&metadata) {
        let place = path.display();
        return Err(failed(format!("every user of this machine can read it; run chmod o-rwx {place}")));
    }
    let text = read_to_limit(file, SECRET_BYTES).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(text.to_owned())
}

/// The path of a file that the configuration names, which may be `$CREDENTIALS_DIRECTORY/NAME`.
///
/// # Errors
/// If systemd passed no credentials, what to change.
pub fn named_file(path: &Path) -> Result<PathBuf, String> {
    located(path, env::var_os(&CREDENTIALS[1..]))
}

/// Whether every user of the machine can read the file, or change it.
pub fn is_exposed(file: &Metadata) -> bool {
    file.mode() & OTHERS != 0
}

fn located(path: &Path, credentials: Option<OsString>) -> Result<PathBuf, String> {
    match (path.strip_prefix(CREDENTIALS), credentials) {
        (Err(_), _) => Ok(path.to_owned()),
        (Ok(name), Some(folder)) => Ok(Path::new(&folder).join(name)),
        (Ok(_), None) => Err("systemd passed no credentials: add LoadCredential= to the unit".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_a_file_or_a_credential() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mysql");
        let set_mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let read = || secret("storage.password_file", &path);
        fs::write(&path, "geheim \r\n").unwrap();
        for private in [0o400, 0o440, 0o600, 0o640] {
            set_mode(private);
            assert_eq!(read().unwrap(), "geheim ");
        }
        for exposed in [0o644, 0o444, 0o604, 0o602] {
            set_mode(exposed);
            let error = read().unwrap_err();
            let place = path.display();
            assert!(
                error.starts_with(&format!("`storage.password_file` names {place}: every user")),
                "{error}"
            );
            assert!(error.ends_with(&format!("; run chmod o-rwx {place}")), "{error}");
        }
        set_mode(0o600);
        fs::write(&path, "\n").unwrap();
        assert!(read().unwrap_err().ends_with("mysql: it is empty"));
        fs::write(&path, "x".repeat(5_000)).unwrap();
        assert!(read().unwrap_err().ends_with("mysql: is longer than 4096 bytes"));
        assert!(secret("k", folder.path()).unwrap_err().ends_with(": is a directory, not a regular file"));
        let credential = Path::new("$CREDENTIALS_DIRECTORY/mysql");
        assert_eq!(located(credential, Some(folder.path().into())).unwrap(), path);
        let error = located(credential, None).unwrap_err();
        assert!(error.contains("LoadCredential="), "{error}");
        assert_eq!(located(&path, None).unwrap(), path);
    }
}
