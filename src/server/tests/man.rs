//! chatserver(8) lists the arguments.

#[path = "../../../man/check.rs"]
mod check;

#[test]
fn the_manual_page_lists_the_arguments() {
    let command = <chatserver::args::Args as clap::CommandFactory>::command();
    check::check(command, "8", env!("CARGO_MANIFEST_DIR"));
}
