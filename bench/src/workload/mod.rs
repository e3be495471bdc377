//! The workloads, one a file.

pub mod idle;
pub mod login;
mod login_reply;
pub mod messaging;
pub mod mixed;
pub mod offline;
mod pushes;
pub mod setup;
pub mod storm;

use crate::args::{Worker, Workload};
use crate::endpoints::{Endpoints, PORTS};
use crate::error::Error;
use crate::measure::Measurement;
use crate::progress::ProgressLine;
use setup::Setup;

/// Runs a workload, or this process's share of it.
pub fn run(workload: &Workload) -> Result<Vec<Measurement>, Error> {
    let common = workload.common();
    let worker = common.worker.unwrap_or(Worker { number: 0, of: 1 });
    let share = if worker.of > 1 { workload.share_of(worker) } else { workload.clone() };
    // Far enough apart that no two processes use the same source address when ports may run out.
    let first = u64::from(worker.number) * workload.connections().max(1).next_multiple_of(PORTS);
    let endpoints = Endpoints::new(&common.address, first, &common.tls)?;
    let skip = workload.accounts_before(worker);
    let setup = |title| Setup {
        common: share.common(),
        endpoints: endpoints.clone(),
        skip,
        progress: if common.worker.is_none() { ProgressLine::begin(title) } else { ProgressLine::hidden() },
    };
    match &share {
        Workload::Pairs(args) => messaging::pairs(&setup("pairs"), args),
        Workload::Group(args) => messaging::group(&setup("group"), args),
        Workload::Login(args) => login::run(&setup("login"), args),
        Workload::Storm(args) => storm::run(&setup("storm"), args),
        Workload::Idle(args) => idle::run(&setup("idle"), args),
        Workload::Offline(args) => offline::run(&setup("offline"), args),
        Workload::Mixed(args) => mixed::run(&setup("mixed"), args),
    }
}
