//! Delivery lines: for each conversation with members on this node, how far it was delivered without a gap.

use super::member_list::MemberList;
use crate::limits::{DELIVERY_LINE_KEPT_MS, DELIVERY_LINES_MAX, HELD_BYTES_MAX, HELD_MAX, HELD_OVERHEAD};
use crate::map::{Map, map};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::{ConversationId, Message, Seq, UserId};

/// A message to be delivered to the members on this node.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub message: Arc<Message>,
    /// All members at its seq, if they are known with it.
    pub members: Option<Arc<[UserId]>>,
}

/// A message above a gap. While it exists, it counts towards the bound of all such messages.
#[derive(Debug)]
pub(crate) struct Held {
    pub arrival: Arrival,
    bytes: usize,
    /// The bytes of all held messages.
    total: Arc<AtomicUsize>,
}

impl Held {
    fn new(arrival: Arrival, total: &Arc<AtomicUsize>) -> Held {
        let bytes = arrival.message.content.len() + HELD_OVERHEAD;
        total.fetch_add(bytes, Ordering::Relaxed);
        Held { arrival, bytes, total: Arc::clone(total) }
    }

    pub fn into_arrival(self) -> Arrival {
        self.arrival.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How far a conversation was delivered to its members on this node.
#[derive(Debug)]
pub(crate) struct DeliveryLine {
    /// Every message up to here was pushed to every member on this node, or is covered by the track of a member that is
    /// behind.
    pub settled: Seq,
    /// The latest message known to exist.
    pub seen: Seq,
    /// The members at `settled`; `None` until the roster is read.
    pub members: Option<MemberList>,
    /// Messages above a gap.
    pub held: BTreeMap<Seq, Held>,
    pub reading: Reading,
    /// The serial number of the read in flight.
    pub serial: u32,
    /// Whether it is scheduled in `DeliveryLines::due`.
    pub is_due: bool,
    /// When it was last used, monotonic ms.
    pub touched: u64,
}

/// The read of a line that is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Nothing,
    Roster,
    Timeline,
}

impl DeliveryLine {
    /// A line on which nothing was delivered yet.
    pub fn new(seen: Seq, now: u64) -> DeliveryLine {
        DeliveryLine {
            settled: Seq(0),
            seen,
            members: None,
            held: BTreeMap::new(),
            reading: Reading::Nothing,
            serial: 0,
            is_due: false,
            touched: now,
        }
    }

    /// Moves past the next message. Returns the members at its seq, or `None` while they are unknown.
    pub fn pass(&mut self, arrival: &Arrival) -> Option<Arc<[UserId]>> {
        let members = match &arrival.members {
            Some(members) => {
                self.members = Some(MemberList::new(Arc::clone(members), &arrival.message));
                Arc::clone(members)
            }
            None => Arc::clone(self.members.as_mut()?.pass(&arrival.message)),
        };
        self.settled = arrival.message.seq;
        Some(members)
    }
}

#[derive(Debug)]
pub(crate) struct DeliveryLines {
    lines: Map<ConversationId, DeliveryLine>,
    /// Lines with a gap, by when to read the timeline for it, monotonic ms.
    due: BTreeMap<(u64, ConversationId), ()>,
    serial: u32,
    /// Bytes of the messages that are held above gaps.
    held_bytes: Arc<AtomicUsize>,
}

impl DeliveryLines {
    pub fn new(seed: u64) -> DeliveryLines {
        DeliveryLines { lines: map(seed), due: BTreeMap::new(), serial: 0, held_bytes: Arc::default() }
    }

    pub fn get_mut(&mut self, conversation: ConversationId) -> Option<&mut DeliveryLine> {
        self.lines.get_mut(&conversation)
    }

    /// Whether there is no room for another line.
    pub fn are_full(&self) -> bool {
        self.lines.len() >= DELIVERY_LINES_MAX
    }

    /// Holds a message above a gap of its conversation, if there is room. Otherwise it is read from the timeline later.
    pub fn hold(&mut self, conversation: ConversationId, arrival: Arrival) {
        let Some(line) = self.lines.get_mut(&conversation) else { return };
        if line.held.len() < HELD_MAX && self.held_bytes.load(Ordering::Relaxed) < HELD_BYTES_MAX {
            line.held.insert(arrival.message.seq, Held::new(arrival, &self.held_bytes));
        }
    }

