//! A terminal's screen as SVG: a window frame and fixed-width text, with the same layout whatever fonts the reader has.

use std::fmt::Write as _;
use vt100::{Cell, Color, Screen};

const CELL_WIDTH: f32 = 8.4;
const ROW_HEIGHT: f32 = 19.0;
const FONT_SIZE: f32 = 14.0;
/// From the top of a row to the baseline of its text.
const BASELINE: f32 = 14.0;
const TITLE_HEIGHT: f32 = 34.0;
const PADDING: f32 = 16.0;

const BACKGROUND: &str = "#1d2026";
const TITLE_BACKGROUND: &str = "#2a2e37";
const TEXT: &str = "#dfe3ea";
const DIM: &str = "#868e9c";
const BORDER: &str = "#3a404c";
/// The window's buttons.
const BUTTONS: [&str; 3] = ["#ff5f57", "#febc2e", "#28c840"];
/// The sixteen ANSI colours.
const PALETTE: [&str; 16] = [
    "#2a2e37", "#f07178", "#a5d674", "#ffcb6b", "#82aaff", "#d8a0f0", "#6fd3e0", "#dfe3ea", "#868e9c",
    "#ff8b92", "#c3e88d", "#ffe585", "#9cc4ff", "#e3b3ff", "#8fe8f2", "#ffffff",
];

/// The first time of day in the picture; each later one is a minute later.
const FIRST_MINUTE: usize = 18 * 60 + 41;

pub fn draw(screen: &Screen, title: &str) -> String {
    let size = screen.size();
    let (rows, columns) = (size.0.get(), size.1.get());
    let width = f32::from(columns) * CELL_WIDTH + 2.0 * PADDING;
    let height = f32::from(rows) * ROW_HEIGHT + 2.0 * PADDING + TITLE_HEIGHT;
    let mut out = String::new();
    frame(&mut out, width, height, title);
    let mut minute = FIRST_MINUTE;
    for row in 0..rows {
        for run in runs(screen, row, columns, &mut minute) {
            run.draw(&mut out, row);
        }
    }
    let (row, column) = screen.cursor_position();
    let (x, y) = (left(column), top(row));
    line(
        &mut out,
        &format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{CELL_WIDTH}" height="17" rx="1" fill="{TEXT}" opacity="0.75"/>"#
        ),
    );
    line(&mut out, "</g>");
    line(&mut out, "</svg>");
    out
}

fn frame(out: &mut String, width: f32, height: f32, title: &str) {
    line(
        out,
        &format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.1} {height:.1}" role="img">"#
        ),
    );
    line(
        out,
        "<title>The terminal client: a direct chat, a group, delivery marks and a line being typed</title>",
    );
    let (right, bottom) = (width - 1.0, height - 1.0);
    line(
        out,
        &format!(
            r#"<rect x="0.5" y="0.5" width="{right:.1}" height="{bottom:.1}" rx="9" fill="{BACKGROUND}" stroke="{BORDER}"/>"#
        ),
    );
    line(
        out,
        &format!(
            r#"<path d="M0.5 {TITLE_HEIGHT} V9.5 a9 9 0 0 1 9 -9 H{:.1} a9 9 0 0 1 9 9 V{TITLE_HEIGHT} Z" fill="{TITLE_BACKGROUND}"/>"#,
            width - 9.5
        ),
    );
    for (number, colour) in BUTTONS.iter().enumerate() {
        let x = 20 + 20 * number;
        line(out, &format!(r#"<circle cx="{x}" cy="17" r="6" fill="{colour}"/>"#));
    }
    line(
        out,
        &format!(
            r#"<text x="{:.1}" y="22" text-anchor="middle" font-family="system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif" font-size="13" fill="{DIM}">{title}</text>"#,
            width / 2.0
        ),
    );
    line(
        out,
        &format!(
            r#"<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="{FONT_SIZE}" fill="{TEXT}" xml:space="preserve">"#
        ),
    );
}

/// Neighbouring cells of one style.
struct Run {
    column: u16,
    columns: u16,
    text: String,
    colour: &'static str,
    bold: bool,
}

/// The text of a row in runs, with times of day replaced.
fn runs(screen: &Screen, row: u16, columns: u16, minute: &mut usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| cell.has_contents()) else { continue };
        let (colour, bold) = (colour(cell), cell.bold());
        let wide = 1 + u16::from(cell.is_wide());
        match runs.last_mut() {
            Some(run)
                if wide == 1
                    && run.columns as usize == run.text.chars().count()
                    && run.column + run.columns == column
                    && (run.colour, run.bold) == (colour, bold)
                    && is_rule(&run.text) == is_rule(cell.contents()) =>
            {
                run.text.push_str(cell.contents());
                run.columns += 1;
            }
            _ => runs.push(Run { column, columns: wide, text: cell.contents().to_owned(), colour, bold }),
        }
    }
    for run in &mut runs {
        replace_time(&mut run.text, minute);
        let trimmed = run.text.trim_end().chars().count();
        if trimmed < run.text.chars().count() {
            run.text.truncate(run.text.trim_end().len());
            run.columns = trimmed as u16;
        }
    }
    runs.retain(|run| !run.text.trim().is_empty());
    runs
}

/// Replaces `[12:03]`, so that the picture is the same at any time of day.
fn replace_time(text: &mut String, minute: &mut usize) {
    let Some(at) = text.find('[') else { return };
    let is_time = text[at..].char_indices().take(7).all(|(at, c)| match at {
        0 => c == '[',
        3 => c == ':',
        6 => c == ']',
        _ => c.is_ascii_digit(),
    });
    if is_time && text.len() >= at + 7 {
        text.replace_range(at + 1..at + 6, &format!("{:02}:{:02}", *minute / 60 % 24, *minute % 60));
        *minute += 1;
    }
}

fn is_rule(text: &str) -> bool {
    text.chars().all(|c| c == '─')
}

fn colour(cell: &Cell) -> &'static str {
    match cell.fgcolor() {
        Color::Idx(index) if usize::from(index) < PALETTE.len() => PALETTE[usize::from(index)],
        _ if cell.dim() => DIM,
        _ => TEXT,
    }
}

impl Run {
    fn draw(&self, out: &mut String, row: u16) {
        let Run { column, columns, text, colour, bold } = self;
        let width = f32::from(*columns) * CELL_WIDTH;
        let (x, y) = (left(*column), top(row) + BASELINE);
        if is_rule(text) {
            // Glyphs would leave gaps between the cells.
            let y = top(row) + ROW_HEIGHT / 2.0;
            return line(out, &format!(r#"<path d="M{x:.1} {y:.1} h{width:.1}" stroke="{colour}"/>"#));
        }
        let weight = if *bold { r#" font-weight="bold""# } else { "" };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        // The length keeps every column in place, whatever the width of the reader's font.
        line(
            out,
            &format!(
                r#"<text x="{x:.1}" y="{y:.1}" textLength="{width:.1}" lengthAdjust="spacingAndGlyphs" fill="{colour}"{weight}>{text}</text>"#
            ),
        );
    }
}

fn left(column: u16) -> f32 {
    PADDING + f32::from(column) * CELL_WIDTH
}

fn top(row: u16) -> f32 {
    TITLE_HEIGHT + PADDING + f32::from(row) * ROW_HEIGHT
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a String succeeds");
}
