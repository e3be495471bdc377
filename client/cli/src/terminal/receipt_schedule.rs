//! [`ReceiptSchedule`]: when a client asks how many have read the own messages of the open group.

use std::time::{Duration, Instant};
use wire::ConversationId;

/// The shortest time between two rounds of requests.
const PAUSE: Duration = Duration::from_secs(3);
/// Rounds in which nothing has changed are followed by longer pauses, up to this one.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// So many members add [`PAUSE`] to the shortest time: the server counts over all of them.
const MEMBERS: u32 = 500;

/// When the counts are asked for.
#[derive(Debug, Default)]
pub struct ReceiptSchedule {
    group: Option<ConversationId>,
    /// When the last round began.
    asked: Option<Instant>,
    /// The time to the next round; longer after each one in which nothing has changed.
    pause: Duration,
    /// Requests of the round that are not answered.
    waiting: usize,
    has_changed: bool,
    /// Those who could read the messages of the group.
    members: u32,
    /// Whether the server does not know the request.
    is_unsupported: bool,
}

impl ReceiptSchedule {
    /// When the next round is due; `None`: not before the present one is answered.
    pub fn due(&mut self, group: ConversationId, now: Instant) -> Option<Instant> {
        if self.group.replace(group) != Some(group) {
            (self.pause, self.members) = (Duration::ZERO, 0);
        }
        if self.waiting > 0 || self.is_unsupported {
            return None;
        }
        let least = PAUSE * (1 + self.members / MEMBERS);
        Some(self.asked.map_or(now, |asked| asked + self.pause.max(least).min(PAUSE_MAX)))
    }

    /// The server does not know the request.
    pub fn stop(&mut self) {
        self.is_unsupported = true;
    }

    /// Another login, perhaps to a newer server.
    pub fn login(&mut self) {
        self.is_unsupported = false;
    }

    /// So many requests are made.
    pub fn begin(&mut self, now: Instant, requests: usize) {
        (self.asked, self.waiting, self.has_changed) = (Some(now), requests, false);
    }

    /// A request of the round was answered. `of`: how many could read the message.
    pub fn answered(&mut self, has_changed: bool, of: Option<u32>) {
        self.waiting = self.waiting.saturating_sub(1);
        self.has_changed |= has_changed;
        self.members = of.unwrap_or(self.members);
        if self.waiting == 0 {
            self.pause = if self.has_changed { PAUSE } else { (self.pause * 2).clamp(PAUSE, PAUSE_MAX) };
        }
    }

    /// Something happened in the open conversation, so members may have read.
    pub fn hurry(&mut self) {
        self.pause = PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: ConversationId = ConversationId(7);

    #[test]
    fn rounds_become_rare_while_nothing_changes_and_in_large_groups() {
        let mut schedule = ReceiptSchedule::default();
        let mut now = Instant::now();
        let mut round = |schedule: &mut ReceiptSchedule, has_changed, of| {
            let due = schedule.due(GROUP, now).expect("nothing is waiting");
            let pause = due.saturating_duration_since(now).as_secs();
            now = now.max(due);
            schedule.begin(now, 2);
            assert_eq!(schedule.due(GROUP, now), None, "its answers are not there");
            schedule.answered(has_changed, Some(of));
            schedule.answered(false, Some(of));
            pause
        };
        let pauses: Vec<u64> = (0..7).map(|_| round(&mut schedule, false, 5)).collect();
        assert_eq!(pauses, [0, 3, 6, 12, 24, 48, 60]);
        assert_eq!((round(&mut schedule, true, 5), round(&mut schedule, true, 5)), (60, 3));
        schedule.pause = PAUSE_MAX;
        schedule.hurry();
        assert_eq!((round(&mut schedule, true, 2_000), round(&mut schedule, true, 10_000)), (3, 15));
        assert_eq!(round(&mut schedule, true, 10_000), 60);
        // Another group is asked about soon.
        let due = schedule.due(ConversationId(8), now);
        assert_eq!(due.map(|due| due.saturating_duration_since(now)), Some(PAUSE));
    }
}
