//! The check of layers on made-up crates.

use crate::layers::faults;
use crate::sources::Files;

/// The faults of a crate of these sources below `src`, whose README lists these layers.
fn faults_of(layers: &[&str], sources: &[(&str, &str)]) -> Vec<String> {
    let mut readme = "# A crate\n\n## Layers\n\nFrom the top:\n\n".to_owned();
    for (index, modules) in layers.iter().enumerate() {
        readme += &format!("{}. {modules}: words, and `others`\n", index + 1);
    }
    readme += "\n## Elsewhere\n\n1. `no_module`: not a layer\n";
    let mut files = Files::from([("README.md".to_owned(), readme)]);
    files.extend(sources.iter().map(|(path, text)| (format!("src/{path}"), (*text).to_owned())));
    faults(&files)
}

fn assert_no_fault(layers: &[&str], sources: &[(&str, &str)]) {
    assert_eq!(faults_of(layers, sources), [""; 0]);
}

/// The only fault, which a test compares.
fn fault_of(layers: &[&str], sources: &[(&str, &str)]) -> String {
    let mut faults = faults_of(layers, sources);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

#[test]
fn downward_imports_hold() {
    assert_no_fault(
        &["`top`", "`left`, `right`", "`low/`"],
        &[
            ("lib.rs", "mod top; mod left; mod right; mod low; pub use top::Top;"),
            ("top.rs", "use crate::{left::Left, low}; pub struct Top(Left, low::Low);"),
            ("left.rs", "use crate::right::Right; pub struct Left(Right);"),
            ("right.rs", "use super::low::Low; pub struct Right(Low);"),
            ("low/mod.rs", "mod part; pub use part::Low;"),
            ("low/part.rs", "pub struct Low;"),
        ],
    );
}

#[test]
fn upward_imports_are_found_and_located() {
    let lib = ("lib.rs", "mod a; mod b;");
    let top =
        ("a.rs", "pub struct A; pub fn f() {}\npub enum E { V }\npub mod deep { pub fn g() {} }");
    for (low, place) in [
        ("\nuse crate::a::A;", "src/b.rs:2: `crate::a::A`"),
        ("use super::a::A as Other;", "src/b.rs:1: `super::a::A`"),
        ("use crate::{\n    a::{\n        A,\n    },\n};", "src/b.rs:3: `crate::a::A`"),
        ("use crate::a::*;", "src/b.rs:1: `crate::a`"),
        ("use crate::a;\nfn g() { a::f() }", "src/b.rs:2: `a::f`"),
        ("use crate::a::{self as other};\nfn g() { other::f() }", "src/b.rs:2: `other::f`"),
        ("fn g() -> crate::a::A { todo!() }", "src/b.rs:1: `crate::a::A`"),
        ("fn g(_: Option<crate::a::A>) {}", "src/b.rs:1: `crate::a::A`"),
        ("fn g() { let _ = crate::a::E::V; }", "src/b.rs:1: `crate::a::E::V`"),
        ("fn g() { crate::a::deep::g() }", "src/b.rs:1: `crate::a::deep::g`"),
        ("fn g() { assert!(true, \"{}\", crate::a::f()) }", "src/b.rs:1: `crate::a::f`"),
        ("mod in_braces { fn g() { super::super::a::f() } }", "src/b.rs:1: `super::super::a::f`"),
        ("pub use crate::a::A;\nfn g(_: A) {}", "src/b.rs:2: `A`"),
        ("#[cfg(not(test))] use crate::a::A;", "src/b.rs:1: `crate::a::A`"),
        ("#[cfg(any(test, unix))] use crate::a::A;", "src/b.rs:1: `crate::a::A`"),
    ] {
        let fault = fault_of(&["`a`", "`b`"], &[lib, top, ("b.rs", low)]);
        let message = "1 imports of an upper layer by a lower one:\n  src/b.rs -> src/a.rs";
        assert_eq!(fault, format!("{message}\n      {place}"), "{low}");
    }
}

#[test]
fn the_root_of_a_crate_is_its_top_layer() {
    let below = ("a.rs", "use crate::VERSION;");
    let fault = fault_of(&["`a`"], &[("lib.rs", "mod a; pub const VERSION: u8 = 1;"), below]);
    assert!(fault.contains("src/a.rs -> src/lib.rs"), "{fault}");
    let fault = fault_of(&["`a`"], &[("main.rs", "mod a; const VERSION: u8 = 1;"), below]);
    assert!(fault.contains("src/a.rs -> src/main.rs"), "{fault}");
    // A re-export in the root is followed to what it names.
    assert_no_fault(
        &["`a`", "`b`"],
        &[
            ("lib.rs", "mod a; mod b; pub use b::B;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "pub struct B;"),
        ],
    );
}

#[test]
fn an_import_counts_as_one_of_the_file_that_defines_the_item() {
    // `b` names `c`, which re-exports an item of `a`.
    let fault = fault_of(
        &["`a`", "`b`", "`c`"],
        &[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::c::A;"),
            ("c.rs", "pub use crate::a::*;"),
        ],
    );
    assert!(fault.ends_with("src/b.rs -> src/a.rs\n      src/b.rs:1: `crate::c::A`"), "{fault}");
}

#[test]
fn cycles_of_files_are_found() {
    for (name, a, b) in [
        ("by imports", "use crate::m::b::B; pub struct A;", "use crate::m::a::A; pub struct B;"),
        ("by paths", "pub fn f() { super::b::g() }", "pub fn g() { super::a::f() }"),
        ("by globs", "use super::b::*; pub struct A;", "use super::a::*; pub struct B;"),
    ] {
        let sources =
            [("lib.rs", "mod m;"), ("m/mod.rs", "mod a; mod b;"), ("m/a.rs", a), ("m/b.rs", b)];
        let fault = fault_of(&["`m`"], &sources);
        assert!(fault.starts_with("a cycle of 2 files:\n"), "{name}: {fault}");
        for pair in ["  src/m/a.rs -> src/m/b.rs\n", "  src/m/b.rs -> src/m/a.rs\n"] {
            assert!(fault.contains(pair), "{name}: {fault}");
        }
    }
}

#[test]
fn a_cycle_of_three_is_one_fault_and_excludes_its_neighbours() {
    let fault = fault_of(
        &["`m`"],
        &[
            ("lib.rs", "mod m;"),
            ("m/mod.rs", "mod a; mod b; mod c; mod above; mod below;"),
            ("m/above.rs", "use super::a::A;"),
            ("m/a.rs", "use super::b::B; pub struct A;"),
            ("m/b.rs", "use super::c::C; pub struct B;"),
            ("m/c.rs", "use super::{a::A, below::Below}; pub struct C;"),
            ("m/below.rs", "pub struct Below;"),
        ],
    );
    assert!(fault.starts_with("a cycle of 3 files:\n"), "{fault}");
    assert!(!fault.contains("above") && !fault.contains("below"), "{fault}");
}

#[test]
fn a_parent_that_defines_what_its_child_uses_makes_a_cycle() {
    for parent in
        ["mod child; use child::Child; pub struct P;", "mod child; pub struct P(child::Child);"]
    {
        let child = "use super::P; pub struct Child;";
        let sources = [("lib.rs", "mod m;"), ("m/mod.rs", parent), ("m/child.rs", child)];
        let fault = fault_of(&["`m`"], &sources);
        assert!(fault.starts_with("a cycle of 2 files:\n"), "{fault}");
    }
    // One that only declares and re-exports does not.
    assert_no_fault(
        &["`m`"],
        &[
            ("lib.rs", "mod m;"),
            ("m/mod.rs", "mod child; mod other; pub use child::Child; pub use other::Other;"),
            ("m/child.rs", "use super::Other; pub struct Child;"),
            ("m/other.rs", "pub struct Other;"),
        ],
    );
}

#[test]
fn cycles_of_modules_of_one_rank_are_found() {
    let sources = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::Two;"),
        ("a/one.rs", "use crate::b::B; pub struct One;"),
        ("a/two.rs", "pub struct Two;"),
        ("b.rs", "use crate::a::Two; pub struct B;"),
    ];
    let fault = fault_of(&["`a`, `b`"], &sources);
    assert!(fault.starts_with("a cycle of 2 modules of one rank:\n"), "{fault}");
    let fault = fault_of(&["`a`", "`b`"], &sources);
    assert!(fault.starts_with("1 imports of an upper layer"), "{fault}");
}

#[test]
fn tests_and_models_are_exempt() {
    let upward = "use crate::a::A;";
    for low in [
        "#[cfg(test)] mod tests { use crate::a::A; }",
        "#[cfg(all(test, heist_loom))] mod models { use crate::a::A; }",
        "#[cfg(heist_loom)] use crate::a::A;",
        "#[cfg(test)] mod tests;",
        "#[cfg(test)] #[path = \"b_tests.rs\"] mod tests;",
        "mod loom;",
        "pub struct B; impl B { #[cfg(test)] fn f() { crate::a::f() } }",
        "fn g() { #[cfg(test)] crate::a::f!(); #[cfg(test)] let _ = crate::a::f(); }",
        "struct B { #[cfg(test)] a: crate::a::A }",
    ] {
        let mut sources = vec![
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; pub fn f() {}"),
            ("b.rs", low),
        ];
        sources.extend(["b/tests.rs", "b/loom.rs", "b_tests.rs"].map(|path| (path, upward)));
        assert_no_fault(&["`a`", "`b`"], &sources);
    }
}

#[test]
fn what_is_no_import_is_none() {
    for low in [
        "/// See [`crate::a::A`].\npub(in crate::b) struct B;",
        "use std::fmt; use other::a::A; fn g() { ::a::f() }",
        "fn g(a: Other) { a.f::<u8>(); assert!(a.f()) }",
        "pub use crate::a::A;",
        "use crate::a;",
    ] {
        let top = ("a.rs", "pub struct A; pub fn f() {}");
        assert_no_fault(&["`a`", "`b`"], &[("lib.rs", "mod a; mod b;"), top, ("b.rs", low)]);
    }
}

#[test]
fn alternatives_by_cfg_all_count() {
    let fault = fault_of(
        &["`a`", "`b`"],
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A;"),
            (
                "b/mod.rs",
                "#[cfg(unix)] mod x; #[cfg(unix)] use x as imp; #[cfg(not(unix))] mod y; \
                #[cfg(not(unix))] use y as imp; pub use imp::P;",
            ),
            ("b/x.rs", "pub struct P;"),
            ("b/y.rs", "use crate::a::A; pub struct P;"),
        ],
    );
    assert!(fault.contains("src/b/y.rs -> src/a.rs"), "{fault}");
}

