//! The whole program with random keys and sizes: it lives or ends in an orderly way, and restores the terminal.

use crate::place::{Place, USUAL, arrive};
use crate::pty::Size;
use crate::support::PASSWORD;
use chatclient_core::random::Random;

#[path = "../../../../src/server/tests/support/effort.rs"]
mod effort;

#[path = "../../src/terminal/sequences.rs"]
mod sequences;

/// Keys that lead to something, beside noise.
const PIECES: [&[u8]; 14] = [
    b"/msg 2\r",
    b"/older\r",
    b"history:3\r",
    b"help\r",
    b"\x1b2",
    b"\x1ba",
    b"\x1b[200~pasted\r\xfftext",
    b"\x1b[201~",
    b"\x1b[A",
    b"\t",
    b"\x0c",
    "你好🙂\r".as_bytes(),
    b"1\r1\r",
    b"/open\r",
];

#[test]
fn random_keys_and_sizes_leave_the_terminal_as_it_was() {
    for seed in 0..effort::effort(6, 200) {
        let mut random = Random::new(seed);
        let place = Place::new();
        // Every other run begins at the menu.
        let mut terminal = if seed % 2 == 0 { place.online(USUAL, &[]) } else { place.open(USUAL, &[]) };
        // The kernel echoes what is typed before the program has begun.
        terminal.expect(if seed % 2 == 0 { "help lists" } else { "choice:" });
        for _ in 0..40 {
            match random.up_to(9) {
                0 => terminal.resize(Size {
                    rows: 1 + random.up_to(40) as u16,
                    columns: 1 + random.up_to(100) as u16,
                }),
                1 => arrive(&place, 3, 3, "text \u{1b}[2J\u{9b}31m\u{202e} of another\nin two rows"),
                2 | 3 => {
                    // Neither the end of input nor Ctrl-Z, which stops the program.
                    let byte = |random: &mut Random| match random.up_to(255) as u8 {
                        0x04 | 0x1A => b'x',
                        byte => byte,
                    };
                    let noise: Vec<u8> = (0..random.up_to(40)).map(|_| byte(&mut random)).collect();
                    terminal.type_keys(noise);
                }
                _ => terminal.type_keys(PIECES[random.up_to(PIECES.len() as u64 - 1) as usize]),
            }
        }
        terminal.hang_up();
        assert!(terminal.is_as_found(), "seed {seed}");
        let written = String::from_utf8_lossy(&terminal.bytes()).into_owned();
        assert!(!written.contains("panicked") && !written.contains(PASSWORD), "seed {seed}: {written:?}");
        // When the program has ended, the kernel echoes keys again.
        let own = written.split("\u{1b}[?2004l").next().unwrap_or_default();
        assert_eq!(sequences::foreign(own), None, "seed {seed}: {written:?}");
    }
}
