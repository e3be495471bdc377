//! Markdown pages: the links in them, and the paths of this repository that they name.

use std::path::{Component, Path, PathBuf};

/// The folders at the root of the repository. A path in backticks that begins with one of them must exist.
const FOLDERS: [&str; 8] = ["bench/", "client/", "conf/", "docs/", "man/", "scripts/", "sql/", "src/"];

/// The dead links and paths in the page at `page`, which has this text. Paths are relative to `root`.
pub fn dead_references(root: &Path, page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(root);
    let dead_links = links(text).filter_map(|link| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { page.to_owned() } else { normal(&folder.join(path)) };
        let is_dead = match anchor {
            "" => !target.exists(),
            anchor => !std::fs::read_to_string(&target).is_ok_and(|text| has_heading(&text, anchor)),
        };
        is_dead.then(|| format!("the link {link} leads nowhere"))
    });
    let dead_paths = code(text)
        .filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)))
        .filter(|path| !path.contains(['*', ' ', '{', '<']) && !root.join(path).exists())
        .map(|path| format!("`{path}` does not exist"));
    dead_links.chain(dead_paths).collect()
}

/// The targets of `[text](target)` within the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://"))
}

/// Pieces between single backticks, outside of blocks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// Whether a page has a heading with this anchor, by GitHub's rule.
fn has_heading(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|line| line.trim_start_matches('#').trim()).any(|heading| {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
    })
}

/// Resolves `..` without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_anchors_and_paths_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("docs/page.md");
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        let text = "# A page, of two words\n[a](#a-page-of-two-words) [b](../docs/page.md) `docs/page.md`\n\
                    [c](#no) [d](no.md) `docs/no.md` `docs/*.md` [e](https://example.org/x)\n```\n`docs/no.md`\n```\n";
        std::fs::write(&page, text).unwrap();
        let dead =
            ["the link #no leads nowhere", "the link no.md leads nowhere", "`docs/no.md` does not exist"];
        assert_eq!(dead_references(folder.path(), &page, text), dead);
    }
}
