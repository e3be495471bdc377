//! chatserver(8) says what the arguments are.

#[path = "../../../man/check.rs"]
mod check;

#[test]
fn the_manual_page_is_what_the_arguments_say() {
    let command = <chatserver::args::Args as clap::CommandFactory>::command();
    check::check(command, "8", env!("CARGO_MANIFEST_DIR"));
}
