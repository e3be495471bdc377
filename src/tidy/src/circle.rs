//! Circles: files of one crate that depend on each other, directly or around.

use crate::path::Uses;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// All circles, each as its files: the strongly connected components of more than one file.
pub fn circles(uses: &Uses) -> Vec<BTreeSet<PathBuf>> {
    let reach: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        uses.keys().map(|file| (file, reachable(uses, file))).collect();
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (&file, reached) in &reach {
        let is_known = circles.iter().any(|circle| circle.contains(file));
        if reached.contains(file) && !is_known {
            let back =
                reached.iter().filter(|other| reach.get(**other).is_some_and(|back| back.contains(file)));
            circles.push(back.map(|&file| file.clone()).collect());
        }
    }
    circles
}

/// The files that a file depends on directly or through others; itself only if it stands in a circle.
fn reachable<'a>(uses: &'a Uses, from: &PathBuf) -> BTreeSet<&'a PathBuf> {
    let next = |file: &PathBuf| uses.get(file).into_iter().flat_map(BTreeMap::keys);
    let (mut reached, mut todo) = (BTreeSet::new(), next(from).collect::<Vec<_>>());
    while let Some(file) = todo.pop() {
        if reached.insert(file) {
            todo.extend(next(file));
        }
    }
    reached
}

/// The dependencies that make a circle, one a line: `from -> to: names`.
pub fn edges(uses: &Uses, circle: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut lines = Vec::new();
    for from in circle {
        for (to, names) in uses.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(*to)) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            lines.push(format!("{} -> {}: {}", from.display(), to.display(), names.join(", ")));
        }
    }
    lines
}
