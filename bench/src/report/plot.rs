//! Plots as inline SVG, which scale with the page and take their colours from its style sheet.

use std::fmt::Write;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 220.0;
/// Left, right, top and bottom.
const MARGIN: [f64; 4] = [52.0, 26.0, 24.0, 30.0];
/// About the number of grid lines.
const GRID: f64 = 4.0;

#[derive(Debug)]
pub struct Line {
    pub name: &'static str,
    /// The CSS class that colours it.
    pub class: &'static str,
    /// From left to right.
    pub steps: Vec<Step>,
}

/// A value over a span of time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Seconds since the start of the run.
    pub from: f64,
    pub to: f64,
    pub value: f64,
}

/// The ranges of the axes.
struct Frame {
    x: [f64; 2],
    top: f64,
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        let part = (value - self.x[0]) / (self.x[1] - self.x[0]).max(f64::MIN_POSITIVE);
        MARGIN[0] + part * (WIDTH - MARGIN[0] - MARGIN[1])
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - MARGIN[3] - value / self.top * (HEIGHT - MARGIN[2] - MARGIN[3])
    }
}

/// Lines over the time span `reach`, of which `shade` was measured, in seconds. `unit` labels the vertical axis.
pub fn lines(lines: &[Line], reach: [f64; 2], shade: Option<[f64; 2]>, unit: &str) -> String {
    let values = lines.iter().flat_map(|line| &line.steps).map(|step| step.value);
    let step = step(values.fold(0.0, f64::max));
    let frame = Frame { x: reach, top: step * GRID };
    let mut svg = open(unit);
    if let Some([from, to]) = shade {
        let (left, right) = (frame.x(from.max(frame.x[0])), frame.x(to.min(frame.x[1])));
        let _ = write!(
            svg,
            "<rect class=\"shade\" x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            MARGIN[2],
            (right - left).max(0.0),
            HEIGHT - MARGIN[2] - MARGIN[3]
        );
    }
    grid(&mut svg, &frame, step);
    let every = self::step(reach[1] - reach[0]);
    let first = (reach[0] / every).ceil();
    for value in (0..=GRID as u32).map(|number| (first + f64::from(number)) * every) {
        if value <= reach[1] {
            tick(&mut svg, frame.x(value), &format!("{} s", short(value)));
        }
    }
    for line in lines {
        let (mut path, mut end) = (String::new(), f64::NEG_INFINITY);
        for Step { from, to, value } in &line.steps {
            let (left, right, y) = (frame.x(*from), frame.x(*to), frame.y(*value));
            // Steps are joined by vertical lines, gaps are left open: a slope would show values that never occurred.
            let _ = if (left - end).abs() < 0.5 {
                write!(path, "V{y:.1}H{right:.1}")
            } else {
                write!(path, "M{left:.1} {y:.1}H{right:.1}")
            };
            end = right;
        }
        let _ = write!(
            svg,
            "<path class=\"line {}\" d=\"{path}\"><title>{}</title></path>",
            line.class, line.name
        );
    }
    svg.push_str("</svg>");
    let legend = lines.iter().map(|line| format!("<span class=\"{}\">{}</span>", line.class, line.name));
    format!("{svg}<p class=\"legend\">{}</p>", legend.collect::<Vec<_>>().join(" "))
}

/// Bars over a logarithmic axis: the upper end of each, us, and its count.
pub fn bars(steps: &[(f64, u64)]) -> String {
    let mut svg = open("share, %");
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return svg + "</svg>" };
    let whole = steps.iter().map(|step| step.1).sum::<u64>().max(1) as f64;
    let share = |count: u64| count as f64 * 100.0 / whole;
    let step = step(steps.iter().map(|step| share(step.1)).fold(0.0, f64::max));
    let width = 1.0 / 8.0;
    let frame =
        Frame { x: [first.0.log2() - width, last.0.log2().max(first.0.log2() + 1.0)], top: step * GRID };
    grid(&mut svg, &frame, step);
    for (end, count) in steps {
        let (left, right, top) = (frame.x(end.log2() - width), frame.x(end.log2()), frame.y(share(*count)));
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>to {}: {:.3} %</title></rect>",
            (right - left - 0.4).max(0.4),
            frame.y(0.0) - top,
            time(*end),
            share(*count)
        );
    }
    for part in 0..=4 {
        let value = frame.x[0] + (frame.x[1] - frame.x[0]) * f64::from(part) / 4.0;
        tick(&mut svg, frame.x(value), &time(value.exp2()));
    }
    svg + "</svg>"
}

/// Microseconds with a fitting unit.
pub fn time(us: f64) -> String {
    match us {
        us if us < 10.0 => format!("{us:.1} us"),
        us if us < 1_000.0 => format!("{us:.0} us"),
        us if us < 10_000.0 => format!("{:.1} ms", us / 1e3),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

fn open(unit: &str) -> String {
    let (x, y) = (MARGIN[0], MARGIN[2] - 9.0);
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><text x=\"{x}\" y=\"{y}\">{unit}</text>")
}

fn grid(svg: &mut String, frame: &Frame, step: f64) {
    for line in 0..=GRID as u32 {
        let value = step * f64::from(line);
        let (y, end) = (frame.y(value), WIDTH - MARGIN[1]);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{} {y:.1}H{end}\"/>", MARGIN[0]);
        let _ = write!(
            svg,
            "<text class=\"left\" x=\"{}\" y=\"{:.1}\">{}</text>",
            MARGIN[0] - 6.0,
            y + 4.0,
            short(value)
        );
    }
}

fn tick(svg: &mut String, x: f64, label: &str) {
    let y = HEIGHT - MARGIN[3] + 18.0;
    let _ = write!(svg, "<text class=\"below\" x=\"{x:.1}\" y=\"{y}\">{label}</text>");
}

/// The distance of grid lines that reach up to `top`: 1, 2, 2.5 or 5 times a power of ten.
fn step(top: f64) -> f64 {
    if top <= 0.0 {
        return 1.0;
    }
    let least = top / GRID;
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

fn short(value: f64) -> String {
    let text = match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.0} k", value / 1e3),
        value if value >= 1e3 => format!("{:.1} k", value / 1e3),
        value if value >= 10.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    };
    text.replace(".00 M", " M").replace(".0 k", " k")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_lines_are_round_and_reach_the_top() {
        for (top, want) in [(0.0, 1.0), (1.0, 0.25), (98.0, 25.0), (307_000.0, 100_000.0), (4.0, 1.0)] {
            assert!((step(top) / want - 1.0).abs() < 1e-9, "{top}: {}", step(top));
            assert!(step(top) * GRID >= top);
        }
    }

    #[test]
    fn plots_are_valid_for_any_input() {
        let line = |steps| Line { name: "a", class: "a", steps };
        let step = |from, value| Step { from, to: from + 1.0, value };
        for steps in [vec![], vec![step(1.0, 0.0)], vec![step(0.0, 1.0), step(1.0, 3.0)]] {
            let svg = lines(&[line(steps)], [0.0, 2.0], Some([0.0, 9.0]), "us");
            assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        // A constant value is level, and a missing value is a gap.
        let svg =
            lines(&[line(vec![step(0.0, 4.0), step(1.0, 2.0), step(5.0, 2.0)])], [0.0, 6.0], None, "us");
        let path = svg.split("class=\"line a\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!((path.matches('V').count(), path.matches('L').count()), (1, 0), "{path}");
        for steps in [vec![], vec![(1.0, 5)], vec![(1.0, 5), (2.0, 0), (1e6, 1)]] {
            let svg = bars(&steps);
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
