//! What `ops.listen` tells about this server: metrics, probes and the status page. It reads what the threads count about
//! themselves, and no thread waits for it.

mod metrics;
mod observed;
mod page;
mod process;
mod readout;
mod status;

pub use observed::{Lifecycle, Observed, Queue};
pub use readout::Readout;

use http::Operations;
use status::status;

impl Operations for Observed {
    fn metrics(&self) -> String {
        metrics::encode(self)
    }

    fn health(&self) -> Result<(), &'static str> {
        Observed::health(self)
    }

    fn readiness(&self) -> Result<(), &'static str> {
        Observed::readiness(self)
    }

    fn status(&self) -> String {
        format!("{}\n", status(self))
    }

    fn page(&self) -> String {
        page::of(&status(self))
    }
}

#[cfg(test)]
mod tests;
