//! Outgoing requests: sends whatever is due, one noun after another.

use crate::requests::Purpose;
use crate::state::{Connection, Phase, Session};

impl Session {
    /// Sends what may be sent now. To be called after anything that may have changed that.
    pub(crate) fn pump(&mut self, now: u64) {
        let Connection::Open(open) = &self.connection else { return };
        if open.leaving.is_some() {
            return;
        }
        while let Some((request, command)) = self.before_login.pop_front() {
            self.transmit(now, &command, Purpose::Caller(request));
        }
        let Connection::Open(open) = &self.connection else { return };
        match open.phase {
            Phase::Anonymous => self.pump_login(now),
            Phase::Online { .. } => {
                self.pump_cursor_updates(now);
                self.pump_backfills(now);
                self.pump_listing(now);
                self.pump_comparisons(now);
                // Replies to own messages are places in the timelines that are being compared.
                if self.comparisons.is_empty() {
                    self.pump_outbox(now);
                }
                self.pump_nodes(now);
            }
            Phase::LoggingIn | Phase::LoggingOut => {}
        }
    }
}
