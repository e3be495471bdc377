//! The watchdog: systemd restarts the server if it stays silent for longer than `WatchdogSec=`.
//!
//! A dedicated watchdog thread would keep feeding while another thread hangs, so there is none. Every watched loop
//! notes its turns, and the last loop to complete the circle feeds the watchdog. If any single loop hangs, the feed
//! stops, and [`is_hanging`] tells so. [`Role::is_watched`] lists the participating loops.
//!
//! The cost is one clock reading per turn, and a lock and possibly a datagram every few seconds.

use parking_lot::Mutex;
use sd_notify::NotifyState;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The number of times that a loop notes its turns within `WatchdogSec=`. Completing a circle takes one or two of these
/// intervals, which leaves half of the time in reserve.
const TURNS: u32 = 4;

/// How long after a loop was first found late it is taken for hanging.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// How long a loop may take for a turn where systemd does not say.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One per process, because systemd watches the process.
static CIRCLE: OnceLock<Arc<Circle>> = OnceLock::new();

/// Prepares the circle. Call it before any watched thread starts.
pub fn start() {
    let systemd = sd_notify::watchdog_enabled();
    if let Some(timeout) = systemd {
        log::debug!("watchdog: systemd restarts the server if a loop hangs for {} s", timeout.as_secs());
    }
    // A second call changes nothing.
    CIRCLE.get_or_init(|| Arc::new(Circle::new(systemd.unwrap_or(TIMEOUT) / TURNS, systemd.is_some())));
}

/// Whether a watched loop has not turned within `WatchdogSec=`, or within 20 s without systemd's watchdog. After a pause
/// of the whole process, loops have another second to turn from the first call on.
pub fn is_hanging() -> bool {
    CIRCLE.get().is_some_and(|circle| circle.is_broken(Instant::now()))
}

/// The task of a thread, which decides whether the watchdog waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Logic,
    Reactor,
    Acceptor,
    /// Carries out writes or reads of the database.
    Storage,
    /// Copies the write-ahead log of the embedded database into its file.
    Checkpoint,
    /// Creates and drops tables ahead of time.
    Housekeeping,
    Password,
    Bus,
    /// Keeps the search index or answers from it.
    Search,
    /// Answers browsers and operators.
    Http,
    /// Writes the log.
    Log,
}

impl Role {
    /// Whether systemd must restart the server when a loop of this role hangs.
    pub const fn is_watched(self) -> bool {
        match self {
            // Clients depend on each of these, and their turns are short.
            Role::Logic | Role::Reactor | Role::Acceptor | Role::Storage => true,
            // One hash may take as long as the operator configured, and a sync as long as the disk takes. The bus and
            // housekeeping may wait for another machine, and the log for whoever reads it; the server can serve clients
            // without them.
            Role::Password
            | Role::Checkpoint
            | Role::Bus
            | Role::Housekeeping
            | Role::Search
            | Role::Http
            | Role::Log => false,
        }
    }
}

/// The loops that feed the watchdog.
#[derive(Debug)]
struct Circle {
    /// The interval between two notes of a loop.
    every: Duration,
    /// Whether systemd waits for the feed.
    is_fed: bool,
    round: Mutex<Round>,
}

#[derive(Debug)]
struct Round {
    /// Whether each loop has turned since the last feed; `None`: it has ended.
    turned: Vec<Option<bool>>,
    begun: Instant,
    /// When some loop was first found to be late in this round.
    late_since: Option<Instant>,
}

impl Circle {
    fn new(every: Duration, is_fed: bool) -> Circle {
        Circle {
            every,
            is_fed,
            round: Mutex::new(Round { turned: Vec::new(), begun: Instant::now(), late_since: None }),
        }
    }

    fn enter(&self, now: Instant) -> usize {
        let mut round = self.round.lock();
        (round.begun, round.late_since) = (now, None);
        round.turned.push(Some(false));
        round.turned.len() - 1
    }

    /// Notes a turn. Returns whether that completes the circle; if so, a new one begins.
    fn turn(&self, place: usize, now: Instant) -> bool {
        let mut round = self.round.lock();
        round.turned[place] = Some(true);
        let is_complete = round.turned.iter().flatten().all(|&turned| turned);
        if is_complete {
            (round.begun, round.late_since) = (now, None);
            round.turned.iter_mut().flatten().for_each(|turned| *turned = false);
        }
        is_complete
    }

    fn leave(&self, place: usize) {
        self.round.lock().turned[place] = None;
    }

