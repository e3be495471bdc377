//! Files as a reader meets them: how long they are, what their `//!` says, which doc comments say nothing.

/// Lines of a file that need no reason.
pub const LINES_MAX: usize = 500;
/// What the `//!` of a longer file says, followed by the reason: `Over 500 lines: one exhaustive table of ...`.
pub const REASON: &str = "Over 500 lines: ";

/// Whether a file is too long without saying why.
pub fn is_too_long(text: &str) -> bool {
    let states_reason = || text.lines().any(|line| line.starts_with("//!") && line.contains(REASON));
    text.lines().count() > LINES_MAX && !states_reason()
}

/// What makes a short doc comment say something: a unit.
const UNITS: [&str; 4] = ["bytes", "milliseconds", "ms", "seconds"];

/// Doc comments of one or two words, with their lines, which count from 1. A unit, a number or code in them says
/// something: it is a bound, a shape or a link.
pub fn empty_docs(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut doc, mut begins) = (Vec::new(), String::new(), 0);
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        match line.trim_start().strip_prefix("///").filter(|rest| !rest.starts_with('/')) {
            Some(rest) => {
                if doc.is_empty() {
                    begins = number;
                }
                doc.push_str(rest);
                doc.push(' ');
            }
            None => {
                let doc = std::mem::take(&mut doc);
                if (1..=2).contains(&doc.split_whitespace().count()) && !says_something(&doc) {
                    found.push((begins, doc.trim().to_owned()));
                }
            }
        }
    }
    found
}

fn says_something(doc: &str) -> bool {
    let is_unit = |word: &str| UNITS.contains(&word.to_lowercase().trim_end_matches('.'));
    doc.contains(|c: char| c == '`' || c.is_ascii_digit()) || doc.split_whitespace().any(is_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason_at_its_head() {
        let lines = "x\n".repeat(LINES_MAX);
        assert!(!is_too_long(&lines));
        assert!(is_too_long(&format!("{lines}x\n")));
        assert!(!is_too_long(&format!(
            "//! A table.\n//!\n//! Over 500 lines: all keys, one each.\n{lines}"
        )));
        assert!(is_too_long(&format!("{lines}// Over 500 lines: not said at the head.\n")));
    }

    #[test]
    fn docs_of_three_words_say_something() {
        let text = "/// Which.\nfn a() {}\n    /// From\n    /// where.\n    b: u8,\n/// Bytes of a\n/// hash.\nc: u8,\n/// One";
        let found = [(1, "Which.".to_owned()), (3, "From  where.".to_owned()), (9, "One".to_owned())];
        assert_eq!(empty_docs(text), found);
        assert_eq!(empty_docs("/// From 1.\na: u8,\n/// `host:port`.\nb: u8,\n/// Monotonic ms.\n"), []);
        assert_eq!(empty_docs("//// no doc\n// Not\n//! Nor this\n"), []);
    }
}
