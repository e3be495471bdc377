//! The thread that creates tables ahead of time and drops what has expired.

use super::failure::Cause;
use super::reconnect::AutoConnection;
use super::{schema, token};
use runtime::worker::Control;
use std::time::{Duration, Instant};

/// How often housekeeping is done, and how soon again where it could not be.
const HOUSE_EVERY: Duration = Duration::from_secs(60);

const HOUSE_AGAIN: Duration = Duration::from_secs(1);

/// Expired tokens that are deleted in one go.
const PRUNE_MAX: u64 = 500;

/// How often an idle connection is used.
const IDLE: Duration = Duration::from_secs(1);

/// Makes tables ahead of time, drops those that nobody needs, forgets expired tokens.
pub fn keep_house(mut connection: AutoConnection, control: Control) {
    let mut due = Instant::now();
    while !control.is_stopping() {
        if Instant::now() >= due {
            let kept = connection.with(|conn| {
                schema::keep_tables(conn)?;
                while token::prune_tokens(conn, PRUNE_MAX)? == PRUNE_MAX {}
                Ok(())
            });
            due = Instant::now() + if kept.is_ok() { HOUSE_EVERY } else { HOUSE_AGAIN };
            if let Err(failure) = kept
                && failure.cause != Cause::Lost
            {
                log::error!("housekeeping has to wait: {failure}");
            }
        }
        connection.keep_alive();
        control.wait(Some(IDLE), || control.is_stopping());
    }
}
