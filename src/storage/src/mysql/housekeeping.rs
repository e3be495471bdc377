//! The thread that creates tables ahead of time and drops what has expired.

use super::failure::Cause;
use super::reconnect::{AutoConnection, IDLE};
use super::{claim, retention, schema, token};
use runtime::worker::Control;
use std::time::{Duration, Instant};

/// The pause between two rounds of housekeeping, and between two looks at what is not kept any more.
const HOUSE_EVERY: Duration = Duration::from_secs(60);

/// The pause after a failed round.
const HOUSE_AGAIN: Duration = Duration::from_secs(1);

/// Expired tokens or sessions deleted at once.
const PRUNE_MAX: u64 = 500;

/// Creates tables ahead of time, drops outdated ones, deletes expired tokens and sessions, and drops the months that are
/// not kept any more.
pub fn housekeep(mut connection: AutoConnection, retention_months: Option<u32>, control: Control) {
    let (mut due, mut retention_due) = (Instant::now(), Instant::now());
    while !control.is_stopping() {
        if Instant::now() >= due {
            let kept = connection.with(|conn| {
                schema::keep_tables(conn)?;
                while token::prune_tokens(conn, PRUNE_MAX)? == PRUNE_MAX {}
                while claim::prune(conn, PRUNE_MAX as usize)? == PRUNE_MAX as usize {}
                Ok(())
            });
            due = Instant::now() + if kept.is_ok() { HOUSE_EVERY } else { HOUSE_AGAIN };
            if let Err(failure) = kept
                && failure.cause != Cause::Lost
            {
                log::error!("housekeeping failed and will be tried again: {failure}");
            }
        }
        // What keeps old months from being dropped must not keep tables from being created.
        if let Some(months) = retention_months
            && Instant::now() >= retention_due
        {
            let kept = connection.with(|conn| retention::keep(conn, months, || !control.is_stopping()));
            let is_lost = kept.as_ref().is_err_and(|failure| failure.cause == Cause::Lost);
            retention_due = Instant::now() + if is_lost { HOUSE_AGAIN } else { HOUSE_EVERY };
            if let Err(failure) = kept
                && !is_lost
            {
                log::error!("old months are not dropped, which is tried again in a minute: {failure}");
            }
        }
        connection.keep_alive();
        control.wait(Some(IDLE), || control.is_stopping());
    }
}
