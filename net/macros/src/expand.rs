//! The function that takes the place of the one with the attribute.

use proc_macro2::TokenStream;
use quote::quote;

use crate::Kind;
use crate::arguments::Arguments;
use crate::function::Function;

/// The new function, or an error of the compiler.
pub(crate) fn expand(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item) {
        Ok(function) => function,
        Err(error) => return error.into_compile_error(),
    };
    match try_expand(kind, arguments, &function) {
        Ok(expanded) => expanded,
        Err(error) => {
            // With a function of that name, so that its absence is no further error.
            let (error, name) = (error.into_compile_error(), &function.name);
            let visibility = &function.visibility;
            quote!(#error #visibility fn #name() {})
        }
    }
}

fn try_expand(kind: Kind, arguments: TokenStream, function: &Function) -> syn::Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    arguments.check(kind)?;
    check_parameters(kind, &arguments, function)?;
    let is_test = |attribute: &&syn::Attribute| attribute.path().is_ident("test");
    if kind == Kind::Test
        && let Some(test) = function.attributes.iter().find(is_test)
    {
        return Err(syn::Error::new_spanned(test, "`heist::test` makes it a test already"));
    }
    let Function { attributes, visibility, name, output, .. } = function;
    let (krate, builder) = (arguments.krate(), arguments.builder(kind));
    let test = (kind == Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let run = match kind {
        Kind::Main => quote!(run_main(#builder, #name())),
        Kind::Test if arguments.has_manual_clock() => quote!(run_test_on_clock(#builder, #name)),
        Kind::Test => quote!(run_test(#builder, #name())),
    };
    let function = function.to_async();
    Ok(quote! {
        #test
        #(#attributes)*
        #visibility fn #name() #output {
            #function
            #krate::__macros::#run
        }
    })
}

/// Whether the function takes what it is given.
fn check_parameters(kind: Kind, arguments: &Arguments, function: &Function) -> syn::Result<()> {
    let why = match (kind, arguments.has_manual_clock(), function.arguments.is_empty()) {
        (_, false, true) | (Kind::Test, true, false) => return Ok(()),
        (Kind::Main, ..) => "the function must not take arguments: there is no caller to give them",
        (Kind::Test, false, false) => {
            "a test takes no arguments; with `#[heist::test(manual_clock)]` it takes the \
             `heist::time::ManualClock`"
        }
        (Kind::Test, true, true) => {
            "a test with `manual_clock` takes one argument, as in \
             `async fn test(clock: heist::time::ManualClock)`"
        }
    };
    Err(syn::Error::new(function.arguments_span, why))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn expanded(kind: Kind, arguments: &str, item: &str) -> String {
        let [arguments, item] =
            [arguments, item].map(|text| TokenStream::from_str(text).expect("it is Rust"));
        expand(kind, arguments, item).to_string()
    }

    fn same(kind: Kind, arguments: &str, item: &str, expected: &str) {
        let expected = TokenStream::from_str(expected).expect("it is Rust").to_string();
        assert_eq!(expanded(kind, arguments, item), expected);
    }

    /// The text of the error.
    fn error(kind: Kind, arguments: &str, item: &str) -> String {
        let expanded = expanded(kind, arguments, item);
        assert!(expanded.contains("compile_error !"), "{expanded}");
        expanded
    }

    #[test]
    fn main_keeps_attributes_visibility_and_output() {
        same(
            Kind::Main,
            "workers = 3",
            "/// Runs.
            #[allow(unused)] pub(crate) async fn main() -> Result<(), Error> { work().await }",
            "#[doc = \" Runs.\"] #[allow(unused)] pub(crate) fn main() -> Result<(), Error> {
                async fn main() -> Result<(), Error> { work().await }
                ::heist::__macros::run_main(::heist::Builder::new().workers(3usize), main())
            }",
        );
        same(
            Kind::Main,
            "current_thread, crate = \"mine::heist\"",
            "async fn main() {}",
            "fn main() {
                async fn main() {}
                mine::heist::__macros::run_main(mine::heist::Builder::new().current_thread(), main())
            }",
        );
    }

    #[test]
    fn test_runs_on_the_current_thread_unless_it_asks_for_workers() {
        same(
            Kind::Test,
            "",
            "#[should_panic] async fn fails() { panic!() }",
            "#[::core::prelude::v1::test] #[should_panic] fn fails() {
                async fn fails() { panic!() }
                ::heist::__macros::run_test(
                    ::heist::Builder::new().ignore_environment().current_thread(), fails())
            }",
        );
        same(
            Kind::Test,
            "workers = 2, manual_clock",
            "async fn waits(clock: ManualClock) {}",
            "#[::core::prelude::v1::test] fn waits() {
                async fn waits(clock: ManualClock) {}
                ::heist::__macros::run_test_on_clock(
                    ::heist::Builder::new().ignore_environment().workers(2usize), waits)
            }",
        );
    }

    #[test]
    fn functions_that_cannot_be_run_are_errors() {
        let cases = [
            ("fn main() {}", "must be `async`"),
            ("struct Main;", "belongs on an `async fn`"),
            ("async fn main(x: u32) {}", "must not take arguments"),
            ("async fn main<T>() {}", "must not be generic"),
            ("async fn main() where u8: Copy {}", "must not be generic"),
            ("async unsafe fn main() {}", "must not be `unsafe`"),
            ("const async fn main() {}", "cannot be `const`"),
            ("async extern \"C\" fn main() {}", "must not be `extern`"),
        ];
        for (item, text) in cases {
            let error = error(Kind::Main, "", item);
            assert!(error.contains(text), "{item}: {error}");
        }
    }

    #[test]
    fn arguments_that_are_wrong_are_errors() {
        let cases = [
            (Kind::Main, "workers = 0", "whole number from 1 on"),
            (Kind::Main, "workers = two", "whole number from 1 on"),
            (Kind::Main, "workers", "whole number from 1 on"),
            (Kind::Main, "threads = 2", "unknown argument `threads`; there are `workers = N`"),
            (Kind::Main, "workers = 1, workers = 2", "`workers` is given twice"),
            (Kind::Main, "workers = 1, current_thread", "exclude each other"),
            (Kind::Main, "manual_clock", "of `test` alone"),
            (Kind::Main, "current_thread workers = 1", "expected `,`"),
            (Kind::Test, "manual_clock", "takes one argument"),
        ];
        for (kind, arguments, text) in cases {
            let error = error(kind, arguments, "async fn it() {}");
            assert!(error.contains(text), "{arguments}: {error}");
            assert!(error.ends_with("fn it () { }"), "{error}");
        }
        let text = error(Kind::Test, "", "async fn it(clock: ManualClock) {}");
        assert!(text.contains("with `#[heist::test(manual_clock)]`"), "{text}");
        let text = error(Kind::Test, "", "#[test] async fn it() {}");
        assert!(text.contains("makes it a test already"), "{text}");
    }
}
