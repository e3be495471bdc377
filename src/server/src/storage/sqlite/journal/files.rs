//! Segments as files beside the database: `<database>.journal-0`, `-1`, …

use super::Disk;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The segments of one database.
#[derive(Debug)]
pub struct Files {
    database: PathBuf,
    files: Vec<File>,
}

impl Files {
    /// Opens those that are there.
    pub fn open(database: &Path) -> io::Result<Files> {
        let mut files = Files { database: database.to_owned(), files: Vec::new() };
        loop {
            let path = files.path(files.files.len());
            match OpenOptions::new().read(true).write(true).open(path) {
                Ok(file) => files.files.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
                Err(error) => return Err(error),
            }
        }
    }

    fn path(&self, segment: usize) -> PathBuf {
        let mut path = self.database.as_os_str().to_owned();
        path.push(format!(".journal-{segment}"));
        PathBuf::from(path)
    }
}

impl Disk for Files {
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let read = |mut file: &File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| bytes)
        };
        self.files.iter().map(read).collect()
    }

    fn add(&mut self) -> io::Result<()> {
        let path = self.path(self.files.len());
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        // The entry in the folder must survive a power cut like what is written to the file.
        let folder = self.database.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        self.files.push(file);
        Ok(())
    }

    fn write(&mut self, segment: usize, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.files[segment].write_all_at(bytes, at)
    }

    fn sync(&mut self, segment: usize) -> io::Result<()> {
        self.files[segment].sync_data()
    }
}
