//! Writing down what was found.

use std::path::Path;

use super::figures::Fault;

/// Writes a file and the folders above it.
pub(crate) fn save(path: &Path, text: &str) -> Result<(), Fault> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = made.and_then(|()| std::fs::write(path, text));
    written.map_err(Fault::of(format!("writing {}", path.display())))
}

/// A number with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let places = digits.len();
            let grouped = digits.chars().enumerate().flat_map(|(index, digit)| {
                let comma = index > 0 && (places - index).is_multiple_of(3) && digit != '-';
                comma.then_some(',').into_iter().chain([digit])
            });
            grouped.collect()
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size > 0.0 => format!("{value:.3}"),
        _ => "0".to_owned(),
    }
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The style of all pages.
pub(crate) const STYLE: &str = include_str!("style.css");
