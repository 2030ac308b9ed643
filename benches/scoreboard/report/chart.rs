//! One figure of one case as a drawing: a bar for each entrant, a whisker from quartile to quartile.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::measure::figures::Fault;
use crate::measure::rounds::Played;
use crate::measure::statistics::Spread;
use crate::measure::write::number;

/// The drawing as SVG; `None` where no entrant has the figure.
pub(super) fn draw(case: &Played, figure: &str) -> Result<Option<String>, Fault> {
    let bars: Vec<(&str, Spread)> = case
        .samples
        .iter()
        .filter_map(|samples| {
            let values: Vec<f64> = samples.figure(figure).into_iter().flatten().collect();
            Some((samples.label.as_str(), Spread::of(&values)?))
        })
        .collect();
    if bars.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    paint(&mut svg, &bars).map_err(Fault::of(format!("drawing {figure} of {}", case.name)))?;
    Ok(Some(svg))
}

fn paint(
    svg: &mut String,
    bars: &[(&str, Spread)],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let height = bars.len() as i32 * PITCH + 8;
    let area = SVGBackend::with_string(svg, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let largest = bars.iter().map(|(_, spread)| spread.high).fold(f64::MIN_POSITIVE, f64::max);
    let place = |value: f64| LEFT + (value / largest * f64::from(WIDTH - LEFT - RIGHT)) as i32;
    let text = |at: HPos| {
        let style = TextStyle::from(("sans-serif", 13).into_font());
        style.pos(Pos::new(at, VPos::Center)).color(&RGBColor(40, 40, 40))
    };
    for (index, (label, spread)) in bars.iter().enumerate() {
        let middle = index as i32 * PITCH + PITCH / 2 + 4;
        let (top, bottom) = (middle - PITCH / 3, middle + PITCH / 3);
        let bar = [(LEFT, top), (place(spread.median), bottom)];
        let color = if label.starts_with("heist") { OURS } else { THEIRS };
        area.draw(&Rectangle::new(bar, color.filled()))?;
        let whisker = [(place(spread.low), middle), (place(spread.high), middle)];
        area.draw(&PathElement::new(whisker, BLACK.stroke_width(2)))?;
        area.draw_text(label, &text(HPos::Right), (LEFT - 8, middle))?;
        let after = place(spread.high.max(spread.median)) + 8;
        area.draw_text(&number(spread.median), &text(HPos::Left), (after, middle))?;
    }
    area.present()
}

const WIDTH: i32 = 640;
/// Room for labels.
const LEFT: i32 = 130;
/// Room for the figures after the bars.
const RIGHT: i32 = 90;
/// From one bar to the next.
const PITCH: i32 = 24;
const OURS: RGBColor = RGBColor(214, 96, 32);
const THEIRS: RGBColor = RGBColor(140, 160, 180);
