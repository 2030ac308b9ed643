//! One goal as a drawing: a line over the records, and a line for the goal.

use std::fmt::Write;

use super::records::Record;
use super::series::{Point, Series};
use crate::measure::write::{escape, number};

/// The drawing as SVG. Its points tell more when they are pointed at.
pub(super) fn draw(series: &Series, records: &[Record]) -> String {
    let scale = Scale::of(series, records.len());
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\">");
    let goal = scale.vertical(scale.goal);
    let (left, right) = (scale.across(0), scale.across(records.len() - 1));
    let _ = write!(
        svg,
        "<line class=\"goal\" x1=\"{MARGIN}\" x2=\"{}\" y1=\"{goal:.1}\" y2=\"{goal:.1}\"/>",
        WIDTH - MARGIN
    );
    let places = series.points.iter().map(|point| scale.place(point));
    let places: Vec<String> = places.map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(svg, "<polyline points=\"{}\"/>", places.join(" "));
    for point in &series.points {
        svg += &spot(point, &scale, &records[point.record], series);
    }
    let mut dates = vec![(left, "start", &records[0].date)];
    if let [_, .., newest] = records {
        dates.push((right, "end", &newest.date));
    }
    for (x, anchor, date) in dates {
        let y = HEIGHT - 4.0;
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{date}</text>");
    }
    svg + "</svg>"
}

/// A point with its quartiles; a ring around it where it is worse than before.
fn spot(point: &Point, scale: &Scale, record: &Record, series: &Series) -> String {
    let [x, y] = scale.place(point);
    let (low, high) = (scale.vertical(point.part.low), scale.vertical(point.part.high));
    let class = match point.verdict.as_str() {
        "met" => "met",
        "not met" => "not",
        _ => "unclear",
    };
    let mut tells = vec![record.date.clone()];
    tells.extend(record.commit.clone());
    tells.push(format!("{} {}", series.key.figure, number(point.value)));
    if !series.of_nothing() {
        tells.push(format!("{} of the goal", number(point.part.median)));
    }
    tells.push(point.verdict.clone());
    tells.extend(point.worse.then(|| "worse than before".to_owned()));
    let ring = match point.worse {
        true => format!("<circle class=\"worse\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/>"),
        false => String::new(),
    };
    format!(
        "<g class=\"{class}\"><title>{}</title><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" \
         y2=\"{high:.1}\"/>{ring}<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/></g>",
        escape(&tells.join(", "))
    )
}

/// Where things are. Records are at equal distances; heights are logarithms, unless the goal is nothing at all.
struct Scale {
    records: usize,
    goal: f64,
    logarithmic: bool,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(series: &Series, records: usize) -> Scale {
        let logarithmic = !series.of_nothing();
        let goal = if logarithmic { 1.0 } else { 0.0 };
        let mut scale = Scale { records, goal, logarithmic, low: 0.0, high: 0.0 };
        let parts = series.points.iter().flat_map(|point| [point.part.low, point.part.high]);
        let heights: Vec<f64> = parts.chain([goal]).map(|part| scale.height(part)).collect();
        scale.low = heights.iter().copied().fold(f64::INFINITY, f64::min);
        scale.high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if scale.high - scale.low < NARROWEST {
            scale.low -= NARROWEST / 2.0;
            scale.high += NARROWEST / 2.0;
        }
        scale
    }

    fn height(&self, part: f64) -> f64 {
        if self.logarithmic { part.max(LEAST).ln() } else { part }
    }

    fn place(&self, point: &Point) -> [f64; 2] {
        [self.across(point.record), self.vertical(point.part.median)]
    }

    fn across(&self, record: usize) -> f64 {
        let steps = (self.records - 1).max(1) as f64;
        INSET + (WIDTH - 2.0 * INSET) * record as f64 / steps
    }

    /// Downwards, as SVG counts: what is better is below.
    fn vertical(&self, part: f64) -> f64 {
        let share = (self.height(part) - self.low) / (self.high - self.low);
        MARGIN + (HEIGHT - BELOW - MARGIN) * (1.0 - share)
    }
}

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 110.0;
const MARGIN: f64 = 10.0;
/// From the edge to the first and the last point.
const INSET: f64 = 14.0;
/// Room for the dates.
const BELOW: f64 = 28.0;
/// Less is drawn as this much of the goal: a logarithm needs a floor.
const LEAST: f64 = 1e-4;
/// What differs by less than 5 % is drawn as flat.
const NARROWEST: f64 = 0.05;
