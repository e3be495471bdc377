//! The circles of small crates made for it.

#![allow(clippy::unwrap_used, reason = "test support")]

use std::collections::BTreeSet;
use std::fs;
use tidy::circle::circles;
use tidy::module::Crate;
use tidy::path::uses;

/// The circles of a crate given as (file, source), each as its files separated by spaces.
fn circles_of(files: &[(&str, &str)]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let read = Crate::read(&folder.path().join("lib.rs")).unwrap();
    let names = |circle: &BTreeSet<std::path::PathBuf>| {
        let names = circle.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    circles(&uses(&read)).iter().map(names).collect()
}

fn set(circles: &[&str]) -> BTreeSet<String> {
    circles.iter().map(|&circle| circle.to_owned()).collect()
}

#[test]
fn one_direction_is_no_circle() {
    let files =
        [("lib.rs", "mod a; mod b; pub use a::A;"), ("a.rs", "pub struct A;"), ("b.rs", "use crate::A;")];
    assert_eq!(circles_of(&files), set(&[]));
}

#[test]
fn imports_inline_paths_and_macro_arguments_count() {
    for back in [
        "use crate::b::B;",
        "fn f() -> crate::b::B { todo!() }",
        "fn f() { log!(\"{}\", super::b::B) }",
        "use crate::*;",
    ] {
        let files = [
            ("lib.rs", "mod a; mod b; pub struct Root(b::B);"),
            ("a.rs", &format!("pub struct A; {back}")),
            ("b.rs", "use crate::a::A; pub struct B;"),
        ];
        assert_ne!(circles_of(&files), set(&[]), "{back}");
    }
}

#[test]
fn a_reexport_belongs_to_the_module_that_defines_it() {
    let files = [
        ("lib.rs", "mod store; mod logic;"),
        ("store/mod.rs", "mod read; mod write; pub use write::Write; pub use read::*;"),
        ("store/write.rs", "pub struct Write;"),
        ("store/read.rs", "use super::Write; pub struct Read;"),
        ("logic.rs", "use crate::store::{self, Write}; fn f(_: store::Read) {}"),
    ];
    assert_eq!(circles_of(&files), set(&[]));
}

#[test]
fn a_facade_that_uses_what_it_reexports_depends_on_it() {
    let files = [
        ("lib.rs", "mod store;"),
        ("store/mod.rs", "mod read; pub use read::Read; pub const N: u8 = 1; fn f(_: Read) {}"),
        ("store/read.rs", "pub struct Read([u8; super::N as usize]);"),
    ];
    assert_eq!(circles_of(&files), set(&["store/mod.rs store/read.rs"]));
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ];
    assert_eq!(circles_of(&files), set(&[]));
}
