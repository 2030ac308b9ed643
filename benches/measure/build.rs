//! Building what is measured: the workspace `benches/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::figures::Fault;
use super::program::output;
use super::progress;
use super::scale::Scale;

/// The workspace, and where its programs are built.
#[derive(Clone)]
pub(crate) struct Workspace {
    source: PathBuf,
    target: PathBuf,
    profile: &'static str,
    programs: PathBuf,
}

impl Workspace {
    /// A smoke run builds without optimizing.
    pub(crate) fn new(root: &Path, target: &Path, scale: Scale) -> Workspace {
        let (profile, folder) = match scale {
            Scale::Smoke => ("dev", "debug"),
            _ => ("release", "release"),
        };
        let target = target.join("peers");
        let programs = target.join(folder);
        Workspace { source: root.join("benches/peers"), target, profile, programs }
    }

    /// Has cargo build what `words` choose, with progress.
    pub(crate) fn build(&self, what: &str, words: &[&str]) -> Result<(), Fault> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(["build", "--locked", "--profile", self.profile, "--target-dir"]);
        command.arg(&self.target).args(words).current_dir(&self.source);
        progress::run(&mut command, &format!("building {what}"))
    }

    /// The commit of the sources, `-dirty` where they differ from it; `None` where git does not know.
    pub(crate) fn commit(&self) -> Option<String> {
        let source = self.source.display().to_string();
        let words =
            ["-C", &source, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"];
        output("git", &words).ok().map(|commit| commit.trim().to_owned())
    }

    /// Where the sources are.
    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// The program of this name, built or to be built.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}
