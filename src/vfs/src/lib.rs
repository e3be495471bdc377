//! SQLite's access to files, with one difference: what a checkpoint writes into the database file has zeros in the free
//! space of its pages.
//!
//! `secure_delete` overwrites cells that are deleted. But where SQLite divides a page of a B-tree or moves cells to its
//! neighbours, it builds the pages concerned anew (`rebuildPage` in `btree.c`) and leaves the bytes of earlier cells in
//! the unallocated space between the cell pointers and the cells. Such a copy may lie in any page near the one that
//! the cell is in now, and stays when the cell is deleted. Pages pass through this package on their way from the
//! write-ahead log into the database file, where that space is cleared:
//!
//! ```text
//!   page cache --> write-ahead log --checkpoint--> [page::cleared] --> database file
//! ```
//!
//! The cleared bytes belong to nothing (sqlite.org/fileformat2.html, 1.6), so neither a crash nor another program that
//! reads the file can tell the difference. Pages in the log and in the caches of connections are as SQLite left them:
//! whoever needs a text to be gone from the disk truncates the log and drops the cache of the writer
//! (`PRAGMA shrink_memory`), which then reads the pages as they were cleared.

#![deny(unsafe_code)]

mod file;
mod page;

pub use file::open;
