//! The bounds of the rules beside those of the protocol ([`wire::limits`]), and the sentences that several rules refuse
//! with.

/// Milliseconds after which a pending request is answered UNAVAILABLE; with a tick to notice it, still below 2 s.
pub const ANSWER_MS: u64 = 1_700;
/// Milliseconds that a message of a legacy backlog may wait to be stored before its connection closes.
pub const BACKLOG_MS: u64 = 60_000;
/// Milliseconds between two looks at the pending requests.
pub const TICK_MS: u64 = 100;
/// Milliseconds between two writes of moved cursors.
pub const CURSOR_MS: u64 = 1_000;
/// Milliseconds between two sweeps of what is not needed any more.
pub const SWEEP_MS: u64 = 10_000;
/// The most messages on their way to storage; further ones are answered BUSY.
pub const APPENDS_MAX: usize = 65_536;
/// The most content bytes on their way to storage; further messages are answered BUSY.
pub const APPEND_BYTES_MAX: usize = 64 << 20;
/// The most other requests that are pending; further ones are answered BUSY.
pub const WAITING_MAX: usize = 65_536;
/// The most passwords that wait to be hashed; further ones are answered BUSY. At 12 ms each the last waits 3 s.
pub const PASSWORDS_MAX: usize = 256;
/// The most moved cursors that wait to be written. Further ones are dropped, which only repeats pushes.
pub const CURSORS_MAX: usize = 1 << 20;
/// Cursors in one write. A commit delays the messages beside it by some 8 us for each.
pub const CURSOR_BATCH: usize = 16;
/// Room for waiting cursors that is kept when none waits.
pub const CURSORS_KEPT: usize = 4_096;
/// The most messages of one read for a session that is behind.
pub const FEED_MESSAGES: u32 = 200;
/// Content bytes after which such a read stops.
pub const FEED_BYTES: usize = 128 << 10;
/// Bytes ordered to a connection after which it is asked to report when they are written.
pub const OUTPUT_SOFT: usize = 64 << 10;
/// Bytes ordered to a connection and not known to be written after which it falls behind.
pub const OUTPUT_HARD: usize = 512 << 10;
/// Roughly the bytes that a frame adds to its content, for the two bounds above.
pub const FRAME_OVERHEAD: usize = 200;
/// The most messages ordered to a legacy connection and not known to be with its kernel: all that a slow reader costs.
pub const LEGACY_WINDOW: u32 = 64;
/// Seconds' worth of messages that may be sent in a burst.
pub const BURST_SECONDS: u64 = 10;
/// The most sessions that are kept without a connection; beyond, the oldest ends.
pub const ABSENT_MAX: usize = 1 << 20;
/// Milliseconds between two reads of other nodes' claims, and between two renewals of a lease.
pub const POLL_MS: u64 = 1_000;
/// Milliseconds between two reads of changed conversations while nothing is known to be lost.
pub const SAFETY_MS: u64 = 10_000;
/// Milliseconds for which changed conversations are read each second after something may have been lost.
pub const CATCH_UP_MS: u64 = 6_000;
/// Milliseconds by which a read overlaps the one before it: longer than a transaction may take from its first statement
/// to its commit.
pub const OVERLAP_MS: u64 = 5_000;
/// Milliseconds without word from bus or database after which a node pushes nothing more.
pub const TRUST_MS: u64 = 2_000;
/// Milliseconds between two signs of life in the database.
pub const SEEN_MS: u64 = 10_000;
/// Milliseconds for which failures to publish are gathered before the database is told.
pub const UNHEARD_MS: u64 = 100;
/// The least milliseconds between two reports of load.
pub const REPORT_LEAST_MS: u64 = 5_000;
/// The most milliseconds that are added to that at random.
pub const REPORT_MORE_MS: u64 = 10_000;
/// Milliseconds that a login waits for an answer of the bus.
pub const BUS_MS: u64 = 500;
/// Milliseconds until a lock that is taken is asked for again.
pub const LOCK_RETRY_MS: u64 = 50;
/// Milliseconds between two renewals of a lock: a third of [`LOCK_MS`](crate::bus::LOCK_MS).
pub const LOCK_RENEW_MS: u64 = 1_000;
/// Milliseconds that a gap in what is heard of a conversation may take to close by itself.
pub const GAP_MS: u64 = 20;
/// The most messages of a conversation that are held above a gap; others are read again.
pub const HELD_MAX: usize = 256;
/// Milliseconds after which an unused delivery line is dropped.
pub const DELIVERY_LINE_KEPT_MS: u64 = 60_000;
/// Password tries that are not delayed.
pub const FREE_TRIES: u32 = 5;
/// The longest wait between two password tries, seconds.
pub const TRY_WAIT_MAX_S: u64 = 300;
/// Milliseconds after which password tries are forgotten.
pub const TRY_MEMORY_MS: u64 = 900_000;
/// The most accounts and addresses whose password tries are remembered.
pub const TRIES_MAX: usize = 65_536;
/// Milliseconds that a client is told to wait before it retries at a busy server.
pub const BUSY_RETRY_MS: u64 = 200;
/// The same where storage cannot be reached.
pub const UNAVAILABLE_RETRY_MS: u64 = 1_000;
/// The same before it reconnects while the server drains.
pub const DRAIN_RETRY_MS: u64 = 1_000;
/// Milliseconds that are added for each further client.
pub const DRAIN_STEP_MS: u64 = 7;
/// The most that is added.
pub const DRAIN_SPREAD_MS: u64 = 1_000;
/// JSON bytes of a page of groups.
pub const GROUPS_BYTES: usize = 200 << 10;
/// JSON bytes of the groups in the reply to LOGIN; its friends and conversations take at most 60 and 100 KiB.
pub const LOGIN_GROUPS_BYTES: usize = 64 << 10;

pub(crate) const GOING_AWAY: &str = "the server is going away";
pub(crate) const UNAVAILABLE: &str = "storage cannot be reached now; try again";
pub(crate) const SESSION_ENDED: &str = "this session was ended by a newer login";
pub(crate) const ALREADY_ONLINE: &str = "the account is online elsewhere";
pub(crate) const INTERNAL: &str = "the server failed; its log says why";
