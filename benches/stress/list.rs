//! Lists on the command line: `1,2,4,…,all`, and CPUs as the kernel writes them: `0-3,8`.

/// One number of a list, and the word that stood for it, if one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    pub(crate) value: usize,
    pub(crate) word: Option<&'a str>,
}

/// The numbers of a list, each once. `words` are names of numbers; `…` (or `...`) continues by
/// doubling as far as the next number, or as far as `most` where it is the last.
///
/// # Errors
/// Says which word is neither.
pub(crate) fn numbers<'a>(
    text: &'a str,
    words: &[(&str, usize)],
    most: usize,
) -> Result<Vec<Number<'a>>, String> {
    let mut all: Vec<Number<'_>> = Vec::new();
    let mut parts = text.split(',').map(str::trim).peekable();
    while let Some(part) = parts.next() {
        if matches!(part, "…" | "...") {
            let last = all.last().ok_or("… has to follow a number")?.value;
            let next = parts.peek().map(|next| number(next, words)).transpose()?;
            let end = next.map_or(most + 1, |next| next.value);
            let doubled = std::iter::successors(Some(last * 2), |value| Some(value * 2));
            let doubled = doubled.take_while(|&value| value < end);
            doubled.for_each(|value| add(&mut all, Number { value, word: None }));
        } else {
            add(&mut all, number(part, words)?);
        }
    }
    Ok(all)
}

/// The CPUs of a list such as `0-3,8`; none of an empty one.
///
/// # Errors
/// Says which part is no range.
pub(crate) fn cpus(text: &str) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let end = |text: &str| text.trim().parse::<usize>().ok();
        let range = end(first).zip(end(last));
        let (first, last) = range.ok_or_else(|| format!("{part:?} is no CPU and no range"))?;
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn number<'a>(part: &'a str, words: &[(&str, usize)]) -> Result<Number<'a>, String> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == part) {
        return Ok(Number { value: *value, word: Some(part) });
    }
    match part.parse() {
        Ok(value) if value > 0 => Ok(Number { value, word: None }),
        _ => Err(format!("{part:?} is neither a number from 1 nor a word of this list")),
    }
}

/// A number that is there already is not added, but gets the word.
fn add<'a>(all: &mut Vec<Number<'a>>, number: Number<'a>) {
    match all.iter_mut().find(|other| other.value == number.value) {
        Some(other) => other.word = other.word.or(number.word),
        None => all.push(number),
    }
}
