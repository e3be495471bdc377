//! Help texts, and the sentences that explain a mistake.

use super::parse::Mistake;
use super::table::{Row, TABLE};
use chatclient_core::sanitize;

/// All commands: one line each for those with colons, and the syntax of the others. Fits a screen of 24 rows.
pub fn overview() -> String {
    const MARGIN: usize = 76;
    let (slashed, colons): (Vec<_>, Vec<_>) = TABLE.iter().partition(|row| row.name.starts_with('/'));
    let rows = colons.iter().map(|row| format!("\n  {:<22} {}", row.form, row.purpose));
    let mut lines = format!("commands:{}\nalso:", rows.collect::<String>());
    let mut column = 5;
    for row in slashed {
        if column + 2 + row.form.len() > MARGIN {
            lines += "\n     ";
            column = 5;
        }
        lines += &format!("  {}", row.form);
        column += 2 + row.form.len();
    }
    lines + "\nPlain text goes to the open conversation. Tab completes, Ctrl-R searches."
}

/// All commands, one line each, for the manual page.
pub fn manual() -> String {
    TABLE.iter().map(|row| format!("\n  {:<22} {}", row.form, row.purpose)).collect()
}

/// Explains one command.
pub fn on(row: &Row) -> String {
    format!("{}\n  {}\n  example: {}", row.form, row.purpose, row.example)
}

/// Why a line was not accepted.
pub fn explain(mistake: &Mistake) -> String {
    match mistake {
        Mistake::Unknown { word, nearest } => {
            let word: String = sanitize::line(word).chars().take(40).collect();
            format!("unknown command `{word}`; did you mean `{nearest}`? `help` lists all commands")
        }
        Mistake::Usage(row) => format!("usage: {}   example: {}", row.form, row.example),
    }
}
