//! The board as one page that needs nothing else.

use super::chart;
use super::table;
use crate::judge::{self, Before};
use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::rounds::Outcome;
use crate::measure::statistics::{Change, Verdict};
use crate::measure::write::{STYLE, escape};
use crate::options::Options;

pub(super) fn render(
    bench: &Bench,
    options: &Options,
    outcomes: &[Outcome],
) -> Result<String, Fault> {
    let machine = &bench.machine;
    let before = bench.before().and_then(Bench::commit);
    let about = [
        ("date", machine.date.as_str()),
        ("machine", &machine.name),
        ("kernel", &machine.kernel),
        ("command", &options.command(before.as_deref())),
    ];
    let about = about.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value)));
    let rows = outcomes.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let summary: String = outcomes.iter().map(summary).collect();
    let page = PAGE
        .replace("/*style*/", STYLE)
        .replace("<!--about-->", &about.concat())
        .replace("<!--summary-->", &summary);
    Ok(page.replace("<!--rows-->", &rows.concat()))
}

/// A row in a line of the table at the top.
fn summary(outcome: &Outcome) -> String {
    let lines = judge::lines(outcome);
    let cells = VERDICTS.map(|verdict| {
        let count = lines.iter().filter(|line| line.verdict == verdict).count();
        let class = if count > 0 { verdict_words(verdict).0 } else { "left" };
        format!("<td class=\"{class}\">{count}</td>")
    });
    let (name, workload) = (outcome.row.name, escape(outcome.row.workload));
    let name = format!("<td><a href=\"#{name}\">{name}</a></td>");
    format!("<tr>{name}{}<td class=\"left\">{workload}</td></tr>", cells.concat())
}

fn row(outcome: &Outcome) -> Result<String, Fault> {
    let left_out = outcome.left_out().iter().map(|word| escape(word)).collect::<Vec<_>>();
    let left_out = match left_out.is_empty() {
        true => String::new(),
        false => format!("<p class=\"left\">Left out: {}</p>", left_out.join("; ")),
    };
    Ok(format!(
        "<section><h2 id=\"{name}\">{name}</h2><p>{}</p>{}{left_out}{}</section>\n",
        escape(outcome.row.workload),
        goals(outcome),
        charts(outcome)?,
        name = outcome.row.name,
    ))
}

fn goals(outcome: &Outcome) -> String {
    let lines = judge::lines(outcome).into_iter().map(|line| {
        let (class, word) = verdict_words(line.verdict);
        let cells = [
            line.case.clone(),
            line.figure.to_owned(),
            line.subject.clone(),
            line.goal.clone(),
            table::values(&line),
            line.ratio.map_or("–".to_owned(), table::spread),
            line.twins.map_or("–".to_owned(), table::spread),
        ];
        let cells = cells.map(|cell| format!("<td>{}</td>", escape(&cell))).concat();
        let before = line.before.as_ref().map_or(String::new(), before);
        format!("<tr>{cells}<td class=\"{class}\">{word}</td>{before}</tr>")
    });
    let head = ["case", "figure", "of", "goal", "value", "ratio (quartiles)", "A/A", "verdict"];
    let mut head = Vec::from(head);
    head.extend(table::has_before(outcome).then_some(table::BEFORE).into_iter().flatten());
    let head: Vec<String> = head.iter().map(|name| format!("<th>{name}</th>")).collect();
    format!("<table><tr>{}</tr>{}</table>", head.concat(), lines.collect::<String>())
}

/// The cells about another checkout.
fn before(before: &Before) -> String {
    let class = match before.change {
        Change::Better => "met",
        Change::Worse => "not",
        Change::Same | Change::Unknown => "left",
    };
    let [value, ratio, word] = table::before(before);
    format!("<td>{value}</td><td>{ratio}</td><td class=\"{class}\">{word}</td>")
}

/// The class and the word of a verdict.
fn verdict_words(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Met => ("met", "met"),
        Verdict::NotMet => ("not", "not met"),
        Verdict::Unclear => ("unclear", "unclear"),
        Verdict::Unknown => ("unclear", "unknown"),
    }
}

fn charts(outcome: &Outcome) -> Result<String, Fault> {
    let mut charts = String::new();
    for case in &outcome.cases {
        for figure in outcome.row.charts {
            if let Some(svg) = chart::draw(case, figure)? {
                let caption = escape(&format!("{figure}, {}", case.name));
                charts += &format!("<figure><figcaption>{caption}</figcaption>{svg}</figure>");
            }
        }
    }
    Ok(format!("<div class=\"charts\">{charts}</div>"))
}

const VERDICTS: [Verdict; 4] = [Verdict::Met, Verdict::Unclear, Verdict::NotMet, Verdict::Unknown];
const PAGE: &str = include_str!("page.html");
