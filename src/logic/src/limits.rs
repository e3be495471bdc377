//! The bounds of the rules themselves, beside those of the protocol ([`wire::limits`]).

/// Milliseconds after which a parked request is answered UNAVAILABLE: with a tick to notice it, still below 2 s.
pub const ANSWER_MS: u64 = 1_700;
/// Milliseconds that a message of a legacy client may wait to be stored before its connection closes.
pub const LINE_MS: u64 = 60_000;
/// Milliseconds between two looks at the parked requests.
pub const TICK_MS: u64 = 100;
/// Milliseconds between two writings of moved cursors.
pub const CURSOR_MS: u64 = 1_000;
/// Milliseconds between two clearings of what nobody needs any more.
pub const SWEEP_MS: u64 = 10_000;
/// Messages on their way to storage; more are answered BUSY.
pub const APPENDS_MAX: usize = 65_536;
/// Content bytes on their way to storage; more are answered BUSY.
pub const APPEND_BYTES_MAX: usize = 64 << 20;
/// Other requests that wait for storage; more are answered BUSY.
pub const WAITING_MAX: usize = 65_536;
/// Passwords that wait to be hashed; more are answered BUSY. At 12 ms each the last waits 3 s.
pub const PASSWORDS_MAX: usize = 256;
/// Moved cursors that wait to be written; further ones are dropped, which only repeats a push.
pub const CURSORS_MAX: usize = 1 << 20;
/// Cursors written in one go: a commit that carries them makes the messages beside them wait, some 8 us each.
pub const CURSOR_BATCH: usize = 16;
/// Room for waiting cursors that is kept when none waits.
pub const CURSORS_KEPT: usize = 4_096;
/// Messages asked of storage at once for a connection that is behind.
pub const FEED_MESSAGES: u32 = 200;
/// Content bytes asked of storage at once for a connection that is behind.
pub const FEED_BYTES: usize = 128 << 10;
/// Bytes ordered to a connection after which logic asks to be told when they are written.
pub const OUTPUT_SOFT: usize = 64 << 10;
/// Bytes ordered to a connection, and not known to be written, after which it falls behind.
pub const OUTPUT_HARD: usize = 512 << 10;
/// What a frame adds to its content, about; for the two bounds above.
pub const FRAME_OVERHEAD: usize = 200;
/// Messages ordered to a legacy connection and not known to be with its kernel: all that a slow reader costs.
pub const LEGACY_WINDOW: u32 = 64;
/// Seconds' worth of messages that may be sent at once.
pub const BURST_SECONDS: u64 = 10;
/// Sessions without a connection that are kept; beyond, the oldest ends.
pub const ABSENT_MAX: usize = 1 << 20;
/// Milliseconds between two looks at the claims of other nodes, and between two renewals of a lease.
pub const POLL_MS: u64 = 1_000;
/// Milliseconds between two looks at the conversations while nothing is known to be missed.
pub const SAFETY_MS: u64 = 10_000;
/// Milliseconds for which changed conversations are looked for each second after something may have been missed.
pub const CATCH_UP_MS: u64 = 6_000;
/// Milliseconds by which what is asked of the database overlaps what was asked before: longer than a transaction may take
/// from its first statement to its commit.
pub const OVERLAP_MS: u64 = 5_000;
/// Milliseconds after which a node that heard neither bus nor database pushes nothing more.
pub const TRUST_MS: u64 = 2_000;
/// Milliseconds between two signs of life in the database.
pub const SEEN_MS: u64 = 10_000;
/// Milliseconds for which failures to publish are gathered before the database is told of them.
pub const UNHEARD_MS: u64 = 100;
/// The least milliseconds between two reports of load.
pub const REPORT_LEAST_MS: u64 = 5_000;
/// What is added at random, at most.
pub const REPORT_MORE_MS: u64 = 10_000;
/// Milliseconds that a login waits for an answer of the bus.
pub const BUS_MS: u64 = 500;
/// Milliseconds until a lock that is taken is asked for again.
pub const LOCK_RETRY_MS: u64 = 50;
/// Milliseconds that a hole in what is heard of a conversation may take to close by itself.
pub const HOLE_MS: u64 = 20;
/// Messages of a conversation that are held above a hole; others are read again.
pub const HELD_MAX: usize = 256;
/// Milliseconds after which an unused line is forgotten.
pub const LINE_KEPT_MS: u64 = 60_000;
/// Password tries that cost nothing.
pub const FREE_TRIES: u32 = 5;
/// The longest wait between two password tries, seconds.
pub const TRY_WAIT_MAX_S: u64 = 300;
/// Milliseconds after which password tries are forgotten.
pub const TRY_MEMORY_MS: u64 = 900_000;
/// Accounts and addresses whose password tries are remembered.
pub const TRIES_MAX: usize = 65_536;
/// Milliseconds that a client waits before it asks a busy server again.
pub const BUSY_RETRY_MS: u64 = 200;
/// Milliseconds that a client waits before it connects again while the server drains.
pub const DRAIN_RETRY_MS: u64 = 1_000;
/// What is added for each next client.
pub const DRAIN_STEP_MS: u64 = 7;
/// What is added at most.
pub const DRAIN_SPREAD_MS: u64 = 1_000;
/// Bytes of the groups of one page.
pub const GROUPS_BYTES: usize = 200 << 10;
/// Bytes of the groups in the reply to LOGIN; its friends and conversations take at most 60 and 100 KiB.
pub const LOGIN_GROUPS_BYTES: usize = 64 << 10;
