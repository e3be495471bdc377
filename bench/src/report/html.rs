//! A result as one self-contained HTML page for screens of any size, in light and dark mode.

use super::bottleneck::bottleneck;
use super::json::{histogram, result};
use super::plot::{Line, Step, bars, lines, time};
use super::run_report::{RunReport, VERSION};
use crate::format::{grouped, plural};
use crate::measure::{Interval, Measurement, Tally};
use crate::outcome::Outcome;
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#66707f;--paper:#fff;--line:#e3e7ec;--a:#0b6bcb;--b:#c2410c;--c:#15803d;--shade:#0b6bcb14}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#98a2b3;--paper:#12161c;--line:#2a313b;--a:#6cb6ff;--b:#ffa657;--c:#7ee787;--shade:#6cb6ff1c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:16px;max-width:760px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.3rem;line-height:1.3;margin:.2em 0}h2{font-size:1.05rem;margin:1.6em 0 .3em}
.verdict{display:inline-block;padding:.1em .6em;border-radius:1em;border:1px solid;font-weight:600}
.good{color:var(--c)}.bad{color:var(--b)}
.note{border-left:4px solid var(--b);padding:.3em .8em;margin:.8em 0}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:13px system-ui,sans-serif}.left{text-anchor:end}.below{text-anchor:middle}
.grid{stroke:var(--line);fill:none}.shade{fill:var(--shade)}.bar{fill:var(--a)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}path.a{stroke:var(--a)}path.b{stroke:var(--b)}path.c{stroke:var(--c)}
.legend{margin:.1em 0;font-size:.9rem}.legend span{margin-right:1em}span.a{color:var(--a)}span.b{color:var(--b)}span.c{color:var(--c)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:8px;margin:1em 0}
.figures div{border:1px solid var(--line);border-radius:8px;padding:.5em .7em}
.figures b{display:block;font-size:1.25rem}.figures span{color:var(--soft);font-size:.85rem}
details{margin:1.5em 0}pre{overflow-x:auto;font-size:.8rem;border:1px solid var(--line);border-radius:8px;padding:.7em}
";

pub fn render(report: &RunReport) -> String {
    let (verdict, class) = match report.outcome() {
        Outcome::Clean => ("every message accounted for", "good"),
        Outcome::Faulty => ("faulty, see below", "bad"),
    };
    let title = escape(&report.description.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>chatbench: {title}</title><style>{STYLE}</style></head><body>\
         <h1>{title}</h1><p><span class=\"verdict {class}\">{verdict}</span></p>\
         <p class=\"legend\">{} · chatbench {VERSION}</p>",
        escape(&report.date)
    );
    for measurement in &report.measurements {
        put_measurement(&mut page, measurement);
    }
    let result = result(report);
    let brief = result.iter().filter(|(_, value)| !matches!(value, Value::Array(list) if list.len() > 12));
    let brief = serde_json::to_string_pretty(&brief.collect::<std::collections::BTreeMap<_, _>>());
    let (table, brief) = (escape(&report.to_string()), escape(&brief.unwrap_or_default()));
    let _ = writeln!(
        page,
        "<details open><summary>As printed on the terminal</summary><pre>{table}</pre></details>\
         <details><summary>All figures</summary><pre>{brief}</pre></details></body></html>"
    );
    page
}

fn put_measurement(page: &mut String, measurement: &Measurement) {
    let Measurement { tally, unit, latency, name, .. } = measurement;
    if !name.is_empty() {
        let _ = write!(page, "<h2>{}</h2>", escape(name));
    }
    if let Some(note) = bottleneck(measurement) {
        let _ = write!(page, "<p class=\"note\">{}</p>", escape(&note));
    }
    for (name, count) in tally.errors.iter() {
        let _ = write!(page, "<p class=\"note\">{} {count}</p>", escape(name));
    }
    page.push_str("<div class=\"figures\">");
    let mut figure = |value: String, label: String| {
        let _ = write!(page, "<div><b>{value}</b><span>{}</span></div>", escape(&label));
    };
    figure(grouped(tally.per_second() as u64), format!("{} a second", plural(unit)));
    if tally.latency.count() > 0 {
        let quantiles = tally.latency.quantiles();
        figure(time(quantiles.p50), format!("{latency}, median"));
        figure(time(quantiles.p99), format!("{latency}, p99"));
    }
    if let Some(server) = &tally.server {
        figure(format!("{:.2} us", tally.us_each(server.cpu_ns)), format!("server CPU time a {unit}"));
        figure(format!("{:.0} MiB", server.rss_kib as f64 / 1024.0), "server memory".to_owned());
    }
    let faults: u64 = tally.faults.named().iter().map(|(_, count)| count).sum();
    figure(faults.to_string(), "lost, duplicated, out of order or wrong".to_owned());
    page.push_str("</div>");
    put_plots(page, measurement);
}

fn put_plots(page: &mut String, measurement: &Measurement) {
    let Measurement { tally: Tally { intervals, latency, .. }, unit, .. } = measurement;
    let Some(whole) = reach(intervals.iter()) else { return };
    let shade = reach(intervals.iter().filter(|interval| interval.is_measured));
    let line = |name, class, figure: fn(&Interval) -> f64| {
        let step =
            |interval: &Interval| Step { from: interval.began(), to: interval.at, value: figure(interval) };
        Line { name, class, steps: intervals.iter().map(step).collect() }
    };
    let mut section = |title: &str, plot: String| {
        let _ = write!(page, "<h2>{}</h2>{plot}", escape(title));
    };
    let rate = line("a second; the measured time is shaded", "a", |interval| interval.per_second);
    section(&format!("{} a second", plural(unit)), lines(&[rate], whole, shade, "1/s"));
    if latency.count() > 0 {
        // Latencies exist only in the measured time, and only where something was done.
        let mut quantiles = [
            line("median", "a", |interval| interval.latency.p50 / 1e3),
            line("p99", "b", |interval| interval.latency.p99 / 1e3),
        ];
        quantiles.iter_mut().for_each(|line| line.steps.retain(|step| step.value > 0.0));
        section("Latency over time", lines(&quantiles, whole, shade, "ms"));
        section("Latency over the whole measured time", bars(&histogram(latency)));
    }
    let mut cores = vec![line("generator", "c", |interval| interval.generator_cores * 100.0)];
    if intervals.iter().any(|interval| interval.server_cores.is_some()) {
        cores.insert(0, line("server", "a", |interval| interval.server_cores.unwrap_or(0.0) * 100.0));
    }
    section("CPU", lines(&cores, whole, shade, "% of a core"));
}

/// The start of the first interval and the end of the last.
fn reach<'a>(intervals: impl Iterator<Item = &'a Interval>) -> Option<[f64; 2]> {
    intervals.map(|interval| [interval.began(), interval.at]).reduce(|all, this| [all[0], this[1]])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
