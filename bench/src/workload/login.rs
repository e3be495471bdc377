//! Clients that connect, log in and leave: how fast, and how long does each take?

use super::{Measurement, Setup};
use crate::accounts::{Account, LoginMethod};
use crate::args::workload::LoginArgs;
use crate::clock::{SECOND, nanoseconds};
use crate::connection::Unit;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::legacy::{self, Object, msgid};
use crate::measure::Phase;
use crate::schedule::Schedule;
use std::collections::VecDeque;
use wire::kind::{REPLY, request};
use wire::session;
use wire::{Dialect, Errno, Frame, Reply};

/// What came of a LOGIN.
#[derive(Debug)]
pub enum Answer {
    /// It is logged in.
    LoggedIn,
    /// It is not: why, and after how many milliseconds to ask again, if the server says so.
    Refused(&'static str, Option<u64>),
    /// The answer makes no sense.
    FaultKind,
}

/// Reads the answer to a LOGIN; `None` where it is something else.
pub fn answer(unit: Unit<'_>) -> Option<Answer> {
    match unit {
        Unit::Frame(Frame { kind, value, .. }) if kind == REPLY | request::LOGIN => {
            // The whole answer is long; what matters stands first as the server writes it.
            if value.starts_with(b"{\"errno\":0,") {
                return Some(Answer::LoggedIn);
            }
            Some(match Reply::decode(kind, value) {
                Ok(Reply::Session(session::Reply::LoggedIn(_))) => Answer::LoggedIn,
                Ok(Reply::Refused(refusal)) => Answer::Refused(refusal.errno.name(), refusal.retry_after_ms),
                _ => Answer::FaultKind,
            })
        }
        Unit::Frame(_) => None,
        Unit::Object(object) => match legacy::read(object) {
            Object::Other(value) => match legacy::errno(&value, msgid::LOGIN_ACK)? {
                0 => Some(Answer::LoggedIn),
                1 => Some(Answer::Refused(Errno::BadCredentials.name(), None)),
                2 => Some(Answer::Refused(Errno::AlreadyOnline.name(), None)),
                // This dialect does not tell one reason from the other.
                _ => Some(Answer::Refused("REFUSED", None)),
            },
            Object::Chat(_) => None,
            Object::Broken => Some(Answer::FaultKind),
        },
    }
}

#[derive(Debug)]
enum Pace {
    /// So many under way; one after another at first, `step` ns apart.
    Window {
        full: usize,
        begin: u64,
        step: u64,
    },
    Rate(Schedule),
}

impl Pace {
    /// How many may be under way at `now`.
    fn window(&self, now: u64) -> usize {
        match *self {
            Pace::Window { full, begin, step } => {
                let grown = now.saturating_sub(begin).checked_div(step).unwrap_or(u64::MAX);
                full.min(usize::try_from(grown).unwrap_or(usize::MAX).saturating_add(1))
            }
            Pace::Rate(_) => usize::MAX,
        }
    }
}

/// Connection n belongs to account n.
struct Logins {
    accounts: Vec<Account>,
    by: LoginMethod,
    pace: Pace,
    /// How many may be under way now.
    window: usize,
    /// Accounts that are not logging in, the longest first.
    free: VecDeque<usize>,
    /// Since when logins count that are due and for which no account was free: the server is slow, and that counts.
    owed: VecDeque<u64>,
    /// Since when each login that is under way counts.
    since: Vec<Option<u64>>,
    under_way: usize,
}

/// Runs the workload.
pub fn run(setup: &Setup<'_>, args: &LoginArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(args.count)?;
    if setup.common.dialect.dialect() == Dialect::Tlv
        && args.by == LoginMethod::Token
        && accounts.iter().any(|account| account.token.is_empty())
    {
        return Err(Error::Usage("these accounts have no tokens: use --by password".to_owned()));
    }
    setup.ready()?;
    let mut event_loop = setup.event_loop("login", setup.warmup(), setup.length())?;
    let (now, ramp) = (event_loop.clock.now(), nanoseconds(setup.common.ramp));
    let pace = match (args.window, args.rate) {
        (Some(window), _) => {
            let full = window.min(args.count) as usize;
            Pace::Window { full, begin: now, step: ramp / full as u64 }
        }
        (_, rate) => Pace::Rate(Schedule::ramped(now, u64::from(rate.unwrap_or(1)), SECOND, ramp)),
    };
    let (free, since) = ((0..accounts.len()).collect(), vec![None; accounts.len()]);
    let owed = VecDeque::new();
    let mut logins = Logins { accounts, by: args.by, pace, window: 0, free, owed, since, under_way: 0 };
    event_loop.run(&mut logins, setup.drain())?;
    let missing = logins.under_way + logins.owed.len();
    event_loop.meter.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing as u64);
    Ok(vec![Measurement::new("", "login", "login", event_loop.meter.end())])
}

