//! The names that sources define.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Field, ImplItem, Item, TraitItem, Variant};

/// Adds each name that `source` defines to `names`: items, associated items, variants and fields.
pub(crate) fn collect(path: &str, source: &str, names: &mut BTreeSet<String>) {
    let parsed = syn::parse_file(source).unwrap_or_else(|error| panic!("{path}: {error}"));
    Names(names).visit_file(&parsed);
}

struct Names<'a>(&'a mut BTreeSet<String>);

impl Names<'_> {
    fn add(&mut self, name: &syn::Ident) {
        self.0.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(it) => self.add(&it.ident),
            Item::Enum(it) => self.add(&it.ident),
            Item::Fn(it) => self.add(&it.sig.ident),
            Item::Macro(it) => {
                // The items in the argument of a macro such as `pin_project!`.
                if let Ok(items) = syn::parse2::<syn::File>(it.mac.tokens.clone()) {
                    Visit::visit_file(self, &items);
                }
            }
            Item::Mod(it) => self.add(&it.ident),
            Item::Static(it) => self.add(&it.ident),
            Item::Struct(it) => self.add(&it.ident),
            Item::Trait(it) => self.add(&it.ident),
            Item::Type(it) => self.add(&it.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        match item {
            ImplItem::Const(it) => self.add(&it.ident),
            ImplItem::Fn(it) => self.add(&it.sig.ident),
            _ => {}
        }
        visit::visit_impl_item(self, item);
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        match item {
            TraitItem::Const(it) => self.add(&it.ident),
            TraitItem::Fn(it) => self.add(&it.sig.ident),
            _ => {}
        }
        visit::visit_trait_item(self, item);
    }

    fn visit_variant(&mut self, it: &'ast Variant) {
        self.add(&it.ident);
        visit::visit_variant(self, it);
    }

    fn visit_field(&mut self, it: &'ast Field) {
        if let Some(name) = &it.ident {
            self.add(name);
        }
        visit::visit_field(self, it);
    }
}
