//! Where segments lie.

use std::io;

/// Where segments lie. What fails for lack of room leaves the segment's synced records as they were.
pub trait Disk: Send {
    /// Everything that is there, a segment each.
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>>;

    /// Makes another segment, empty and there for good; its number is the count of those before.
    fn add(&mut self) -> io::Result<()>;

    /// Writes into a segment, also beyond its end. Nothing is promised until it is synced. Bytes that lie at a multiple of
    /// [`ALIGNMENT`] take the shortest way.
    fn write(&mut self, segment: usize, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written to a segment survive a power cut. After an error nobody knows what does.
    fn sync(&mut self, segment: usize) -> io::Result<()>;
}

/// A record begins at a multiple of this, so that writing one never touches a sector of another.
pub const SECTOR: usize = 512;

/// What memory must be aligned to when it is written past the page cache; no device asks for more.
pub const ALIGNMENT: usize = 4096;
