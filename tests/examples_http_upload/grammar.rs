//! The parser of forms by itself: tables, and properties of whatever may come.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::multipart::{Event, Malformed, Multipart};
use crate::part::Part;

/// A part, and its content in one piece.
type Whole = (Part, Vec<u8>);

/// The parts of `body`, which is fed in pieces of these lengths, over and over.
fn parse(body: &[u8], cuts: &[usize]) -> Result<Vec<Whole>, Malformed> {
    let mut multipart = Multipart::new(b"B");
    let (mut rest, mut parts, mut cuts) = (body, Vec::<Whole>::new(), cuts.iter().cycle());
    loop {
        match multipart.next()? {
            Some(Event::Part(part)) => parts.push((part, Vec::new())),
            Some(Event::Content(data)) => {
                assert!(!data.is_empty());
                parts.last_mut().expect("content of no part").1.extend_from_slice(&data);
            }
            Some(Event::EndOfPart) => {}
            Some(Event::End) => return Ok(parts),
            None if rest.is_empty() => multipart.end(),
            None => {
                let piece;
                (piece, rest) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                multipart.feed(piece);
            }
        }
    }
}

fn part(field: &str, file_name: Option<&str>) -> Part {
    Part { field: field.to_owned(), file_name: file_name.map(str::to_owned) }
}

#[test]
fn parts_are_found_where_rfc_2046_has_them() {
    let field = || part("a", None);
    let cases: &[(&str, &[(Part, &str)])] = &[
        ("--B\r\n<field>\r\nhi\r\n--B--\r\n", &[(field(), "hi")]),
        ("--B\r\n<field>\r\nhi\r\n--B--", &[(field(), "hi")]),
        ("--B \t\r\n<field>\r\nhi\r\n--B-- \r\n", &[(field(), "hi")]),
        ("preamble\r\n--B\r\n<field>\r\n\r\n--B--\r\nepilogue", &[(field(), "")]),
        ("\r\n\r\n--B\r\n<field>\r\n--B--", &[(field(), "")]),
        ("--B\r\n<field>\r\n--B\r\n<field>\r\n\r\n\r\n--B--", &[(field(), ""), (field(), "\r\n")]),
        ("--B\r\n<field>\r\n\n--B\r--B\r\n--\r\n--B--", &[(field(), "\n--B\r--B\r\n--")]),
        ("--B--", &[]),
    ];
    for (body, parts) in cases {
        let body = body.replace("<field>", FIELD);
        let parts: Vec<Whole> =
            parts.iter().map(|(part, it)| (part.clone(), it.as_bytes().to_vec())).collect();
        for cut in 1..=body.len() {
            assert_eq!(parse(body.as_bytes(), &[cut]), Ok(parts.clone()), "{body:?}");
        }
    }
}

