//! The renderer against a terminal emulator, with a model of the line editor.

use super::*;
use crate::display::style::Colours;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

const HEIGHT: u16 = 12;
const WIDTH: u16 = 30;
const PROMPT: &str = "li si> ";

struct Fixture {
    renderer: Renderer,
    emulator: vt100::Parser,
    typed: String,
    /// What each marked message shows.
    marks: BTreeMap<u64, Mark>,
}

impl Fixture {
    fn new() -> Fixture {
        let size = |cells| NonZeroU16::new(cells).unwrap();
        let style = Style { colours: Colours::Sixteen, unicode: true };
        let mut fixture = Fixture {
            renderer: Renderer::new(style, HEIGHT.into(), WIDTH.into()),
            emulator: vt100::Parser::new(size(HEIGHT), size(WIDTH), 0),
            typed: String::new(),
            marks: BTreeMap::new(),
        };
        fixture.prompt();
        fixture
    }

    /// Writes as a terminal does in its default output mode.
    fn write(&mut self, text: &str) {
        self.emulator.process(text.replace('\n', "\r\n").as_bytes());
    }

    fn prompt(&mut self) {
        self.renderer.begin_edit();
        let before = self.renderer.draw_prompt(true);
        self.renderer.edited(&self.typed, columns::width(PROMPT));
        let fills = columns::end(&self.typed, columns::width(PROMPT), WIDTH.into()).1 == usize::from(WIDTH);
        // The editor adds a line end if the line exactly fills a row.
        let end = if fills { "\n" } else { "" };
        let text = format!("{before}{PROMPT}{}{end}", self.typed);
        self.write(&text);
    }

    /// The editor erases its rows and paints them again.
    fn repaint(&mut self) {
        let up = self.renderer.edited - 1;
        self.write(&format!("{}\r\x1b[J", if up > 0 { format!("\x1b[{up}A") } else { String::new() }));
        self.prompt();
    }

    fn enter(&mut self) {
        self.write("\n");
        let after = self.renderer.end_edit(false);
        self.write(&after);
        self.typed.clear();
        self.prompt();
    }

    fn rows(&self) -> Vec<String> {
        self.emulator.screen().rows(0, WIDTH).collect()
    }

    /// Checks every visible line and its mark.
    fn check(&self) -> Result<(), TestCaseError> {
        for row in self.rows() {
            if let Some((before, after)) = row.split_once("M#") {
                let id: u64 = after.split(' ').next().unwrap().parse().unwrap();
                let mark = self.renderer.style.mark(self.marks[&id]);
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
    /// Of the message this many before the last one.
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
    fn marks_are_painted_in_the_rows_of_their_messages(steps in steps()) {
        let mut fixture = Fixture::new();
        for (number, step) in steps.into_iter().enumerate() {
            let id = number as u64;
            match step {
                Step::Line(text) => {
                    fixture.renderer.push(Draw::Lines(format!("   L#{id} {text}")));
                    fixture.repaint();
                }
                Step::Message(text) => {
                    fixture.marks.insert(id, Mark::Sending);
                    fixture.renderer.push(Draw::Message { id: MarkId(id), mark: Mark::Sending, text: format!("M#{id} {text}") });
                    fixture.repaint();
                }
                Step::Mark(back, mark) => {
                    let Some(id) = fixture.marks.keys().rev().nth(back).copied() else { continue };
                    fixture.marks.insert(id, mark);
                    fixture.renderer.push(Draw::Mark { id: MarkId(id), mark });
                    fixture.repaint();
                }
                // A line that takes most of the screen would push messages out of sight.
                Step::Type(text) if columns::width(&fixture.typed) < 60 => {
                    fixture.typed.push_str(&text);
                    fixture.repaint();
                }
                Step::Type(_) | Step::Enter => fixture.enter(),
            }
            fixture.check()?;
        }
    }
}

#[test]
fn after_foreign_output_nothing_is_repainted() {
    let mut fixture = Fixture::new();
    fixture.renderer.push(Draw::Message { id: MarkId(1), mark: Mark::Sending, text: "M#1 hello".into() });
    fixture.repaint();
    // Ctrl-L.
    fixture.renderer.forget();
    fixture.write("\x1b[H\x1b[J");
    fixture.prompt();
    let before = fixture.rows();
    fixture.renderer.push(Draw::Mark { id: MarkId(1), mark: Mark::Read });
    fixture.repaint();
    assert_eq!(fixture.rows(), before);
}

#[test]
fn a_long_status_is_cut_to_one_row() {
    let mut fixture = Fixture::new();
    fixture.renderer.status = "李四 (2) ── 3 unread: 张三 1, 王五 2 ── offline: next try in 5 s".into();
    fixture.repaint();
    let rows = fixture.rows();
    assert!(rows[0].starts_with("── 李四 (2)") && rows[0].contains('~'), "{rows:#?}");
    assert!(rows[1].starts_with(PROMPT), "{rows:#?}");
}
