//! Files with a password or a token: what they must be before their content is used.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wire::limits;

/// The shortest token that a server gives.
const TOKEN_MIN: usize = 32;

/// Reads the first line of a file. Warns if others can read the file. The error is a sentence.
pub fn password(file: &Path) -> Result<String, String> {
    let (text, about) = read(file, limits::PASSWORD_TRIED_BYTES)?;
    if about.is_file && about.mode & 0o077 != 0 {
        eprintln!("chatclient: others can read {0}: chmod 600 {0}", file.display());
    }
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("the first line of {} is empty", file.display())),
    }
}

/// Reads a token from a file of the user that nobody else can read; `None`: the file is empty. The error is a sentence.
///
/// What is in the file is sent to the server and may be overwritten, so nothing but a token is accepted.
pub fn token(file: &Path) -> Result<Option<String>, String> {
    let name = file.display();
    let (text, about) = read(file, limits::TOKEN_BYTES + 1)?;
    if !about.is_file {
        return Err(format!("{name} is no file"));
    }
    if about.mode & 0o077 != 0 {
        return Err(format!("others can use {name}: chmod 600 {name}"));
    }
    if text.is_empty() {
        return Ok(None);
    }
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let is_token = (TOKEN_MIN..=limits::TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_token {
        Ok(Some(token.to_owned()))
    } else {
        Err(format!("{name} contains no token; it is left alone"))
    }
}

struct About {
    is_file: bool,
    mode: u32,
}

/// Reads a file of at most `most` bytes, and a line end, before anything else is done with it.
fn read(file: &Path, most: usize) -> Result<(String, About), String> {
    let name = file.display();
    let sentence = |error: io::Error| format!("cannot read {name}: {error}");
    let opened = File::open(file).map_err(sentence)?;
    let about = opened.metadata().map_err(sentence)?;
    let mut bytes = Vec::new();
    opened.take(most as u64 + 2).read_to_end(&mut bytes).map_err(sentence)?;
    if bytes.len() > most + 1 {
        return Err(format!("{name} is larger than {most} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))?;
    Ok((text, About { is_file: about.is_file(), mode: about.mode() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_file_contains_a_token_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let with = |content: &[u8], mode| {
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            token(&file)
        };
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(with(format!("{good}\n").as_bytes(), 0o600), Ok(Some(good.clone())));
        assert_eq!(with(good.as_bytes(), 0o400), Ok(Some(good.clone())));
        assert_eq!(with(b"", 0o600), Ok(None));
        let others = with(good.as_bytes(), 0o640).unwrap_err();
        assert!(others.starts_with("others can use ") && others.contains("chmod 600"), "{others}");
        for content in [
            format!("{good}\n{good}\n").as_bytes(),
            "-----BEGIN OPENSSH PRIVATE KEY-----\n".as_bytes(),
            b"a password\n",
            format!("{good}\n").repeat(100).as_bytes(),
            &[0xff; 64],
        ] {
            assert!(with(content, 0o600).is_err(), "{content:?}");
        }
        assert!(token(folder.path()).unwrap_err().contains("cannot read"));
        assert!(token(Path::new("/dev/zero")).is_err());
    }
}
