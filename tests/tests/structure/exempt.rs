//! Tests and models are exempt from the checks.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Token};

/// Whether `attributes` restrict an item to builds of tests or models.
pub(crate) fn is_exempt(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.parse_args().expect("a cfg has a condition");
            needs_test_or_model(&condition)
        }
        _ => false,
    })
}

/// Whether `path` is the file of a test or a model by its name.
pub(crate) fn is_exempt_path(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let by_folder = folders.split('/').any(|it| matches!(it, "tests" | "loom_models"));
    by_folder || matches!(name, "tests.rs" | "loom.rs") || name.ends_with("_tests.rs")
}

fn needs_test_or_model(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test") || condition.path().is_ident("heist_loom");
    };
    let conditions = list
        .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
        .expect("an operator of cfg has a list of conditions");
    if list.path.is_ident("all") {
        conditions.iter().any(needs_test_or_model)
    } else {
        list.path.is_ident("any") && conditions.iter().all(needs_test_or_model)
    }
}

/// The file that `#[path = "…"]` names.
pub(crate) fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(it) if it.path.is_ident("path") => match &it.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

pub(crate) fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

pub(crate) fn attributes_of_impl_item(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(it) => &it.attrs,
        ImplItem::Fn(it) => &it.attrs,
        ImplItem::Type(it) => &it.attrs,
        ImplItem::Macro(it) => &it.attrs,
        _ => &[],
    }
}
