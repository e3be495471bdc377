//! How much a run of the tests tries: `make test` what shows most faults in minutes, `make test-long` what shows rare ones.

use std::env;

/// `ordinary`; or `long`, where the environment says `CHATSERVER_TEST=long` as `make test-long` does.
pub fn effort<T>(ordinary: T, long: T) -> T {
    match env::var("CHATSERVER_TEST").as_deref() {
        Err(_) => ordinary,
        Ok("long") => long,
        Ok(other) => panic!("CHATSERVER_TEST={other}: only `long` is known"),
    }
}
