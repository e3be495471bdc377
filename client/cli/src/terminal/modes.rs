//! [`TerminalModes`]: how the kernel treats the keyboard while the program runs.

use rustix::stdio::stdin;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// Keeps the terminal's echo and line editing off until it is dropped, and makes Ctrl-C, Ctrl-S and Ctrl-Z ordinary
/// keys.
///
/// The kernel echoes keys when they are typed, even a password typed before its prompt appears. The program echoes them
/// when it reads them, because only then is their kind known.
#[derive(Debug)]
pub struct TerminalModes {
    /// Before the program started.
    original: Termios,
    own: Termios,
}

impl TerminalModes {
    /// `None` if stdin is not a terminal.
    pub fn begin() -> Option<TerminalModes> {
        let original = tcgetattr(stdin()).ok()?;
        let mut own = original.clone();
        own.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        own.input_modes.remove(
            InputModes::BRKINT
                | InputModes::ICRNL
                | InputModes::IGNCR
                | InputModes::INLCR
                | InputModes::INPCK
                | InputModes::ISTRIP
                | InputModes::IXON,
        );
        own.special_codes[SpecialCodeIndex::VMIN] = 1;
        own.special_codes[SpecialCodeIndex::VTIME] = 0;
        let modes = TerminalModes { original, own };
        modes.apply();
        Some(modes)
    }

    /// Sets the program's modes, for example after it was stopped and continued.
    pub fn apply(&self) {
        set(&self.own);
    }

    /// Sets the modes that the program found.
    pub fn restore(&self) {
        set(&self.original);
    }
}

impl Drop for TerminalModes {
    fn drop(&mut self) {
        self.restore();
    }
}

/// A terminal that is gone is ignored: reading from it reports that.
fn set(modes: &Termios) {
    let _ = tcsetattr(stdin(), OptionalActions::Drain, modes);
}
