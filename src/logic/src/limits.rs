//! The limits of the rules, in addition to those of the protocol ([`wire::limits`]), and refusal texts shared by
//! several rules.

/// Milliseconds after which a pending request is answered UNAVAILABLE. Including the tick that notices it, this stays
/// below 2 s.
pub const ANSWER_MS: u64 = 1_700;
/// Milliseconds that a message of a legacy backlog may wait to be stored before its connection closes.
pub const BACKLOG_MS: u64 = 60_000;
/// Milliseconds between two checks of the pending requests.
pub const TICK_MS: u64 = 100;
/// Milliseconds between two writes of moved cursors.
pub const CURSOR_MS: u64 = 1_000;
/// Milliseconds between two announcements of a user's presence to its friends.
pub const PRESENCE_MS: u64 = 1_000;
/// Users whose last life signs one write or order records.
pub const SEEN_BATCH: usize = 100;
/// Milliseconds in which one TYPING of a user in a conversation is passed on.
pub const TYPING_MS: u64 = 3_000;
/// The most members of a group in which TYPING is passed on.
pub const TYPING_MEMBERS: u32 = 200;
/// Milliseconds for which a group that was larger is not looked at again.
pub const LARGE_GROUP_MS: u64 = 60_000;
/// The most users that type at a time, and the most large groups that are known; TYPING of others is dropped.
pub const TYPING_KEPT: usize = 65_536;
/// Milliseconds between two sweeps of expired state.
pub const SWEEP_MS: u64 = 10_000;
/// The most appends in flight; further messages are answered BUSY.
pub const APPENDS_MAX: usize = 65_536;
/// The most content bytes of appends in flight, and of messages whose token is not known yet; further messages are
/// answered BUSY.
pub const APPEND_BYTES_MAX: usize = 64 << 20;
/// The most other requests that are pending; further ones are answered BUSY.
pub const WAITING_MAX: usize = 65_536;
/// The least `retry_after_ms` of a refusal because too many passwords wait to be hashed.
pub const PASSWORD_RETRY_MIN_MS: u64 = 1_000;
/// The most of it.
pub const PASSWORD_RETRY_MAX_MS: u64 = 30_000;
/// The most moved cursors that wait to be written. Further moves are dropped, which only repeats pushes.
pub const CURSORS_MAX: usize = 1 << 20;
/// Cursors in one write. Each adds some 8 us to the commit, which delays messages.
pub const CURSOR_BATCH: usize = 16;
/// The capacity for waiting cursors that is kept when there are none.
pub const CURSORS_KEPT: usize = 4_096;
/// The most messages of one read for a session that is behind.
pub const FEED_MESSAGES: u32 = 200;
/// Content bytes after which a read for a session that is behind stops.
pub const FEED_BYTES: usize = 128 << 10;
/// Bytes sent to a connection after which it is asked to report when its output has drained.
pub const OUTPUT_SOFT: usize = 64 << 10;
/// Bytes sent to a connection and not known to be written, above which its session falls behind; fewer while the output
/// of all connections takes much memory.
pub const OUTPUT_HARD: usize = 512 << 10;
/// The least value of that bound. One message of the greatest length must fit between [`OUTPUT_SOFT`] and it: the
/// message that exceeds [`OUTPUT_SOFT`] is sent with the request to report, without which a session stays behind.
pub const OUTPUT_HARD_MIN: usize = 2 * OUTPUT_SOFT;
/// Roughly the bytes that a frame adds to its content, for the two bounds above.
pub const FRAME_OVERHEAD: usize = 200;
const _: () = assert!(OUTPUT_HARD_MIN > OUTPUT_SOFT + wire::limits::CONTENT_BYTES + FRAME_OVERHEAD);
/// The most messages sent to a legacy connection and not known to be accepted by the kernel; bounds the cost of a slow
/// reader.
pub const LEGACY_WINDOW: u32 = 64;
/// Messages sent on a connection that are remembered until they are passed in their timelines.
pub const OWN_SENT_MAX: usize = 1_024;
/// How long they are remembered where nothing is being read for their session.
pub const OWN_SENT_KEPT_MS: u64 = 60_000;
/// How often a node of a cluster records when the clients of its sessions were last heard of.
pub const TOUCH_MS: u64 = 60_000;
/// Sessions recorded by one such write.
pub const TOUCH_BATCH: usize = 256;
/// The longest burst of messages or requests, in seconds' worth of the rate.
pub const BURST_SECONDS: u64 = 10;
/// The most networks whose requests before login are counted.
pub const NETWORKS_MAX: usize = 65_536;
/// The most sessions without a connection; above that, the oldest ends.
pub const ABSENT_MAX: usize = 1 << 20;
/// Milliseconds between two reads of other nodes' claims, and between two renewals of a lease.
pub const POLL_MS: u64 = 1_000;
/// Milliseconds between two reads of changed conversations in normal operation.
pub const SAFETY_MS: u64 = 10_000;
/// Milliseconds for which changed conversations are read each second after something may have been lost.
pub const CATCH_UP_MS: u64 = 6_000;
/// Milliseconds by which a read overlaps the previous one: longer than any transaction, from its first statement to its
/// commit.
pub const OVERLAP_MS: u64 = 5_000;
/// Milliseconds without contact with the bus or the database after which a node stops pushing.
pub const TRUST_MS: u64 = 2_000;
/// Milliseconds between two records of a node's liveness in the database.
pub const SEEN_MS: u64 = 10_000;
/// Milliseconds for which failures to publish are collected before they are recorded in the database.
pub const UNHEARD_MS: u64 = 100;
/// The least milliseconds between two reports of load.
pub const REPORT_LEAST_MS: u64 = 5_000;
/// The most milliseconds of random jitter added to [`REPORT_LEAST_MS`].
pub const REPORT_MORE_MS: u64 = 10_000;
/// Milliseconds that a login waits for an answer of the bus.
pub const BUS_MS: u64 = 500;
/// Milliseconds that a login waits for its lock, all in all. After that it claims the session without it.
pub const LOCK_WAIT_MS: u64 = 300;
/// Milliseconds before a lock that another login holds is requested again.
pub const LOCK_RETRY_MS: u64 = 50;
/// How many ends of sessions that could not be stored are tried again at once.
pub const UNENDED_BATCH: usize = 64;
/// Milliseconds after which they are tried again at first ...
pub const UNENDED_RETRY_MS: u64 = 100;
/// ... and at the longest.
pub const UNENDED_RETRY_MAX_MS: u64 = 5_000;
/// Milliseconds between two renewals of a lock: a third of [`LOCK_MS`](crate::bus::LOCK_MS).
pub const LOCK_RENEW_MS: u64 = 1_000;
/// Milliseconds to wait for late messages before a gap in a conversation is read from the timeline.
pub const GAP_MS: u64 = 20;
/// The most messages of a conversation that are held above a gap; further ones are read from the timeline.
pub const HELD_MAX: usize = 256;
/// Bytes of all messages that are held above gaps; further ones are read from the timeline.
pub const HELD_BYTES_MAX: usize = 16 << 20;
/// Roughly the bytes that a held message takes beside its content.
pub const HELD_OVERHEAD: usize = 600;
/// The most delivery lines. A hint that would begin another one is ignored; the periodic check of changed conversations
/// finds its message.
pub const DELIVERY_LINES_MAX: usize = 1 << 17;
/// Milliseconds after which an unused delivery line is dropped.
pub const DELIVERY_LINE_KEPT_MS: u64 = 60_000;
/// Wrong passwords that delay nothing.
pub const FREE_TRIES: u32 = 5;
/// The longest wait between two password tries, seconds.
pub const TRY_WAIT_MAX_S: u64 = 300;
/// The wait between two password tries for one account from all unfamiliar networks together, seconds. Short, because
/// it holds up an owner at a new address, too.
pub const ACCOUNT_WAIT_S: u64 = 1;
/// Milliseconds after which wrong passwords are forgotten.
pub const TRY_MEMORY_MS: u64 = 900_000;
/// Accounts whose logins may fail from one network before it is throttled.
pub const FREE_ACCOUNTS: usize = 10;
/// Milliseconds after which a network's failed accounts are forgotten.
pub const NETWORK_MEMORY_MS: u64 = 3_600_000;
/// The most entries of each table of budgets by account or address. At 12 ms a hash they fill no faster than they are
/// forgotten.
pub const TRIES_MAX: usize = 65_536;
/// The most log lines a second about clients whose budgets are used up.
pub const ALERTS_PER_SECOND: u32 = 3;
/// The `retry_after_ms` of a refusal by a busy server.
pub const BUSY_RETRY_MS: u64 = 200;
/// The `retry_after_ms` while storage is unreachable.
pub const UNAVAILABLE_RETRY_MS: u64 = 1_000;
/// When a search that took too long may be tried again, milliseconds.
pub const SEARCH_RETRY_MS: u64 = 1_000;
/// The least `retry_after_ms` of GOING_AWAY.
pub const DRAIN_RETRY_MS: u64 = 1_000;
/// Milliseconds that each further client adds to [`DRAIN_RETRY_MS`], so that clients do not reconnect all at once.
pub const DRAIN_STEP_MS: u64 = 7;
/// The range over which [`DRAIN_STEP_MS`] spreads the clients, milliseconds.
pub const DRAIN_SPREAD_MS: u64 = 1_000;
/// JSON bytes of a page of friends.
pub const FRIENDS_BYTES: usize = 200 << 10;
/// JSON bytes of a page of groups.
pub const GROUPS_BYTES: usize = 200 << 10;
/// JSON bytes of the friends, and of the groups, in the reply to LOGIN; its conversations take at most 100 KiB, apart from
/// last messages, which take what is left of [`LISTINGS_BYTES`].
pub const LOGIN_FRIENDS_BYTES: usize = 64 << 10;
pub const LOGIN_GROUPS_BYTES: usize = 64 << 10;
/// JSON bytes of a page of conversations with their last messages, and of all listings in the reply to LOGIN with these.
pub const LISTINGS_BYTES: usize = 250 << 10;

pub(crate) const GOING_AWAY: &str = "the server is going away";
pub(crate) const SEARCH_UNAVAILABLE: &str = "messages cannot be searched now; try again";
pub(crate) const SEARCH_BUSY: &str = "the search took too long; name a conversation, a time or rarer words";
pub(crate) const UNAVAILABLE: &str = "storage cannot be reached now; try again";
pub(crate) const SESSION_ENDED: &str = "this session has ended: by a newer login, or because it was revoked";
pub(crate) const WRONG_PASSWORD: &str = "the id, the name or the password is wrong";
pub(crate) const TOKEN_INVALID: &str = "the token is expired, revoked or unknown; log in by password";
pub(crate) const ALREADY_ONLINE: &str = "the account is online elsewhere";
pub(crate) const INTERNAL: &str = "the server failed; its log says why";
