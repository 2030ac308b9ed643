//! The attributes `main` and `test` of [heist](https://docs.rs/heist), which has them as `heist::main` and
//! `heist::test` under its feature `macros`.
#![forbid(unsafe_code)]

mod arguments;
mod expand;
mod function;

use proc_macro::TokenStream;

/// Runs an `async fn main` on a runtime of its own.
///
/// ```
/// #[heist::main]
/// async fn main() -> Result<(), heist::JoinError> {
///     let sum = heist::spawn(async { 1 + 2 }).await?;
///     assert_eq!(sum, 3);
///     Ok(())
/// }
/// ```
///
/// The runtime is that of `heist::Builder::new()`: a worker for each CPU, and what the environment says,
/// such as `HEIST_WORKERS`. These arguments change it:
///
/// - `workers = 2`: so many worker threads, unless the environment says otherwise;
/// - `current_thread`: no worker threads, see `heist::Builder::current_thread`;
/// - `crate = "path"`: where heist is, in place of `::heist`, for a crate that re-exports it.
///
/// The function takes no arguments and returns what a `main` may return. Attributes, documentation and
/// visibility stay as they are; the name may be another one than `main`, for a function that is called by a
/// program that is not asynchronous.
///
/// When the function returns, the runtime is dropped: its tasks are dropped, and work that still runs has
/// ten seconds to end.
///
/// # Errors
///
/// A runtime that does not start (an invalid variable in the environment, no descriptor left) ends the
/// program with a line on the standard error and the exit code 1.
///
/// What the attribute cannot stand on is an error of the compiler:
///
/// ```compile_fail
/// #[heist::main]
/// fn main() {}
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Main, arguments.into(), item.into()).into()
}

/// Runs an `async fn` as a test, on a runtime of its own.
///
/// ```
/// #[heist::test]
/// async fn tasks_give_their_output() {
///     assert_eq!(heist::spawn(async { 6 * 7 }).await.unwrap(), 42);
/// }
/// ```
///
/// The runtime is a current-thread one, whatever the environment says: it starts in microseconds, and tasks
/// run in the order in which they become runnable. These arguments change it:
///
/// - `workers = 2`: so many worker threads, for a test of what runs at the same time;
/// - `manual_clock`: the runtime's time stands still until the test moves it. The function takes one
///   argument, the `heist::time::ManualClock`;
/// - `crate = "path"`: where heist is, in place of `::heist`, for a crate that re-exports it.
///
/// The function returns what a test may return: `()`, a `Result`, an `ExitCode`. Attributes such as
/// `#[ignore]` and `#[should_panic]` work as on any test.
///
/// # Panics
///
/// When the runtime does not start.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Test, arguments.into(), item.into()).into()
}

/// Which attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}
