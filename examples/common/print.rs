//! Lines on standard output.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

/// Prints a line. `println!` panics where that fails. Here a closed pipe, as `head` leaves it, ends
/// the program, and any other failure is an error.
pub(crate) fn print(line: impl Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => Err(io::Error::other(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}
