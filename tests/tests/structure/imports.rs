//! The imports among the files of a crate, with their lines and paths.
//!
//! A path counts as an import of the file that defines its item. Re-exports are followed and do not
//! count themselves. The import of a module does not count; the uses of its items do.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::sources::{Reference, Sources, Target};

/// By the importing and the imported file: lines and paths.
pub(crate) type Imports = BTreeMap<(String, String), BTreeSet<(usize, String)>>;

/// The imports among the files of `sources`, and a line for each path of the crate that does not resolve.
pub(crate) fn imports(sources: &Sources) -> (Imports, Vec<String>) {
    let (mut imports, mut unresolved) = (Imports::new(), Vec::new());
    for reference in &sources.references {
        let from = sources.file_of(reference.module);
        let found = Resolver { sources, seen: HashSet::new() }.reference(reference);
        let path = reference.path.join("::");
        if is_of_the_crate(reference) && found.is_empty() {
            unresolved.push(format!("{from}:{}: `{path}` does not resolve", reference.line));
        }
        for file in found.into_iter().filter_map(Found::file).filter(|it| *it != from) {
            let places = imports.entry((from.to_owned(), file.to_owned())).or_default();
            places.insert((reference.line, path.clone()));
        }
    }
    (imports, unresolved)
}

fn is_of_the_crate(reference: &Reference) -> bool {
    matches!(reference.path[0].as_str(), "crate" | "super") && reference.path.len() > 1
}

/// What a path resolves to.
#[derive(Clone, Copy)]
enum Found<'a> {
    Module(usize),
    /// An item, or a part of one, of this file.
    Item(&'a str),
    /// Something of another crate.
    Foreign,
}

impl<'a> Found<'a> {
    fn file(self) -> Option<&'a str> {
        match self {
            Found::Module(_) | Found::Foreign => None,
            Found::Item(file) => Some(file),
        }
    }
}

struct Resolver<'a> {
    sources: &'a Sources,
    /// Names in resolution: an import may refer to itself.
    seen: HashSet<(usize, String)>,
}

impl<'a> Resolver<'a> {
    fn reference(&mut self, reference: &Reference) -> Vec<Found<'a>> {
        let mut found = self.path(reference.module, &reference.path);
        if reference.is_glob {
            for target in &mut found {
                if let Found::Module(module) = *target
                    && self.defines_items(module)
                {
                    *target = Found::Item(self.sources.file_of(module));
                }
            }
        }
        found
    }

    fn defines_items(&self, module: usize) -> bool {
        let mut targets = self.sources.modules[module].names.values().flatten();
        targets.any(|it| matches!(it, Target::Item))
    }

    /// Every target of `path` in `module`.
    fn path(&mut self, module: usize, path: &[String]) -> Vec<Found<'a>> {
        let (first, rest) = path.split_first().expect("a path has a segment");
        let mut found = match first.as_str() {
            "crate" => vec![Found::Module(self.root(module))],
            "self" => vec![Found::Module(module)],
            "super" => self.parent(module),
            name => {
                let found = self.name(module, name);
                if found.is_empty() { vec![Found::Foreign] } else { found }
            }
        };
        for segment in rest {
            found = found.into_iter().flat_map(|it| self.segment(it, segment)).collect();
        }
        found
    }

    fn segment(&mut self, of: Found<'a>, segment: &str) -> Vec<Found<'a>> {
        match of {
            Found::Module(module) if segment == "super" => self.parent(module),
            Found::Module(module) => self.name(module, segment),
            // A variant, an associated item, or anything below a name of another crate.
            Found::Item(_) | Found::Foreign => vec![of],
        }
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.sources.modules[module].parent {
            module = parent;
        }
        module
    }

    fn parent(&self, module: usize) -> Vec<Found<'a>> {
        self.sources.modules[module].parent.map(Found::Module).into_iter().collect()
    }

    fn name(&mut self, module: usize, name: &str) -> Vec<Found<'a>> {
        if !self.seen.insert((module, name.to_owned())) {
            return Vec::new();
        }
        let sources = self.sources;
        let of = &sources.modules[module];
        let targets = of.names.get(name).into_iter().flatten();
        let mut found: Vec<_> = targets.flat_map(|it| self.target(module, it)).collect();
        if found.is_empty() {
            for glob in &of.globs {
                let targets = self.path(module, glob);
                found.extend(targets.into_iter().flat_map(|it| match it {
                    Found::Module(it) => self.name(it, name),
                    Found::Item(_) => Vec::new(),
                    Found::Foreign => vec![it],
                }));
            }
        }
        self.seen.remove(&(module, name.to_owned()));
        found
    }

    fn target(&mut self, module: usize, target: &Target) -> Vec<Found<'a>> {
        match target {
            Target::Module(it) => vec![Found::Module(*it)],
            Target::Item => vec![Found::Item(self.sources.file_of(module))],
            Target::Use(path) => self.path(module, path),
        }
    }
}
