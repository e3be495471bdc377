//! Included by the tests of every program: its manual pages in this folder are what its arguments say.

use clap_mangen::roff::{Roff, bold, roman};
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
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let page = page(command, section);
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

/// The page of a command, with the end of its long help as sections before the last one.
fn page(command: clap::Command, section: &str) -> String {
    let end = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let command = command.after_help(None::<&str>).after_long_help(None::<&str>);
    let page = rendered(|page| clap_mangen::Man::new(command).section(section).render(page));
    let sections = rendered(|page| sections(&end).to_writer(page));
    // Both begin with the same definition of the apostrophe.
    let common = page.lines().zip(sections.lines()).take_while(|(one, other)| one == other).count();
    let sections: String = sections.lines().skip(common).map(|line| format!("{line}\n")).collect();
    let page = match page.rfind(".SH VERSION") {
        Some(last) => format!("{}{sections}{}", &page[..last], &page[last..]),
        None => page + &sections,
    };
    let escaped = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) };
    page.chars().map(escaped).collect()
}

fn rendered(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    render(&mut page).expect("a Vec takes everything");
    String::from_utf8(page).expect("roff is text")
}

/// Help in blocks with blank lines between them, as sections. A block that begins with `Title:` alone in its line begins
/// a section. In a block, `  term  text` is a term with its explanation, which may go on in lines that are indented
/// further; another indented line is an example; the other lines are paragraphs.
fn sections(help: &str) -> Roff {
    let mut out = Roff::new();
    for block in help.split("\n\n").filter(|block| !block.is_empty()) {
        let mut lines = block.lines().peekable();
        if let Some(title) = lines.peek().and_then(|line| line.strip_suffix(':')) {
            out.control("SH", [title.to_uppercase().as_str()]);
            lines.next();
        } else {
            out.control("PP", []);
        }
        while let Some(line) = lines.next() {
            let Some(indented) = line.strip_prefix("  ") else {
                out.text([roman(line)]);
                continue;
            };
            let (term, mut text) = match indented.split_once("  ") {
                Some((term, text)) => (term, text.trim_start().to_owned()),
                None => (indented, String::new()),
            };
            while let Some(more) = lines.next_if(|line| line.starts_with("     ")) {
                text = format!("{text} {}", more.trim_start()).trim_start().to_owned();
            }
            if text.is_empty() {
                out.control("RS", ["4"]).control("nf", []).text([roman(term)]);
                out.control("fi", []).control("RE", []);
            } else {
                out.control("TP", []).text([bold(term)]).text([roman(text)]);
            }
        }
    }
    out
}
