//! The limit of each call site: so many lines a second, then one line with the number of lines that were suppressed.

use log::{Level, Record};
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

/// Lines of one call site in a window.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// The call sites that have logged. Their number is bounded by the source code.
#[derive(Debug, Default)]
pub(super) struct CallSites {
    windows: HashMap<CallSite, Window>,
    /// When the first window with suppressed lines ends.
    next_report: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CallSite {
    file: &'static str,
    line: u32,
}

#[derive(Debug)]
struct Window {
    begin: Instant,
    lines: u32,
    suppressed: u64,
    level: Level,
    module: &'static str,
}

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admission {
    /// To be reported before the line.
    pub suppressed: Option<Suppressed>,
    pub is_admitted: bool,
}

/// Lines that were not written, as their report shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub level: Level,
    lines: u64,
    module: &'static str,
    line: u32,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Suppressed { lines, module, line, .. } = self;
        write!(
            f,
            "suppressed {lines} more lines of this kind ({module}:{line}); at most {LINES} a second are written"
        )
    }
}

impl CallSites {
    /// Decides whether the line of a record is written.
    pub fn admit(&mut self, record: &Record<'_>, now: Instant) -> Admission {
        let site = CallSite {
            file: record.file_static().unwrap_or_default(),
            line: record.line().unwrap_or_default(),
        };
        let module = record.module_path_static().unwrap_or("?");
        let window = self.windows.entry(site).or_insert_with(|| Window {
            begin: now,
            lines: 0,
            suppressed: 0,
            level: record.level(),
            module,
        });
        let mut suppressed = None;
        if now.duration_since(window.begin) >= WINDOW {
            suppressed = window.take_suppressed(site);
            (window.begin, window.lines, window.level) = (now, 0, record.level());
        }
        let is_admitted = window.lines < LINES;
        if is_admitted {
            window.lines += 1;
        } else {
            window.suppressed += 1;
            let end = window.begin + WINDOW;
            self.next_report = Some(self.next_report.map_or(end, |next| next.min(end)));
        }
        Admission { suppressed, is_admitted }
    }

    /// When [`CallSites::take_expired`] has something to report next.
    pub fn next_report(&self) -> Option<Instant> {
        self.next_report
    }

    /// The suppressed lines of all windows that have ended, and when the next such window ends.
    pub fn take_expired(&mut self, now: Instant) -> (Vec<Suppressed>, Option<Instant>) {
        if self.next_report.is_none_or(|next| next > now) {
            return (Vec::new(), self.next_report);
        }
        let expired = self.take(|window| window.begin + WINDOW <= now);
        let open = self.windows.values().filter(|window| window.suppressed > 0);
        self.next_report = open.map(|window| window.begin + WINDOW).min();
        (expired, self.next_report)
    }

    /// All suppressed lines, whether their windows have ended or not.
    pub fn take_all(&mut self) -> Vec<Suppressed> {
        self.next_report = None;
        self.take(|_| true)
    }

    fn take(&mut self, is_wanted: impl Fn(&Window) -> bool) -> Vec<Suppressed> {
        let windows = self.windows.iter_mut().filter(|(_, window)| is_wanted(window));
        windows.filter_map(|(site, window)| window.take_suppressed(*site)).collect()
    }
}

impl Window {
    fn take_suppressed(&mut self, site: CallSite) -> Option<Suppressed> {
        let lines = mem::take(&mut self.suppressed);
        let suppressed = Suppressed { level: self.level, lines, module: self.module, line: site.line };
        (lines > 0).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: u32) -> Record<'static> {
        let mut builder = Record::builder();
        builder.level(Level::Warn).file_static(Some("net.rs")).line(Some(line));
        builder.module_path_static(Some("net")).build()
    }

    #[test]
    fn a_call_site_writes_ten_lines_a_second_and_reports_the_rest() {
        let (mut sites, start) = (CallSites::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let admitted = (0..50).filter(|_| sites.admit(&record(7), at(0)).is_admitted).count();
        assert_eq!(admitted, 10);
        assert!(sites.admit(&record(8), at(1)).is_admitted, "another call site");
        assert_eq!(sites.next_report(), Some(at(1_000)));
        assert_eq!(sites.take_expired(at(999)).0, []);
        let rest = Suppressed { level: Level::Warn, lines: 40, module: "net", line: 7 };
        assert_eq!(sites.take_expired(at(1_000)), (vec![rest], None));
        assert_eq!(sites.take_expired(at(2_000)), (vec![], None), "reported once");
    }

    #[test]
    fn the_report_comes_before_the_next_line_and_at_a_flush() {
        let (mut sites, start) = (CallSites::default(), Instant::now());
        let suppressed = |lines| Suppressed { level: Level::Warn, lines, module: "net", line: 7 };
        for _ in 0..11 {
            sites.admit(&record(7), start);
        }
        let next = sites.admit(&record(7), start + WINDOW);
        assert_eq!(next, Admission { suppressed: Some(suppressed(1)), is_admitted: true });
        for _ in 0..12 {
            sites.admit(&record(7), start + WINDOW);
        }
        assert_eq!(sites.take_all(), [suppressed(3)]);
        assert_eq!(sites.next_report(), None);
    }
}
