//! The rules that the source of this repository keeps. `cargo test -p tidy` prints where it does not.
//!
//! Each rule has a list of what is still allowed, which only ever shrinks: an entry that is no longer needed fails too.
//! `cargo test -p tidy -- --nocapture` also prints what is allowed, circles with the names that make them.

#![allow(clippy::unwrap_used, reason = "test support")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tidy::circle::{circles, edges};
use tidy::document::dead_references;
use tidy::module::Crate;
use tidy::package::{Package, packages};
use tidy::path::{Uses, uses};
use tidy::prose::{LINES_MAX, REASON, empty_docs, is_too_long};

/// Packages, and how many of their files may stand in circles.
const CIRCLES: &[(&str, usize)] = &[];

/// Packages, and how many of their files may be over 500 lines without a reason.
const LONG_FILES: &[(&str, usize)] = &[];

/// Packages, and how many doc comments of one or two words they may have.
const EMPTY_DOCS: &[(&str, usize)] = &[];

/// The packages of this workspace that each one may depend on.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("runtime", &[]),
    ("logic", &["wire"]),
    ("tls", &["runtime"]),
    ("websocket", &[]),
    ("outbound", &["tls"]),
    ("vfs", &[]),
    ("storage", &["logic", "outbound", "runtime", "tls", "vfs", "wire"]),
    ("search", &["logic", "runtime", "vfs", "wire"]),
    ("net", &["logic", "runtime", "tls", "websocket", "wire"]),
    ("http", &["logic", "runtime", "tls", "websocket", "wire"]),
    ("chatserver", &["http", "logic", "net", "outbound", "runtime", "search", "storage", "tls", "wire"]),
    ("chatclient-core", &["wire"]),
    ("chatclient-store", &["chatclient-core", "wire"]),
    ("chatclient-connection", &["chatclient-core", "chatclient-store", "tls", "websocket", "wire"]),
    ("chatclient", &["chatclient-connection", "chatclient-core", "chatclient-store", "tls", "wire"]),
    ("chatbench", &["logic", "runtime", "search", "storage", "tls", "websocket", "wire"]),
    ("guard", &["logic", "wire"]),
    ("tidy", &[]),
    ("fuzzing", &["wire", "logic", "storage", "websocket", "chatserver"]),
    ("fuzz", &["fuzzing"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Compares what was found, by package, with what is allowed. Prints the findings of each package that has too many,
/// and names the packages whose allowance can go.
fn hold(rule: &str, found: &BTreeMap<String, Vec<String>>, allowed: &[(&str, usize)]) {
    let mut faults = Vec::new();
    for (package, findings) in found {
        let allowed = allowed.iter().find(|(name, _)| name == package).map_or(0, |(_, count)| *count);
        if findings.len() > allowed {
            faults.push(format!(
                "{package}: {} {rule}, {allowed} allowed:\n  {}",
                findings.len(),
                findings.join("\n  ")
            ));
        }
    }
    for (package, _) in allowed.iter().filter(|(package, _)| !found.contains_key(*package)) {
        faults.push(format!("{package}: no {rule} any more; remove it from the list in tests/source.rs"));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn modules_import_each_other_in_one_direction() {
    let root = root();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages(&root).unwrap() {
        let mut files = BTreeSet::new();
        for crate_root in package.roots() {
            let uses = relative(&uses(&Crate::read(&crate_root).unwrap()), &root);
            for circle in circles(&uses) {
                println!("{}: a circle of {} files:", package.name, circle.len());
                edges(&uses, &circle).iter().for_each(|edge| println!("  {edge}"));
                files.extend(circle.iter().map(|file| file.display().to_string()));
            }
        }
        if !files.is_empty() {
            found.insert(package.name, files.into_iter().collect());
        }
    }
    hold("files in circles", &found, CIRCLES);
}

/// The same with paths that start at the repository's root.
fn relative(uses: &Uses, root: &Path) -> Uses {
    let short = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_owned();
    let targets = |targets: &BTreeMap<PathBuf, BTreeSet<String>>| {
        targets.iter().map(|(to, names)| (short(to), names.clone())).collect()
    };
    uses.iter().map(|(from, to)| (short(from), targets(to))).collect()
}

/// What `check` finds in the text of each file, by package.
fn in_files(check: impl Fn(&str) -> Vec<String>) -> BTreeMap<String, Vec<String>> {
    let root = root();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages(&root).unwrap() {
        for file in package.files().unwrap() {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            let findings = check(&text).into_iter().map(|finding| format!("{name}{finding}"));
            found.entry(package.name.clone()).or_default().extend(findings);
        }
    }
    found.retain(|_, findings| !findings.is_empty());
    found
}

#[test]
fn a_long_file_says_why() {
    let found = in_files(|text| match is_too_long(text) {
        true => vec![format!(": {} lines", text.lines().count())],
        false => Vec::new(),
    });
    let rule = format!("files over {LINES_MAX} lines whose //! has no line `{REASON}..`");
    hold(&rule, &found, LONG_FILES);
}

#[test]
fn a_doc_comment_says_more_than_the_name() {
    let found =
        in_files(|text| empty_docs(text).iter().map(|(line, doc)| format!(":{line}: /// {doc}")).collect());
    hold("doc comments of one or two words", &found, EMPTY_DOCS);
}

#[test]
fn packages_depend_on_each_other_in_one_direction() {
    let packages: Vec<Package> = packages(&root()).unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &packages {
        let Some((_, allowed)) = DEPENDENCIES.iter().find(|(name, _)| *name == package.name) else {
            faults.push(format!("{}: not in the list of tests/source.rs", package.name));
            continue;
        };
        let internal = package.dependencies.iter().filter(|name| names.contains(name.as_str()));
        for name in internal.filter(|name| !allowed.contains(&name.as_str())) {
            faults.push(format!("{} must not depend on {name}", package.name));
        }
    }
    for (name, _) in DEPENDENCIES.iter().filter(|(name, _)| !names.contains(name)) {
        faults.push(format!("{name}: no such package; remove it from the list in tests/source.rs"));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn pages_name_only_what_exists() {
    let root = root();
    let folders = ["", "docs", "docs/zh", "bench"].map(|folder| root.join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let pages =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("md".as_ref()));
    let mut faults = Vec::new();
    for page in pages {
        let name = page.strip_prefix(&root).unwrap().display().to_string();
        let dead = dead_references(&root, &page, &fs::read_to_string(&page).unwrap());
        faults.extend(dead.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_page_of_docs_is_there_in_chinese_with_the_same_sections() {
    let docs = root().join("docs");
    let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    for entry in fs::read_dir(&docs).unwrap() {
        let page = entry.unwrap().path();
        if page.extension() == Some("md".as_ref()) {
            let english = fs::read_to_string(&page).unwrap();
            let chinese = fs::read_to_string(docs.join("zh").join(page.file_name().unwrap())).unwrap();
            assert_eq!(headings(&english), headings(&chinese), "{}", page.display());
        }
    }
}