impl Logins {
    /// Begins a login that counts from `at`. Whether it could be begun.
    fn begin(&mut self, event_loop: &mut EventLoop, number: usize, at: u64) -> bool {
        if event_loop.open(number).is_err() {
            event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
            self.free.push_front(number);
            return false;
        }
        let dialect = event_loop.dialect();
        self.accounts[number].put_login(dialect, self.by, event_loop.output(number));
        self.since[number] = Some(at);
        self.under_way += 1;
        true
    }

    /// Takes in what is due until then, whether or not it can be begun.
    fn owe(&mut self, event_loop: &mut EventLoop, until: u64) {
        if let Pace::Rate(schedule) = &mut self.pace {
            while let Some((_, due)) = schedule.take(until) {
                event_loop.meter.record_lag(due, until);
                self.owed.push_back(due);
            }
        }
    }

    /// The login of `number` is over: since when it counted.
    fn end(&mut self, number: usize) -> Option<u64> {
        let since = self.since[number].take()?;
        self.free.push_back(number);
        self.under_way -= 1;
        Some(since)
    }
}

impl Load for Logins {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let is_over = event_loop.meter.phases().phase() == Phase::Drain;
        if !is_over {
            self.owe(event_loop, now);
        }
        self.window = self.pace.window(now);
        loop {
            let Some(&number) = self.free.front() else { return };
            let at = match &self.pace {
                Pace::Window { .. } if self.under_way < self.window && !is_over => event_loop.clock.now(),
                Pace::Window { .. } => return,
                Pace::Rate(_) => match self.owed.pop_front() {
                    Some(due) => due,
                    None => return,
                },
            };
            self.free.pop_front();
            if !self.begin(event_loop, number, at) {
                return;
            }
        }
    }

    fn finish(&mut self, event_loop: &mut EventLoop, close: u64) {
        self.owe(event_loop, close);
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64) {
        match answer(unit) {
            Some(Answer::LoggedIn) => match self.end(number) {
                Some(since) => event_loop.meter.record_done(since, now),
                None => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            },
            Some(Answer::Refused(why, _)) => {
                event_loop.meter.errors.note(why);
                self.end(number);
            }
            Some(Answer::FaultKind) => {
                event_loop.meter.errors.note(ErrorCounts::UNEXPECTED);
                self.end(number);
            }
            // What is pushed after a login is not waited for.
            None => return,
        }
        event_loop.close(number);
    }

    fn handle_lost(&mut self, _rig: &mut EventLoop, number: usize) -> bool {
        self.end(number);
        false
    }

    fn next_due(&self) -> u64 {
        match &self.pace {
            Pace::Rate(schedule) => schedule.next_due(),
            Pace::Window { .. } => u64::MAX,
        }
    }

    fn next_look(&self) -> u64 {
        match self.pace {
            Pace::Window { full, begin, step } if self.window < full => begin + step * self.window as u64,
            _ => u64::MAX,
        }
    }

    fn has_open(&self) -> bool {
        self.under_way > 0 || !self.owed.is_empty()
    }
}