    /// Whether a line has settled less than `seq`.
    pub fn is_below(&self, conversation: ConversationId, seq: Seq) -> bool {
        self.lines.get(&conversation).is_some_and(|line| line.settled < seq)
    }

    pub fn insert(&mut self, conversation: ConversationId, line: DeliveryLine) {
        self.lines.insert(conversation, line);
    }

    pub fn remove(&mut self, conversation: ConversationId) {
        self.lines.remove(&conversation);
    }

    /// When the next gap is due, monotonic ms.
    pub fn next(&self) -> Option<u64> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Takes a line whose gap is due.
    pub fn take_due(&mut self, now: u64) -> Option<(ConversationId, &mut DeliveryLine)> {
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let ((_, conversation), ()) = first.remove_entry();
            if self.lines.contains_key(&conversation) {
                let line = self.lines.get_mut(&conversation)?;
                line.is_due = false;
                return Some((conversation, line));
            }
        }
        None
    }

    /// Schedules the read of a line with a gap.
    pub fn read_later(&mut self, conversation: ConversationId, at: u64) {
        if let Some(line) = self.lines.get_mut(&conversation)
            && !std::mem::replace(&mut line.is_due, true)
        {
            self.due.insert((at, conversation), ());
        }
    }

    /// Notes that a read of a line begins. Returns the line, which has the serial number of the read.
    pub fn begin_read(
        &mut self,
        conversation: ConversationId,
        reading: Reading,
    ) -> Option<&mut DeliveryLine> {
        let line = self.lines.get_mut(&conversation)?;
        self.serial = self.serial.wrapping_add(1);
        (line.reading, line.serial) = (reading, self.serial);
        Some(line)
    }

    /// Ends a read and returns its line; `None` if the line was restarted in the meantime.
    pub fn end_read(&mut self, conversation: ConversationId, serial: u32) -> Option<&mut DeliveryLine> {
        let line = self.lines.get_mut(&conversation)?;
        if line.serial != serial || line.reading == Reading::Nothing {
            return None;
        }
        line.reading = Reading::Nothing;
        Some(line)
    }

    /// Drops lines that have not been used for a while.
    pub fn sweep(&mut self, now: u64) {
        self.lines.retain(|_, line| {
            line.touched + DELIVERY_LINE_KEPT_MS > now || line.reading != Reading::Nothing || line.is_due
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{ConversationKind, UnixMillis};

    fn arrival(conversation: u32, seq: u64) -> Arrival {
        let message = Message {
            conversation: ConversationId(conversation),
            kind: ConversationKind::Group,
            seq: Seq(seq),
            from: UserId(1),
            name: "ann".into(),
            content_type: "text".into(),
            content: "x".repeat(1_000).into(),
            time: UnixMillis(0),
            cid: None,
            extra: None,
        };
        Arrival { message: Arc::new(message), members: None }
    }

    #[test]
    fn the_messages_held_by_all_lines_are_bounded() {
        let mut lines = DeliveryLines::new(7);
        for conversation in 1..=40_000 {
            let line = DeliveryLine::new(Seq(2), 0);
            lines.insert(ConversationId(conversation), line);
            lines.hold(ConversationId(conversation), arrival(conversation, 2));
        }
        let held = lines.held_bytes.load(Ordering::Relaxed);
        assert!(held > HELD_BYTES_MAX / 2 && held < HELD_BYTES_MAX + 2_000, "{held}");
        // A message that is delivered or dropped with its line makes room.
        lines.remove(ConversationId(1));
        let line = lines.get_mut(ConversationId(2)).unwrap();
        let (_, first) = line.held.pop_first().unwrap();
        assert_eq!(first.into_arrival().message.seq, Seq(2));
        assert_eq!(lines.held_bytes.load(Ordering::Relaxed), held - 2 * (1_000 + HELD_OVERHEAD));
        lines.sweep(DELIVERY_LINE_KEPT_MS + 1);
        assert_eq!(lines.held_bytes.load(Ordering::Relaxed), 0);
    }
}
