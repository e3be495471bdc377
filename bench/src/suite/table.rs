//! The suite's figures as tables: on a terminal with their goals, and in the project's README.

use super::goals::{GOALS, Goal, ROWS, Relation, Row};
use crate::args::Placement;
use crate::error::Error;
use crate::format::grouped;
use crate::results::is_generator_bound;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The markers around the page's table.
const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- figures: end -->";

/// Results with their mode and name.
#[derive(Debug, Default)]
pub struct Results(pub Vec<(Placement, String, Map<String, Value>)>);

impl Results {
    fn figure(&self, placement: Placement, run: &str, key: &str) -> Option<f64> {
        self.result(placement, run)?.get(key)?.as_f64()
    }

    fn result(&self, placement: Placement, run: &str) -> Option<&Map<String, Value>> {
        let mut of_run = self.0.iter().filter(|(mode, name, _)| *mode == placement && name == run);
        of_run.next_back().map(|(_, _, result)| result)
    }

    fn is_generator_bound(&self, placement: Placement, run: &str) -> bool {
        self.result(placement, run).is_some_and(is_generator_bound)
    }

    /// All figures with their goals; `*` marks runs limited by the generator.
    pub fn on_terminal(&self, placement: Placement) -> String {
        let mut text = String::new();
        for Goal { title, run, key, scale, unit, relation, goal, floor, divisor } in GOALS {
            let divisor = divisor.map_or(Some(1.0), |run| self.figure(placement, run, key));
            let Some((figure, divisor)) = self.figure(placement, run, key).zip(divisor) else { continue };
            let figure = figure * scale / divisor;
            let (sign, is_met) = match relation {
                Relation::AtMost => ("<=", figure <= *goal),
                Relation::AtLeast => (">=", figure >= *goal),
            };
            let has_goal = goal.is_finite() && *goal != 0.0;
            let met = if is_met { "met" } else { "MISSED" };
            let verdict = if has_goal { format!("{sign} {:<8} {met}", short(*goal)) } else { String::new() };
            let floor = floor.and_then(|run| self.figure(placement, run, key)).map(|floor| floor * scale);
            let floor = floor.map_or(String::new(), |floor| format!("relay: {}", short(floor)));
            let mark = if self.is_generator_bound(placement, run) { "*" } else { "" };
            let line = format!("  {title:<48} {:>10} {unit:<12} {verdict:<20} {floor} {mark}", short(figure));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// The page's table in Markdown; `\*` marks runs limited by the generator.
    pub fn as_markdown(&self) -> String {
        let mut text = String::from(
            "| | server on one core, generator on the other | unpinned | relay, pinned |\n|---|---|---|---|\n",
        );
        for row in ROWS {
            let cell = |placement, run| self.cell(row, placement, run).unwrap_or_default();
            let (pinned, free) = (cell(Placement::Pinned, row.run), cell(Placement::Free, row.run));
            if pinned.is_empty() && free.is_empty() {
                continue;
            }
            let floor = row.floor.map(|run| cell(Placement::Pinned, run)).unwrap_or_default();
            let _ = writeln!(text, "| {} | {pinned} | {free} | {floor} |", row.title);
        }
        text
    }

    fn cell(&self, row: &Row, placement: Placement, run: &str) -> Option<String> {
        let mut text = String::new();
        let mut pieces = row.text.split("{}");
        text.push_str(pieces.next()?);
        for ((key, scale, digits), piece) in row.figures.iter().zip(pieces) {
            let figure = self.figure(placement, run, key)? * scale;
            let shown =
                if *digits == 0 { grouped(figure.round() as u64) } else { format!("{figure:.digits$}") };
            text.push_str(&shown);
            text.push_str(piece);
        }
        if self.is_generator_bound(placement, run) {
            text.push_str(" \\*");
        }
        Some(text)
    }
}

fn short(figure: f64) -> String {
    if figure.abs() >= 1_000.0 { grouped(figure.round() as u64) } else { format!("{figure:.2}") }
}

/// Replaces the text between the markers of `page` with `table`.
pub fn write_page(page: &Path, table: &str) -> Result<(), Error> {
    let text =
        fs::read_to_string(page).map_err(|error| Error::io(format!("read {}", page.display()), error))?;
    let text = replaced(&text, table)
        .ok_or_else(|| Error::Usage(format!("{} lacks the lines `{BEGIN}` and `{END}`", page.display())))?;
    fs::write(page, text).map_err(|error| Error::io(format!("write {}", page.display()), error))
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results() -> Results {
        let result = |us: f64| match json!({"server_us_per_message": us, "delivered_per_second": 310_000.4}) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Results(vec![
            (Placement::Pinned, "window 64".into(), result(2.9)),
            (Placement::Pinned, "window 64, relay".into(), result(0.4)),
            (Placement::Free, "window 64".into(), result(3.4)),
        ])
    }

    #[test]
    fn figures_are_shown_with_goal_and_lower_bound() {
        let text = results().on_terminal(Placement::Pinned);
        let line = text.lines().next().unwrap();
        assert!(line.contains("2.90") && line.contains("met") && line.contains("relay: 0.40"), "{text}");
        assert!(results().on_terminal(Placement::Free).contains("MISSED"));
    }

    #[test]
    fn only_the_table_of_the_page_is_replaced() {
        let table = results().as_markdown();
        assert!(table.contains(
            "| 50 pairs, 64 outstanding each | 2.9 us, 310,000/s | 3.4 us, 310,000/s | 0.4 us, 310,000/s |"
        ));
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let page = replaced(&page, &table).unwrap();
        assert!(page.starts_with("a\n") && page.ends_with("\nb\n") && !page.contains("old"));
        assert_eq!(replaced(&page, &table).unwrap(), page);
        assert_eq!(replaced("no markers", &table), None);
    }
}
