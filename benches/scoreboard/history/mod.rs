//! How the goals went from record to record: one page, from the files of `benches/record`.
//!
//! `records` reads the files, `series` joins the lines of one goal over all of them, `chart` draws one, and `page` puts
//! them together.

mod chart;
mod page;
mod records;
mod series;

use std::path::Path;

use crate::measure::figures::Fault;
use crate::measure::write::save;

/// Reads every record in `folder`, writes the page to `file`, and returns what is worse in the newest of them than
/// before, a line each.
pub(crate) fn write(folder: &Path, file: &Path) -> Result<Vec<String>, Fault> {
    let records = records::read(folder)?;
    let series = series::all(&records);
    save(file, &page::render(&records, &series))?;
    Ok(series::worse_now(&records, &series).map(series::Series::words).collect())
}
