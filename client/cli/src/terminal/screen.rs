//! [`Screen`]: where the program prints. All output goes through it.

use super::output::write_out;
use super::plain::Plain;
use super::renderer::{Draw, MarkId, Renderer, UNBRACKETED};
use crate::display::style::Mark;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Screen {
    /// A terminal with a line editor at its bottom. A message to `repaint` makes the editor repaint.
    Interactive {
        renderer: Arc<Mutex<Renderer>>,
        repaint: Sender<()>,
    },
    Plain(Arc<Plain>),
}

impl Screen {
    /// Whether lines appear above the line being typed.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Interactive { .. })
    }

    /// Prints one or more lines. Text of others must have been sanitised.
    pub fn print(&self, lines: &str) {
        match self {
            Screen::Interactive { .. } => self.draw(Draw::Lines(lines.to_owned())),
            Screen::Plain(plain) => plain.print(lines),
        }
    }

    /// Prints an own message with a mark that will change. Does nothing on a plain screen, where the typed line stands.
    pub fn print_marked(&self, id: MarkId, mark: Mark, text: String) {
        self.draw(Draw::Message { id, mark, text });
    }

    /// Changes the mark of a message that is still visible.
    pub fn mark(&self, id: MarkId, mark: Mark) {
        self.draw(Draw::Mark { id, mark });
    }

    pub fn bell(&self) {
        self.draw(Draw::Bell);
    }

    pub fn set_status(&self, status: String) {
        if let Screen::Interactive { renderer, repaint } = self
            && renderer.lock().set_status(status)
        {
            let _ = repaint.try_send(());
        }
    }

    fn draw(&self, draw: Draw) {
        let Screen::Interactive { renderer, repaint } = self else { return };
        let mut renderer = renderer.lock();
        if renderer.push(draw) {
            // If the channel is full, a repaint is requested already.
            let _ = repaint.try_send(());
        } else {
            renderer.measure();
            write_out(&renderer.draw());
        }
    }

    /// Whether stdout is closed.
    pub fn is_gone(&self) -> bool {
        matches!(self, Screen::Plain(plain) if plain.is_gone())
    }

    /// Draws the queue even if a line is being edited, because the program ends.
    pub fn finish(&self) {
        if let Screen::Interactive { renderer, .. } = self {
            let mut renderer = renderer.lock();
            if renderer.is_editing() {
                let rest = renderer.draw();
                write_out(&format!("{UNBRACKETED}\n{rest}"));
            }
        }
    }
}
