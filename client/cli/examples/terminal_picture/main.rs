//! Draws the picture of the README: a private server, three clients in terminals, a short conversation, and the screen
//! of one of them as SVG. `make picture` writes `docs/terminal.svg`.
//!
//!     terminal_picture FILE
//!
//! The programs must lie beside this one's folder, where `cargo build` puts them.

mod session;
mod svg;

use anyhow::{Context, Result};
use session::{Server, Terminal};

/// The size of the screen.
const ROWS: u16 = 20;
const COLUMNS: u16 = 84;
/// Clears the screen.
const CTRL_L: &str = "\x0c";

fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: terminal_picture FILE")?;
    let server = Server::start()?;
    let mut zhang = Terminal::open(&server, "zhang san")?;
    let mut li = Terminal::open(&server, "li si")?;
    let mut wang = Terminal::open(&server, "wang wu")?;

    zhang.enter("addfriend:li si")?;
    zhang.wait_for("are now friends")?;
    zhang.enter("/create devs:who builds it")?;
    zhang.wait_for("group #1 devs created")?;
    for other in [&mut li, &mut wang] {
        other.enter("/join 1")?;
        other.wait_for("you joined")?;
    }
    // What comes before is not part of the picture.
    zhang.type_keys(CTRL_L)?;
    zhang.enter("/friends")?;
    zhang.wait_for("friends (1):")?;
    zhang.enter("/members devs")?;
    zhang.wait_for("members (3):")?;
    zhang.enter("/msg li si dinner at seven?")?;
    li.wait_for("dinner at seven?")?;
    li.enter("/msg zhang san")?;
    zhang.wait_for("R [")?;
    li.enter("yes, at the noodle place 🙂")?;
    zhang.wait_for("noodle place")?;
    wang.enter("who broke the build?")?;
    zhang.wait_for("who broke the build?")?;
    li.enter("groupchat:1:not me, it is green here")?;
    zhang.wait_for("green here")?;
    zhang.enter("groupchat:1:my fault: fixed in a minute")?;
    wang.wait_for("fixed in a minute")?;
    zhang.wait_for("✓ [")?;
    zhang.enter("/msg li si I may be ten minutes late")?;
    li.wait_for("ten minutes late")?;
    li.enter("chat:zhang san:no hurry")?;
    zhang.wait_for("no hurry")?;
    // Not read: li has another conversation open.
    li.enter("/join 1")?;
    li.wait_for("#1 devs>")?;
    zhang.enter("I bring the tickets")?;
    li.wait_for("bring the tickets")?;
    zhang.wait_for("✓✓ [")?;
    wang.enter("chat:zhang san:thank you, it builds again")?;
    zhang.wait_for("it builds again")?;
    zhang.wait_for("1 unread: wang wu 1")?;
    zhang.type_keys("save me a se")?;
    zhang.wait_for("save me a se")?;

    std::fs::write(&file, zhang.with_screen(|screen| svg::draw(screen, "chatclient")))
        .with_context(|| file.clone())?;
    println!("{file}");
    Ok(())
}
