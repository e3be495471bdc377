//! Clients that connect, log in and disconnect: logins a second, and the latency of each.

use super::login_reply::{LoginReply, read_login_reply};
use super::setup::Setup;
use crate::accounts::{Account, LoginMethod};
use crate::args::workload::LoginArgs;
use crate::clock::{SECOND, nanoseconds};
use crate::connection::Inbound;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::measure::{Measurement, Phase};
use crate::schedule::Schedule;
use std::collections::VecDeque;
use wire::Dialect;

#[derive(Debug)]
enum Pace {
    /// `full` logins in progress; during the ramp one more every `step` ns.
    Window {
        full: usize,
        begin: u64,
        step: u64,
    },
    Rate(Schedule),
}

impl Pace {
    /// Logins that may be in progress at `now`.
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

/// Connection `n` belongs to account `n`.
struct Logins {
    accounts: Vec<Account>,
    by: LoginMethod,
    pace: Pace,
    /// Logins that may be in progress now.
    window: usize,
    /// Accounts that are not logging in, the longest waiting first.
    free: VecDeque<usize>,
    /// Due times of logins for which no account was free: the latency includes this wait, as the server causes it.
    overdue: VecDeque<u64>,
    /// The time from which each login in progress counts.
    since: Vec<Option<u64>>,
    in_progress: usize,
}

/// Runs the workload.
pub fn run(setup: &Setup<'_>, args: &LoginArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(args.count)?;
    if setup.common.dialect() == Dialect::Tlv
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
    let overdue = VecDeque::new();
    let mut logins = Logins { accounts, by: args.by, pace, window: 0, free, overdue, since, in_progress: 0 };
    event_loop.run(&mut logins, setup.drain())?;
    let missing = logins.in_progress + logins.overdue.len();
    event_loop.meter.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing as u64);
    Ok(vec![Measurement::new("", "login", "login", event_loop.meter.end())])
}

impl Logins {
    /// Starts a login whose latency counts from `at`. Returns whether it could be started.
    fn begin(&mut self, event_loop: &mut EventLoop, number: usize, at: u64) -> bool {
        if event_loop.open(number).is_err() {
            event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
            self.free.push_front(number);
            return false;
        }
        let dialect = event_loop.dialect();
        self.accounts[number].put_login(dialect, self.by, event_loop.output(number));
        self.since[number] = Some(at);
        self.in_progress += 1;
        true
    }

    /// Queues the logins that are due until `until`.
    fn queue_due(&mut self, event_loop: &mut EventLoop, until: u64) {
        if let Pace::Rate(schedule) = &mut self.pace {
            while let Some((_, due)) = schedule.take(until) {
                event_loop.meter.record_lag(due, until);
                self.overdue.push_back(due);
            }
        }
    }

    /// Ends the login of `number`; returns the time from which it counts.
    fn end(&mut self, number: usize) -> Option<u64> {
        let since = self.since[number].take()?;
        self.free.push_back(number);
        self.in_progress -= 1;
        Some(since)
    }
}

impl Load for Logins {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let is_over = event_loop.meter.phases().phase() == Phase::Drain;
        if !is_over {
            self.queue_due(event_loop, now);
        }
        self.window = self.pace.window(now);
        loop {
            let Some(&number) = self.free.front() else { return };
            let at = match &self.pace {
                Pace::Window { .. } if self.in_progress < self.window && !is_over => event_loop.clock.now(),
                Pace::Window { .. } => return,
                Pace::Rate(_) => match self.overdue.pop_front() {
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
        self.queue_due(event_loop, close);
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
        match read_login_reply(inbound) {
            Some(LoginReply::LoggedIn) => match self.end(number) {
                Some(since) => event_loop.meter.record_done(since, now),
                None => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            },
            Some(LoginReply::Refused { why, .. }) => {
                event_loop.meter.errors.note(why);
                self.end(number);
            }
            Some(LoginReply::Malformed) => {
                event_loop.meter.errors.note(ErrorCounts::UNEXPECTED);
                self.end(number);
            }
            // Pushes after a login are ignored.
            None => return,
        }
        event_loop.close(number);
    }

    fn handle_lost(&mut self, _event_loop: &mut EventLoop, number: usize) -> bool {
        self.end(number);
        false
    }

    fn next_due(&self) -> u64 {
        match &self.pace {
            Pace::Rate(schedule) => schedule.next_due(),
            Pace::Window { .. } => u64::MAX,
        }
    }

    fn next_coarse_due(&self) -> u64 {
        match self.pace {
            Pace::Window { full, begin, step } if self.window < full => begin + step * self.window as u64,
            _ => u64::MAX,
        }
    }

    fn has_open(&self) -> bool {
        self.in_progress > 0 || !self.overdue.is_empty()
    }
}
