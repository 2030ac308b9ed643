//! New certificates for a server that runs.

use super::config::Config;
use super::error::ConfigError;

/// Reads the files of a [`Config`] again.
#[derive(Clone, Debug)]
pub struct Reloader(Config);

impl Config {
    /// A handle that reads the files again.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.clone())
    }
}

impl Reloader {
    /// Reads all files again, and gives new connections what they contain. Open connections keep their
    /// session.
    ///
    /// If something is wrong with any of the files, all of the old ones stay in use: the error is
    /// returned, logged, and counted. A write to a file that is read meanwhile is noticed as a key that
    /// does not belong to its certificate; replace files by renaming.
    ///
    /// Tickets stay good, unless clients authenticate themselves by certificates: these have to be
    /// verified against the new files.
    ///
    /// It blocks for as long as reading takes.
    ///
    /// # Errors
    ///
    /// As [`build`](super::ConfigBuilder::build).
    pub fn reload(&self) -> Result<(), ConfigError> {
        let outcome = self.0.reload();
        match &outcome {
            Ok(()) => tracing::info!("the TLS certificates are reloaded"),
            Err(error) => {
                tracing::error!(%error, "the TLS certificates are not reloaded: the old ones stay");
            }
        }
        outcome
    }
}
