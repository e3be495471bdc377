//! The outcome of a completed run. A run that could not be carried out ends with exit code 2.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every message was accounted for: exit code 0.
    Clean,
    /// Messages were lost, duplicated, out of order, wrong or refused, or the results could not be written: exit code
    /// 1.
    Faulty,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Clean => ExitCode::SUCCESS,
            Outcome::Faulty => ExitCode::from(1),
        }
    }
}
