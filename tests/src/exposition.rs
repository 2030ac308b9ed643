//! A strict reader of the text format of Prometheus: what it takes, Prometheus takes, and a person
//! can read.

use std::collections::HashSet;

/// Everything on a page under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name.
    pub name: String,
    /// The text after `# HELP` and the name.
    pub help: String,
    /// The word after `# TYPE` and the name.
    pub kind: String,
    /// Its lines, in their order.
    pub samples: Vec<Sample>,
}

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With `_bucket`, `_sum` or `_count` in a histogram.
    pub name: String,
    /// In the order of the line.
    pub labels: Labels,
    /// What the line says.
    pub value: f64,
}

/// Names and values of labels, in the order of the line.
pub type Labels = Vec<(String, String)>;

/// Reads a page.
///
/// # Errors
/// The first thing that is wrong: a family without help, type or series; one that comes twice, or
/// whose lines do not stand together; a series twice; a label without a name or a value; buckets
/// that do not rise or whose last one is not the count.
pub fn parse(page: &str) -> Result<Vec<Family>, String> {
    if !page.is_empty() && !page.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut lines = page.lines().filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let (name, help) = comment(line, "# HELP ")?;
        let (typed, kind) = comment(lines.next().unwrap_or_default(), "# TYPE ")?;
        if typed != name {
            return Err(format!("the help of {name} is followed by the type of {typed}"));
        }
        if families.iter().any(|family| family.name == name) {
            return Err(format!("{name} comes twice"));
        }
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            samples.push(sample(line)?);
        }
        let family = Family { name: name.into(), help: help.into(), kind: kind.into(), samples };
        check(&family)?;
        families.push(family);
    }
    Ok(families)
}

/// The value of the series called `name` that has all of `labels`, if there is exactly one.
pub fn value(families: &[Family], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = families.iter().flat_map(|family| &family.samples).filter(|sample| {
        sample.name == name && labels.iter().all(|label| sample.label(label.0) == Some(label.1))
    });
    let first = found.next()?;
    found.next().is_none().then_some(first.value)
}

impl Sample {
    /// The value of the label called `name`.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|label| label.0 == name).map(|label| label.1.as_str())
    }

    fn without_bound(&self) -> Labels {
        self.labels.iter().filter(|label| label.0 != "le").cloned().collect()
    }
}

fn comment<'a>(line: &'a str, start: &str) -> Result<(&'a str, &'a str), String> {
    line.strip_prefix(start)
        .and_then(|rest| rest.split_once(' '))
        .filter(|(name, text)| is_name(name) && !text.is_empty())
        .ok_or_else(|| format!("no {start:?} with a name and a text: {line:?}"))
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|next| next.is_ascii_alphanumeric() || next == '_')
}

fn sample(line: &str) -> Result<Sample, String> {
    let wrong = |what: &str| format!("{what}: {line:?}");
    let end = line.find(['{', ' ']).ok_or_else(|| wrong("no value"))?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err(wrong("no name"));
    }
    let mut labels = Labels::new();
    while rest.starts_with(['{', ',']) {
        let (label, quoted) = rest[1..].split_once("=\"").ok_or_else(|| wrong("no label"))?;
        let (value, after) = unquote(quoted).ok_or_else(|| wrong("a quote that does not end"))?;
        if !is_name(label) || value.is_empty() || labels.iter().any(|other| other.0 == label) {
            return Err(wrong("a label without a name, without a value, or twice"));
        }
        labels.push((label.into(), value));
        rest = after;
    }
    if !labels.is_empty() {
        rest = rest.strip_prefix('}').ok_or_else(|| wrong("labels that do not end"))?;
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok());
    Ok(Sample { name: name.into(), labels, value: value.ok_or_else(|| wrong("no number"))? })
}

/// What stands before the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next()? {
            (end, '"') => return Some((value, &quoted[end + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                plain @ ('\\' | '"') => plain,
                _ => return None,
            }),
            (_, plain) => value.push(plain),
        }
    }
}

fn check(family: &Family) -> Result<(), String> {
    let name = &family.name;
    if family.samples.is_empty() {
        return Err(format!("{name} has no series"));
    }
    let mut seen = HashSet::new();
    for sample in &family.samples {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("{} {:?} comes twice", sample.name, sample.labels));
        }
    }
    match family.kind.as_str() {
        "histogram" => check_histogram(family),
        "counter" | "gauge" => match family.samples.iter().find(|sample| sample.name != *name) {
            Some(stranger) => Err(format!("{} stands among the lines of {name}", stranger.name)),
            None => Ok(()),
        },
        other => Err(format!("{name} is a {other}")),
    }
}

/// Each run of lines with the same labels is one histogram: buckets, sum, count.
fn check_histogram(family: &Family) -> Result<(), String> {
    let name = &family.name;
    let is = |sample: &Sample, suffix: &str| sample.name == format!("{name}{suffix}");
    for one in family.samples.chunk_by(|a, b| a.without_bound() == b.without_bound()) {
        let [buckets @ .., sum, count] = one else {
            return Err(format!("{name} is no whole histogram"));
        };
        let in_order =
            buckets.iter().all(|b| is(b, "_bucket")) && is(sum, "_sum") && is(count, "_count");
        if !in_order {
            return Err(format!("{name} is not buckets, sum and count"));
        }
        let bound = |sample: &Sample| sample.label("le").and_then(|le| le.parse::<f64>().ok());
        let rising = buckets.is_sorted_by(|a, b| bound(a) < bound(b) && a.value <= b.value);
        let last = buckets.last().map(|last| (last.label("le"), last.value));
        if !rising || last != Some((Some("+Inf"), count.value)) {
            return Err(format!("{name} has buckets that do not rise up to its count"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_would_refuse_is_refused() {
        let head = "# HELP a Of a.\n# TYPE a counter\n";
        let histogram = "# HELP h Of h.\n# TYPE h histogram\n";
        for (lines, good) in [
            (format!("{head}a 1\n"), true),
            (format!("{head}a{{x=\"\\\"\\\\\\n\",y=\"2\"}} 1\n"), true),
            (format!("{head}a 1"), false),
            (format!("{head}a{{x=\"1\"}} 1\na{{x=\"1\"}} 1\n"), false),
            (format!("{head}a{{x=\"\"}} 1\n"), false),
            (format!("{head}a{{x=\"1\" 1\n"), false),
            (format!("{head}a one\n"), false),
            (format!("{head}b 1\n"), false),
            (head.to_owned(), false),
            (format!("{head}a 1\n{head}a 2\n"), false),
            ("# TYPE a counter\na 1\n".to_owned(), false),
            ("a 1\n".to_owned(), false),
            (format!("{histogram}h_bucket{{le=\"+Inf\"}} 2\nh_sum 3\nh_count 2\n"), true),
            (format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_sum 3\nh_count 2\n"), false),
            (format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 3\nh_count 2\n"), false),
            (format!("{histogram}h_sum 3\nh_count 0\n"), false),
        ] {
            assert_eq!(parse(&lines).is_ok(), good, "{lines}");
        }
        let falling = "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n";
        assert!(parse(&format!("{histogram}{falling}")).is_err());
    }
}
