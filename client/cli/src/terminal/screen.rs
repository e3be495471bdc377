//! [`Screen`]: where the program prints. All output goes through it.

use super::output::write_out;
use super::plain::Plain;
use super::prompt::{Prompt, PromptKind};
use super::renderer::{Draw, MarkId, Renderer, Shown, Size};
use super::view::View;
use crate::display::style::{Mark, Style, Tally};
use chatclient_core::sanitize;
use rustix::stdio::stdout;
use rustix::termios::tcgetwinsize;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::env;
use std::io::{self, IsTerminal};
use wire::ConversationId;

/// The terminal puts marks around what is pasted.
const BRACKETED: &str = "\x1b[?2004h";
const UNBRACKETED: &str = "\x1b[?2004l";
/// Terminals that cannot move the cursor.
const DUMB: [&str; 3] = ["dumb", "cons25", "emacs"];

#[derive(Debug)]
pub enum Screen {
    /// A terminal on which lines appear above the line being typed.
    Interactive(RefCell<Renderer>),
    Plain(Plain),
}

impl Screen {
    /// The screen of this terminal, or plain output.
    pub fn open(style: Style) -> Screen {
        let name = env::var("TERM").unwrap_or_default();
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() || DUMB.contains(&&*name) {
            return Screen::Plain(Plain::default());
        }
        write_out(BRACKETED);
        Screen::Interactive(RefCell::new(Renderer::new(style, size())))
    }

    /// Whether lines appear above the line being typed.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Interactive(_))
    }

    /// Columns of the screen; `None` where lines may have any length.
    pub fn width(&self) -> Option<usize> {
        match self {
            Screen::Interactive(renderer) => Some(renderer.borrow().size().width),
            Screen::Plain(_) => None,
        }
    }

    // ---- lines -----------------------------------------------------------------------------------------------------

    /// Prints one or more lines. Text of others must have been sanitised.
    pub fn print(&self, lines: &str) {
        match self {
            Screen::Interactive(_) => self.draw(Draw::Lines(lines.to_owned())),
            Screen::Plain(plain) => plain.print(lines),
        }
    }

    /// Prints the lines of a message of somebody else.
    pub fn print_message(&self, of: Shown, lines: String) {
        match self {
            Screen::Interactive(_) => self.draw(Draw::Shown { of, text: lines }),
            Screen::Plain(plain) => plain.print(&lines),
        }
    }

    /// Prints an own message with a mark that will change; `of`: once it is stored. Does nothing on a plain screen, where
    /// the typed line stands.
    pub fn print_marked(&self, id: MarkId, mark: Mark, of: Option<Shown>, text: String) {
        self.draw(Draw::Message { id, mark, of, text });
    }

    /// The message with this mark is stored.
    pub fn stored(&self, id: MarkId, of: Shown) {
        self.draw(Draw::Stored { id, of });
    }

    /// Replaces the lines of a message that was printed.
    pub fn replace(&self, of: Shown, text: String) {
        self.draw(Draw::Text { of, text });
    }

    /// The messages of a conversation that were printed lately, and whether each is on the screen; none on a plain one.
    pub fn shown(&self, conversation: ConversationId) -> BTreeMap<Shown, bool> {
        match self {
            Screen::Interactive(renderer) => renderer.borrow().shown(conversation),
            Screen::Plain(_) => BTreeMap::new(),
        }
    }

    /// Changes the mark of a message that is still visible.
    pub fn mark(&self, id: MarkId, mark: Mark) {
        self.draw(Draw::Mark { id, mark });
    }

    /// Shows the readers of a message that is still visible beside its mark.
    pub fn tally(&self, id: MarkId, tally: Tally) {
        self.draw(Draw::Tally { id, tally });
    }

    /// The messages whose marks are on the screen; none on a plain one.
    pub fn visible(&self) -> HashSet<MarkId> {
        match self {
            Screen::Interactive(renderer) => renderer.borrow().visible(),
            Screen::Plain(_) => HashSet::new(),
        }
    }

    /// Writes a sequence that prints nothing, such as the bell.
    pub fn signal(&self, sequence: String) {
        self.draw(Draw::Signal(sequence));
    }

    fn draw(&self, draw: Draw) {
        if let Screen::Interactive(renderer) = self {
            renderer.borrow_mut().push(draw);
        }
    }

    // ---- the line being typed --------------------------------------------------------------------------------------

    /// Brings the screen up to date; `None`: no line is wanted now.
    pub fn show(&self, view: Option<&View>) {
        match self {
            Screen::Interactive(renderer) => {
                let bytes = renderer.borrow_mut().draw(view);
                if !bytes.is_empty() {
                    write_out(&bytes);
                }
            }
            Screen::Plain(plain) => {
                if let Some(view) = view {
                    plain.show(view);
                }
            }
        }
    }

    /// A line was entered. An answer stays on the screen; a command makes room for what it does.
    pub fn end_line(&self, prompt: &Prompt, line: &str) {
        let text = if prompt.kind == PromptKind::Secret { "" } else { line };
        let view = View { prompt: prompt.text.clone(), text: text.to_owned(), ..View::default() };
        match self {
            Screen::Interactive(_) if prompt.kind != PromptKind::Command => {
                let shown = sanitize::line(text);
                self.draw(Draw::Lines(format!("{}{shown}", prompt.text)));
            }
            Screen::Interactive(_) => {}
            Screen::Plain(plain) => {
                plain.show(&view);
                plain.end_line();
            }
        }
    }

    /// The line being typed is taken away.
    pub fn drop_line(&self) {
        if let Screen::Plain(plain) = self {
            plain.end_line();
        }
    }

    // ---- the terminal ----------------------------------------------------------------------------------------------

    /// The terminal may have another size, or something else has written to it.
    pub fn refresh(&self) {
        if let Screen::Interactive(renderer) = self {
            renderer.borrow_mut().resize(size());
        }
    }

    /// Removes what was printed from the screen.
    pub fn clear(&self) {
        if let Screen::Interactive(renderer) = self {
            renderer.borrow_mut().clear();
        }
    }

    /// Leaves the terminal to the shell until [`Screen::resume`].
    pub fn suspend(&self) {
        if let Screen::Interactive(renderer) = self {
            let rest = renderer.borrow_mut().leave();
            write_out(&format!("{UNBRACKETED}{rest}"));
        }
    }

    pub fn resume(&self) {
        if self.is_interactive() {
            write_out(BRACKETED);
            self.refresh();
        }
    }

    /// Whether stdout is closed.
    pub fn is_gone(&self) -> bool {
        matches!(self, Screen::Plain(plain) if plain.is_gone())
    }

    /// Draws the rest, because the program ends.
    pub fn finish(&self) {
        match self {
            Screen::Interactive(_) => self.suspend(),
            Screen::Plain(plain) => plain.end_line(),
        }
    }
}

fn size() -> Size {
    tcgetwinsize(stdout()).map_or(Size::new(0, 0), |size| Size::new(size.ws_row.into(), size.ws_col.into()))
}
