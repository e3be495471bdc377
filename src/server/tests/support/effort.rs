//! How much a test tries: `make test` finds most faults in minutes, `make test-long` looks for rare ones.

use std::env;

/// `ordinary`, or `long` if `CHATSERVER_TEST=long` is set, as `make test-long` sets it.
pub fn effort<T>(ordinary: T, long: T) -> T {
    match env::var("CHATSERVER_TEST").as_deref() {
        Err(_) => ordinary,
        Ok("long") => long,
        Ok(other) => panic!("CHATSERVER_TEST={other}: only `long` is known"),
    }
}
