//! The watchdog: systemd restarts a server that has not said for a while (`WatchdogSec=`) that it lives.
//!
//! No thread says so for others, for that one would go on when another hangs. The loops stand in a circle: each notes
//! that it has turned, and whichever completes the circle feeds the watchdog. A single loop that hangs, any of them, is
//! no feed.
//!
//! It costs a look at the clock a turn, and a lock and maybe a datagram every few seconds; where nothing watches, nothing.

use parking_lot::Mutex;
use sd_notify::NotifyState;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often each loop notes its turn in the time after which it counts as hung. The circle is complete after one such
/// span at most, two if it has just been completed, so half of the time is to spare.
const TURNS: u32 = 4;

/// One for the process, like the manager that watches it; like the logger, it is there for whoever needs it.
static CIRCLE: OnceLock<Arc<Circle>> = OnceLock::new();

/// Prepares the circle, if somebody watches.
pub fn start() {
    if let Some(patience) = sd_notify::watchdog_enabled() {
        log::debug!("a loop that hangs for {} s ends the server", patience.as_secs());
        // Whoever calls this twice gets the first.
        CIRCLE.get_or_init(|| Arc::new(Circle::new(patience / TURNS)));
    }
}

/// The loops that feed the watchdog.
#[derive(Debug)]
struct Circle {
    /// How often each notes its turn.
    every: Duration,
    /// Whether each has turned since the last feed; `None`: it has ended.
    turned: Mutex<Vec<Option<bool>>>,
}

impl Circle {
    fn new(every: Duration) -> Circle {
        Circle { every, turned: Mutex::default() }
    }

    fn join(&self) -> usize {
        let mut turned = self.turned.lock();
        turned.push(Some(false));
        turned.len() - 1
    }

    /// Whether that completes the circle; if so a new one begins.
    fn turn(&self, place: usize) -> bool {
        let mut turned = self.turned.lock();
        turned[place] = Some(true);
        let is_complete = turned.iter().flatten().all(|&turned| turned);
        if is_complete {
            turned.iter_mut().flatten().for_each(|turned| *turned = false);
        }
        is_complete
    }

    fn leave(&self, place: usize) {
        self.turned.lock()[place] = None;
    }
}

/// A loop's place in the circle, which it leaves by its end.
#[derive(Debug)]
pub struct Pulse(Option<Place>);

#[derive(Debug)]
struct Place {
    circle: Arc<Circle>,
    index: usize,
    /// When to note the next turn.
    due: Instant,
}

impl Pulse {
    /// Takes a place for a loop. From here on its turns are waited for.
    pub fn join() -> Pulse {
        Pulse(CIRCLE.get().map(Place::of))
    }

    /// The loop turns. To be called in every turn, also in those that find nothing to do.
    pub fn beat(&mut self) {
        let Some(place) = &mut self.0 else { return };
        if place.beat(Instant::now())
            && let Err(error) = sd_notify::notify(&[NotifyState::Watchdog])
        {
            log::warn!("the watchdog cannot be fed: {error}");
        }
    }

    /// How long the loop may sleep: as long as it wants to, but not past its next beat.
    pub fn within(&self, sleep: Option<Duration>) -> Option<Duration> {
        let beat = self.0.as_ref().map(|place| place.due.saturating_duration_since(Instant::now()));
        [sleep, beat].into_iter().flatten().min()
    }
}

impl Place {
    fn of(circle: &Arc<Circle>) -> Place {
        Place { circle: Arc::clone(circle), index: circle.join(), due: Instant::now() }
    }

    /// Whether the watchdog is to be fed.
    fn beat(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + self.circle.every;
        self.circle.turn(self.index)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.circle.leave(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn one_that_hangs_is_no_feed_whichever_it_is() {
        for hangs in 0..3 {
            let circle = Arc::new(Circle::new(EVERY));
            let mut loops: Vec<Place> = (0..3).map(|_| Place::of(&circle)).collect();
            let mut now = loops[2].due;
            let fed = loops.iter_mut().filter_map(|each| each.beat(now).then_some(())).count();
            assert_eq!(fed, 1, "the last completes the circle");
            for _ in 0..10 {
                now += EVERY;
                let others = loops.iter_mut().enumerate().filter(|(index, _)| *index != hangs);
                let fed = others.filter_map(|(_, each)| each.beat(now).then_some(())).count();
                assert_eq!(fed, 0, "{hangs} hangs");
            }
            assert!(loops[hangs].beat(now), "it goes on");
        }
    }

    #[test]
    fn a_busy_loop_beats_no_more_often_than_one_that_sleeps() {
        let circle = Arc::new(Circle::new(EVERY));
        let mut alone = Place::of(&circle);
        let start = alone.due;
        let fed = (0..1_000).filter(|&step| alone.beat(start + EVERY * step / 100)).count();
        assert_eq!(fed, 10);
    }

    #[test]
    fn who_has_ended_is_not_waited_for() {
        let circle = Arc::new(Circle::new(EVERY));
        let (mut stays, ends) = (Place::of(&circle), Place::of(&circle));
        let now = ends.due;
        assert!(!stays.beat(now));
        drop(ends);
        assert!(stays.beat(now + EVERY));
    }

    #[test]
    fn nobody_sleeps_past_its_beat_and_where_nobody_watches_everybody_does() {
        let circle = Arc::new(Circle::new(EVERY));
        let mut place = Place::of(&circle);
        place.beat(Instant::now());
        let pulse = Pulse(Some(place));
        let sleep = pulse.within(None).unwrap();
        assert!(sleep <= EVERY && sleep > EVERY / 2, "{sleep:?}");
        assert_eq!(pulse.within(Some(Duration::ZERO)), Some(Duration::ZERO));
        let unwatched = Pulse::join();
        assert_eq!(unwatched.within(None), None);
        assert_eq!(unwatched.within(Some(EVERY * 100)), Some(EVERY * 100));
    }
}