#[test]
fn items_in_macros_and_of_other_crates_resolve() {
    assert_no_fault(
        &["`a`", "`b`"],
        &[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "use crate::b::{B, Mutex, Atomic, fence}; fn f() { crate::b::atomic::load() }",
            ),
            (
                "b.rs",
                "pin_project! { pub struct B { #[pin] a: u8 } }
                pub use std::sync::{Mutex, atomic::{self, *}}; pub use other::fence;",
            ),
        ],
    );
    let fault = fault_of(
        &["`a`", "`b`"],
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "pin_project! { pub struct B { #[pin] a: crate::a::A } }"),
        ],
    );
    assert!(fault.contains("src/b.rs -> src/a.rs"), "{fault}");
}

#[test]
fn a_path_that_does_not_resolve_is_found() {
    let fault = fault_of(&["`a`"], &[("lib.rs", "mod a;"), ("a.rs", "use crate::gone::Gone;")]);
    assert_eq!(fault, "src/a.rs:1: `crate::gone::Gone` does not resolve");
}

#[test]
fn lists_of_layers_are_complete() {
    let sources = [("lib.rs", "mod a; mod b; #[cfg(test)] mod t;"), ("a.rs", ""), ("b/mod.rs", "")];
    let sources = [&sources[..], &[("t.rs", "")]].concat();
    assert_eq!(fault_of(&["`a`"], &sources), "README.md does not list the module `b`");
    let fault = fault_of(&["`a`", "`b`, `c`"], &sources);
    assert_eq!(fault, "README.md lists the module `c`, which does not exist");
    let fault = fault_of(&["`a`", "`b`, `a`"], &sources);
    assert_eq!(fault, "README.md lists the module `a` twice");
    assert_eq!(fault_of(&[], &sources), "README.md has no numbered list below `## Layers`");
    let files = Files::from([("src/lib.rs".to_owned(), String::new())]);
    assert_eq!(faults(&files), ["README.md has no heading `## Layers`"]);
}
