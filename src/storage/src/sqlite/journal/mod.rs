//! The journal: what makes a commit of messages durable before they are filed.

mod disk;
mod files;
mod memory;
mod segments;

pub use disk::Disk;
pub use files::Files;
pub use memory::MemoryDisk;
pub use segments::{Journal, records};
