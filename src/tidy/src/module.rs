//! The modules of one crate, each with its file, its items and its imports. Code compiled only for tests is left out.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// A place in [`Crate::modules`].
pub type ModuleId = usize;

/// All modules of a library or a program; the root is the first.
#[derive(Default)]
pub struct Crate {
    pub modules: Vec<Module>,
}

/// A module: a file, or an inline `mod` in one.
pub struct Module {
    pub file: PathBuf,
    pub parent: Option<ModuleId>,
    pub children: BTreeMap<String, ModuleId>,
    /// The names of the items that it defines, modules apart.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Everything but `mod` and `use`.
    pub code: Vec<Item>,
}

/// One name that a `use` brings in.
#[derive(Clone, Debug)]
pub struct Import {
    /// As it is called here; `*` for all names.
    pub name: String,
    /// As it is written, without the `*`.
    pub path: Vec<String>,
    /// Whether it is a re-export, which is not a dependency of this module.
    pub is_reexport: bool,
}

impl Crate {
    /// Reads the crate whose root is the file `root`.
    ///
    /// # Errors
    /// If a file is missing or is not Rust.
    pub fn read(root: &Path) -> Result<Crate> {
        let mut read = Crate::default();
        let folder = root.parent().context("a root file lies in a folder")?;
        read.add_file(root, folder, None)?;
        Ok(read)
    }

    /// Adds a file's module and those below it, whose files lie in `folder`.
    fn add_file(&mut self, file: &Path, folder: &Path, parent: Option<ModuleId>) -> Result<ModuleId> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let syntax = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        self.add(file, folder, parent, syntax.items)
    }

    fn add(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<ModuleId>,
        items: Vec<Item>,
    ) -> Result<ModuleId> {
        let id = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: Vec::new(),
            code: Vec::new(),
        });
        for item in items.into_iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let child = match module.content {
                        Some((_, items)) => self.add(file, &folder.join(&name), Some(id), items)?,
                        None => {
                            let (file, folder) = child_file(folder, &name, &module.attrs)?;
                            self.add_file(&file, &folder, Some(id))?
                        }
                    };
                    self.modules[id].children.insert(name, child);
                }
                Item::Use(import) => {
                    let is_reexport = !matches!(import.vis, Visibility::Inherited);
                    flatten(&import.tree, &mut Vec::new(), is_reexport, &mut self.modules[id].imports);
                }
                item => {
                    self.modules[id].items.extend(name_of(&item));
                    self.modules[id].code.push(item);
                }
            }
        }
        Ok(id)
    }
}

/// The file of `mod name;`, and the folder of the files below it.
fn child_file(folder: &Path, name: &str, attributes: &[Attribute]) -> Result<(PathBuf, PathBuf)> {
    let named = attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    });
    if let Some(path) = named {
        let file = folder.join(path);
        let below = file.parent().context("a module's file lies in a folder")?.to_owned();
        return Ok((file, below));
    }
    let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs"));
    Ok((if flat.exists() { flat } else { nested }, folder.join(name)))
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, is_reexport: bool, imports: &mut Vec<Import>) {
    let mut add = |name: String, path: Vec<String>| imports.push(Import { name, path, is_reexport });
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            flatten(&step.tree, path, is_reexport, imports);
            path.pop();
        }
        // `use a::b::{self}` brings in `b`.
        UseTree::Name(leaf) if leaf.ident == "self" => {
            add(path.last().cloned().unwrap_or_default(), path.clone());
        }
        UseTree::Name(leaf) => {
            let name = leaf.ident.to_string();
            add(name.clone(), [&path[..], &[name]].concat());
        }
        UseTree::Rename(leaf) if leaf.ident == "self" => add(leaf.rename.to_string(), path.clone()),
        UseTree::Rename(leaf) => {
            add(leaf.rename.to_string(), [&path[..], &[leaf.ident.to_string()]].concat());
        }
        UseTree::Glob(_) => add("*".to_owned(), path.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path, is_reexport, imports);
            }
        }
    }
}

/// Whether an item is compiled for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
