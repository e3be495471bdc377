//! chatbench(1) says what the arguments are.

#[path = "../../man/check.rs"]
mod check;

#[test]
fn the_manual_pages_are_what_the_arguments_say() {
    let command = <chatbench::args::Args as clap::CommandFactory>::command();
    check::check(command, "1", env!("CARGO_MANIFEST_DIR"));
}
