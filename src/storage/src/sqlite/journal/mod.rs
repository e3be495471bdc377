//! The journal: what a commit of messages is, before they are filed. See [`segments`].

mod disk;
mod files;
mod memory;
mod segments;

pub use disk::Disk;
pub use files::Files;
pub use memory::MemoryDisk;
pub use segments::Journal;
