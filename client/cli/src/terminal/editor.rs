//! [`LineEditor`]: from keys to lines. It draws nothing; [`super::screen`] shows its [`View`].

use super::history::History;
use super::keyboard::{Key, Keyboard};
use super::line::Line;
use super::prompt::{Prompt, PromptKind, Typed};
use super::view::View;
use crate::command::complete::{self, Completion, Here, Names};
use chatclient_core::sanitize;
use rustyline::completion::FilenameCompleter;
use std::path::PathBuf;

/// Stands for bytes that are not UTF-8.
const NOT_UTF8: char = char::REPLACEMENT_CHARACTER;

pub struct LineEditor {
    keyboard: Keyboard,
    line: Line,
    /// The line has bytes that were not UTF-8, shown as U+FFFD.
    is_broken: bool,
    history: History,
    /// The line of the history that is shown, and what had been typed before.
    browsing: Option<Browsing>,
    completing: Option<Cycle>,
    searching: Option<Search>,
    names: Names,
    files: FilenameCompleter,
    /// Nothing more will be typed: the terminal is gone.
    is_over: bool,
}

struct Browsing {
    number: usize,
    typed: String,
}

/// The candidates that Tab offers one after another.
struct Cycle {
    start: usize,
    candidates: Vec<String>,
    /// What each stands for; empty where it says that itself.
    labels: Vec<String>,
    at: usize,
}

struct Search {
    wanted: String,
    found: Option<usize>,
    typed: String,
}

/// What a key led to.
enum Done {
    /// The line or the cursor may have changed.
    Edited,
    Typed(Typed),
}

impl LineEditor {
    /// `history` is the file of typed lines.
    pub fn new(history: Option<PathBuf>) -> LineEditor {
        LineEditor {
            keyboard: Keyboard::default(),
            line: Line::default(),
            is_broken: false,
            history: History::open(history),
            browsing: None,
            completing: None,
            searching: None,
            names: Names::default(),
            files: FilenameCompleter::new(),
            is_over: false,
        }
    }

    /// Takes the names to complete.
    pub fn set_names(&mut self, names: Names) {
        self.names = Names { here: std::mem::take(&mut self.names.here), ..names };
    }

    /// What can be completed in the open conversation.
    pub fn here_mut(&mut self) -> &mut Here {
        &mut self.names.here
    }

    // ---- input -----------------------------------------------------------------------------------------------------