#[test]
fn form_in_which_a_part_may_hide_is_refused() {
    let bodies = [
        "",
        "--B",
        "--B\r\n",
        "--B-",
        "no form",
        "--B\n<field>\nhi\n--B--\n",
        "--B\r\n<field>\r\nhi",
        "--B\r\n<field>\r\nhi\r\n--B",
        "--B\r\n<field>\r\nhi\r\n--C--\r\n",
        "--B\r\n<field>\r\nhi\r\n--BC\r\n<field>\r\nhi\r\n--B--",
        "--BC\r\n<field>\r\nhi\r\n--B--",
        "x--B\r\n<field>\r\nhi\r\n--B\r\n<field>\r\nhi\r\n--B--",
        "\n--B\r\n<field>\r\nhi\r\n--B\r\n<field>\r\nhi\r\n--B--",
        "--B\r\n<field>\r\nhi\r\n--B--\r\n--B\r\n<field>\r\nhi\r\n--B--",
        "--B\r\n<field>\r\nhi\r\n--B--x\r\n--B--",
        "--B\r\n\r\nhi\r\n--B\r\n<field>\r\nhi\r\n--B--",
        "--B\r\n--B\r\n<field>\r\nhi\r\n--B--",
    ];
    for body in bodies {
        let body = body.replace("<field>", FIELD);
        for cut in 1..=body.len().max(1) {
            let parts = parse(body.as_bytes(), &[cut]);
            assert!(parts.is_err(), "{body:?}: {parts:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quoted_name_comes_back_as_it_was(name in "[^\u{0}-\u{1f}\u{7f}]*") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        prop_assert_eq!(named(format!("filename=\"{quoted}\"").as_bytes()), Some(name));
    }

    #[test]
    fn name_that_is_not_utf8_loses_no_byte(name in vec(b'\xa0'..=b'\xff', 1..20)) {
        prop_assume!(std::str::from_utf8(&name).is_err());
        let parameter = [b"filename=\"", &name[..], b"\""].concat();
        let expected: String = name.iter().map(|byte| char::from(*byte)).collect();
        prop_assert_eq!(named(&parameter), Some(expected));
    }

    #[test]
    fn extended_name_comes_back_as_it_was(name in any::<String>()) {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(named(format!("filename*=UTF-8''{encoded}").as_bytes()), Some(name));
    }

    #[test]
    fn part_with_a_filename_outside_of_quotes_is_never_a_field(
        pieces in vec(proptest::sample::select(HEADER_PIECES), 0..12),
    ) {
        let line = format!("form-data;name=n;{}", pieces.concat());
        let part = Part::parse(format!("Content-Disposition: {line}\r\n\r\n").as_bytes());
        if part.is_ok_and(|part| part.file_name.is_none()) {
            let line = without_quoted(&line).to_ascii_lowercase();
            let mut names = line.split(';').map(|it| it.split('=').next().unwrap().trim());
            prop_assert!(!names.any(|it| it == "filename" || it.contains('*')), "{line}");
        }
    }

    #[test]
    fn parts_come_back_as_they_were_however_they_are_cut(
        contents in vec(vec(proptest::sample::select(CONTENT_PIECES), 0..20), 0..5),
        cuts in vec(1_usize..50, 1..20),
    ) {
        let without_delimiter = |pieces: &Vec<&str>| {
            format!("\r\n{}", pieces.concat()).replace("\r\n--B", "\r\n--C")[2..].to_owned()
        };
        let contents: Vec<_> = contents.iter().map(without_delimiter).collect();
        let form: String =
            contents.iter().map(|it| format!("--B\r\n{FILE}\r\n{it}\r\n")).collect();
        let parts = parse(format!("{form}--B--").as_bytes(), &cuts);
        let expected: Vec<_> =
            contents.into_iter().map(|it| (part("a", Some("f")), it.into_bytes())).collect();
        prop_assert_eq!(parts, Ok(expected));
    }

    #[test]
    fn no_file_of_an_accepted_body_is_lost(
        pieces in vec(proptest::sample::select(BODY_PIECES), 0..16),
        cuts in vec(1_usize..50, 1..20),
    ) {
        let body = pieces.concat();
        let parts = parse(body.as_bytes(), &cuts);
        prop_assert_eq!(&parts, &parse(body.as_bytes(), &[usize::MAX]), "it depends on the cuts");
        if let Ok(parts) = parts {
            let files = parts.iter().filter(|(part, _)| part.file_name.is_some()).count();
            let begun = format!("\r\n{body}").matches(&format!("\r\n--B\r\n{FILE}")).count();
            prop_assert_eq!(files, begun, "{:?}", body);
        }
    }
}

/// `line` with each quoted value empty.
fn without_quoted(line: &str) -> String {
    let line = line.replace("\\\\", "").replace("\\\"", "");
    line.split('"').step_by(2).collect()
}

/// The name of the file in a part with these parameters.
fn named(parameters: &[u8]) -> Option<String> {
    let begin = b"Content-Disposition: form-data; name=n; ";
    Part::parse(&[begin, parameters, b"\r\n\r\n"].concat()).unwrap().file_name
}

const FIELD: &str = "Content-Disposition: form-data; name=a\r\n";
const FILE: &str = "Content-Disposition: form-data; name=a; filename=f\r\n";

const HEADER_PIECES: &[&str] = &[
    "filename", "FILENAME", "name", "x", "=", "=", ";", ";", "\"", "\\", " ", "*", "UTF-8''", "%",
];
const CONTENT_PIECES: &[&str] = &["\r", "\n", "-", "--", "--B", "B", "\r\n", "\r\n--", "x"];
const BODY_PIECES: &[&str] = &[
    "--B\r\n",
    "--B\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n",
    "\r\n--B\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n",
    "\r\n--B\r\nContent-Disposition: form-data; name=a\r\n\r\n",
    "\r\n--B\r\nContent-Disposition: form-data; name=a; filename=f\r\n",
    "\r\n--B",
    "\r\n--B--",
    "--",
    "\r\n",
    "\n",
    "hi",
];
