//! The packages of the workspace, as far as their `Cargo.toml` tells: the folder, and which other packages they need.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    pub folder: PathBuf,
    /// The names in `[dependencies]`, of this workspace or not. Those of tests and build scripts do not count.
    pub dependencies: Vec<String>,
}

/// All packages below `root`, by name.
///
/// # Errors
/// If a folder or a `Cargo.toml` cannot be read.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    collect(root, &mut packages)?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn collect(folder: &Path, packages: &mut Vec<Package>) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    if manifest.exists() {
        let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
        packages.extend(parse(folder, &text));
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !is_hidden && name != "target" {
            collect(&entry.path(), packages)?;
        }
    }
    Ok(())
}

/// `None` for a workspace that is no package itself.
fn parse(folder: &Path, text: &str) -> Option<Package> {
    let (mut section, mut name, mut dependencies) = (String::new(), None, Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[') {
            title.trim_end_matches(']').clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().split('.').next().unwrap_or_default();
            match section.as_str() {
                "package" if key == "name" => name = Some(value.trim().trim_matches('"').to_owned()),
                "dependencies" => dependencies.push(key.to_owned()),
                _ => {}
            }
        }
    }
    name.map(|name| Package { name, folder: folder.to_owned(), dependencies })
}

impl Package {
    /// The root files of its library and its programs.
    pub fn roots(&self) -> Vec<PathBuf> {
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| self.folder.join(root));
        roots.into_iter().filter(|root| root.exists()).collect()
    }

    /// All of its Rust files, tests and examples too, without those of packages inside it.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect_files(&self.folder, &mut files)?;
        files.sort();
        Ok(files)
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            let is_own = !path.join("Cargo.toml").exists() && !path.ends_with("target");
            if is_own {
                collect_files(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
