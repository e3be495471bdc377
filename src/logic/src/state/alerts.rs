//! How much the log says about clients whose budgets are used up: a few lines a second, then counts.

use crate::effect::Alert;
use crate::limits::ALERTS_PER_SECOND;
use crate::network::Network;

#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// The second in which the last line was written, and the lines in it.
    second: u64,
    lines: u32,
    /// Alerts without a line since the last summary.
    unlisted: u64,
    refused_logins: u64,
    refused_registrations: u64,
    last_refused: Option<Network>,
}

/// What a client was refused because its budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Login,
    Registration,
}

impl Alerts {
    /// Whether an alert gets a line; if not, it is counted.
    pub fn admit(&mut self, now: u64) -> bool {
        let second = now / 1_000;
        if second != self.second {
            (self.second, self.lines) = (second, 0);
        }
        let has_room = self.lines < ALERTS_PER_SECOND;
        if has_room {
            self.lines += 1;
        } else {
            self.unlisted += 1;
        }
        has_room
    }

    pub fn count_refused(&mut self, refused: Refused, network: Network) {
        match refused {
            Refused::Login => self.refused_logins += 1,
            Refused::Registration => self.refused_registrations += 1,
        }
        self.last_refused = Some(network);
    }

    /// Takes the counts since the last summary, if there are any.
    pub fn take_summary(&mut self) -> Option<Alert> {
        let last = self.last_refused.take();
        let summary = last.map(|last| Alert::Refused {
            logins: self.refused_logins,
            registrations: self.refused_registrations,
            last,
            unlisted: self.unlisted,
        });
        if summary.is_some() {
            *self = Alerts { second: self.second, lines: self.lines, ..Alerts::default() };
        }
        summary
    }

    pub fn is_empty(&self) -> bool {
        self.last_refused.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_second_and_a_summary() {
        let mut alerts = Alerts::default();
        let admitted = (0..1_000).filter(|_| alerts.admit(5_500)).count();
        assert_eq!(admitted, ALERTS_PER_SECOND as usize);
        assert!(alerts.admit(6_000));
        assert_eq!(alerts.take_summary(), None);
        let last = Network::of([192, 0, 2, 1].into());
        alerts.count_refused(Refused::Login, last);
        alerts.count_refused(Refused::Registration, last);
        let unlisted = 1_000 - u64::from(ALERTS_PER_SECOND);
        let summary = Alert::Refused { logins: 1, registrations: 1, last, unlisted };
        assert_eq!(alerts.take_summary(), Some(summary));
        assert!(alerts.is_empty() && alerts.take_summary().is_none());
    }
}
