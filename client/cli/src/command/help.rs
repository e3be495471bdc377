//! Help texts, and the sentences that explain a mistake.

use super::parse::Mistake;
use super::table::{Row, TABLE};
use chatclient_core::sanitize;
use std::collections::VecDeque;

/// Columns of a command with its purpose.
const EXPLAINED: usize = 72;
/// Columns of a list of forms.
const MARGIN: usize = 76;

/// Keys, and what they do.
pub const KEYS: &[(&str, &str)] = &[
    ("Tab", "complete a command, a name or a path"),
    ("Up, Down, Ctrl-R", "earlier lines; search them"),
    ("Ctrl-A, Ctrl-E", "to the beginning, the end of the line"),
    ("Ctrl-W, Ctrl-U, Ctrl-K", "erase a word, to the beginning, to the end"),
    ("Alt-Enter", "begin a new row of the message"),
    ("Alt-1 to Alt-9", "open a conversation of the list of /open"),
    ("Alt-A", "open the next conversation with unread messages"),
    ("Alt-O, Alt-N", "the same as /older and /newer"),
    ("Ctrl-L", "clear the screen"),
    ("Ctrl-C", "drop the line that is being typed"),
    ("Ctrl-Z", "suspend the program; fg brings it back"),
    ("Ctrl-D", "quit, on an empty line"),
];

/// Marks in front of own messages, and what they mean.
pub const MARKS: &[(&str, &str)] = &[
    ("… or .", "is being sent"),
    ("✓ or +", "is stored by the server"),
    ("✓✓ or ++", "has reached the other one"),
    ("R", "was read; in a group, by all"),
    ("2/5", "in the open group: 2 of 5 have read it"),
    ("!", "was not sent: /retry or /drop"),
];

/// All commands: one line each for those with colons, and the syntax of the others. Fits a screen of 24 rows. On a
/// narrow one all have only their names, and those that can be written with and without a slash are listed with it.
pub fn overview(width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let is_explained =
        |row: &&Row| !row.name.starts_with('/') && (row.form.contains(':') || row.name == "help");
    let (colons, others): (Vec<_>, Vec<_>) = TABLE.iter().partition(is_explained);
    let (explained, also) =
        if width > EXPLAINED { (colons, others) } else { (vec![], TABLE.iter().filter(once).collect()) };
    let rows = explained.iter().map(|row| format!("\n  {:<22} {}", row.form, row.purpose));
    let mut lines = format!("commands:{}", rows.collect::<String>());
    // The list begins in the row of the title where there is nothing else.
    lines += if explained.is_empty() { "" } else { "\nalso:" };
    let begin = if explained.is_empty() { 0 } else { 5 };
    let mut column = lines.lines().last().map_or(0, str::len);
    let shown = |row: &&'static Row| if explained.is_empty() { row.name } else { row.form };
    let mut left: VecDeque<&str> = also.iter().map(shown).collect();
    while !left.is_empty() {
        // A shorter one of those that follow fills what the next one is too long for.
        let gap = if column == 0 { "" } else { "  " };
        let fits = |form: &&str| column + gap.len() + form.len() <= MARGIN.min(width) || column == begin;
        if let Some(form) = left.iter().position(fits).and_then(|at| left.remove(at)) {
            lines += &format!("{gap}{form}");
            column += gap.len() + form.len();
        } else {
            lines += &format!("\n{:begin$}", "");
            column = begin;
        }
    }
    let how =
        if explained.is_empty() { "/help COMMAND explains one." } else { "/help keys: keys and marks." };
    lines + "\nPlain text goes to the open conversation. " + how
}

/// Whether no other row is this one with a slash.
fn once(row: &&Row) -> bool {
    TABLE.iter().all(|other| other.name.strip_prefix('/') != Some(row.form))
}

/// The commands, the keys and the marks, for the manual page.
pub fn manual() -> String {
    let commands = TABLE.iter().map(|row| (row.form, row.purpose)).collect::<Vec<_>>();
    let parts = [("Commands", &commands[..]), ("Keys", KEYS), ("Marks", MARKS)];
    let rows = |of: &[(&str, &str)]| {
        of.iter().map(|(term, text)| format!("\n  {term:<22}  {text}")).collect::<String>()
    };
    parts.map(|(title, of)| format!("{title}:{}", rows(of))).join("\n\n")
}

/// Explains one command.
pub fn on(row: &Row) -> String {
    format!("{}\n  {}\n  example: {}", row.form, row.purpose, row.example)
}

/// Why a line was not accepted.
pub fn explain(mistake: &Mistake) -> String {
    let shorten = |word: &str| sanitize::line(word).chars().take(40).collect::<String>();
    match mistake {
        Mistake::Unknown { word, nearest: Some(nearest) } => {
            format!(
                "unknown command `{}`; did you mean `{nearest}`? `help` lists all commands",
                shorten(word)
            )
        }
        Mistake::Unknown { word, nearest: None } => {
            format!("unknown command `{}`; `help` lists all commands", shorten(word))
        }
        Mistake::Elsewhere { word, advice } => format!("{}: {advice}", shorten(word)),
        Mistake::Usage(row) if row.form == row.example => format!("write it alone: {}", row.form),
        Mistake::Usage(row) => format!("write it as {}, for example {}", row.form, row.example),
    }
}

/// The keys and the marks of messages. Fits a screen of 24 rows.
pub fn keys_and_marks() -> String {
    let rows = |of: &[(&str, &str)]| {
        of.iter().map(|(key, does)| format!("\n  {key:<22} {does}")).collect::<String>()
    };
    format!("keys:{}\nmarks of your messages:{}", rows(KEYS), rows(MARKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_fits_a_usual_and_a_narrow_screen() {
        for (width, height) in [(80, 24), (60, 20), (40, 24)] {
            let rows = overview(Some(width));
            assert!(
                rows.lines().all(|row| row.chars().count() <= width || row.starts_with("Plain")),
                "{rows}"
            );
            assert!(rows.lines().count() < height - 2, "{} rows at {width}: {rows}", rows.lines().count());
            // A narrow screen has no room for the forms, and a command in two spellings is there once.
            let is_there = |row: &Row| rows.contains(if width > EXPLAINED { row.form } else { row.name });
            assert!(TABLE.iter().all(is_there), "{rows}");
        }
    }
}
