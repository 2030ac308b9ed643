//! Lines for the terminal. A closed standard stream is no reason to stop serving: errors are
//! ignored.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line to standard output.
pub(crate) fn print(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error, after the program's name.
pub(crate) fn eprint(line: impl Display) {
    let _ = writeln!(io::stderr(), "heist: {line}");
}
