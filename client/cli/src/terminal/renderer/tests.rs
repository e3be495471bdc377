//! The renderer against a terminal emulator.

use super::*;
use crate::display::style::Colours;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

const SIZE: Size = Size { height: 12, width: 30 };
const PROMPT: &str = "li si> ";

struct Fixture {
    renderer: Renderer,
    emulator: vt100::Parser,
    typed: String,
    status: String,
    /// What each marked message shows.
    marks: BTreeMap<u64, Mark>,
    tallies: BTreeMap<u64, Tally>,
}

fn cells(count: usize) -> NonZeroU16 {
    NonZeroU16::new(u16::try_from(count).unwrap()).unwrap()
}

impl Fixture {
    fn new() -> Fixture {
        let style = Style { colours: Colours::Sixteen, unicode: true };
        let mut fixture = Fixture {
            renderer: Renderer::new(style, SIZE),
            emulator: vt100::Parser::new(cells(SIZE.height), cells(SIZE.width), 0),
            typed: String::new(),
            status: "status".to_owned(),
            marks: BTreeMap::new(),
            tallies: BTreeMap::new(),
        };
        fixture.draw();
        fixture
    }

    /// Draws as a terminal does in its default output mode.
    fn draw(&mut self) {
        let view = View {
            status: Some(self.status.clone()),
            prompt: PROMPT.to_owned(),
            text: self.typed.clone(),
            cursor: self.typed.len(),
        };
        let bytes = self.renderer.draw(Some(&view));
        self.emulator.process(bytes.replace('\n', "\r\n").as_bytes());
    }

    fn enter(&mut self) {
        self.typed.clear();
        self.draw();
    }

    fn resize(&mut self, size: Size) {
        self.emulator.screen_mut().set_size(cells(size.height), cells(size.width));
        self.renderer.resize(size);
        self.draw();
    }

    fn rows(&self) -> Vec<String> {
        self.emulator.screen().rows(0, u16::MAX).collect()
    }

    /// Checks every visible line, its mark, the one status and the prompt.
    fn check(&self) -> Result<(), TestCaseError> {
        let (shown, size) = (self.rows(), self.renderer.size());
        for row in shown.iter().filter(|_| size.width >= 12) {
            if let Some((before, after)) = row.split_once("M#") {
                let id: u64 = after.split(' ').next().unwrap().parse().unwrap();
                let mark = self.renderer.style.mark(self.marks[&id]);
                let tally = self.tallies.get(&id).filter(|_| self.marks[&id] == Mark::Stored);
                let tally = tally.map_or(String::new(), |tally| format!("{}/{} ", tally.count, tally.of));
                // It may stand alone in the first row.
                if size.width >= 30 || tally.is_empty() {
                    prop_assert_eq!(before, format!("{mark} {tally}"), "of message {}: {:#?}", id, shown);
                }
            } else if row.contains("L#") {
                prop_assert!(row.starts_with("   L#"), "{:?} in {:#?}", row, shown);
            }
        }
        let statuses = shown.iter().filter(|row| row.starts_with("──")).count();
        if size.width >= 4 {
            prop_assert_eq!(statuses, usize::from(size.height >= 3), "{:#?}", shown);
        }
        if size.height >= 8 && size.width >= 20 {
            let prompt = shown.iter().rposition(|row| row.starts_with(PROMPT.trim_end()));
            prop_assert!(prompt.is_some_and(|at| at > 0 && shown[at - 1].starts_with("──")), "{:#?}", shown);
        }
        Ok(())
    }
}

fn shown(seq: u64) -> Shown {
    Shown { conversation: ConversationId(1), seq: Seq(seq), in_list: false }
}

