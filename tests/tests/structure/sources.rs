//! The sources of a crate: files, modules, the names that each module declares, and the paths that
//! its code contains. Tests and models are skipped.

use std::collections::{BTreeMap, HashMap};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::exempt;
use crate::tokens;

/// Texts by their paths below the folder of a crate, such as `src/lib.rs`.
pub(crate) type Files = BTreeMap<String, String>;

/// What the sources of a crate declare and refer to.
#[derive(Default)]
pub(crate) struct Sources {
    /// The parsed files that are neither tests nor models, by path.
    pub(crate) parsed: BTreeMap<String, syn::File>,
    pub(crate) modules: Vec<Module>,
    pub(crate) references: Vec<Reference>,
}

/// A module: a file, or a part of one in braces.
pub(crate) struct Module {
    pub(crate) parent: Option<usize>,
    pub(crate) file: String,
    /// Several targets of one name are alternatives by `cfg`.
    pub(crate) names: HashMap<String, Vec<Target>>,
    pub(crate) globs: Vec<Vec<String>>,
}

/// What a name in a module refers to.
pub(crate) enum Target {
    /// A module of the crate, by its index.
    Module(usize),
    /// An item that the module itself defines.
    Item,
    /// An import or a re-export.
    Use(Vec<String>),
}

/// A path in the code of a module.
pub(crate) struct Reference {
    pub(crate) module: usize,
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    pub(crate) is_glob: bool,
}

impl Sources {
    /// Parses `src/lib.rs` and `src/main.rs`, and every module declared below them.
    pub(crate) fn parse(files: &Files) -> Sources {
        let mut sources = Sources::default();
        for root in ["src/lib.rs", "src/main.rs"] {
            if files.contains_key(root) {
                Reader::module_of_file(&mut sources, files, None, root.to_owned());
            }
        }
        sources
    }

    pub(crate) fn file_of(&self, module: usize) -> &str {
        &self.modules[module].file
    }
}

/// Reads one module.
struct Reader<'a> {
    sources: &'a mut Sources,
    files: &'a Files,
    module: usize,
    /// The folder of the child modules' files.
    folder: String,
}

