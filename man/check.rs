//! Included by the tests of every program: its manual pages in this folder are what its arguments say.

use std::fs;
use std::path::Path;

/// Compares the pages of a program and its subcommands with those of the folder `man`, or with `MAN=write` in the
/// environment writes them there. `package` is the folder of the program's package.
pub fn check(mut command: clap::Command, section: &str, package: &str) {
    let root = Path::new(package).ancestors().find(|folder| folder.join("man/check.rs").exists());
    let folder = root.expect("packages lie in the workspace").join("man");
    command.build();
    let write = std::env::var_os("MAN").is_some_and(|value| value == "write");
    for command in with_subcommands(&command) {
        let (name, mut page) =
            (command.get_display_name().unwrap_or(command.get_name()).to_owned(), Vec::new());
        clap_mangen::Man::new(command).section(section).render(&mut page).expect("a Vec takes everything");
        let page = String::from_utf8(page).expect("roff is text");
        let path = folder.join(format!("{name}.{section}"));
        if write {
            fs::write(&path, &page).expect("the folder can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == page,
            "man/{name}.{section} is not what the arguments say: MAN=write cargo test writes it anew"
        );
    }
}

fn with_subcommands(command: &clap::Command) -> Vec<clap::Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once(command.clone()).chain(below.flat_map(with_subcommands)).collect()
}
