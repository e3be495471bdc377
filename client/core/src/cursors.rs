//! [`Cursors`]: what the server knows about this client's progress in one conversation, and when to send ACK and READ.

use wire::Seq;

/// How long an ACK or READ is delayed so that one request covers several messages, milliseconds.
pub const DELAY_MS: u64 = 200;
/// The number of messages after which an ACK is sent without delay.
pub const BATCH: u32 = 64;

#[derive(Clone, Debug, Default)]
pub struct Cursors {
    /// The server's delivered cursor, as far as this client knows.
    acked: Seq,
    /// The server's read cursor, as far as this client knows.
    read: Seq,
    /// Everything up to here was read on this device.
    read_here: Seq,
    /// When the oldest unsent update arose.
    waiting_since: Option<u64>,
    /// Messages since the last ACK.
    messages: u32,
}

/// A cursor to send to the server. READ implies ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorUpdate {
    Ack(Seq),
    Read(Seq),
}

impl Cursors {
    /// The cursors of an earlier session.
    pub fn restored(read_here: Seq) -> Cursors {
        Cursors { read_here, ..Cursors::default() }
    }

    /// Everything up to here was read on this device.
    pub fn read_here(&self) -> Seq {
        self.read_here
    }

    /// Forgets everything above `same`, which the server does not have.
    pub fn forget_above(&mut self, same: Seq) {
        *self = Cursors::restored(self.read_here.min(same));
    }

    /// Learns the server's cursors after a login; `cursor` is how far this client has the timeline.
    pub fn learn(&mut self, now: u64, delivered_seq: Seq, read_seq: Seq, cursor: Option<Seq>) {
        (self.acked, self.read) = (delivered_seq, read_seq);
        if cursor.is_some_and(|cursor| cursor > delivered_seq) || self.read_here > read_seq {
            self.wait(now);
        }
    }

    /// A message was delivered.
    pub fn arrived(&mut self, now: u64) {
        self.messages += 1;
        self.wait(now);
    }

    /// Handles a repeated message: the server did not get its ACK.
    pub fn repeated(&mut self, now: u64, seq: Seq) {
        self.acked = self.acked.min(seq.prev());
        self.arrived(now);
    }

    /// An own message was stored at `seq`. The server moves its cursors past it if they were directly below.
    pub fn own(&mut self, now: u64, seq: Seq) {
        if self.acked == seq.prev() {
            self.acked = seq;
        } else if self.acked < seq {
            self.wait(now);
        }
        if self.read == seq.prev() {
            self.read = seq;
        }
    }

    /// The user has read up to `seq`.
    pub fn read_up_to(&mut self, now: u64, seq: Seq) {
        if seq > self.read_here {
            self.read_here = seq;
            if seq > self.read {
                self.wait(now);
            }
        }
    }

    /// The user has read up to `seq` on another device, as the server tells.
    pub fn read_elsewhere(&mut self, seq: Seq) {
        for cursor in [&mut self.read, &mut self.read_here] {
            *cursor = (*cursor).max(seq);
        }
    }

    /// The user became a member by the entry `seq`; the server counts everything up to it as read.
    pub fn joined(&mut self, seq: Seq) {
        for cursor in [&mut self.read, &mut self.read_here] {
            *cursor = (*cursor).max(seq);
        }
    }

    /// The user is no member any more by the entry `seq`; the server takes an ACK of it, and no READ.
    pub fn left(&mut self, seq: Seq) {
        self.read = self.read.max(seq);
    }

    /// The view of the conversation begins above `seq`; the server has moved its cursors there.
    pub fn cleared(&mut self, seq: Seq) {
        for cursor in [&mut self.acked, &mut self.read, &mut self.read_here] {
            *cursor = (*cursor).max(seq);
        }
    }

    /// When to send an update, milliseconds.
    pub fn due(&self) -> Option<u64> {
        self.waiting_since.map(|since| if self.messages >= BATCH { since } else { since + DELAY_MS })
    }

    /// The updates to send if the timeline is complete up to `cursor`. Clears the due time.
    pub fn take_updates(&mut self, cursor: Seq) -> impl Iterator<Item = CursorUpdate> + use<> {
        (self.waiting_since, self.messages) = (None, 0);
        let read = self.read_here.min(cursor);
        let read = (read > self.read).then_some(read);
        if let Some(read) = read {
            (self.read, self.acked) = (read, self.acked.max(read));
        }
        let ack = (cursor > self.acked).then_some(cursor);
        self.acked = self.acked.max(cursor);
        read.map(CursorUpdate::Read).into_iter().chain(ack.map(CursorUpdate::Ack))
    }

    fn wait(&mut self, now: u64) {
        self.waiting_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_are_coalesced_up_to_the_delay_or_the_batch_size() {
        let mut cursors = Cursors::default();
        for at in 0..BATCH as u64 - 1 {
            cursors.arrived(at);
        }
        assert_eq!(cursors.due(), Some(DELAY_MS));
        cursors.arrived(63);
        assert_eq!(cursors.due(), Some(0));
        assert_eq!(cursors.take_updates(Seq(64)).collect::<Vec<_>>(), [CursorUpdate::Ack(Seq(64))]);
        assert_eq!(cursors.due(), None);
    }

    #[test]
    fn read_replaces_ack_up_to_its_seq() {
        let mut cursors = Cursors::default();
        cursors.arrived(0);
        cursors.read_up_to(1, Seq(5));
        assert_eq!(cursors.take_updates(Seq(5)).collect::<Vec<_>>(), [CursorUpdate::Read(Seq(5))]);
        cursors.arrived(2);
        cursors.read_up_to(3, Seq(6));
        assert_eq!(
            cursors.take_updates(Seq(8)).collect::<Vec<_>>(),
            [CursorUpdate::Read(Seq(6)), CursorUpdate::Ack(Seq(8))]
        );
    }

    #[test]
    fn an_own_message_needs_no_ack_if_the_server_moved_its_cursor() {
        let mut cursors = Cursors::default();
        cursors.learn(0, Seq(4), Seq(4), Some(Seq(4)));
        cursors.own(0, Seq(5));
        assert_eq!(cursors.due(), None);
        cursors.own(0, Seq(9));
        assert!(cursors.due().is_some());
    }

    #[test]
    fn a_repeated_push_is_acknowledged_again_after_login() {
        let mut cursors = Cursors::default();
        cursors.arrived(0);
        let _ = cursors.take_updates(Seq(3));
        cursors.learn(10, Seq(0), Seq(0), Some(Seq(3)));
        assert_eq!(cursors.take_updates(Seq(3)).collect::<Vec<_>>(), [CursorUpdate::Ack(Seq(3))]);
        cursors.repeated(11, Seq(2));
        assert_eq!(cursors.take_updates(Seq(3)).collect::<Vec<_>>(), [CursorUpdate::Ack(Seq(3))]);
    }
}
