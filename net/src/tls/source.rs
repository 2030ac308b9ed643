//! Where certificates and keys come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where certificates or a key come from. A file is read again at each reload.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A file of PEM sections.
    File(PathBuf),
    /// PEM sections in memory.
    Pem(Arc<[u8]>),
    /// DER in memory: the certificates of a chain one after the other, or one key.
    Der(Arc<[Vec<u8>]>),
}

impl From<&str> for Source {
    fn from(path: &str) -> Source {
        Source::File(path.into())
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Source {
        Source::File(path.into())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Source {
        Source::File(path)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Pem(_) | Source::Der(_) => f.write_str("in memory"),
        }
    }
}

/// Never shows what a key is.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}