    /// Takes bytes of the keyboard. They become keys when a line is wanted.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.keyboard.feed(bytes);
    }

    /// The terminal was closed.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Handles keys up to the next one that the program must know about; `None`: all keys are handled.
    pub fn next_typed(&mut self, kind: PromptKind) -> Option<Typed> {
        while let Some(key) = self.keyboard.next_key() {
            if let Done::Typed(typed) = self.handle_key(key, kind) {
                return Some(typed);
            }
        }
        self.is_over.then_some(Typed::End)
    }

    /// Takes the line that is being typed, for example to keep it as a draft.
    pub fn take_line(&mut self) -> String {
        (self.browsing, self.completing, self.is_broken) = (None, None, false);
        if let Some(search) = self.searching.take() {
            self.line.set(search.typed);
        }
        self.line.take()
    }

    /// Continues with a line typed earlier.
    pub fn set_line(&mut self, text: String) {
        self.take_line();
        self.line.set(text);
    }

    pub fn line(&self) -> &str {
        self.line.text()
    }

    // ---- output ----------------------------------------------------------------------------------------------------

    pub fn view(&self, prompt: &Prompt, status: &str) -> View {
        let is_secret = prompt.kind == PromptKind::Secret;
        let (prompt_text, text) = match &self.searching {
            Some(search) if prompt.kind == PromptKind::Command => {
                (format!("(search) {}: ", sanitize::line(&search.wanted)), self.line.text())
            }
            _ => (prompt.text.clone(), if is_secret { "" } else { self.line.text() }),
        };
        let status = (prompt.kind == PromptKind::Command)
            .then(|| self.completing.as_ref().and_then(Cycle::hint).unwrap_or_else(|| status.to_owned()));
        View {
            status,
            prompt: prompt_text,
            text: text.to_owned(),
            cursor: self.line.cursor().min(text.len()),
        }
    }

    // ---- keys ------------------------------------------------------------------------------------------------------

    fn handle_key(&mut self, key: Key, kind: PromptKind) -> Done {
        if kind != PromptKind::Command {
            // The line was wanted for something else when the search began.
            self.searching = None;
        }
        if self.searching.is_some() && self.handle_search_key(&key) {
            return Done::Edited;
        }
        match key {
            Key::Tab if kind == PromptKind::Command => return self.complete(true),
            Key::BackTab if self.completing.is_some() => return self.complete(false),
            _ => self.completing = None,
        }
        match key {
            Key::Enter => return self.enter(kind),
            Key::Ctrl('c') => {
                self.take_line();
                return Done::Typed(Typed::Interrupted);
            }
            Key::Ctrl('d') if self.line.text().is_empty() => return Done::Typed(Typed::End),
            Key::Ctrl('l') => return Done::Typed(Typed::ClearScreen),
            Key::Ctrl('z') => return Done::Typed(Typed::Suspend),
            Key::Ctrl('r' | 's') if kind == PromptKind::Command => self.begin_search(),
            Key::Ctrl('p') | Key::Up if kind == PromptKind::Command => self.up(),
            Key::Ctrl('n') | Key::Down if kind == PromptKind::Command => self.down(),
            Key::Alt('\n') if kind == PromptKind::Command => self.insert("\n"),
            Key::Alt(c) if kind == PromptKind::Command && !matches!(c, 'b' | 'f' | 'd' | '\u{8}') => {
                return Done::Typed(Typed::Alt(c));
            }
            key => self.edit(key),
        }
        Done::Edited
    }

    fn edit(&mut self, key: Key) {
        let line = &mut self.line;
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Paste { text, is_utf8 } => {
                self.is_broken |= !is_utf8;
                self.insert(&text);
            }
            Key::Invalid(_) => {
                self.is_broken = true;
                self.insert(NOT_UTF8.encode_utf8(&mut [0; 4]));
            }
            Key::Left | Key::Ctrl('b') => line.move_to(line.left()),
            Key::Right | Key::Ctrl('f') => line.move_to(line.right()),
            Key::WordLeft | Key::Alt('b') => line.move_to(line.word_left()),
            Key::WordRight | Key::Alt('f') => line.move_to(line.word_right()),
            Key::Home | Key::Ctrl('a') => line.move_to(line.home()),
            Key::End | Key::Ctrl('e') => line.move_to(line.end()),
            Key::Backspace => line.delete_to(line.left()),
            Key::Delete | Key::Ctrl('d') => line.delete_to(line.right()),
            // At the end of a row its line end is deleted.
            Key::Ctrl('k') => line.kill_to(line.end().max(line.right().min(line.end() + 1))),
            Key::Ctrl('u') => line.kill_to(line.home()),
            Key::Ctrl('w') | Key::Alt('\u{8}') => line.kill_to(line.word_left()),
            Key::Alt('d') => line.kill_to(line.word_right()),
            Key::Ctrl('y') => line.yank(),
            Key::Ctrl('t') => line.transpose(),
            Key::Ctrl('_') => line.undo(),
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        // A text that does not fit is left out whole; the message would be far too long anyway.
        self.line.insert(text);
    }

    fn enter(&mut self, kind: PromptKind) -> Done {
        if self.is_broken && self.line.text().contains(NOT_UTF8) {
            if kind == PromptKind::Secret {
                self.take_line();
            }
            return Done::Typed(Typed::NotUtf8);
        }
        let line = self.take_line();
        if kind == PromptKind::Command {
            self.history.add(&line);
        }
        Done::Typed(Typed::Line(line))
    }

    // ---- history ---------------------------------------------------------------------------------------------------

    fn up(&mut self) {
        if let Some(above) = self.line.row_up() {
            return self.line.move_to(above);
        }
        let older = self.browsing.as_ref().map_or(self.history.len(), |browsing| browsing.number);
        self.browse(older.checked_sub(1));
    }

    fn down(&mut self) {
        if let Some(below) = self.line.row_down() {
            return self.line.move_to(below);
        }
        let Some(browsing) = &mut self.browsing else { return };
        let newer = browsing.number + 1;
        if newer < self.history.len() {
            self.browse(Some(newer));
        } else {
            let typed = std::mem::take(&mut browsing.typed);
            self.browsing = None;
            self.line.set(typed);
        }
    }

    fn browse(&mut self, number: Option<usize>) {
        let Some((number, line)) = number.and_then(|number| Some((number, self.history.get(number)?))) else {
            return;
        };
        match &mut self.browsing {
            Some(browsing) => browsing.number = number,
            None => self.browsing = Some(Browsing { number, typed: self.line.text().to_owned() }),
        }
        self.line.set(line);
    }

    fn begin_search(&mut self) {
        let typed = self.line.text().to_owned();
        self.searching = Some(Search { wanted: String::new(), found: None, typed });
    }

    /// Returns whether the key belongs to the search. Any other key ends it and keeps what was found.
    fn handle_search_key(&mut self, key: &Key) -> bool {
        let Some(search) = &mut self.searching else { return false };
        let latest = self.history.len().saturating_sub(1);
        let (from, newer) = match key {
            Key::Char(c) => {
                search.wanted.push(*c);
                (search.found.unwrap_or(latest), false)
            }
            Key::Backspace => {
                search.wanted.pop();
                (latest, false)
            }
            Key::Ctrl('r') => match search.found.map(|found| found.checked_sub(1)) {
                Some(None) => return true,
                found => (found.flatten().unwrap_or(latest), false),
            },
            Key::Ctrl('s') => (search.found.map_or(latest, |found| found + 1), true),
            Key::Ctrl('g' | 'c') => {
                let typed = std::mem::take(&mut search.typed);
                self.searching = None;
                self.line.set(typed);
                return true;
            }
            _ => {
                self.searching = None;
                return false;
            }
        };
        if let Some(found) = self.history.find(&search.wanted, from, newer) {
            search.found = Some(found);
            if let Some(line) = self.history.get(found) {
                self.line.set(line);
            }
        }
        true
    }

    // ---- completion ------------------------------------------------------------------------------------------------

    fn complete(&mut self, forward: bool) -> Done {
        match &mut self.completing {
            Some(cycle) => {
                let count = cycle.candidates.len();
                cycle.at = (cycle.at + if forward { 1 } else { count - 1 }) % count;
            }
            None => {
                let Completion { start, candidates, labels } = self.candidates();
                self.completing =
                    (!candidates.is_empty()).then_some(Cycle { start, candidates, labels, at: 0 });
            }
        }
        if let Some(cycle) = &self.completing {
            self.line.complete(cycle.start, &cycle.candidates[cycle.at]);
            if cycle.candidates.len() == 1 && cycle.labels.is_empty() {
                self.completing = None;
            }
        }
        Done::Edited
    }

    fn candidates(&self) -> Completion {
        let typed = self.line.before_cursor();
        match complete::path_start(typed) {
            Some(at) => match self.files.complete_path(&typed[at..], typed.len() - at) {
                Ok((from, found)) => {
                    let candidates = found.into_iter().map(|pair| pair.replacement).collect();
                    Completion { start: at + from, candidates, labels: Vec::new() }
                }
                Err(_) => Completion { start: typed.len(), candidates: Vec::new(), labels: Vec::new() },
            },
            None => complete::complete(typed, &self.names),
        }
    }
}

impl Cycle {
    /// What the candidate stands for, or all candidates, if there are several.
    fn hint(&self) -> Option<String> {
        if let Some(label) = self.labels.get(self.at) {
            return Some(label.clone());
        }
        (self.candidates.len() > 1).then(|| {
            self.candidates.iter().map(|text| sanitize::line(text.trim())).collect::<Vec<_>>().join("  ")
        })
    }
}

#[cfg(test)]
mod tests;
