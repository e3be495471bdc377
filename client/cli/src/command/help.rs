//! Help texts, and the sentences that explain a mistake.

use super::parse::Mistake;
use super::table::{Row, TABLE};
use chatclient_core::sanitize;

/// Columns of a command with its purpose.
const EXPLAINED: usize = 72;
/// Columns of a list of forms.
const MARGIN: usize = 76;

/// All commands: one line each for those with colons, and the syntax of the others. Fits a screen of 24 rows. On a
/// narrow one all have only their syntax.
pub fn overview(width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let (slashed, colons): (Vec<_>, Vec<_>) = TABLE.iter().partition(|row| row.name.starts_with('/'));
    let (explained, also) =
        if width > EXPLAINED { (colons, slashed) } else { (vec![], TABLE.iter().collect()) };
    let rows = explained.iter().map(|row| format!("\n  {:<22} {}", row.form, row.purpose));
    let mut lines = format!("commands:{}", rows.collect::<String>());
    lines += if explained.is_empty() { "\n " } else { "\nalso:" };
    let begin = if explained.is_empty() { 1 } else { 5 };
    let mut column = begin;
    for row in also {
        if column + 2 + row.form.len() > MARGIN.min(width) {
            lines += &format!("\n{:begin$}", "");
            column = begin;
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
            assert!(TABLE.iter().all(|row| rows.contains(row.form)));
        }
    }
}
