//! Password work: which job the password thread gets next, and who is told to come back later.
//!
//! A request waits in the queue of its address. Its connection and its budget are checked again when its turn comes, so
//! nothing is hashed for a client that has gone or has used up its guesses in the meantime.

use crate::attempt::Attempt;
use crate::bus::{BusOrder, Channel, Hint};
use crate::effect::{Alert, PasswordJob};
use crate::limits::FREE_ACCOUNTS;
use crate::network::Network;
use crate::state::alerts::Refused;
use crate::state::bucket::UNIT;
use crate::state::login_throttle::Exhausted;
use crate::state::password_queue::{Added, Class};
use crate::state::passwords::Waiting;
use crate::state::pending::{Pending, PendingRequest};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::{Errno, Refusal};

const BUSY: &str = "too many passwords are being checked";
const TOO_MANY_GUESSES: &str = "too many wrong passwords; wait before the next try";
const TOO_MANY_ACCOUNTS: &str =
    "too many accounts were registered from this address; wait before the next one";

/// Queues a job. Its result continues `pending`.
pub(crate) fn queue(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    pending: impl Into<Pending>,
    class: Class,
    network: Network,
    job: PasswordJob,
) {
    let ticket = turn.wait(reply_to, pending);
    match turn.state.passwords.add(Waiting { ticket, class, network, job }) {
        Added::Queued => {}
        Added::Displaced(waiting) | Added::Full(waiting) => {
            let wait = turn.state.passwords.retry_ms();
            drop_job(turn, &waiting, |turn, reply_to| {
                turn.answer(reply_to, Refusal::later(Errno::Busy, BUSY, wait));
            });
        }
    }
    run_next(turn);
}

/// Notes that the password thread has finished its job.
pub(crate) fn finished(turn: &mut Turn<'_>) {
    turn.state.passwords.finished(turn.now.monotonic);
}

/// Gives the password thread its next job, if it has none.
pub(crate) fn run_next(turn: &mut Turn<'_>) {
    while let Some(waiting) = turn.state.passwords.take_next() {
        let Some(PendingRequest { reply_to, pending, .. }) = turn.state.pending.get(waiting.ticket) else {
            continue;
        };
        if !turn.state.is_connected(*reply_to) {
            drop_job(turn, &waiting, |_, _| {});
            continue;
        }
        if let Some(attempt) = pending.attempt()
            && let Err(wait) = turn.state.login_throttle.check(attempt, turn.now.monotonic)
        {
            let network = attempt.network;
            drop_job(turn, &waiting, |turn, reply_to| refuse_guess(turn, reply_to, network, wait));
            continue;
        }
        turn.state.passwords.started(turn.now.monotonic);
        turn.effects.passwords.push((waiting.ticket, waiting.job));
    }
}

/// Removes a request whose job is not run.
fn drop_job(turn: &mut Turn<'_>, waiting: &Waiting, answer: impl FnOnce(&mut Turn<'_>, ReplyTo)) {
    if waiting.class == Class::Registration {
        turn.state.registrations.put_back(waiting.network, UNIT);
    }
    if let Some(PendingRequest { reply_to, .. }) = turn.state.pending.take(waiting.ticket) {
        answer(turn, reply_to);
    }
}

// ---- guesses -------------------------------------------------------------------------------------------------------

/// Refuses an attempt whose budget is used up.
pub(crate) fn refuse_guess(turn: &mut Turn<'_>, reply_to: ReplyTo, network: Network, wait: u64) {
    turn.state.alerts.count_refused(Refused::Login, network);
    turn.answer(reply_to, Refusal::later(Errno::RateLimited, TOO_MANY_GUESSES, wait));
}

/// Counts an attempt that a password was checked for, here and on the other nodes.
pub(crate) fn tried(turn: &mut Turn<'_>, attempt: Attempt, is_right: bool) {
    if is_right {
        if turn.state.login_throttle.succeeded(&attempt) {
            publish(turn, attempt, is_right);
        }
        return;
    }
    for exhausted in turn.state.login_throttle.failed(&attempt, turn.now.monotonic) {
        let Attempt { account, network, .. } = attempt;
        turn.alert(match exhausted {
            Exhausted::Origin => Alert::GuessesFromOneAddress { account, network },
            Exhausted::Account => Alert::GuessesFromManyAddresses { account, network },
            Exhausted::Network => Alert::GuessesAtManyAccounts { accounts: FREE_ACCOUNTS, network },
        });
    }
    publish(turn, attempt, is_right);
}

/// Handles an attempt on another node.
pub(crate) fn tried_elsewhere(turn: &mut Turn<'_>, attempt: Attempt, is_right: bool) {
    if is_right {
        turn.state.login_throttle.succeeded(&attempt);
    } else {
        // The other node writes the alerts.
        turn.state.login_throttle.failed(&attempt, turn.now.monotonic).for_each(drop);
    }
}

/// Hints only: a count that is lost makes guessing no faster than on nodes that are not connected.
fn publish(turn: &mut Turn<'_>, attempt: Attempt, is_right: bool) {
    for run in turn.state.cluster.other_runs() {
        let hint = Hint::PasswordTried { attempt, is_right };
        turn.effects.bus.push(BusOrder::Publish { channel: Channel::Node(run), hint });
    }
}

// ---- registrations -------------------------------------------------------------------------------------------------

/// Refuses a registration if its network has registered too many accounts. `true`: it was refused.
pub(crate) fn refuse_registration(turn: &mut Turn<'_>, reply_to: ReplyTo, network: Network) -> bool {
    let Err(wait) = turn.state.registrations.check(network, UNIT, turn.now.monotonic) else { return false };
    turn.state.alerts.count_refused(Refused::Registration, network);
    turn.answer(reply_to, Refusal::later(Errno::RateLimited, TOO_MANY_ACCOUNTS, wait));
    true
}

/// Counts a registration of a network that [`refuse_registration`] did not refuse.
pub(crate) fn count_registration(turn: &mut Turn<'_>, network: Network) {
    let registrations = &mut turn.state.registrations;
    if registrations.take(network, UNIT, turn.now.monotonic).is_ok()
        && registrations.check(network, UNIT, turn.now.monotonic).is_err()
    {
        turn.alert(Alert::Registrations { network });
    }
}