impl<'a> Reader<'a> {
    /// Reads the file `path` as a module below `parent` and returns the module's index.
    fn module_of_file(
        sources: &'a mut Sources,
        files: &'a Files,
        parent: Option<usize>,
        path: String,
    ) -> usize {
        let text = files.get(&path).unwrap_or_else(|| panic!("no file {path} for its module"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module = push_module(sources, parent, &path);
        let (above, name) = path.rsplit_once('/').expect("a source is in a folder");
        let folder = match name {
            "lib.rs" | "main.rs" | "mod.rs" => above.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        Reader { sources: &mut *sources, files, module, folder }.visit_file(&parsed);
        sources.parsed.insert(path, parsed);
        module
    }

    fn name(&mut self, name: &syn::Ident, target: Target) {
        self.name_in(self.module, name.to_string(), target);
    }

    fn name_in(&mut self, module: usize, name: String, target: Target) {
        self.sources.modules[module].names.entry(name).or_default().push(target);
    }

    fn refer(&mut self, line: usize, path: Vec<String>, is_glob: bool) {
        let module = self.module;
        self.sources.references.push(Reference { module, line, path, is_glob });
    }

    /// The path of the child module's file.
    fn file_of_child(&self, item: &ItemMod) -> String {
        if let Some(path) = exempt::path_attribute(&item.attrs) {
            let file = self.sources.file_of(self.module);
            let (above, _) = file.rsplit_once('/').expect("a source is in a folder");
            return format!("{above}/{path}");
        }
        let flat = format!("{}/{}.rs", self.folder, item.ident);
        let nested = format!("{}/{}/mod.rs", self.folder, item.ident);
        if self.files.contains_key(&flat) { flat } else { nested }
    }

    fn leaves(&mut self, tree: &UseTree, path: &mut Vec<String>, is_import: bool) {
        let line = tree.span().start().line;
        let (name, full) = match tree {
            UseTree::Path(it) => {
                path.push(it.ident.to_string());
                self.leaves(&it.tree, path, is_import);
                path.pop();
                return;
            }
            UseTree::Group(it) => {
                it.items.iter().for_each(|it| self.leaves(it, path, is_import));
                return;
            }
            UseTree::Glob(_) => {
                let module = self.module;
                self.sources.modules[module].globs.push(path.clone());
                if is_import {
                    self.refer(line, path.clone(), true);
                }
                return;
            }
            UseTree::Name(it) => leaf(&it.ident, None, path),
            UseTree::Rename(it) => leaf(&it.ident, Some(&it.rename), path),
        };
        if is_import {
            self.refer(line, full.clone(), false);
        }
        self.name_in(self.module, name, Target::Use(full));
    }
}

fn push_module(sources: &mut Sources, parent: Option<usize>, file: &str) -> usize {
    let (names, globs) = (HashMap::new(), Vec::new());
    sources.modules.push(Module { parent, file: file.to_owned(), names, globs });
    sources.modules.len() - 1
}

/// The name that a leaf of a `use` declares, and its full path.
fn leaf(ident: &syn::Ident, rename: Option<&syn::Ident>, path: &[String]) -> (String, Vec<String>) {
    let mut full = path.to_vec();
    if ident != "self" {
        full.push(ident.to_string());
    }
    let name = rename.map(ToString::to_string).or_else(|| full.last().cloned());
    (name.unwrap_or_default(), full)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if exempt::is_exempt(exempt::attributes_of(item)) {
            return;
        }
        match item {
            Item::Const(it) => self.name(&it.ident, Target::Item),
            Item::Enum(it) => self.name(&it.ident, Target::Item),
            Item::Fn(it) => self.name(&it.sig.ident, Target::Item),
            Item::Static(it) => self.name(&it.ident, Target::Item),
            Item::Struct(it) => self.name(&it.ident, Target::Item),
            Item::Trait(it) => self.name(&it.ident, Target::Item),
            Item::Type(it) => self.name(&it.ident, Target::Item),
            Item::Union(it) => self.name(&it.ident, Target::Item),
            Item::Macro(it) => match &it.ident {
                Some(name) => self.name(name, Target::Item),
                // The items in the argument of a macro such as `pin_project!`.
                None => {
                    if let Ok(items) = syn::parse2::<syn::File>(it.mac.tokens.clone()) {
                        Visit::visit_file(self, &items);
                    }
                }
            },
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let parent = self.module;
        let child = if let Some((_, items)) = &item.content {
            let file = self.sources.file_of(parent).to_owned();
            let module = push_module(self.sources, Some(parent), &file);
            let folder = format!("{}/{}", self.folder, item.ident);
            let mut reader =
                Reader { sources: &mut *self.sources, files: self.files, module, folder };
            items.iter().for_each(|it| reader.visit_item(it));
            module
        } else {
            let file = self.file_of_child(item);
            if exempt::is_exempt_path(&file) {
                return;
            }
            Reader::module_of_file(self.sources, self.files, Some(parent), file)
        };
        self.name(&item.ident, Target::Module(child));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let is_import = matches!(item.vis, Visibility::Inherited);
            self.leaves(&item.tree, &mut Vec::new(), is_import);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|it| it.ident.to_string()).collect();
            self.refer(path.span().start().line, segments, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_path(self, &call.path);
        for (line, path) in tokens::paths(call.tokens.clone()) {
            self.refer(line, path, false);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !exempt::is_exempt(exempt::attributes_of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_local(&mut self, it: &'ast syn::Local) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_local(self, it);
        }
    }

    fn visit_expr_block(&mut self, it: &'ast syn::ExprBlock) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_expr_block(self, it);
        }
    }

    fn visit_stmt_macro(&mut self, it: &'ast syn::StmtMacro) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_stmt_macro(self, it);
        }
    }

    fn visit_field(&mut self, it: &'ast syn::Field) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_field(self, it);
        }
    }

    fn visit_field_value(&mut self, it: &'ast syn::FieldValue) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_field_value(self, it);
        }
    }

    fn visit_variant(&mut self, it: &'ast syn::Variant) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_variant(self, it);
        }
    }

    fn visit_arm(&mut self, it: &'ast syn::Arm) {
        if !exempt::is_exempt(&it.attrs) {
            visit::visit_arm(self, it);
        }
    }

    // Attributes and visibilities contain paths that are no imports.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
