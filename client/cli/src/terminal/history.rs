//! [`History`]: the lines typed earlier, in this run and in others.

use rustyline::history::{FileHistory, History as _, SearchDirection};
use std::path::PathBuf;

/// The most lines that are kept.
const LINES_MAX: usize = 1_000;

/// Lines are numbered from the oldest, which is 0.
pub struct History {
    lines: FileHistory,
    file: Option<PathBuf>,
}

impl History {
    /// Reads the lines of earlier runs, if there is a file.
    pub fn open(file: Option<PathBuf>) -> History {
        let mut lines = FileHistory::new();
        // A bound and a rule in memory cannot fail. The file does not exist before the first line.
        let _ = (lines.set_max_len(LINES_MAX), lines.ignore_dups(true));
        if let Some(file) = &file {
            let _ = lines.load(file);
        }
        History { lines, file }
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn add(&mut self, line: &str) {
        if self.lines.add(line).unwrap_or(false)
            && let Some(file) = &self.file
        {
            // Lines that cannot be written last only for this run.
            let _ = self.lines.append(file);
        }
    }

    pub fn get(&self, number: usize) -> Option<String> {
        let found = self.lines.get(number, SearchDirection::Forward).ok()??;
        Some(found.entry.into_owned())
    }

    /// The nearest line at `from` or older that contains a text; `newer`: at `from` or newer.
    pub fn find(&self, text: &str, from: usize, newer: bool) -> Option<usize> {
        if text.is_empty() || from >= self.len() {
            return None;
        }
        let way = if newer { SearchDirection::Forward } else { SearchDirection::Reverse };
        self.lines.search(text, from, way).ok()?.map(|found| found.idx)
    }
}
