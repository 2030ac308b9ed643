//! What every visit needs: the programs that were built, the machine, the scale.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::build::Workspace;
use super::figures::Fault;
use super::machine::Machine;
use super::scale::Scale;

#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) scale: Scale,
    /// Rounds that were asked for.
    pub(crate) rounds: Option<usize>,
    /// Where results and scratch files go.
    pub(crate) folder: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    /// Loads, and all programs that have no code of heist.
    workspace: Workspace,
    /// The programs with code of heist: of this checkout, or of an older one.
    subject: Workspace,
    /// The same with the programs of an older checkout.
    before: Option<Box<Bench>>,
    /// A lock that keeps other benchmarks out while this one measures.
    _machine: Rc<File>,
}

impl Bench {
    /// For the benchmark of this name; `build` builds its programs.
    pub(crate) fn prepare(
        name: &str,
        scale: Scale,
        rounds: Option<usize>,
        build: impl FnOnce(&Workspace) -> Result<(), Fault>,
    ) -> Result<Bench, Fault> {
        Bench::prepare_in(target(), name, scale, rounds, build)
    }

    /// The same where cargo builds in `target`.
    pub(crate) fn prepare_in(
        target: PathBuf,
        name: &str,
        scale: Scale,
        rounds: Option<usize>,
        build: impl FnOnce(&Workspace) -> Result<(), Fault>,
    ) -> Result<Bench, Fault> {
        allow_many_files();
        let folder = target.join(name);
        std::fs::create_dir_all(&folder)
            .map_err(Fault::of(format!("making {}", folder.display())))?;
        let _machine = Rc::new(have_to_oneself(&target.join("measuring"))?);
        let workspace = Workspace::new(root(), &target, scale);
        build(&workspace)?;
        Ok(Bench {
            machine: Machine::read()?,
            scale,
            rounds,
            folder,
            target,
            subject: workspace.clone(),
            workspace,
            before: None,
            _machine,
        })
    }

    /// Adds the programs of another checkout of heist in `root`; `build` builds them.
    pub(crate) fn with_before(
        self,
        root: &Path,
        build: impl FnOnce(&Workspace) -> Result<(), Fault>,
    ) -> Result<Bench, Fault> {
        let subject = Workspace::new(root, &self.target.join("before"), self.scale);
        build(&subject)?;
        let before = Some(Box::new(Bench { subject, ..self.clone() }));
        Ok(Bench { before, ..self })
    }

    /// The same with the programs of the other checkout, if there is one.
    pub(crate) fn before(&self) -> Option<&Bench> {
        self.before.as_deref()
    }

    /// The commit that is measured.
    pub(crate) fn commit(&self) -> Option<String> {
        self.subject.commit()
    }

    /// The program of `benches/peers` with this name, or a file that was made beside it.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        let workspace = if name.contains(SUBJECT) { &self.subject } else { &self.workspace };
        workspace.program(name)
    }
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Two benchmarks at once would measure each other. The lock goes with the file, however this ends.
fn have_to_oneself(path: &Path) -> Result<File, Fault> {
    let file = File::create(path).map_err(Fault::of(format!("making {}", path.display())))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            Err(Fault::Failed("another benchmark is under way here".to_owned()))
        }
        Err(error) => Err(Fault::of(format!("locking {}", path.display()))(error)),
    }
}

/// As many files as this process may have, for the programs too: some rows hold 15,000 sockets.
fn allow_many_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// What the names of the programs with code of heist have in common.
pub(crate) const SUBJECT: &str = "heist";
