//! The storage of segments.

use std::io;

/// The storage of segments. A failure for lack of space leaves the segment's synced records intact.
pub trait Disk: Send {
    /// The contents of all segments.
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>>;

    /// Adds an empty segment, durably. Its number is the count of those before.
    fn add(&mut self) -> io::Result<()>;

    /// Writes into a segment, also beyond its end. Nothing is durable until it is synced. Bytes aligned to
    /// [`ALIGNMENT`] in memory are written without a copy.
    fn write(&mut self, segment: usize, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written to a segment durable. After an error its state is unknown.
    fn sync(&mut self, segment: usize) -> io::Result<()>;
}

/// The alignment of records, so that writing one never touches a sector of another.
pub const SECTOR: usize = 512;

/// The memory alignment of direct I/O; no device requires more.
pub const ALIGNMENT: usize = 4096;
