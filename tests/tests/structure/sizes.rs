//! The bounds on the lines of a file and of a function.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItem, ImplItemFn, Item, ItemFn, Signature, TraitItemFn};

use crate::exempt;
use crate::sources::{Files, Sources};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 50;

/// Each file and each function of the crate `files` that is too long. Files and functions of tests
/// and models may be of any length.
pub(crate) fn faults(files: &Files) -> Vec<String> {
    faults_in(files, &Sources::parse(files).parsed)
}

/// The same for `files` of any targets, such as examples, whether they are declared or not.
pub(crate) fn faults_of_targets(files: &Files) -> Vec<String> {
    let sources = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let parse = |(path, text): (&String, &String)| {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path.clone(), parsed)
    };
    faults_in(files, &sources.map(parse).collect())
}

fn faults_in(files: &Files, parsed: &BTreeMap<String, syn::File>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, parsed) in parsed {
        let lines = files[path].lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{path}: {lines} lines, {FILE_LINES} at most"));
        }
        Functions { path, faults: &mut faults }.visit_file(parsed);
    }
    faults
}

struct Functions<'a> {
    path: &'a str,
    faults: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn function(&mut self, signature: &Signature, body: &Block) {
        let first = signature.span().start().line;
        let lines = body.brace_token.span.close().end().line - first + 1;
        if lines > FUNCTION_LINES {
            let (path, name) = (self.path, &signature.ident);
            let fault =
                format!("{path}:{first}: {lines} lines in `{name}`, {FUNCTION_LINES} at most");
            self.faults.push(fault);
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !exempt::is_exempt(exempt::attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !exempt::is_exempt(exempt::attributes_of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}
