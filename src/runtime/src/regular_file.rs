//! Opening files that a path from outside names, without waiting and without touching anything else.
//!
//! A path may name a FIFO, whose opening waits for its other end, or a device, whose opening may do anything. Only
//! regular files are opened, and what was checked is what is opened.

use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// How an existing file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
}

/// Opens an existing regular file.
///
/// # Errors
/// If there is none, it cannot be opened, or the path names something else; the error then says what.
pub fn open_regular(path: &Path, access: Access) -> io::Result<File> {
    check(&fs::metadata(path)?)?;
    let access = match access {
        Access::Read => OFlags::RDONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    // Without NONBLOCK, opening a FIFO that took the place of the file meanwhile would wait. Regular files ignore it.
    let flags = access | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(open(path, flags, Mode::empty())?);
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As of [`open_regular`], or if the file is longer.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_to_limit(open_regular(path, Access::Read)?, limit)
}

/// Reads an open file of at most `limit` bytes to its end.
///
/// # Errors
/// If it cannot be read or is longer.
pub fn read_to_limit(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is longer than {limit} bytes")));
    }
    Ok(bytes)
}

fn check(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("is {what}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, mknodat};
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_opened_and_no_other_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_regular(&at("file"), 4).unwrap(), b"text");
        assert_eq!(read_regular(&at("file"), 3).unwrap_err().to_string(), "is longer than 3 bytes");
        let why = |path: &Path| open_regular(path, Access::ReadWrite).unwrap_err().to_string();
        assert_eq!(why(folder.path()), "is a directory, not a regular file");
        assert_eq!(why(&at("fifo")), "is a FIFO, not a regular file");
        assert_eq!(why(&at("socket")), "is a socket, not a regular file");
        assert_eq!(why(Path::new("/dev/zero")), "is a device, not a regular file");
        let absent = open_regular(&at("absent"), Access::Read).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }
}
