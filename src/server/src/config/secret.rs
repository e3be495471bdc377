//! Secrets: read from files, which can be private, and never from arguments, which every local user can see.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The start of a path to a systemd credential (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "$CREDENTIALS_DIRECTORY";

/// The only line of a file, without its line break. The path may be `$CREDENTIALS_DIRECTORY/NAME`.
pub fn secret(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(located(path, env::var_os(&CREDENTIALS[1..]))?)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn located(path: &Path, credentials: Option<OsString>) -> io::Result<PathBuf> {
    match (path.strip_prefix(CREDENTIALS), credentials) {
        (Err(_), _) => Ok(path.to_owned()),
        (Ok(name), Some(folder)) => Ok(Path::new(&folder).join(name)),
        (Ok(_), None) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "systemd passed no credentials: add LoadCredential= to the unit",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_or_a_credential() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mysql");
        fs::write(&path, "geheim \r\n").unwrap();
        assert_eq!(secret(&path).unwrap(), "geheim ");
        let credential = Path::new("$CREDENTIALS_DIRECTORY/mysql");
        assert_eq!(located(credential, Some(folder.path().into())).unwrap(), path);
        let error = located(credential, None).unwrap_err();
        assert!(error.to_string().contains("LoadCredential="), "{error}");
        assert_eq!(located(&path, None).unwrap(), path);
    }
}
