//! A figure over the number of workers as a drawing: a line for each number of shards.

use plotters::prelude::*;

use super::curve::{Curve, Step};
use crate::measure::figures::Fault;
use crate::measure::write::number;

/// The drawing as SVG.
pub(super) fn draw(curves: &[&Curve], figure: fn(&Step) -> f64) -> Result<String, Fault> {
    let mut svg = String::new();
    paint(&mut svg, curves, figure).map_err(Fault::of("drawing a curve"))?;
    Ok(svg)
}

fn paint(
    svg: &mut String,
    curves: &[&Curve],
    figure: fn(&Step) -> f64,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let steps = || curves.iter().flat_map(|curve| &curve.points);
    let last = steps().map(|step| step.workers).max().unwrap_or(1) as f64;
    let high = steps().map(figure).fold(f64::MIN_POSITIVE, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d((0.9..last * ROOM).log_scale().base(2.0), 0.0..high)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("workers")
        .x_label_formatter(&|&workers| match workers <= last {
            true => format!("{workers:.0}"),
            false => String::new(),
        })
        .y_label_formatter(&|value| number(*value))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let auto = curve.shards == "auto";
        let color = if auto { AUTO } else { OTHERS[index % OTHERS.len()] };
        let width = if auto { 3 } else { 1 };
        let places: Vec<_> =
            curve.points.iter().map(|step| (step.workers as f64, figure(step))).collect();
        let dots = places.iter().map(|&place| Circle::new(place, width + 1, color.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(places, color.stroke_width(width)))?
            .label(label(&curve.shards))
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 16, y)], color.stroke_width(width))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", 13))
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(220, 220, 220))
        .draw()?;
    area.present()
}

/// What a line is called.
fn label(shards: &str) -> String {
    match shards {
        "auto" => shards.to_owned(),
        "1" => "1 shard".to_owned(),
        count => format!("{count} shards"),
    }
}

/// Three beside each other on the page.
const SIZE: (u32, u32) = (408, 270);
/// How far beyond the last number of workers the axis goes, for the names of the lines.
const ROOM: f64 = 2.6;
const AUTO: RGBColor = RGBColor(214, 96, 32);
const OTHERS: [RGBColor; 6] = [
    RGBColor(31, 90, 160),
    RGBColor(70, 150, 110),
    RGBColor(140, 80, 160),
    RGBColor(90, 100, 110),
    RGBColor(30, 160, 190),
    RGBColor(170, 60, 90),
];
