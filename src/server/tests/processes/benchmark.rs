//! chatbench against the real server.

use crate::support::{Server, programs};
use std::process::Command;

#[test]
fn chatbench_accounts_for_every_message() {
    let server = Server::start(&[]);
    let output = Command::new(programs::chatbench())
        .args(["pairs", "--address", &server.address.to_string()])
        .args(["--pairs", "4", "--window", "8", "--size", "64", "--seconds", "1", "--warmup", "0.2"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
