//! The thread that creates tables ahead of time and drops what has expired.

use super::failure::Cause;
use super::reconnect::{AutoConnection, IDLE};
use super::{claim, schema, token};
use runtime::worker::Control;
use std::time::{Duration, Instant};

/// The pause between two rounds of housekeeping, and after a failed one.
const HOUSE_EVERY: Duration = Duration::from_secs(60);

const HOUSE_AGAIN: Duration = Duration::from_secs(1);

/// Expired tokens or sessions deleted at once.
const PRUNE_MAX: u64 = 500;

/// Creates tables ahead of time, drops outdated ones, deletes expired tokens and sessions.
pub fn housekeep(mut connection: AutoConnection, control: Control) {
    let mut due = Instant::now();
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
        connection.keep_alive();
        control.wait(Some(IDLE), || control.is_stopping());
    }
}