#[derive(Clone, Debug)]
enum Step {
    Line(String),
    Message(String),
    /// Of the message this many before the last one.
    Mark(usize, Mark),
    Tally(usize, Tally),
    /// The text of that message has changed.
    Text(usize, String),
    Type(String),
    Status(String),
    Resize(Size),
    Enter,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = "[a-z你好🙂 ]{0,50}";
    let mark = prop_oneof![Just(Mark::Stored), Just(Mark::Delivered), Just(Mark::Read), Just(Mark::Failed)];
    let sizes = prop_oneof![
        3 => (8usize..30, 20usize..60),
        1 => (1usize..10, 2usize..30),
    ];
    let step = prop_oneof![
        3 => text.prop_map(Step::Line),
        3 => text.prop_map(Step::Message),
        4 => (0usize..6, mark).prop_map(|(back, mark)| Step::Mark(back, mark)),
        3 => (0usize..6, 0u32..200, 1u32..9_999)
            .prop_map(|(back, count, of)| Step::Tally(back, Tally { count, of })),
        3 => (0usize..6, "[a-z你好🙂 ]{0,50}(\n[a-z ]{0,40})?").prop_map(|(back, text)| Step::Text(back, text)),
        2 => "[a-z你好 ]{1,40}".prop_map(Step::Type),
        1 => "[a-z]{1,40}".prop_map(Step::Status),
        1 => sizes.prop_map(|(height, width)| Step::Resize(Size { height, width })),
        2 => Just(Step::Enter),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn marks_are_painted_in_the_rows_of_their_messages_at_every_size(steps in steps()) {
        let mut fixture = Fixture::new();
        for (number, step) in steps.into_iter().enumerate() {
            let id = number as u64;
            match step {
                Step::Line(text) => {
                    fixture.renderer.push(Draw::Lines(format!("   L#{id} {text}")));
                    fixture.draw();
                }
                Step::Message(text) => {
                    fixture.marks.insert(id, Mark::Sending);
                    let text = format!("M#{id} {text}");
                    // Every second one is stored later.
                    let of = id.is_multiple_of(2).then_some(shown(id));
                    fixture.renderer.push(Draw::Message { id: MarkId(id), mark: Mark::Sending, of, text });
                    fixture.draw();
                    fixture.renderer.push(Draw::Stored { id: MarkId(id), of: shown(id) });
                }
                Step::Text(back, text) => {
                    let Some(id) = fixture.marks.keys().rev().nth(back).copied() else { continue };
                    let text = format!("M#{id} {text}");
                    fixture.renderer.push(Draw::Text { of: shown(id), text });
                    fixture.draw();
                }
                Step::Mark(back, mark) => {
                    let Some(id) = fixture.marks.keys().rev().nth(back).copied() else { continue };
                    fixture.marks.insert(id, mark);
                    fixture.renderer.push(Draw::Mark { id: MarkId(id), mark });
                    fixture.draw();
                }
                Step::Tally(back, tally) => {
                    let Some(id) = fixture.marks.keys().rev().nth(back).copied() else { continue };
                    fixture.tallies.insert(id, tally);
                    fixture.renderer.push(Draw::Tally { id: MarkId(id), tally });
                    fixture.draw();
                }
                Step::Type(text) if columns::width(&fixture.typed) < 60 => {
                    fixture.typed.push_str(&text);
                    fixture.draw();
                }
                Step::Status(status) => {
                    fixture.status = status;
                    fixture.draw();
                }
                Step::Resize(size) => fixture.resize(size),
                Step::Type(_) | Step::Enter => fixture.enter(),
            }
            fixture.check()?;
        }
    }
}

#[test]
fn after_the_screen_was_cleared_nothing_is_repainted() {
    let mut fixture = Fixture::new();
    fixture.renderer.push(Draw::Message {
        id: MarkId(1),
        mark: Mark::Sending,
        of: None,
        text: "M#1 hello".into(),
    });
    fixture.draw();
    fixture.renderer.clear();
    fixture.draw();
    let before = fixture.rows();
    assert!(before[0].starts_with("── status"), "{before:#?}");
    fixture.renderer.push(Draw::Mark { id: MarkId(1), mark: Mark::Read });
    fixture.draw();
    assert_eq!(fixture.rows(), before);
}

#[test]
fn a_mark_above_a_change_of_the_size_is_repainted() {
    let mut fixture = Fixture::new();
    fixture.renderer.push(Draw::Message {
        id: MarkId(1),
        mark: Mark::Stored,
        of: None,
        text: "M#1 hello".into(),
    });
    fixture.draw();
    fixture.resize(Size { height: 8, width: 20 });
    assert_eq!(fixture.rows()[0], " ✓ M#1 hello");
    fixture.renderer.push(Draw::Mark { id: MarkId(1), mark: Mark::Read });
    fixture.draw();
    assert_eq!(fixture.rows()[0], " R M#1 hello");
}

#[test]
fn the_count_of_readers_is_repainted_in_its_row_until_all_have_read() {
    let mut fixture = Fixture::new();
    fixture.renderer.push(Draw::Message {
        id: MarkId(1),
        mark: Mark::Stored,
        of: None,
        text: "M#1 hello all".into(),
    });
    fixture.renderer.push(Draw::Lines("   L#2".to_owned()));
    let count = |fixture: &mut Fixture, count, of| {
        fixture.renderer.push(Draw::Tally { id: MarkId(1), tally: Tally { count, of } });
        fixture.draw();
        fixture.rows()[..3].to_vec()
    };
    assert_eq!(count(&mut fixture, 2, 5)[..2], [" ✓ 2/5 M#1 hello all", "   L#2"]);
    assert_eq!(count(&mut fixture, 10, 50)[0], " ✓ 10/50 M#1 hello all");
    // Where it takes another row, everything is drawn anew.
    fixture.resize(Size { height: 12, width: 20 });
    assert_eq!(count(&mut fixture, 9, 10)[..2], [" ✓ 9/10 M#1 hello", "     all"]);
    fixture.renderer.push(Draw::Mark { id: MarkId(1), mark: Mark::Read });
    fixture.draw();
    assert_eq!(fixture.rows()[..2], [" R M#1 hello all", "   L#2"]);
    assert_eq!(fixture.renderer.visible(), [MarkId(1)].into());
    for number in 3..30 {
        fixture.renderer.push(Draw::Lines(format!("   L#{number}")));
    }
    fixture.draw();
    assert_eq!(fixture.renderer.visible(), [].into());
}

#[test]
fn a_changed_message_is_painted_anew_where_it_was_printed() {
    let mut fixture = Fixture::new();
    let listed = Shown { in_list: true, ..shown(1) };
    fixture.renderer.push(Draw::Shown { of: shown(1), text: "   one".into() });
    fixture.renderer.push(Draw::Lines("   L#2".into()));
    fixture.renderer.push(Draw::Shown { of: listed, text: "   #1 one".into() });
    fixture.draw();
    let change = |fixture: &mut Fixture, of, text: &str| {
        fixture.renderer.push(Draw::Text { of, text: text.into() });
        fixture.draw();
        fixture.rows()[..5].to_vec()
    };
    assert_eq!(change(&mut fixture, shown(1), "   two")[..3], ["   two", "   L#2", "   #1 one"]);
    assert_eq!(change(&mut fixture, listed, "   #1 two")[..3], ["   two", "   L#2", "   #1 two"]);
    // More lines and fewer.
    assert_eq!(
        change(&mut fixture, shown(1), "   a\n   b\n   c"),
        ["   a", "   b", "   c", "   L#2", "   #1 two"]
    );
    assert_eq!(change(&mut fixture, shown(1), "   d")[..3], ["   d", "   L#2", "   #1 two"]);
    assert_eq!(fixture.renderer.shown(ConversationId(1)), [(shown(1), true), (listed, true)].into());
    assert_eq!(fixture.renderer.shown(ConversationId(2)), BTreeMap::new());
    for number in 3..30 {
        fixture.renderer.push(Draw::Lines(format!("   L#{number}")));
    }
    fixture.draw();
    assert_eq!(fixture.renderer.shown(ConversationId(1)), [(shown(1), false), (listed, false)].into());
    let before = fixture.rows();
    fixture.renderer.push(Draw::Text { of: shown(1), text: "   e".into() });
    fixture.draw();
    assert_eq!(fixture.rows(), before);
    fixture.resize(Size { height: 40, width: 30 });
    assert_eq!(fixture.rows()[0], "   e", "it is drawn as it is now");
}

#[test]
fn lines_out_of_sight_come_back_when_the_screen_grows() {
    let mut fixture = Fixture::new();
    for number in 1..=8 {
        fixture.renderer.push(Draw::Lines(format!("   L#{number}")));
    }
    fixture.draw();
    fixture.resize(Size { height: 4, width: 30 });
    assert_eq!(fixture.rows()[..2], ["   L#7", "   L#8"]);
    fixture.resize(Size { height: 20, width: 30 });
    assert_eq!((fixture.rows()[0].as_str(), fixture.rows()[7].as_str()), ("   L#1", "   L#8"));
}

#[test]
fn a_long_status_is_cut_to_one_row() {
    let mut fixture = Fixture::new();
    fixture.status = "李四 (2) ── 3 unread: 张三 1, 王五 2 ── offline: next try in 5 s".into();
    fixture.draw();
    let rows = fixture.rows();
    assert!(rows[0].starts_with("── 李四 (2)") && rows[0].contains('~'), "{rows:#?}");
    assert!(rows[1].starts_with(PROMPT.trim_end()), "{rows:#?}");
}

#[test]
fn what_is_typed_at_the_end_of_a_row_is_written_alone() {
    let mut fixture = Fixture::new();
    fixture.typed = "hel".to_owned();
    fixture.draw();
    let view = |text: &str| View {
        status: Some("status".to_owned()),
        prompt: PROMPT.to_owned(),
        text: text.to_owned(),
        cursor: text.len(),
    };
    assert_eq!(fixture.renderer.draw(Some(&view("hell"))), "l");
    assert_eq!(fixture.renderer.draw(Some(&view("hell"))), "");
}
