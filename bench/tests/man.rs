//! chatbench(1) and its subcommands match the arguments.

#[path = "../../man/check.rs"]
mod check;

#[test]
fn the_manual_pages_match_the_arguments() {
    let command = <chatbench::args::Args as clap::CommandFactory>::command();
    check::check(command, "1", env!("CARGO_MANIFEST_DIR"));
}
