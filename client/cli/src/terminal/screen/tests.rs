//! The pen against a terminal emulator, and beside it an editor that does what the real one does.

use super::*;
use crate::terminal::style::Colours;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

const HEIGHT: u16 = 12;
const WIDTH: u16 = 30;
const PROMPT: &str = "li si> ";

struct Desk {
    pen: Pen,
    emulator: vt100::Parser,
    typed: String,
    /// What each marked message shows.
    marks: BTreeMap<u64, Mark>,
}

impl Desk {
    fn new() -> Desk {
        let size = |cells| NonZeroU16::new(cells).unwrap();
        let style = Style { colours: Colours::Sixteen, unicode: true };
        let mut desk = Desk {
            pen: Pen::new(style, HEIGHT.into(), WIDTH.into()),
            emulator: vt100::Parser::new(size(HEIGHT), size(WIDTH), 0),
            typed: String::new(),
            marks: BTreeMap::new(),
        };
        desk.prompt();
        desk
    }

    /// As a terminal does with what a program writes.
    fn write(&mut self, text: &str) {
        self.emulator.process(text.replace('\n', "\r\n").as_bytes());
    }

    fn prompt(&mut self) {
        self.pen.begin_edit();
        let before = self.pen.draw_prompt(true);
        self.pen.edited(&self.typed, columns::width(PROMPT));
        let fills = columns::end(&self.typed, columns::width(PROMPT), WIDTH.into()).1 == usize::from(WIDTH);
        // The editor makes its own line end where the line just fills a row.
        let end = if fills { "\n" } else { "" };
        let text = format!("{before}{PROMPT}{}{end}", self.typed);
        self.write(&text);
    }

    /// The editor takes its rows away and paints them again.
    fn repaint(&mut self) {
        let up = self.pen.edited - 1;
        self.write(&format!("{}\r\x1b[J", if up > 0 { format!("\x1b[{up}A") } else { String::new() }));
        self.prompt();
    }

    fn enter(&mut self) {
        self.write("\n");
        let after = self.pen.end_edit(false);
        self.write(&after);
        self.typed.clear();
        self.prompt();
    }

    fn rows(&self) -> Vec<String> {
        self.emulator.screen().rows(0, WIDTH).collect()
    }

    /// Every line that can be seen is what it should be, and has the mark that it should have.
    fn check(&self) -> Result<(), TestCaseError> {
        for row in self.rows() {
            if let Some((before, after)) = row.split_once("M#") {
                let id: u64 = after.split(' ').next().unwrap().parse().unwrap();
                let mark = self.pen.style.mark(self.marks[&id]);
                prop_assert_eq!(before, format!("{mark} "), "of message {}: {:#?}", id, self.rows());
            } else if row.contains("L#") {
                prop_assert!(row.starts_with("   L#"), "{:?} in {:#?}", row, self.rows());
            }
        }
        let shown = self.rows();
        let prompt = shown.iter().rposition(|row| row.starts_with(PROMPT));
        prop_assert!(prompt.is_some_and(|at| at > 0 && shown[at - 1].starts_with("──")), "{:#?}", shown);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Line(String),
    Message(String),
    /// The message this many before the last one.
    Mark(usize, Mark),
    Type(String),
    Enter,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = "[a-z你好🙂 ]{0,50}";
    let mark = prop_oneof![Just(Mark::Stored), Just(Mark::Delivered), Just(Mark::Read), Just(Mark::Failed)];
    let step = prop_oneof![
        3 => text.prop_map(Step::Line),
        3 => text.prop_map(Step::Message),
        4 => (0usize..6, mark).prop_map(|(back, mark)| Step::Mark(back, mark)),
        2 => "[a-z你好 ]{1,40}".prop_map(Step::Type),
        2 => Just(Step::Enter),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn marks_are_painted_where_their_messages_stand(steps in steps()) {
        let mut desk = Desk::new();
        for (number, step) in steps.into_iter().enumerate() {
            let id = number as u64;
            match step {
                Step::Line(text) => {
                    desk.pen.waiting.push(Stroke::Lines(format!("   L#{id} {text}")));
                    desk.repaint();
                }
                Step::Message(text) => {
                    desk.marks.insert(id, Mark::Sending);
                    desk.pen.waiting.push(Stroke::Message(LineId(id), Mark::Sending, format!("M#{id} {text}")));
                    desk.repaint();
                }
                Step::Mark(back, mark) => {
                    let Some(id) = desk.marks.keys().rev().nth(back).copied() else { continue };
                    desk.marks.insert(id, mark);
                    desk.pen.waiting.push(Stroke::Mark(LineId(id), mark));
                    desk.repaint();
                }
                // A line that takes most of the screen pushes messages out of sight, and they are not painted there.
                Step::Type(text) if columns::width(&desk.typed) < 60 => {
                    desk.typed.push_str(&text);
                    desk.repaint();
                }
                Step::Type(_) | Step::Enter => desk.enter(),
            }
            desk.check()?;
        }
    }
}

#[test]
fn after_something_else_has_written_nothing_is_painted_over() {
    let mut desk = Desk::new();
    desk.pen.waiting.push(Stroke::Message(LineId(1), Mark::Sending, "M#1 hello".into()));
    desk.repaint();
    // Ctrl-L.
    desk.pen.forget();
    desk.write("\x1b[H\x1b[J");
    desk.prompt();
    let before = desk.rows();
    desk.pen.waiting.push(Stroke::Mark(LineId(1), Mark::Read));
    desk.repaint();
    assert_eq!(desk.rows(), before);
}

#[test]
fn a_status_that_is_too_long_stays_on_its_row() {
    let mut desk = Desk::new();
    desk.pen.status = "李四 (2) ── 3 unread: 张三 1, 王五 2 ── offline: next try in 5 s".into();
    desk.repaint();
    let rows = desk.rows();
    assert!(rows[0].starts_with("── 李四 (2)") && rows[0].contains('~'), "{rows:#?}");
    assert!(rows[1].starts_with(PROMPT), "{rows:#?}");
}