    /// Whether some loop, of those that have not ended, has not turned for too long.
    fn is_broken(&self, now: Instant) -> bool {
        let mut round = self.round.lock();
        let is_late = now.saturating_duration_since(round.begun) > self.every * TURNS
            && round.turned.iter().flatten().any(|&turned| !turned);
        if !is_late {
            round.late_since = None;
            return false;
        }
        now.saturating_duration_since(*round.late_since.get_or_insert(now)) >= SECOND_LOOK
    }
}

/// A loop's membership in the circle, which ends with the loop. Does nothing for a loop that is not watched.
#[derive(Debug)]
pub struct Pulse(Option<Watched>);

#[derive(Debug)]
struct Watched {
    circle: Arc<Circle>,
    index: usize,
    /// When to note the next turn.
    due: Instant,
}

impl Pulse {
    /// The pulse of a loop of this role. If it is watched, the circle waits for its turns from here on.
    pub fn of(role: Role) -> Pulse {
        Pulse(CIRCLE.get().filter(|_| role.is_watched()).map(Watched::enter))
    }

    /// Notes a turn. Call it every turn, also if there was nothing to do.
    pub fn beat(&mut self) {
        let Some(watched) = &mut self.0 else { return };
        if watched.beat(Instant::now())
            && watched.circle.is_fed
            && let Err(error) = sd_notify::notify(&[NotifyState::Watchdog])
        {
            log::warn!("cannot feed the systemd watchdog: {error}");
        }
    }

    /// How long the loop may sleep: `sleep`, but not past its next beat.
    pub fn within(&self, sleep: Option<Duration>) -> Option<Duration> {
        let beat = self.0.as_ref().map(|watched| watched.due.saturating_duration_since(Instant::now()));
        [sleep, beat].into_iter().flatten().min()
    }
}

impl Watched {
    fn enter(circle: &Arc<Circle>) -> Watched {
        let now = Instant::now();
        Watched { circle: Arc::clone(circle), index: circle.enter(now), due: now }
    }

    /// Notes a turn if one is due. Returns whether to feed the watchdog.
    fn beat(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + self.circle.every;
        self.circle.turn(self.index, now)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.circle.leave(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn a_single_hanging_loop_stops_the_feed() {
        for hangs in 0..3 {
            let circle = Arc::new(Circle::new(EVERY, true));
            let mut loops: Vec<Watched> = (0..3).map(|_| Watched::enter(&circle)).collect();
            let mut now = loops[2].due;
            let fed = loops.iter_mut().filter_map(|each| each.beat(now).then_some(())).count();
            assert_eq!(fed, 1, "the last completes the circle");
            for _ in 0..10 {
                now += EVERY;
                let others = loops.iter_mut().enumerate().filter(|(index, _)| *index != hangs);
                let fed = others.filter_map(|(_, each)| each.beat(now).then_some(())).count();
                assert_eq!(fed, 0, "{hangs} hangs");
            }
            assert!(!circle.is_broken(now), "the process may have been paused");
            assert!(circle.is_broken(now + SECOND_LOOK), "{hangs} hangs");
            assert!(loops[hangs].beat(now), "it turns again");
            assert!(!circle.is_broken(now));
        }
    }

    #[test]
    fn a_busy_loop_feeds_no_more_often_than_a_sleeping_one() {
        let circle = Arc::new(Circle::new(EVERY, true));
        let mut alone = Watched::enter(&circle);
        let start = alone.due;
        let fed = (0..1_000).filter(|&step| alone.beat(start + EVERY * step / 100)).count();
        assert_eq!(fed, 10);
    }

    #[test]
    fn the_circle_does_not_wait_for_a_loop_that_ended() {
        let circle = Arc::new(Circle::new(EVERY, true));
        let (mut stays, ends) = (Watched::enter(&circle), Watched::enter(&circle));
        let now = ends.due;
        assert!(!stays.beat(now));
        drop(ends);
        assert!(stays.beat(now + EVERY));
    }

    #[test]
    fn a_watched_loop_sleeps_until_its_next_beat_and_an_unwatched_one_as_long_as_it_likes() {
        let circle = Arc::new(Circle::new(EVERY, true));
        let mut watched = Watched::enter(&circle);
        watched.beat(Instant::now());
        let pulse = Pulse(Some(watched));
        let sleep = pulse.within(None).unwrap();
        assert!(sleep <= EVERY && sleep > EVERY / 2, "{sleep:?}");
        assert_eq!(pulse.within(Some(Duration::ZERO)), Some(Duration::ZERO));
        let unwatched = Pulse::of(Role::Password);
        assert_eq!(unwatched.within(None), None);
        assert_eq!(unwatched.within(Some(EVERY * 100)), Some(EVERY * 100));
    }
}
