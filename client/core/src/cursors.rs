//! What this client has told the server about one conversation: ACK and READ, coalesced.

use wire::Seq;

/// The longest that an ACK or READ waits for others to join it, milliseconds.
pub const DELAY_MS: u64 = 200;
/// Messages after which an ACK goes out at once.
pub const BATCH: u32 = 64;

/// The two cursors as the server knows them, and what it shall learn next.
#[derive(Clone, Debug, Default)]
pub struct Cursors {
    /// What the server counts as delivered, as far as this client knows.
    acked: Seq,
    /// What the server counts as read, as far as this client knows.
    read: Seq,
    /// What the reader of this client has read.
    read_here: Seq,
    /// Since when something waits to be told.
    waiting_since: Option<u64>,
    /// Messages since the last ACK.
    messages: u32,
}

/// What to tell the server now. READ implies ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// All up to here has reached this client.
    Ack(Seq),
    /// All up to here has been read.
    Read(Seq),
}

impl Cursors {
    /// Cursors of which the reader had read up to `read_here` in an earlier life.
    pub fn restored(read_here: Seq) -> Cursors {
        Cursors { read_here, ..Cursors::default() }
    }

    /// What the reader of this client has read.
    pub fn read_here(&self) -> Seq {
        self.read_here
    }

    /// Takes the server's word for its cursors after a login.
    pub fn learn(&mut self, now: u64, delivered_seq: Seq, read_seq: Seq, cursor: Option<Seq>) {
        (self.acked, self.read) = (delivered_seq, read_seq);
        if cursor.is_some_and(|cursor| cursor > delivered_seq) || self.read_here > read_seq {
            self.wait(now);
        }
    }

    /// A message arrived.
    pub fn arrived(&mut self, now: u64) {
        self.messages += 1;
        self.wait(now);
    }

    /// The message at `seq` arrived though it was here already: the server missed its ACK.
    pub fn repeated(&mut self, now: u64, seq: Seq) {
        self.acked = self.acked.min(seq.prev());
        self.arrived(now);
    }

    /// An own message took its place at `seq`: the server moves its cursors over it if they stood right below.
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

    /// The reader has read up to `seq`.
    pub fn read_up_to(&mut self, now: u64, seq: Seq) {
        if seq > self.read_here {
            self.read_here = seq;
            if seq > self.read {
                self.wait(now);
            }
        }
    }

    /// When to report, milliseconds.
    pub fn due(&self) -> Option<u64> {
        self.waiting_since.map(|since| if self.messages >= BATCH { since } else { since + DELAY_MS })
    }

    /// What to report now that `cursor` is the highest contiguous seq; forgets that it was due.
    pub fn report(&mut self, cursor: Seq) -> impl Iterator<Item = Report> + use<> {
        (self.waiting_since, self.messages) = (None, 0);
        let read = self.read_here.min(cursor);
        let read = (read > self.read).then_some(read);
        if let Some(read) = read {
            (self.read, self.acked) = (read, self.acked.max(read));
        }
        let ack = (cursor > self.acked).then_some(cursor);
        self.acked = self.acked.max(cursor);
        read.map(Report::Read).into_iter().chain(ack.map(Report::Ack))
    }

    fn wait(&mut self, now: u64) {
        self.waiting_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_join_until_the_delay_or_the_batch() {
        let mut cursors = Cursors::default();
        for at in 0..BATCH as u64 - 1 {
            cursors.arrived(at);
        }
        assert_eq!(cursors.due(), Some(DELAY_MS));
        cursors.arrived(63);
        assert_eq!(cursors.due(), Some(0));
        assert_eq!(cursors.report(Seq(64)).collect::<Vec<_>>(), [Report::Ack(Seq(64))]);
        assert_eq!(cursors.due(), None);
    }

    #[test]
    fn read_stands_for_the_ack_as_far_as_it_goes() {
        let mut cursors = Cursors::default();
        cursors.arrived(0);
        cursors.read_up_to(1, Seq(5));
        assert_eq!(cursors.report(Seq(5)).collect::<Vec<_>>(), [Report::Read(Seq(5))]);
        cursors.arrived(2);
        cursors.read_up_to(3, Seq(6));
        assert_eq!(cursors.report(Seq(8)).collect::<Vec<_>>(), [Report::Read(Seq(6)), Report::Ack(Seq(8))]);
    }

    #[test]
    fn an_own_message_needs_no_ack_where_the_server_moves_by_itself() {
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
        let _ = cursors.report(Seq(3));
        cursors.learn(10, Seq(0), Seq(0), Some(Seq(3)));
        assert_eq!(cursors.report(Seq(3)).collect::<Vec<_>>(), [Report::Ack(Seq(3))]);
        cursors.repeated(11, Seq(2));
        assert_eq!(cursors.report(Seq(3)).collect::<Vec<_>>(), [Report::Ack(Seq(3))]);
    }
}
