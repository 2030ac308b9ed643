//! Selects mutants: a mutant removes one defence, and a loom model must catch it.
//!
//! A crate with models names its mutants in an enum of its own. The variable `HEIST_MUTANT` holds the
//! name of the one that is on. It is read once, so each mutant has a process of its own: [`caught`]
//! starts the test binary again for one model.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::process::Command;
use std::sync::OnceLock;

/// Whether `mutant` is on in this process.
pub fn on(mutant: impl Debug) -> bool {
    selected().is_some_and(|selected| selected == format!("{mutant:?}"))
}

/// Asserts that the model `test` of this binary fails with `mutant`; returns what it wrote to its
/// standard error.
///
/// In a process of its own, since a deadlock that loom finds may end in an abort.
///
/// # Panics
///
/// If the binary has no test of this name, or the test passes.
pub fn caught(mutant: impl Debug, test: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", "--nocapture", test])
        .env(VARIABLE, format!("{mutant:?}"))
        .output()
        .expect("a test binary can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running 1 test"), "no model is called {test}: {text}");
    assert!(!output.status.success(), "{mutant:?} was not caught by {test}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn selected() -> Option<&'static str> {
    static SELECTED: OnceLock<Option<String>> = OnceLock::new();
    SELECTED.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref()
}

const VARIABLE: &str = "HEIST_MUTANT";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Mutant {
        Noticed,
        Unnoticed,
    }

    #[test]
    fn model() {
        assert!(!on(Mutant::Noticed), "the defence is missing");
    }

    #[test]
    fn mutant_that_fails_its_model_is_caught() {
        assert!(caught(Mutant::Noticed, "tests::model").contains("the defence is missing"));
    }

    /// Failure: a model that has lost its teeth passes for one that catches its mutant.
    #[test]
    #[should_panic(expected = "Unnoticed was not caught by tests::model")]
    fn mutant_that_passes_its_model_is_reported() {
        caught(Mutant::Unnoticed, "tests::model");
    }

    /// Failure: a model is renamed, and the run of no test passes for one of the model.
    #[test]
    #[should_panic(expected = "no model is called tests::gone")]
    fn model_that_does_not_exist_is_reported() {
        caught(Mutant::Noticed, "tests::gone");
    }
}
