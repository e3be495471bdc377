//! Which module defines what a path names, and so which file of a crate uses which.
//!
//! A name that a facade re-exports belongs to the module that defines it: `use crate::store::Write` depends on
//! `store/write.rs`, not on `store/mod.rs`. Paths inside macro calls count too; methods do not, because only a type
//! checker knows whose they are.

use crate::module::{Crate, Import, Module, ModuleId, attributes, is_test};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use syn::visit::Visit;
use syn::{ImplItem, Item, ItemUse, Macro, UseTree};

/// Which files each file of a crate depends on, and by which name, as `store::Write`.
pub type Uses = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// All dependencies between the files of a crate.
pub fn uses(of: &Crate) -> Uses {
    let mut uses = Uses::new();
    for (id, module) in of.modules.iter().enumerate() {
        let mut add = |path: &[String]| {
            if let Some(target) = resolve(of, id, path, &mut BTreeSet::new()) {
                let file = &of.modules[target.module].file;
                if target.counts() && *file != module.file {
                    let names = uses.entry(module.file.clone()).or_default().entry(file.clone()).or_default();
                    names.insert(path.join("::"));
                }
            }
        };
        for import in module.imports.iter().filter(|import| !import.is_reexport) {
            match import.name.as_str() {
                "*" => add(&[&import.path[..], &["*".to_owned()]].concat()),
                _ => add(&import.path),
            }
        }
        for path in paths_in(&module.code) {
            add(&path);
        }
    }
    uses
}

/// The target of a path.
struct Target {
    module: ModuleId,
    /// The item in it; `None`: the module itself, whose items other paths name.
    item: Option<String>,
}

impl Target {
    /// A module that is only named is no dependency: what is used of it is.
    fn counts(&self) -> bool {
        self.item.is_some()
    }
}

/// Follows a path that stands in the module `from`; `None` if it leads out of the crate. `seen` ends circles of
/// re-exports.
fn resolve(
    of: &Crate,
    from: ModuleId,
    path: &[String],
    seen: &mut BTreeSet<(ModuleId, String)>,
) -> Option<Target> {
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => 0,
        "self" => from,
        "super" => of.modules[from].parent?,
        _ => return step(of, from, path, seen),
    };
    while let Some((next, after)) = rest.split_first()
        && next == "super"
    {
        at = of.modules[at].parent?;
        rest = after;
    }
    match rest {
        [] => Some(Target { module: at, item: None }),
        rest => step(of, at, rest, seen),
    }
}

/// Follows a path whose first name is looked up in the module `at`.
fn step(
    of: &Crate,
    at: ModuleId,
    path: &[String],
    seen: &mut BTreeSet<(ModuleId, String)>,
) -> Option<Target> {
    let (name, rest) = path.split_first()?;
    let module: &Module = &of.modules[at];
    if name == "*" {
        return Some(Target { module: at, item: Some("*".to_owned()) });
    }
    if let Some(&child) = module.children.get(name) {
        return match rest {
            [] => Some(Target { module: child, item: None }),
            rest => step(of, child, rest, seen),
        };
    }
    if module.items.contains(name) {
        return Some(Target { module: at, item: Some(name.clone()) });
    }
    if !seen.insert((at, name.clone())) {
        return None;
    }
    let follow = |import: &Import, rest: &[String], seen: &mut BTreeSet<_>| {
        resolve(of, at, &[&import.path[..], rest].concat(), seen)
    };
    let named = module.imports.iter().find(|import| import.name == *name);
    if let Some(import) = named {
        return follow(import, rest, seen);
    }
    let globs = module.imports.iter().filter(|import| import.name == "*");
    globs.into_iter().find_map(|import| follow(import, path, seen))
}

/// All paths in some items, each as its names.
fn paths_in(items: &[Item]) -> BTreeSet<Vec<String>> {
    let mut paths = Paths::default();
    for item in items {
        paths.visit_item(item);
    }
    paths.0
}

#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => return,
        };
        if !is_test(attributes) {
            syn::visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    /// A `use` inside a function.
    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        let mut prefix = Vec::new();
        leaves(&import.tree, &mut prefix, &mut self.0);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        scan(call.tokens.clone(), &mut self.0);
    }
}

fn leaves(tree: &UseTree, prefix: &mut Vec<String>, paths: &mut BTreeSet<Vec<String>>) {
    match tree {
        UseTree::Path(step) => {
            prefix.push(step.ident.to_string());
            leaves(&step.tree, prefix, paths);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, paths)),
        UseTree::Name(leaf) => drop(paths.insert([&prefix[..], &[leaf.ident.to_string()]].concat())),
        UseTree::Rename(leaf) => drop(paths.insert([&prefix[..], &[leaf.ident.to_string()]].concat())),
        UseTree::Glob(_) => drop(paths.insert([&prefix[..], &["*".to_owned()]].concat())),
    }
}

/// Takes runs of `name::name::..` from tokens, which is all that can be known of a macro's arguments.
fn scan(tokens: TokenStream, paths: &mut BTreeSet<Vec<String>>) {
    let (mut path, mut colons, mut is_field) = (Vec::new(), 0, false);
    let mut end = |path: &mut Vec<String>| {
        if !path.is_empty() {
            paths.insert(std::mem::take(path));
        }
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    end(&mut path);
                }
                if !is_field {
                    path.push(name.to_string());
                }
                (colons, is_field) = (0, false);
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            other => {
                end(&mut path);
                // A name after a dot is a field or a method, not a path.
                is_field = matches!(&other, TokenTree::Punct(sign) if sign.as_char() == '.');
                colons = 0;
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
            }
        }
    }
    end(&mut path);
    for group in groups {
        scan(group, paths);
    }
}
