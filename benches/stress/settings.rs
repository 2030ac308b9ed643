//! What every point is measured with.

/// How long and how hard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long each visit loads the server.
    pub(crate) seconds: f64,
    /// Connections for each worker, where a load is a closed one.
    pub(crate) connections: usize,
    /// Requests a second for each CPU of the server, where a load is an open one.
    pub(crate) rate: f64,
    /// Threads of the load, where the default is not wanted.
    pub(crate) load_threads: Option<usize>,
}
